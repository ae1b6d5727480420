"""Install what Azure ML's first generation documents: azureml-sdk, azml, and az ml where az is.

aml client
"""

from __future__ import annotations

import argparse
import sys
from pathlib import Path

from aml_project import tools
from aml_project.command_line import DONE, Failure, Parser, run
from aml_project.model_environment import WINDOWS

EXAMPLE = "  aml client"
EXTENSION = "aml-project-az"
EARLIER = "aml-template-cli"  # what the extension was called: with both, az would not know which answers


def main(argv: list[str] | None = None) -> int:
    parser = Parser("Install azureml-sdk and azml, and the same commands for az where az is.", EXAMPLE)
    return run(install, parser, argv)


def install(_: argparse.Namespace) -> int:
    tools.bring_azure()
    tools.bring("sdk")
    print(f"azml: {Path(sys.executable).with_name('azml.exe' if WINDOWS else 'azml')}", flush=True)
    import shutil
    import subprocess
    import tempfile

    az = shutil.which("az")
    if not az:
        print("There is no az here: use azml. With az, make client again.")
        return DONE
    with tempfile.TemporaryDirectory() as folder:
        wheel = build(Path(folder))
        for name in (EARLIER, EXTENSION):  # az does not replace an extension of the same version
            if subprocess.run([az, "extension", "show", "-n", name], capture_output=True).returncode == 0:
                call(az, "extension", "remove", "-n", name)
        call(az, "extension", "add", "--yes", "--source", str(wheel))
    print(f"az ml: the extension {EXTENSION}")
    return DONE


def build(folder: Path) -> Path:
    """Build the wheel that az takes, of the same commit as this package."""
    call(
        sys.executable, "-m", "pip", "wheel", "--quiet", "--disable-pip-version-check", "--no-deps",
        "--wheel-dir", str(folder), tools.sibling("az"),
    )  # fmt: skip
    return next(folder.glob("*.whl"))


def call(*command: str) -> None:
    import subprocess

    if subprocess.run(command).returncode:
        raise Failure("the step above failed; once its cause is mended, run this again")
