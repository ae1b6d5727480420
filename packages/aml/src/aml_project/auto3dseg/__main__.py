"""The command of MONAI's page: python -m aml_project.auto3dseg AzureMLAutoRunner run --input='./task.yaml'."""

import sys

from aml_project import cli

if __name__ == "__main__":
    words = sys.argv[1:]
    sys.exit(cli.main(["auto3dseg", *(words[1:] if words[:1] in (["AzureMLAutoRunner"], ["AutoRunner"]) else words)]))
