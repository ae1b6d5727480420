"""What a conda file asks for, in the words of the Python package index."""

from __future__ import annotations

import re
import sys
from dataclasses import dataclass, field
from typing import Any

# conda's names that differ from those on the index.
NAMES = {
    "pytorch": "torch", "pytorch-cpu": "torch", "pytorch-gpu": "torch", "opencv": "opencv-python-headless",
    "py-opencv": "opencv-python-headless", "matplotlib-base": "matplotlib", "pytables": "tables",
    "py-xgboost": "xgboost", "py-xgboost-cpu": "xgboost", "py-xgboost-gpu": "xgboost", "msgpack-python": "msgpack",
    "python-graphviz": "graphviz", "dask-core": "dask", "tensorflow-base": "tensorflow", "faiss": "faiss-cpu",
    "tensorflow-gpu": "tensorflow", "tensorflow-mkl": "tensorflow", "keras-gpu": "keras", "pyarrow-core": "pyarrow",
    "snappy": "python-snappy", "python-lmdb": "lmdb", "python-annoy": "annoy", "psycopg2": "psycopg2-binary",
    "umap": "umap-learn", "ruamel_yaml": "ruamel.yaml", "pyqt": "PyQt5", "seaborn-base": "seaborn",
    "spacy-model-en_core_web_sm": "en-core-web-sm",
}  # fmt: skip
# No Python: what a package of the index needs of it, its wheel brings along.
LIBRARIES = re.compile(
    r"_.*|lib(?!clang$|cst$|rosa$|rt$|sass$|tmux$).*|cudatoolkit|cudnn|nccl|cuda-.*|pytorch-(cuda|mutex)|cpuonly|mkl"
    r"|mkl-.*|openblas|blas|intel-openmp|llvm-openmp|openmpi|mpich|openssl|ca-certificates|certificates|zlib|sqlite"
    r"|readline|ncurses|tk|xz|bzip2|gcc.*|gxx.*|hdf5|ffmpeg|geos|proj|icu|jpeg|krb5|nomkl|glib|tbb"
)
INSTALLERS = {"pip", "setuptools", "wheel", "conda"}
FLOOR = "1.34"  # of azureml: unlike pip, the installer walks back to releases of 2019 else, which nothing of today runs
SPEC = re.compile(r"(?:[\w./-]+::)?(?P<name>[\w.-]+)\s*(?P<version>(?:[=<>!~ ].*)?)")


@dataclass
class CondaFile:
    """The Python and the packages that are to be installed, and what is not as it was asked for."""

    version: str = f"{sys.version_info.major}.{sys.version_info.minor}"
    packages: list[str] = field(default_factory=list)
    notes: list[str] = field(default_factory=list)
    unknown: list[str] = field(default_factory=list)  # what can't be said to the index at all


def read(dependencies: list[Any]) -> CondaFile:
    found = CondaFile()
    for item in dependencies:
        if isinstance(item, dict):
            found.packages += [floored(str(line).strip()) for line in item.get("pip") or []]
            continue
        match = SPEC.fullmatch(str(item).strip())
        if match is None:
            found.unknown.append(str(item))
            continue
        name, wanted = match["name"].lower(), match["version"].strip()
        if name == "python":
            exact = re.fullmatch(r"={0,2}\s*([\d.]+?)(\.\*)?([= ]\w+)?", wanted)
            found.version = exact[1] if exact else wanted or found.version
        elif name in INSTALLERS:
            continue
        elif LIBRARIES.fullmatch(name):
            found.notes.append(f"{item}: a library of conda's, left out; wheels bring what they need")
        elif name.startswith("r-") or (version := pinned(wanted)) is None:
            found.unknown.append(str(item))
        else:
            package = NAMES.get(name, name) + version
            found.packages.append(package)
            found.notes.append(f"{item}: of conda, installed from the Python package index as {package}")
    return found


def floored(line: str) -> str:
    """A line of pip's, with a version at least for what is named without one."""
    return f"{line}>={FLOOR}" if re.fullmatch(r"azureml-(core|defaults)", line) else line


def pinned(wanted: str) -> str | None:
    """A version as pip writes it: conda's =1.2 means every 1.2, a build is of no use here; None if there is no way."""
    wanted = wanted.strip()
    if match := re.fullmatch(r"(={0,2})\s*([\w.!+]+?)(\.?\*)?(?:[= ]+[\w.*]+)?", wanted):
        exact = match[1] == "==" and not match[3]
        return f"=={match[2]}" + ("" if exact else ".*") if match[2] else ""
    return wanted.replace(" ", "") if re.fullmatch(r"([<>=!~]=?\s*[\w.*]+\s*,?\s*)*", wanted) else None
