"""Refuse bad answers before anything is rendered: every problem at once, one line each."""

import os
import sys


def main(problems: list[str]) -> int:
    """Print the problems; cookiecutter stops and cleans up on any code but 0."""
    for problem in problems:
        print(f"ERROR: {problem}", file=sys.stderr)
    return 1 if problems else 0


if __name__ == "__main__":
    # Rendered, this is the list that aml_template/rules.py makes, as Python itself writes it: every text survives.
    code = main({{problems()}})  # type: ignore # noqa: F821
    os._exit(code)  # at once: a render waits while Python tidies up, which takes longer than all of the above
