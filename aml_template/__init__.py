"""The functions that this template's files call while they are rendered.

cookiecutter and cruft load them from the template's own folder ("_extensions" in cookiecutter.json). What a file would
have to compute in Jinja is computed here: as Python it is faster, typed and tested.
"""

import sys

from jinja2 import Environment
from jinja2.ext import Extension

from aml_template.place import template_place


class Functions(Extension):
    """Gives them to Jinja."""

    def __init__(self, environment: Environment) -> None:
        super().__init__(environment)
        environment.globals["template_place"] = template_place
        # The next render of this process may be of another commit, or of a clone in another folder: cruft update does
        # both. It is to load what lies there.
        for module in [name for name in sys.modules if name.split(".")[0] in (__name__, "aml_template_place")]:
            del sys.modules[module]
