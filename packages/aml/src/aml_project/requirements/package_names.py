"""What packages are called on the index, and which ones are of no use to a run in Azure ML."""

from __future__ import annotations

import re

# What once had a package of its own that only says so, or has another one for each system.
RENAMED = {
    "sklearn": "scikit-learn",
    "bs4": "beautifulsoup4",
    "pil": "pillow",
    "tensorflow-macos": "tensorflow",
    "tensorflow-intel": "tensorflow",
    "tensorflow-cpu-aws": "tensorflow",
}
DUMMIES = ("sklearn", "bs4", "pil")  # whose version says nothing about the package that is meant
OTHER_SYSTEMS = {
    "appnope", "pywin32", "pywinpty", "pywin32-ctypes", "pypiwin32", "win-inet-pton", "winkerberos", "wmi",
    "comtypes", "pyobjc", "tensorflow-metal", "pyreadline", "pyreadline3", "win-unicode-console", "menuinst",
    "wincertstore", "xlwings", "windows-curses", "tensorflow-io-gcs-filesystem-macos",
}  # fmt: skip
OTHER_SYSTEM = re.compile(r"pyobjc(-.*)?|winrt(-.*)?")
INSTALLERS = {"pip", "wheel", "conda", "mamba", "distribute", "pkg-resources", "virtualenv-clone"}
# What a server never needs: it computes, nobody looks at it. It is in the training environment all the same.
TRAIN_ONLY = {
    "notebook", "notebook-shim", "ipykernel", "ipython", "ipywidgets", "ipython-genutils", "ipython-pygments-lexers",
    "widgetsnbextension", "nbclient", "nbconvert", "nbformat", "nbdime", "qtconsole", "jupytext", "papermill",
    "voila", "debugpy", "jedi", "tensorboard", "mlflow", "wandb", "optuna", "black", "ruff", "flake8", "pylint",
    "isort", "mypy", "pyflakes", "pycodestyle", "autopep8", "yapf", "pre-commit", "tox", "nox", "coverage",
    "hypothesis", "sphinx", "mkdocs", "matplotlib", "matplotlib-inline", "seaborn", "plotly", "bokeh", "altair",
    "pandas-profiling", "ydata-profiling", "missingno", "yellowbrick",
}  # fmt: skip
TRAIN_ONLY_LIKE = re.compile(r"(jupyter|pytest|flake8-|types-|sphinx-|mkdocs-).*")

