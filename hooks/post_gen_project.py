"""Hand over to the template's package, aml_project.hook, from the folder that the template lies in."""

import os
import sys


def main(answers: dict[str, str], place: dict[str, str]) -> None:
    # In place of the folder that a hook is run from: it is the one of everybody's temporary files.
    sys.path[0] = os.path.join(place["root"], "packages", "aml", "src")
    sys.dont_write_bytecode = True  # the template's folder stays as it is
    from aml_project.hook import after_render

    after_render(answers, place)


if __name__ == "__main__":
    # Rendered, these are dictionaries as Python itself writes them: every text survives, nothing is imported for it.
    main({{texts()}}, {{template_place()}})  # type: ignore # noqa: F821
    sys.stdout.flush()
    os._exit(0)  # at once: a render waits while Python tidies up
