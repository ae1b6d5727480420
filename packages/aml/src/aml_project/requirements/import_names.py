"""Which package a module comes from, where the two have different names."""

from __future__ import annotations

PACKAGES = {
    "attr": "attrs", "bs4": "beautifulsoup4", "cv2": "opencv-python-headless", "Crypto": "pycryptodome",
    "Cryptodome": "pycryptodomex", "dateutil": "python-dateutil", "docx": "python-docx", "dotenv": "python-dotenv",
    "en_core_web_sm": "", "faiss": "faiss-cpu", "fitz": "pymupdf", "git": "gitpython", "github": "pygithub",
    "haystack": "haystack-ai", "hydra": "hydra-core", "imblearn": "imbalanced-learn", "jose": "python-jose",
    "jwt": "pyjwt", "kafka": "kafka-python", "magic": "python-magic", "mpl_toolkits": "matplotlib",
    "pylab": "matplotlib", "MySQLdb": "mysqlclient", "nacl": "pynacl", "OpenSSL": "pyopenssl", "osgeo": "gdal",
    "PIL": "pillow", "pkg_resources": "setuptools", "pptx": "python-pptx", "psycopg2": "psycopg2-binary",
    "pythoncom": "pywin32", "pywintypes": "pywin32", "win32api": "pywin32", "win32com": "pywin32",
    "rest_framework": "djangorestframework", "ruamel": "ruamel-yaml", "serial": "pyserial", "sklearn": "scikit-learn",
    "skimage": "scikit-image", "skopt": "scikit-optimize", "slugify": "python-slugify", "snappy": "python-snappy",
    "snowflake": "snowflake-connector-python", "socks": "pysocks", "sksurv": "scikit-survival",
    "surprise": "scikit-surprise", "telegram": "python-telegram-bot", "tlz": "toolz", "umap": "umap-learn",
    "usb": "pyusb", "websocket": "websocket-client", "wx": "wxpython", "Xlib": "python-xlib", "yaml": "pyyaml",
    "zmq": "pyzmq", "mlflow": "mlflow-skinny", "distutils": "setuptools",
    # Several packages share these names; the longest that an import begins with counts.
    "azureml.core": "azureml-core", "azureml.exceptions": "azureml-core", "azureml._common": "azureml-core",
    "azureml.mlflow": "azureml-mlflow", "azureml.data": "azureml-core",
    "azureml.train.automl": "azureml-train-automl-client", "azureml.train.hyperdrive": "azureml-train-core",
    "azureml.train": "azureml-train-core", "azureml.widgets": "azureml-widgets",
    "azureml.opendatasets": "azureml-opendatasets", "azureml.pipeline": "azureml-pipeline",
    "azureml.interpret": "azureml-interpret", "azureml.dataprep": "azureml-dataprep",
    "azureml.fsspec": "azureml-fsspec", "azure.ai.ml": "azure-ai-ml", "azure.identity": "azure-identity",
    "azure.core": "azure-core", "azure.keyvault.secrets": "azure-keyvault-secrets",
    "azure.storage.blob": "azure-storage-blob", "azure.storage.filedatalake": "azure-storage-file-datalake",
    "azure.cosmos": "azure-cosmos", "azure.data.tables": "azure-data-tables", "azure.kusto.data": "azure-kusto-data",
    "azure.ai.textanalytics": "azure-ai-textanalytics", "google.protobuf": "protobuf",
    "google.cloud.storage": "google-cloud-storage", "google.cloud.bigquery": "google-cloud-bigquery",
    "google.auth": "google-auth", "google.oauth2": "google-auth", "google.generativeai": "google-generativeai",
    "google.genai": "google-genai", "google.colab": "", "googleapiclient": "google-api-python-client",
}  # fmt: skip
SHARED = ("azure", "azureml", "google")
# What comes along with another package, which has to be there for the module anyway.
COMES_WITH = {
    "joblib": ("scikit-learn",),
    "threadpoolctl": ("scikit-learn",),
    "pyarrow": ("azureml-defaults", "azureml-dataset-runtime"),
    "flask": ("azureml-defaults", "azureml-inference-server-http"),
    "werkzeug": ("azureml-defaults", "azureml-inference-server-http"),
    "azureml_inference_server_http": ("azureml-defaults", "azureml-inference-server-http"),
    "inference_schema": ("azureml-defaults", "azureml-inference-server-http"),
    "azureml.dataprep": ("azureml-defaults",),
    "azureml.core": ("azureml-defaults",),
    "azureml.data": ("azureml-defaults",),
    "dateutil": ("pandas",),
    "keras": ("tensorflow", "tensorflow-cpu"),
    "pytz": ("pandas",),
}
# The package that is installed may be another one of the same module: its version counts.
SAME_MODULE = {
    "opencv-python-headless": ("opencv-python", "opencv-contrib-python", "opencv-contrib-python-headless"),
    "mlflow-skinny": ("mlflow",),
    "psycopg2-binary": ("psycopg2",),
    "faiss-cpu": ("faiss-gpu",),
    "tensorflow": ("tensorflow-cpu", "tensorflow-macos", "tensorflow-intel"),
}
# Names that people give to modules of their own; a stranger's package of that name must not be installed instead.
OWN_MODULE_NAMES = {
    "app", "common", "config", "configs", "constants", "core", "data", "dataset", "datasets_utils", "eda",
    "evaluate_model", "feature_engineering", "features", "func", "funcs", "functions", "helper", "helper_functions",
    "helpers", "lib", "library", "main", "model", "models", "my_module", "my_utils", "myutils", "network", "plots",
    "plotting", "preprocess", "preprocessing", "project", "scripts", "settings", "src", "test", "tests", "tool",
    "tools", "training", "util", "utilities", "utils", "viz", "visualization",
}  # fmt: skip
# What newer Pythons no longer have, and the first that lacks it.
GONE = {
    "asynchat": "3.12", "asyncore": "3.12", "distutils": "3.12", "imp": "3.12", "smtpd": "3.12", "aifc": "3.13",
    "audioop": "3.13", "cgi": "3.13", "cgitb": "3.13", "chunk": "3.13", "crypt": "3.13", "imghdr": "3.13",
    "lib2to3": "3.13", "mailcap": "3.13", "msilib": "3.13", "nis": "3.13", "nntplib": "3.13", "ossaudiodev": "3.13",
    "pipes": "3.13", "sndhdr": "3.13", "spwd": "3.13", "sunau": "3.13", "telnetlib": "3.13", "uu": "3.13",
    "xdrlib": "3.13",
}  # fmt: skip


def package_of(module: str) -> str | None:
    """Return the package of a dotted module; nothing if the name alone does not tell it."""
    parts = module.split(".")
    for length in range(len(parts), 0, -1):
        package = PACKAGES.get(".".join(parts[:length]))
        if package is not None:
            return package
    return "" if parts[0] in SHARED else None


def comes_with(module: str) -> tuple[str, ...]:
    parts = module.split(".")
    return next(
        (COMES_WITH[name] for length in range(len(parts), 0, -1) if (name := ".".join(parts[:length])) in COMES_WITH),
        (),
    )
