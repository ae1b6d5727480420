"""The environments that every workspace has from Azure: a few of them, with the packages that Azure's lists name.

In Azure the newer ones are images; here they are conda files, since an image can't be had. Packages of azureml have no
version: Azure builds them anew with each release.
"""

from __future__ import annotations

from typing import Any

Record = dict[str, Any]

AZUREML = ["azureml-core", "azureml-defaults"]
TRAINING = [*AZUREML, "azureml-telemetry", "azureml-train-restclients-hyperdrive", "azureml-train-core"]
LOGGING = [*AZUREML, "azureml-mlflow", "azureml-telemetry"]
TOOLS = [
    *("py-spy==0.3.12", "debugpy~=1.6.3", "ipykernel~=6.0", "tensorboard", "psutil~=5.8.0", "matplotlib~=3.5.0"),
    *("tqdm~=4.66.3", "py-cpuinfo==5.0.0", "torch-tb-profiler~=0.4.0"),
]
# By name: the version, and what conda and pip install.
KNOWN: dict[str, tuple[str, list[str], list[str]]] = {
    "AzureML-Minimal": ("46", ["python=3.8"], AZUREML),
    "AzureML-Scikit-learn-0.20.3": (
        "46",
        ["python=3.6.2"],
        [*TRAINING, "scikit-learn==0.20.3", "scipy==1.2.1", "joblib==0.13.2"],
    ),
    "AzureML-sklearn-1.0-ubuntu20.04-py38-cpu": (
        "64",
        ["python=3.8", "pandas~=1.3.0", "scipy~=1.7.0", "numpy~=1.21.0"],
        [*LOGGING, "scikit-learn~=1.0.0", "joblib~=1.2.0", *TOOLS],
    ),
    "AzureML-sklearn-1.5": (
        "18",
        ["python=3.10", "pandas~=1.5.3", "scipy~=1.10.0", "numpy~=1.22.0"],
        [
            *(*LOGGING, "azureml-inference-server-http", "scikit-learn-intelex"),
            *("scikit-learn~=1.5.0", "joblib~=1.2.0", *TOOLS),
        ],
    ),
    "AzureML-lightgbm-3.3": (
        "64",
        ["python=3.10", "pandas~=1.5.3", "scipy~=1.10.0", "numpy~=1.22.0"],
        [*LOGGING, "scikit-learn~=1.5.1", "xgboost~=1.7.6", "lightgbm>=4.6.0", "adlfs~=0.7.0", *TOOLS],
    ),
}


def find(name: str, version: str = "") -> Record | None:
    """A curated environment as the service tells it; each has one version here."""
    for known, (number, conda, pip) in KNOWN.items():
        if known.lower() == name.lower() and version in {"", number}:
            python = {
                "userManagedDependencies": False,
                "interpreterPath": "python",
                "condaDependenciesFile": None,
                "baseCondaEnvironment": None,
                "condaDependencies": {
                    "channels": ["anaconda", "conda-forge"],
                    "dependencies": [*conda, "pip", {"pip": list(pip)}],
                    "name": "azureml",
                },
            }
            image = f"mcr.microsoft.com/azureml/curated/{known.lower().removeprefix('azureml-')}:{number}"
            docker = {"baseImage": image, "enabled": False, "arguments": [], "sharedVolumes": True, "shmSize": "2g"}
            variables = {"EXAMPLE_ENV_VAR": "EXAMPLE_VALUE"}
            more = {"spark": {"packages": [], "precachePackages": True, "repositories": []}, "r": None}
            return {
                "name": known,
                "version": number,
                "python": python,
                "docker": docker,
                "environmentVariables": variables,
                "inferencingStackVersion": None,
            } | more
    return None


def everything() -> list[Record]:
    return [environment for name in KNOWN if (environment := find(name))]
