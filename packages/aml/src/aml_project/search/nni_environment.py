"""NNI's environment, .venv/.nni: its packages, its Python, and what is mended in its server."""

from __future__ import annotations

import hashlib
import json
import subprocess
import sys
from pathlib import Path

from aml_project import model_environment, tools
from aml_project.command_line import Failure, Progress

PARTS = Path(__file__).with_name("nni_parts")
# NNI's last release but one: 3.0 answers the documented `trainingService: {platform: aml}` with an error, and its other
# form, a list, does without what NNI itself reads of it. It starts no server where pkg_resources is missing.
RELEASE = "nni==2.10.1"
PACKAGES = [
    RELEASE, "setuptools==80.9.0", "numpy==2.2.6", "scipy==1.15.3", "scikit-learn==1.7.2", "pandas==2.3.3",
    "websockets==15.0.1",
]  # fmt: skip
CLIENT = "azureml-core==1.61.0.post4"  # of NNI's server, on a cluster
ON_THE_NODE = [RELEASE, "setuptools==80.9.0", "websockets==15.0.1"]
PYTHONS = ">=3.10,<3.12"


def environment(root: Path, *, with_client: bool = False) -> Path:
    """The folder of the environment that has NNI; it is made once, and again for other packages."""
    place = root / ".venv" / ".nni"
    parts = b"".join((PARTS / name).read_bytes() for name in ("loopback.js", "aml_client.py"))
    packages = [*PACKAGES, *([CLIENT] if with_client else [])]
    mark = place / "ready"
    known = [hashlib.sha256(json.dumps(each).encode() + parts).hexdigest() for each in ([*PACKAGES, CLIENT], packages)]
    if mark.is_file() and mark.read_text() in known:
        return place
    uv = tools.find_uv()
    if not uv:
        raise Failure("NNI gets an environment of its own, and there is no uv to make it: call this command by make")
    print(f"Installing {RELEASE.replace('==', ' ')} to .venv/.nni, once", file=sys.stderr, flush=True)
    with Progress("Installing"):
        no_python = "NNI needs Python 3.10 or 3.11, which is not here: install one, as in uv python install 3.11"
        ask(no_python, uv, "venv", "--quiet", "--clear", "--python", PYTHONS, str(place))
        install = [uv, "pip", "install", "--quiet", "--compile-bytecode", "--python", str(python_in(place))]
        ask(f"{RELEASE} could not be installed", *install, *packages)
    repair(place)
    mark.write_text(known[-1])
    return place


def repair(place: Path) -> None:
    """Mend in NNI's server what keeps it from use: it listens to the whole network, and gives its tuner ten seconds."""
    [node] = place.glob("lib/python*/site-packages/nni_node")
    main, channel = node / "main.js", node / "core" / "tuner_command_channel" / "websocket_channel.js"
    replaced = {
        node / "loopback.js": (PARTS / "loopback.js").read_text(encoding="utf-8"),
        node / "config" / "aml" / "amlUtil.py": (PARTS / "aml_client.py").read_text(encoding="utf-8"),
        main: f"require('./loopback.js');\n{main.read_text(encoding='utf-8')}",
        channel: channel.read_text(encoding="utf-8").replace("}, 10000);", "}, 60000);"),
    }
    for file, text in replaced.items():
        file.unlink(missing_ok=True)  # it is a link to uv's cache, which the other environments have too
        file.write_text(text, encoding="utf-8")


def ask(trouble: str, *command: str) -> None:
    done = subprocess.run(command, stdin=subprocess.DEVNULL, capture_output=True, text=True)
    if done.returncode:
        raise Failure(f"{trouble}: {' '.join(done.stderr.split()[-30:])}")


def python_in(place: Path) -> Path:
    return model_environment.bin_folder(place) / "python"
