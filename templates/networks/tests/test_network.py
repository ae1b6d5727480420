"""What a network adds to training: images, runs that go on where they were stopped, faster arithmetic."""

import argparse
import base64
import csv
import json
import os
import random
import signal
import subprocess
import sys
from pathlib import Path
from typing import Any

import mlflow
import numpy as np
import pytest
from PIL import Image, ImageDraw

from runtime import checkpoints, encoding, images, input_schema, resuming, samples
from runtime.distributed import find
from tests.conftest import DATA, MODEL, served
from train import load_data, parse_args


def draw(folder: Path, count: int = 24) -> Path:
    """Images of three classes, of several sizes and kinds of file."""
    chance = random.Random(1)
    for number in range(count):
        for shape in ("circle", "cross", "square"):
            image = Image.new("L" if number % 5 == 0 else "RGB", (chance.randint(30, 50),) * 2)
            pen, size = ImageDraw.Draw(image), chance.randint(6, 10)
            box = [chance.randint(2, 8)] * 2
            box += [box[0] + 2 * size, box[1] + 2 * size]
            if shape == "circle":
                pen.ellipse(box, fill="white")
            elif shape == "square":
                pen.rectangle(box, fill="white")
            else:
                pen.line(box, fill="white", width=2)
            path = folder / shape / "batch 1" / f"é {number}.{'png' if number % 2 else 'JPG'}"
            path.parent.mkdir(parents=True, exist_ok=True)
            image.save(path)
    (folder / "notes.txt").write_text("no image, and no class")
    (folder / ".cache" / "x").mkdir(parents=True)
    return folder


def read(path: Path) -> Any:
    return json.loads(path.read_text(encoding="utf-8"))


def score_images(data: Path, outputs: Path, scores: Path) -> dict[str, dict[str, str]]:
    """Score all images, one of them broken, in two processes; return the rows of the result by their files."""
    (data / "circle" / "broken.png").write_bytes(b"no image")
    own = [f"--model={outputs}", f"--input={data}", f"--output={scores}", "--processes=2", "--rows-per-chunk=5"]
    command = [sys.executable, str(MODEL / "score_batch.py"), *own, "--error-threshold=1"]
    done = subprocess.run(command, capture_output=True, text=True)
    assert done.returncode == 0, done.stderr
    assert "Bad file circle/broken.png: no image, or a broken one" in done.stderr
    with scores.open(newline="", encoding="utf-8") as table:
        found = {row["file"]: row for row in csv.DictReader(table)}
    wanted = [file.relative_to(data).as_posix() for file in images.list_images(data)[0]]
    assert list(found) == [name for name in wanted if name != "circle/broken.png"]
    return found


def test_images_are_learned_and_answered(here: Any, tmp_path: Path) -> None:
    data = draw(tmp_path / "data")
    here("--task=classification", "--image-size", "16", "--epochs", "2", "--amp", data=data)
    outputs = tmp_path / "outputs"
    assert read(outputs / "model/schema.json") == {
        "columns": [{"name": "image", "type": "image", "size": 16}],
        "task": "classification",
        "classes": ["circle", "cross", "square"],
        "threshold": None,
        "margin": None,
        "reading": {},
    }
    mistakes = read(outputs / "metrics.json")["accuracy"] < 1
    assert (outputs / "evaluation/misclassified.png").exists() == mistakes
    (run,) = (path.parent for path in tmp_path.glob("mlruns/0/*/meta.yaml"))
    assert (run / "artifacts/evaluation/misclassified.png").exists() == mistakes

    files = [min((data / shape).rglob("*.*")) for shape in ("circle", "square")]
    rows = [{"image": base64.b64encode(file.read_bytes()).decode()} for file in files]
    with served(outputs, tmp_path / "server.txt") as server:
        status, answer = server.post({"data": rows})
        assert status == 200
        assert [list(row["probabilities"]) for row in answer["predictions"]] == [["circle", "cross", "square"]] * 2
        for file, row in zip(files, answer["predictions"], strict=True):
            for kind in ("image/png", "application/octet-stream"):
                status, alone = server.post(file.read_bytes(), kind)
                assert status == 200
                assert alone["predictions"][0]["probabilities"] == pytest.approx(row["probabilities"], abs=1e-5)
        scored = score_images(data, outputs, tmp_path / "scores.csv")
        for file, row in zip(files, answer["predictions"], strict=True):
            found = scored[file.relative_to(data).as_posix()]
            assert (found["row"], found["label"]) == ("0", row["label"])
            for label, probability in row["probabilities"].items():
                assert float(found[f"probability_{label}"]) == pytest.approx(probability, abs=1e-5)
        for broken in (b"", b"{}", files[0].read_bytes()[:100]):
            status, answer = server.post(broken, "image/jpeg")
            assert (status, answer["message"][:31]) == (400, "The body must be an image file:")
        example = json.loads(server.get("/swagger.json"))["definitions"]["ServiceInput"]["example"]
        assert server.post(example)[0] == 200
        for wrong in ("AAAA", "no base64!", "", None, 7):
            status, answer = server.post({"data": [rows[0], {"image": wrong}]})
            assert status == 400
            assert answer["message"].startswith("Row 1: column 'image' must be"), answer


