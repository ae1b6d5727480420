"""What the packages of Azure ML need, so that a pin that contradicts them is left out instead of failing the build.

DIRECT is what their own metadata says, of the releases that the conda files pin; THROUGH is what follows from that for
the packages in between. Both are compared with the index by the template's tests.
"""

from __future__ import annotations

# What Azure ML's conda files pin with care: the two lists of the template, but for azureml-*.
DELICATE = {"mlflow-skinny", "standard-imghdr", "setuptools"}
STANDS_FOR_MLFLOW = "mlflow-skinny"

DIRECT = {
    "adal": ">=1.2.0,<=1.2.7",
    "argcomplete": "<4",
    "azure-common": ">=1.1,>=1.1.12,<2.0.0",
    "azure-core": ">=1.8.0,!=1.22.0,<2.0.0",
    "azure-graphrbac": ">=0.40.0,<1.0.0",
    "azure-mgmt-authorization": ">=0.40.0,<5",
    "azure-mgmt-containerregistry": ">=8.2.0,<15",
    "azure-mgmt-core": ">=1.2.0,<2.0.0",
    "azure-mgmt-keyvault": ">=0.40.0,<12.0.0",
    "azure-mgmt-network": "<=30.0.0",
    "azure-mgmt-resource": ">=15.0.0,<=24.0.0",
    "azure-mgmt-storage": ">=16.0.0,<=24.0.0",
    "azure-storage-blob": ">=12.5.0,<=12.27.1",
    "cachetools": ">=5.0.0,<6",
    "certifi": ">=2024.7.4",
    "click": ">=7.0,<9",
    "cloudpickle": "<4",
    "contextlib2": "<22.0.0",
    "cryptography": "<51.0.0",
    "databricks-sdk": ">=0.20.0,<1",
    "docker": "<8.0.0",
    "fastapi": "<1",
    "flask": "~=3.1.0",
    "flask-cors": "~=6.0.0",
    "gitpython": ">=3.1.9,<4",
    "gunicorn": ">=23.0.0",
    "humanfriendly": ">=4.7,<11.0",
    "importlib-metadata": ">=3.7.0,!=4.7.0,<9",
    "inference-schema": "~=1.8.0",
    "jmespath": "<2.0.0",
    "jsonpickle": "<5.0.0",
    "knack": "<0.13.0",
    "mlflow-skinny": "<=3.15.0",
    "msal": ">=1.15.0,<2.0.0",
    "msal-extensions": ">=0.3.0,<=2.0.0",
    "msrest": ">=0.5.1,>=0.6.18,<=0.7.1",
    "msrestazure": ">=0.4.33,<=0.7",
    "ndg-httpsclient": "<=0.5.1",
    "opentelemetry-api": "==1.33.0,>=1.9.0,<3",
    "opentelemetry-sdk": "==1.33.0,>=1.9.0,<3",
    "packaging": ">=20.0,<25,<26.0",
    "paramiko": ">=2.0.8,<4.0.0",
    "pathspec": "<1.0.0",
    "protobuf": ">=3.12.0,<7",
    "pydantic": "~=2.12.0,>=1.10.8,<3",
    "pyjwt": "<3.0.0",
    "pyopenssl": ">=25.3.0,<=26.0.0",
    "python-dateutil": ">=2.7.3,<3.0.0",
    "pytz": "<=2025.2",
    "pyyaml": ">=5.1,<7",
    "requests": ">=2.17.3,>=2.19.1,<3.0.0",
    "secretstorage": "<4.0.0",
    "sqlparse": ">=0.4.0,<1",
    "typing-extensions": ">=4.0.0,<5",
    "urllib3": ">1.26.17,<3.0.0",
    "uvicorn": "<1",
    "werkzeug": ">=3.0.3",
}

