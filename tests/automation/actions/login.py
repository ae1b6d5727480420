"""Gives a job what GitHub gives one that may log in: an address and a token to ask for assertions, for its environment."""

import os
from pathlib import Path

import yaml

jobs = yaml.safe_load(Path(".github", "workflows", "_model.yml").read_text())["jobs"]
environment = jobs[os.environ["GITHUB_JOB"]]["environment"]
print(f"logs in as {environment}")
with Path(os.environ["GITHUB_ENV"]).open("a") as env:
    env.write(Path(os.environ["ACTIONS"], os.environ["JOBS"], environment).read_text())