# conda's names that differ from those on the index.
FROM_CONDA = {
    "pytorch": "torch", "pytorch-cpu": "torch", "pytorch-gpu": "torch", "opencv": "opencv-python-headless",
    "py-opencv": "opencv-python-headless", "matplotlib-base": "matplotlib", "pytables": "tables",
    "py-xgboost": "xgboost", "py-xgboost-cpu": "xgboost", "py-xgboost-gpu": "xgboost", "msgpack-python": "msgpack",
    "python-graphviz": "graphviz", "dask-core": "dask", "brotli-python": "brotli", "python-tzdata": "tzdata",
    "tensorflow-base": "tensorflow", "tensorflow-gpu": "tensorflow", "tensorflow-cpu": "tensorflow",
    "tensorflow-mkl": "tensorflow", "python-flatbuffers": "flatbuffers", "jax-cuda": "jax", "faiss": "faiss-cpu",
    "snappy": "python-snappy", "python-lmdb": "lmdb", "python-annoy": "annoy", "pyarrow-core": "pyarrow",
    "polars-default": "polars", "python-kaleido": "kaleido", "onnxruntime-cpp": "onnxruntime",
    "psycopg2": "psycopg2-binary", "umap": "umap-learn", "spacy-model-en-core-web-sm": "en-core-web-sm",
}  # fmt: skip
# Python packages whose builds do not say so: each stands for another of almost the same name.
PYTHON_ANYWAY = {"importlib-metadata", "importlib-resources", "prompt-toolkit", "typing-extensions", "uvicorn-standard"}
# Their wheels have a version of more parts than the package of conda: 4.9.0.80.
MORE_PARTS = {"opencv-python-headless"}
NOT_PYTHON = {
    "abseil-cpp", "alsa-lib", "aom", "arrow-cpp", "atk-1.0", "binutils", "blas", "blosc", "boost-cpp", "brotli-bin",
    "bzip2", "c-ares", "c-blosc2", "ca-certificates", "cairo", "charls", "clang", "cmake", "compilers", "cuda",
    "cudatoolkit", "cudnn", "curl", "cyrus-sasl", "dav1d", "dbus", "double-conversion", "eigen", "expat", "ffmpeg",
    "fftw", "fontconfig", "freetype", "fribidi", "gcc", "gdk-pixbuf", "geos", "gettext", "gflags", "giflib", "git",
    "glib", "glib-tools", "glog", "gmp", "gnutls", "graphite2", "grpc-cpp", "gst-plugins-base", "gstreamer", "gtk2",
    "gxx", "harfbuzz", "hdf4", "hdf5", "icc-rt", "icu", "intel-openmp", "jasper", "jpeg", "jxrlib", "keyutils",
    "krb5", "lame", "ld-impl-linux-64", "lerc", "libev", "llvm-openmp", "llvmlite-cpp", "lz4-c", "lzo", "make", "mkl",
    "mkl-devel", "mkl-fft", "mkl-include", "mkl-random", "mkl-service", "mpc", "mpfr", "mpich", "msys2-conda-epoch",
    "mysql-common", "mysql-libs", "nasm", "nccl", "ncurses", "nettle", "ninja-base", "nodejs", "nomkl", "nspr", "nss",
    "openblas", "openh264", "openjdk", "openjpeg", "openmpi", "openssl", "orc", "pandoc", "pango", "pcre", "pcre2",
    "perl", "pixman", "poppler", "proj", "pthread-stubs", "pthreads-win32", "python-abi", "pytorch-cuda",
    "pytorch-mutex", "qt", "qt-main", "qt-webengine", "qtwebkit", "rdma-core", "re2", "readline", "s2n", "sip",
    "sleef", "sqlite", "svt-av1", "tbb", "tbb-devel", "tensorflow-estimator-base", "tk", "tzdata", "ucrt", "unixodbc",
    "vc", "vs2015-runtime", "vc14-runtime", "x264", "x265", "xorg", "xz", "yaml", "yaml-cpp", "zfp", "zlib",
    "zlib-ng", "zstd", "jq", "graphviz", "font-ttf-dejavu-sans-mono", "cudatoolkit-dev", "py-xgboost-mutex",
    "libxgboost", "pyqt", "pyqt5-sip", "pyqtwebengine", "nvidia-cuda-toolkit", "cuda-toolkit", "cuda-runtime",
    "utf8proc", "snappy-cpp",
}  # fmt: skip
NOT_PYTHON_LIKE = re.compile(
    r"_.*|lib(?!clang$|cst$|rosa$|rt$|sass$|tmux$).*|r-.*|m2w64-.*|msys2-.*|aws-.*|fonts?-.*|xorg-.*|cuda-.*|gcc[-_].*|gxx[-_].*"
    r"|gfortran.*|binutils.*|ld_impl.*|sysroot.*|kernel-headers.*|vs20\d\d.*|clang.*|azure-.*-cpp|google-cloud-cpp"
)
KNOWN_CHANNELS = {
    "defaults",
    "nodefaults",
    "conda-forge",
    "pytorch",
    "nvidia",
    "anaconda",
    "main",
    "r",
    "msys2",
    "free",
}


def is_for_another_system(name: str) -> bool:
    return name in OTHER_SYSTEMS or bool(OTHER_SYSTEM.fullmatch(name))


def is_for_training_only(name: str) -> bool:
    return name in TRAIN_ONLY or bool(TRAIN_ONLY_LIKE.fullmatch(name))


def is_no_python_package(conda_name: str, build: str) -> bool:
    """Whether a package of conda holds no Python: its name says so, or its build, which else names the Python.

    The builds of a few packages for any Python name none; then the name has to be one that is known.
    """
    if conda_name.replace("_", "-") in PYTHON_ANYWAY | set(FROM_CONDA):
        return False
    dashed = conda_name.replace("_", "-") if not conda_name.startswith("_") else conda_name
    if dashed in NOT_PYTHON or NOT_PYTHON_LIKE.fullmatch(conda_name):
        return True
    return bool(build) and "py" not in build