THROUGH = {
    # pyopenssl 25.3 to 26.0, of azureml-core
    "cryptography": ">=45.0.7,<47",
    # flask 3.1, of azureml-inference-server-http
    "blinker": ">=1.9",
    "click": ">=8.1.3",
    "itsdangerous": ">=2.2",
    "jinja2": ">=3.1.2",
    "markupsafe": ">=2.1.1",
    "werkzeug": ">=3.1",
    # pydantic 2.12, of the same
    "pydantic-core": ">=2.41.1,<2.42",
    "typing-extensions": ">=4.14.1",
    "typing-inspection": ">=0.4.2",
    "annotated-types": ">=0.6",
    # inference-schema 1.8 and opentelemetry 1.33, of the same
    "wrapt": ">=1.14,<=1.16",
    "deprecated": ">=1.2.6",
    "importlib-metadata": ">=6.0,<8.7",
    "opentelemetry-semantic-conventions": "==0.54b0",
    # azureml-dataset-runtime 1.62, of azureml-defaults
    "numpy": "!=1.19.3,<2.3.3",
    "pyarrow": "!=21.*,!=22.*,<24",
    "cloudpickle": ">=1.1,<3",
    "joblib": "<1.6",  # newer ones need a newer cloudpickle
    "pyyaml": ">=5.1,<7",
    # pytest of requirements-dev.txt
    "iniconfig": ">=2",
    "packaging": ">=24",
    "pluggy": ">=1.6,<2",
    "pygments": ">=2.15",
}

# What the releases of this template's own frameworks need; the user's pin of the one takes away ours of the other.
OF_OURS = {
    "scikit-learn==1.7.2": {"numpy": ">=1.22", "scipy": ">=1.8", "joblib": ">=1.2", "threadpoolctl": ">=3.1"},
    "pandas==2.3.3": {"numpy": ">=1.22.4", "python-dateutil": ">=2.8.2", "pytz": ">=2020.1", "tzdata": ">=2022.7"},
    "matplotlib==3.10.9": {
        "contourpy": ">=1.0.1", "cycler": ">=0.10", "fonttools": ">=4.22", "kiwisolver": ">=1.3.1", "numpy": ">=1.23",
        "packaging": ">=20", "pillow": ">=8", "pyparsing": ">=3", "python-dateutil": ">=2.7",
    },
    "onnx==1.20.1": {"numpy": ">=1.23.2", "protobuf": ">=4.25.1", "ml-dtypes": ">=0.5", "typing-extensions": ">=4.7.1"},
    "skl2onnx==1.20.0": {"onnx": ">=1.2.1", "scikit-learn": ">=1.1"},
    "tensorflow-cpu==2.21.0": {
        "protobuf": ">=6.31.1,<8", "numpy": ">=1.26", "keras": ">=3.12", "h5py": ">=3.11,<3.15",
        "ml-dtypes": ">=0.5.1,<1", "flatbuffers": ">=25.9.23", "grpcio": ">=1.24.3,<2",
        "wrapt": ">=1.11", "requests": ">=2.21,<3",
    },
    "torch==2.13.0": {"typing-extensions": ">=4.10", "sympy": ">=1.13.3", "networkx": ">=2.5.1"},
}  # fmt: skip

# Up to which release (not included) a package needs an older numpy than ours; where the user does not name a numpy.
OLDER_NUMPY = (
    ("tensorflow", "2.18", "<2"),
    ("tensorflow", "2.19", "<2.1"),
    ("tensorflow", "2.20", "<2.2"),
    ("numba", "0.60", "<2"),
    ("numba", "0.61", "<2.1"),
    ("numba", "0.61.2", "<2.2"),
    ("pandas", "2.2.2", "<2"),
    ("scikit-learn", "1.4.2", "<2"),
    ("scipy", "1.13", "<2"),
    ("matplotlib", "3.8.4", "<2"),
    ("torch", "2.3", "<2"),
    ("onnxruntime", "1.19", "<2"),
    ("opencv-python", "4.10", "<2"),
    ("opencv-python-headless", "4.10", "<2"),
    ("pyarrow", "16", "<2"),
    ("spacy", "3.8", "<2"),
    ("gensim", "4.4", "<2"),
    ("catboost", "1.2.8", "<2"),
    ("shap", "0.45", "<2"),
    ("statsmodels", "0.14.2", "<2"),
    ("h5py", "3.11", "<2"),
    ("numexpr", "2.10", "<2"),
    ("scikit-image", "0.23", "<2"),
)
