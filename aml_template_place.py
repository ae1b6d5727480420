"""The extension's former name, which answers that are replayed may hold."""

from aml_template import Extension as Place

__all__ = ["Place"]
