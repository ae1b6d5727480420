"""Pickle the model so that score.py can load it wherever it serves.

A pickle only names the classes and functions that its objects need. Those of installed packages and of modules beside
train.py are there where the model is served; those of train.py itself, and of modules that lie elsewhere, are not: the
pickle takes them along, by value.
"""

import io
import os
import pickle
import site
import sys
import sysconfig
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from types import ModuleType
from typing import Any

import cloudpickle

MODEL = Path(__file__).resolve().parents[1]  # the folder that is served
LEFT_BEHIND = {"train.py", "tests", "deployment"}  # of it: not there, or with imports that serving does without
INSTALLED = tuple(
    [sysconfig.get_path(name) + os.sep for name in ("stdlib", "platstdlib", "purelib", "platlib")]
    + [site.getusersitepackages() + os.sep]
)


def save(model: Any, path: Path) -> None:
    """Write the model, or end with the line that says why it can't be."""
    content = io.BytesIO()
    try:
        with taken_along():
            cloudpickle.dump(model, content)
    except (pickle.PicklingError, TypeError, AttributeError, ValueError, RecursionError, NotImplementedError) as error:
        reason = " ".join(str(error).split())
        raise SystemExit(
            f"{path.name}: the model can't be saved: {reason}; in train.py, keep open files, locks and the like out of "
            "what build_model() returns"
        ) from None
    written = path.with_name(f".{path.name}.part")
    written.write_bytes(content.getbuffer())
    written.replace(path)


@contextmanager
def taken_along() -> Iterator[None]:
    """Pickle what the modules define that serving lacks, rather than their names. (__main__ always is.)"""
    modules = [module for module in list(sys.modules.values()) if lacks(module)]
    for module in modules:
        cloudpickle.register_pickle_by_value(module)
    try:
        yield
    finally:
        for module in modules:
            cloudpickle.unregister_pickle_by_value(module)


def lacks(module: ModuleType) -> bool:
    """Whether a module won't be there, in this form, where the model is served."""
    file = getattr(module, "__file__", None)
    if not file or module.__name__ in ("__main__", "__mp_main__") or sys.modules.get(module.__name__) is not module:
        return False
    place = str(Path(file).absolute())
    if place.startswith(INSTALLED) or f"{os.sep}site-packages{os.sep}" in place:
        return False
    own = Path(place).resolve()
    return not own.is_relative_to(MODEL) or own.relative_to(MODEL).parts[0] in LEFT_BEHIND
