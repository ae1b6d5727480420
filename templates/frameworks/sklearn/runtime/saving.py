"""Write the model so that score.py can load it wherever it serves: pickled, and as ONNX if that gives its answers.

A pickle only names the classes and functions that its objects need. Those of installed packages and of modules beside
train.py are there where the model is served; those of train.py itself, and of modules that lie elsewhere, are not: the
pickle takes them along, by value.

ONNX has the same answers many times faster for a request of one row. A scaled number differs in its last bit there,
which moves a row across the split of a tree: so a forest or boosting is exact without a StandardScaler, and falls back
to model.pkl with one.
"""

import logging
import os
import pickle
import re
import site
import sys
import sysconfig
from collections.abc import Iterator
from contextlib import contextmanager
from importlib import metadata
from pathlib import Path
from types import ModuleType
from typing import Any, BinaryIO

import cloudpickle
import numpy as np
import pandas as pd
from sklearn.base import is_classifier
from sklearn.pipeline import Pipeline

MODEL = Path(__file__).resolve().parents[1]  # the folder that is served
LEFT_BEHIND = {"train.py", "tests", "deployment"}  # of it: not there, or with imports that serving does without
SERVED = "inference-conda.yml"
ALWAYS = {"sklearn", "numpy", "pandas", "scipy", "cloudpickle"}  # and so not looked for
INSTALLED = tuple(
    [sysconfig.get_path(name) + os.sep for name in ("stdlib", "platstdlib", "purelib", "platlib")]
    + [site.getusersitepackages() + os.sep]
)
TOLERANCE = 1e-4  # ONNX computes in 32 bits; answers that differ by more are another model's
ROWS = 10_000  # at once, as many as a request may hold
WIDEST = 10_000  # numbers that a row becomes: ONNX keeps each 0 of an encoded category, for all rows that are there


def save_pickle(model: Any, path: Path) -> None:
    """Write the model, or end with the line that says why it can't be."""
    written = path.with_name(f".{path.name}.part")
    try:
        with taken_along(), written.open("wb") as file:
            pickler = Pickler(file)
            pickler.dump(model)
    except (pickle.PicklingError, TypeError, AttributeError, ValueError, RecursionError, NotImplementedError) as error:
        written.unlink()
        reason = " ".join(str(error).split())
        raise SystemExit(
            f"{path.name}: the model can't be saved: {reason}; in train.py, keep open files, locks and the like out of "
            "what build_model() returns"
        ) from None
    written.replace(path)
    for package in unlisted({name.partition(".")[0] for name in pickler.modules} - {"__main__"}):
        line = f"{path.name} needs {package} where it is served: add it to aml_config/{SERVED}"
        print(f"NOTE: {line}", file=sys.stderr, flush=True)


class Pickler(cloudpickle.CloudPickler):
    """Notes the modules that a pickle names."""

    def __init__(self, file: BinaryIO) -> None:
        super().__init__(file)
        self.modules: set[str] = set()

    def persistent_id(self, value: Any) -> None:
        """Called for each object that is pickled; None lets it be pickled as ever."""
        if isinstance(value, ModuleType):
            self.modules.add(value.__name__)
        elif isinstance(value, type) or hasattr(value, "__qualname__"):  # a class, or a function
            self.modules.add(getattr(value, "__module__", None) or "")


def unlisted(imports: set[str]) -> list[str]:
    """The packages of some modules that are neither in the list of what serves nor brought by one that is."""
    imports = imports - {*sys.stdlib_module_names, *ALWAYS}
    listing = MODEL / "aml_config" / SERVED
    if not imports or not listing.is_file():
        return []
    owners = metadata.packages_distributions()
    there: set[str] = set()
    waiting = re.findall(r"^ *- *([\w.-]+)", listing.read_text(encoding="utf-8"), re.MULTILINE)
    while waiting:
        name = plain(waiting.pop())
        if name not in there:
            there.add(name)
            waiting += brought_by(name)
    needed = [owners[name][0] for name in sorted(imports) if name in owners]
    return [f"{name}=={metadata.version(name)}" for name in needed if plain(name) not in there]


def brought_by(package: str) -> list[str]:
    try:
        lines = metadata.requires(package) or []
    except metadata.PackageNotFoundError:
        return []
    return [re.split(r"[^\w.-]", line)[0] for line in lines if "extra ==" not in line]


def plain(name: str) -> str:
    """The name of a package in the spelling that all of its spellings have in common."""
    return re.sub(r"[-_.]+", "-", name).lower()


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


def export_onnx(model: Pipeline, rows: pd.DataFrame, path: Path) -> bool:
    """Export the fitted model if ONNX gives its answers on these rows; else leave score.py to model.pkl."""
    path.unlink(missing_ok=True)  # never let an earlier model answer for this one
    try:
        onnx, difference = convert(model, rows)
    except Exception as error:  # the converters raise many kinds, and none of them is worth a failed training
        reason = f"{type(error).__name__}: {error}".splitlines()[0]
    else:
        if difference <= TOLERANCE:
            path.write_bytes(onnx)
            return True
        reason = f"its answers differ by up to {difference:.2g}"
    logging.getLogger(__name__).warning("No ONNX export, score.py will use the slower model.pkl (%s)", reason)
    return False


def convert(model: Pipeline, rows: pd.DataFrame) -> tuple[bytes, float]:
    import onnxruntime
    from skl2onnx import to_onnx
    from skl2onnx.common.data_types import FloatTensorType, StringTensorType

    width = model[:-1].transform(rows.head(1)).shape[1] if len(model) > 1 else rows.shape[1]
    if width > WIDEST:
        raise ValueError(f"a row would become {width:,} numbers, most of them 0")
    kinds = {name: FloatTensorType if kind.kind == "f" else StringTensorType for name, kind in rows.dtypes.items()}
    inputs = [(name, kind([None, 1])) for name, kind in kinds.items()]
    # Without zipmap the probabilities come as one array, columns in the order of model.classes_.
    options = {"zipmap": False} if is_classifier(model) else None
    onnx = to_onnx(model, initial_types=inputs, options=options).SerializeToString()

    probe = pd.concat([rows.head(ROWS), odd_rows(rows)], ignore_index=True)
    session = onnxruntime.InferenceSession(onnx)
    names = [entry.name for entry in session.get_inputs()]  # the columns in their order, but named without spaces
    values = {name: probe[column].to_numpy().reshape(-1, 1) for name, column in zip(names, probe, strict=True)}
    found = session.run([session.get_outputs()[-1].name], values)[0]
    if is_classifier(model):
        return onnx, float(np.abs(found - model.predict_proba(probe)).max())
    wanted = model.predict(probe)  # numbers of any size: what counts is how far they lie apart
    return onnx, float(np.abs(found.ravel() - wanted).max() / (wanted.std() or 1))


def odd_rows(rows: pd.DataFrame) -> pd.DataFrame:
    """One row with everything missing and one with categories never seen: requests hold both."""
    number, unseen = np.float32("nan"), "\N{REPLACEMENT CHARACTER}"
    return pd.DataFrame(
        {name: [number, number] if kind.kind == "f" else ["", unseen] for name, kind in rows.dtypes.items()}
    ).astype(rows.dtypes)
