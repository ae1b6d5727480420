"""Keeps artifacts in the folder $ARTIFACTS as GitHub keeps them: below the folder that their paths have in common."""

import os
import shutil
import sys
from pathlib import Path

artifact = Path(os.environ["ARTIFACTS"], os.environ["NAME"])


def upload(paths: list[Path]) -> None:
    found = [path for path in paths if path.is_file()]
    if not found:
        sys.exit(f"{', '.join(map(str, paths))}: no such file")
    if artifact.exists() and os.environ["OVERWRITE"] != "true":
        sys.exit(f"{artifact.name}: is there already")
    shutil.rmtree(artifact, ignore_errors=True)
    common = Path(os.path.commonpath([path.parent for path in found]))
    for path in found:
        target = artifact / path.relative_to(common)
        target.parent.mkdir(parents=True, exist_ok=True)
        shutil.copy(path, target)


def download(folder: Path) -> None:
    if not artifact.is_dir():
        sys.exit(f"{artifact.name}: no such artifact")
    shutil.copytree(artifact, folder, dirs_exist_ok=True)


files = [Path(line.strip()) for line in os.environ["FILES"].splitlines() if line.strip()]
if sys.argv[1] == "upload":
    upload(files)
else:
    download(files[0])
