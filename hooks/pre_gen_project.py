"""Refuse bad answers before anything is rendered: every problem at once, one line each."""

import os
import sys


def main(problems: list[str]) -> int:
    """Print the problems; cookiecutter stops and cleans up on any code but 0."""
    for problem in problems:
        print(f"ERROR: {problem}", file=sys.stderr)
    return 1 if problems else 0


def of_given_files(answers: dict[str, str], place: dict[str, str]) -> list[str]:
    """What keeps a notebook or a list of packages from being read, which the template's package knows."""
    if not (answers.get("notebook") or answers.get("environment_file")):
        return []
    # In place of the folder that a hook is run from: it is the one of everybody's temporary files.
    sys.path[0] = os.path.join(place["root"], "packages", "aml", "src")
    sys.dont_write_bytecode = True  # the template's folder stays as it is
    from aml_project import given_files

    return given_files.problems(answers)


if __name__ == "__main__":
    # Rendered, this is the list that aml_template/rules.py makes, as Python itself writes it: every text survives.
    code = main({{problems()}} + of_given_files({{texts()}}, {{template_place()}}))  # type: ignore # noqa: F821
    os._exit(code)  # at once: a render waits while Python tidies up, which takes longer than all of the above