@pytest.mark.parametrize("workers", ["0", "2"])
def test_an_unreadable_image_is_one_line(here: Any, tmp_path: Path, workers: str) -> None:
    data = draw(tmp_path / "data", 4)
    broken = data / "cross" / "broken.png"
    broken.write_bytes(b"\x89PNG\r\n\x1a\n and no more")
    with pytest.raises(SystemExit) as error:
        here("--task=classification", "--image-size", "16", "--workers", workers, data=data)
    (said,) = str(error.value).splitlines()
    assert said.startswith(f"--data-path {data}: {broken}: ")


def test_folders_that_nothing_can_be_learned_from_are_one_line(tmp_path: Path) -> None:
    def refused(said: str, task: str = "classification") -> None:
        with pytest.raises(SystemExit, match=said):
            samples.read(parse_args([f"--data-path={tmp_path}", f"--task={task}"]), load_data)

    refused("no .csv or .parquet file there, and no sub-folder with images")
    draw(tmp_path, 1)
    refused("needs two sub-folders or more, with two images or more in each")
    refused("images have classes, the folders that they lie in: --task classification", "regression")


def test_what_is_missing_becomes_the_average(tmp_path: Path) -> None:
    columns: list[input_schema.Column] = [
        {"name": "x", "type": "number"},
        {"name": "nothing", "type": "number"},
        {"name": "kind", "type": "category", "categories": ["a", "b"]},
    ]
    table = {
        "x": np.array([1, 3, np.nan], np.float32),
        "nothing": np.full(3, np.nan, np.float32),
        "kind": np.array(["b", "", "never seen"], dtype=object),
    }
    encoding.fit(table, columns).save(tmp_path)
    expected = [[-1, 0, 0, 1], [1, 0, 0, 0], [0, 0, 0, 0]]
    assert encoding.load(tmp_path).matrix(table, columns).tolist() == expected


def test_numbers_are_learned_around_0_by_what_the_training_rows_are(tmp_path: Path) -> None:
    args = parse_args(["--task=regression", "--label=monthly_fee", f"--data-path={DATA}"])
    data = samples.read(args, load_data)
    assert (data.classes, data.outputs, data.task, data.labels.dtype) == ([], 1, "regression", np.float32)
    learned = data.labels[data.split.train]
    assert (learned.mean(), learned.std()) == (pytest.approx(0, abs=1e-5), pytest.approx(1, abs=1e-5))
    assert data.labels[data.split.test].mean() != pytest.approx(0, abs=1e-5)
    assert data.encoding is not None
    data.encoding.save(tmp_path)
    assert encoding.load(tmp_path).unscaled(data.labels) == pytest.approx(data.actual, rel=1e-6)


