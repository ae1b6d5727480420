"""Both Dockerfiles of a model that draws masks: built, trained in, and served from."""

import gzip
import re
import urllib.request
from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.containers.podman import Containers
from tests.support import BIN, PYTHON, rendered, run

pytestmark = pytest.mark.full


@pytest.fixture(scope="module")
def model(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A model with its sample."""
    project = rendered(tmp_path_factory.mktemp("volumes"), framework="auto3dseg", python_version=PYTHON)
    model = project / "models" / "model1"
    make = ["--with=nibabel==5.3.3", "--with=numpy==2.2.6", "python", "make_volumes.py", "../../data/model1"]
    run(BIN / "uv", "run", "--quiet", "--no-project", "--python", PYTHON, *make, cwd=model)
    return model


@pytest.fixture(scope="module")
def containers(tmp_path_factory: pytest.TempPathFactory, model: Path) -> Iterator[Containers]:
    started = Containers(tmp_path_factory.mktemp("podman"))
    try:
        started.make_bases(model)
        yield started
    finally:
        started.close()


def test_it_trains_and_serves_as_a_user_without_rights(containers: Containers, model: Path, tmp_path: Path) -> None:
    """Without a network; and what the service answers is the mask that the ensemble has drawn."""
    outputs = tmp_path / "outputs"
    outputs.mkdir()
    outputs.chmod(0o777)
    containers.build(model, "Dockerfile", "training")
    volumes = [f"--volume={model.parents[1] / 'data' / 'model1'}:/data:ro", f"--volume={outputs}:/workspace/outputs"]
    train = ["run", "--rm", "--user=1000", "--network=none", *volumes, "training", "--epochs=2"]
    assert re.search(r"Kept tiny_0, tiny_1: Dice 0\.\d+", containers.podman(*train))
    assert {path.stat().st_uid for path in outputs.rglob("*")} == {1000}

    containers.build(model, "Dockerfile.inference", "server", "--target=server")
    body = (model.parents[1] / "data/model1/images/volume08.nii.gz").read_bytes()
    with containers.serving("server", "--read-only", f"--volume={outputs / 'model'}:/model:ro", "--tmpfs=/tmp") as up:
        request = urllib.request.Request(f"{up.url}/score", body, {"Content-Type": "application/octet-stream"})
        with urllib.request.urlopen(request, timeout=120) as response:
            answer = response.read()
    drawn = (outputs / "ensemble_output/images/volume08_ensemble.nii.gz").read_bytes()
    assert gzip.decompress(answer) == gzip.decompress(drawn)
