"""Answer scoring requests with the model that train.py saved: a volume in, its mask out, both NIfTI.

The inference server calls init() once and run() for every request: `make serve`, then `make request`.
"""

import tempfile
from pathlib import Path
from typing import Any

import torch
from azureml_inference_server_http.api.aml_request import AMLRequest, rawhttp
from azureml_inference_server_http.api.aml_response import AMLResponse

from runtime import serving, volumes
from runtime.ensemble import Ensemble

# Set by init(), once in each worker of the server.
ensemble: Ensemble


def init() -> None:
    """Load the model from wherever it lies below AZUREML_MODEL_DIR."""
    global ensemble
    folder, _ = serving.find_model()
    serving.max_bytes = volumes.MAX_BYTES
    torch.set_num_threads(1)  # the server's workers bring the threads
    ensemble = Ensemble(folder)


@rawhttp
@serving.handled
def run(request: AMLRequest) -> Any:
    """Return the mask of the volume that is the body; of a form with `image` and `label`, the Dice as well."""
    with tempfile.TemporaryDirectory() as folder:
        image, label = volumes.received(request, Path(folder))
        mask = ensemble.mask(image)
        headers = {"Content-Type": "application/octet-stream"}
        if label:
            headers["x-dice"] = volumes.scores(mask, label, ensemble.classes)
        file = Path(folder, "mask.nii.gz")
        ensemble.write(mask, file)
        return AMLResponse(file.read_bytes(), 200, headers)
