"""What this template adds to Jinja: the functions that its files call while they are rendered.

cookiecutter and cruft load it from the template's own folder ("_extensions" in cookiecutter.json). What a file would
have to compute in Jinja is computed here: as Python it is faster, typed and tested.
"""

from __future__ import annotations

import sys
from collections.abc import Callable, Iterable
from typing import Any

from jinja2 import Environment, ext, lexer, pass_context
from jinja2.runtime import Context

from aml_template import answers, files, rules
from aml_template.place import template_place

OF_ANSWERS = (
    answers.texts, answers.gpu, answers.processes_per_node, answers.processes, answers.trains_network,
    answers.answers_rows, answers.base_image, answers.dockerfile, answers.launcher, answers.mechanism,
    answers.data_path, files.answers_json, files.model_answers_json, files.requirement, files.packages,
    files.of_framework, files.network, files.predictor, files.framework, rules.problems, rules.folder, template_place,
)  # fmt: skip
OF_TEXT = (files.quoted, files.markdown, files.as_it_is)


class Extension(ext.Extension):
    """Gives Jinja the functions, by their names; where one takes the answers, a file leaves those out."""

    def __init__(self, environment: Environment) -> None:
        super().__init__(environment)
        environment.globals.update({function.__name__: of_the_answers(function) for function in OF_ANSWERS})
        environment.globals.update({function.__name__: function for function in OF_TEXT})
        self.plain = ""
        # The next render of this process may be of another commit, or of a clone in another folder: cruft update does
        # both. It is to load what lies there.
        for module in [name for name in sys.modules if name.startswith("aml_template")]:
            del sys.modules[module]

    def preprocess(self, source: str, _name: str | None, _filename: str | None = None) -> str:
        """Keep a text in which there is nothing for Jinja from its lexer, which looks for it at each character."""
        self.plain = "" if any(mark in source for mark in ("{{", "{%", "{#")) else source
        return "" if self.plain else source

    def filter_stream(self, stream: lexer.TokenStream) -> lexer.TokenStream | Iterable[lexer.Token]:
        return [lexer.Token(1, lexer.TOKEN_DATA, self.plain)] if self.plain else stream


def of_the_answers(function: Callable[..., Any]) -> Callable[..., Any]:
    """A function of the answers and more, as Jinja calls it: with what the render has, and the more."""

    @pass_context
    def call(context: Context, *args: Any) -> Any:
        return function(context["cookiecutter"], *args)

    return call
