"""Gives a job what GitHub gives one that may log in: where it can ask who it is, which depends on its environment."""

import os
from pathlib import Path

import yaml

jobs = yaml.safe_load(Path(".github", "workflows", "_model.yml").read_text())["jobs"]
environment = jobs[os.environ["GITHUB_JOB"]]["environment"]
print(f"Logged in as {environment}")
with Path(os.environ["GITHUB_ENV"]).open("a") as env:
    env.write(Path(os.environ["LOGINS"], environment).read_text())
