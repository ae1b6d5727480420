import json
import os
from pathlib import Path

import joblib


def init():
    global model
    model = joblib.load(next(Path(os.environ["AZUREML_MODEL_DIR"]).rglob("model.pkl")))


def run(data):
    return [round(total) for total in model.predict(json.loads(data)["data"])]
