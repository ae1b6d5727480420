#!/usr/bin/env python3
"""Stands for conda in the base image of the tests: makes an environment of a conda file's Python and pip packages.

What it does not know it refuses, so that a Dockerfile that asks for more fails instead of passing untried.
"""

import argparse
import configparser
import os
import subprocess
import sys

import yaml

UV = {"SSL_CERT_FILE": "cert", "UV_DEFAULT_INDEX": "index-url", "UV_FIND_LINKS": "find-links"}


def main() -> int:
    if sys.argv[1:] == ["clean", "--all", "--yes"]:
        return 0
    parser = argparse.ArgumentParser(prog="conda")
    parser.add_argument("words", nargs=2, choices=["env", "create"])
    parser.add_argument("--prefix", required=True)
    parser.add_argument("--file", required=True)
    args = parser.parse_args()
    with open(args.file, encoding="utf-8") as file:  # noqa: PTH123
        python, pip, packages = yaml.safe_load(file)["dependencies"]
    if python != f"python={sys.version_info.major}.{sys.version_info.minor}" or pip != "pip":
        parser.error(f"{args.file}: can make an environment of this Python and pip alone, not of {python} and {pip}")
    # uv takes seconds for what takes pip minutes; it is told what pip would read by itself.
    subprocess.run(["uv", "venv", "--quiet", "--python", sys.executable, args.prefix], check=True)
    settings = configparser.ConfigParser()
    settings.read("/etc/pip.conf")
    told = {name: settings.get("global", key) for name, key in UV.items() if settings.has_option("global", key)}
    command = ["uv", "pip", "install", "--quiet", "--no-cache", "--python", f"{args.prefix}/bin/python"]
    return subprocess.run([*command, *packages["pip"]], env=os.environ | told).returncode


if __name__ == "__main__":
    sys.exit(main())