@pytest.fixture(scope="session")
def stopped(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A training on the sample data that was killed after its third epoch."""
    folder = tmp_path_factory.mktemp("stopped")
    command = [sys.executable, str(MODEL / "train.py"), "--data-path", str(DATA)]
    process = subprocess.Popen(command, cwd=folder, stdout=subprocess.PIPE, text=True)
    assert process.stdout is not None
    while not process.stdout.readline().startswith("epoch 3:"):
        assert process.poll() is None
    process.send_signal(signal.SIGKILL)
    process.communicate()
    return folder


def test_a_killed_run_goes_on_to_the_same_model(
    here: Any, outputs: Path, stopped: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    with pytest.raises(SystemExit, match=r"^--resume: --batch-size was 32 and is 64 now; delete outputs"):
        here("--resume", "--batch-size", "64", folder=stopped)
    here("--resume", folder=stopped)
    said = capsys.readouterr().out
    assert "Going on after epoch " in said and "epoch 1:" not in said
    for file in ("metrics.json", "evaluation/loss_curve.json"):
        assert read(stopped / "outputs" / file) == read(outputs / file)


def sample() -> tuple[argparse.Namespace, samples.Data]:
    args = parse_args(["--resume", f"--data-path={DATA}"])
    return args, samples.read(args, load_data)


def test_a_checkpoint_that_cant_be_read_is_one_line(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    checkpoints.FILE.parent.mkdir(parents=True)
    checkpoints.FILE.write_bytes(b"half a file")
    with pytest.raises(SystemExit, match=r"--resume: outputs.* can't be read .*; delete it to begin anew"):
        checkpoints.resume(*sample(), find())


def test_a_checkpoint_of_other_columns_is_one_line(tmp_path: Path) -> None:
    args, data = sample()
    of = resuming.fingerprint(args, data)
    resuming.refuse_another(of, args, data, tmp_path)
    with pytest.raises(SystemExit, match=r"^--resume: columns was \['a'\] and is \['tenure_months', .*to begin anew$"):
        resuming.refuse_another(of | {"columns": ["a"]}, args, data, tmp_path)


def test_a_new_run_removes_the_checkpoint_of_another(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.chdir(tmp_path)
    checkpoints.FILE.parent.mkdir(parents=True)
    checkpoints.FILE.touch()
    assert not resuming.find(checkpoints.FILE, resume=False)
    assert not checkpoints.FILE.exists()
    assert not resuming.find(checkpoints.FILE, resume=True)
    assert "to go on from: this run begins" in capsys.readouterr().out


def test_a_run_that_azure_ml_restarts_finds_what_it_has_kept(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """On another node, where nothing of outputs/ is."""
    monkeypatch.setitem(os.environ, "MLFLOW_TRACKING_URI", f"file:{tmp_path / 'service'}")
    with mlflow.start_run() as run:
        pass
    monkeypatch.setitem(os.environ, "AZUREML_RUN_ID", run.info.run_id)
    monkeypatch.setattr(resuming, "KEEP_EVERY", 0)
    monkeypatch.chdir(tmp_path)
    assert not resuming.find(checkpoints.FILE, resume=False)
    file = tmp_path / "checkpoint.bin"
    for epoch in (9, 10):
        file.write_text(str(epoch))
        resuming.keep(file, epoch)
    assert resuming.find(checkpoints.FILE, resume=False)
    assert checkpoints.FILE.read_text() == "10"
    assert [path.name for path in checkpoints.FILE.parent.iterdir()] == [checkpoints.FILE.name]
    monkeypatch.setattr(resuming, "KEEP_EVERY", 600)
    resuming.keep(file, 11)
    assert len(mlflow.MlflowClient().list_artifacts(run.info.run_id, resuming.ARTIFACTS)) == 2


def test_early_stopping_keeps_the_best_epoch(here: Any, tmp_path: Path) -> None:
    here("--es-patience", "0", "--epochs", "40", "--learning-rate", "0.05")
    history = read(tmp_path / "outputs/evaluation/loss_curve.json")
    assert 2 <= len(history) < 40
    losses = [epoch["validation_loss"] for epoch in history]
    assert min(losses) == losses[-2] < losses[-1]


def test_a_loss_that_is_no_number_is_one_line(here: Any) -> None:
    with pytest.raises(SystemExit, match=r"^epoch \d: the loss is no number any more: try a smaller --learning-rate$"):
        here("--learning-rate", "1e30")


@pytest.mark.parametrize("wrong", ["--epochs=0", "--batch-size=0", "--image-size=-1", "--epochs=many"])
def test_a_wrong_number_is_one_line(wrong: str, capsys: pytest.CaptureFixture[str]) -> None:
    with pytest.raises(SystemExit):
        parse_args([wrong])
    assert wrong.split("=", maxsplit=1)[0] in capsys.readouterr().err.splitlines()[-1]


def test_a_dataset_outside_of_azure_ml_is_one_line(here: Any) -> None:
    with pytest.raises(SystemExit, match=r"^--dataset training: no data of this run"):
        here("--dataset", "training")


def test_bytes_that_are_no_image_are_told() -> None:
    with pytest.raises(images.BadImage, match=r"no image, or a broken one"):
        images.read_image(b"nothing", 8)
