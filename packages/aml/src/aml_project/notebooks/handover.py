"""What a step hands on to the next ones: a file for each value, in the folder of its output.

A table becomes Parquet if it comes back the same, an array .npy, and anything else a pickle, in which classes and
functions are found by their names, or stand whole where they have none.
"""

# mypy: ignore-errors

import importlib
import pickle
import random
import shutil
import sys
from pathlib import Path

RANDOM = "random-state"


def save(folder, **values):
    """Write each value to a file of its name."""
    Path(folder).mkdir(parents=True, exist_ok=True)
    for name, value in values.items():
        for file in files(folder, name):
            file.unlink()
        place = Path(folder, name)
        if not (is_a(value, "pandas", "DataFrame") and save_table(value, place.with_suffix(".parquet"))):
            if is_a(value, "numpy", "ndarray") and not value.dtype.hasobject:
                sys.modules["numpy"].save(place.with_suffix(".npy"), value, allow_pickle=False)
            else:
                place.with_suffix(".pkl").write_bytes(pickled(name, value))


def load(folder, *names):
    """The values of these names, or the one of one name."""
    values = [load_one(folder, name) for name in names]
    return values[0] if len(values) == 1 else values


def is_there(folder, name):
    """Whether an earlier step has handed on a value of this name."""
    return bool(files(folder, name))


def bring(before, folder, *patterns):
    """Copy files and folders that an earlier step has written to where this one reads and writes its own."""
    for pattern in patterns:
        for path in sorted(Path(before).glob(pattern)):
            place = Path(folder, path.relative_to(before))
            (place if path.is_dir() else place.parent).mkdir(parents=True, exist_ok=True)
            if path.is_file():
                shutil.copyfile(path, place)


def save_random_state(folder):
    """Keep where the generators of random numbers are: the next step goes on from there, as the notebook does."""
    states = {"random": random.getstate()}
    if "numpy" in sys.modules:
        states["numpy"] = sys.modules["numpy"].random.get_state()
    if "torch" in sys.modules:
        states["torch"] = sys.modules["torch"].get_rng_state()
    save(folder, **{RANDOM: states})


def load_random_state(folder):
    """Go on where an earlier step has left the generators of random numbers."""
    states = load(folder, RANDOM)
    random.setstate(states["random"])
    if "numpy" in states:
        importlib.import_module("numpy").random.set_state(states["numpy"])
    if "torch" in states:
        importlib.import_module("torch").set_rng_state(states["torch"])


def files(folder, name):
    """The file of a value, if it is there."""
    places = [Path(folder, f"{name}{suffix}") for suffix in (".parquet", ".npy", ".pkl")]
    return [place for place in places if place.exists()]


def load_one(folder, name):
    for file in files(folder, name):
        if file.suffix == ".parquet":
            return importlib.import_module("pandas").read_parquet(file)
        if file.suffix == ".npy":
            return importlib.import_module("numpy").load(file, allow_pickle=False)
        return pickle.loads(file.read_bytes())  # noqa: S301 (an earlier step has written it)
    raise SystemExit(f"{Path(folder, name)}: not there; the step before hands it on: run it first")


def is_a(value, package, kind):
    """Whether a value is just of this class; a package that nobody has imported is not needed here."""
    return package in sys.modules and type(value) is getattr(sys.modules[package], kind)


def save_table(table, file):
    """Write a table, unless it would come back as another one: then the caller pickles it, which keeps all of it."""
    pandas = sys.modules["pandas"]
    try:
        table.to_parquet(file)
        again = pandas.read_parquet(file)
        pandas.testing.assert_frame_equal(table, again, check_exact=True, check_column_type="exact")
        objects = [name for name in table.columns if table[name].dtype == object]
        if table.attrs == again.attrs and all(same_kinds(table[name], again[name]) for name in objects):
            return True
    except (ImportError, ArithmeticError, AssertionError, AttributeError, LookupError, NotImplementedError, TypeError,
            ValueError):  # fmt: skip
        pass  # no pyarrow, what Parquet has no column for, or what is not the same when it is read: nothing is lost
    file.unlink(missing_ok=True)
    return False


def same_kinds(one, other):
    """Whether two columns hold the same kinds of objects: None is not NaN."""
    return [type(value) for value in one] == [type(value) for value in other]


def pickled(name, value):
    """A value as bytes; what has no name to be found by, as a lambda, is taken along whole."""
    try:
        return pickle.dumps(value, protocol=5)
    except (AttributeError, TypeError, pickle.PicklingError):
        pass
    import cloudpickle

    try:
        return cloudpickle.dumps(value)
    except (TypeError, pickle.PicklingError) as error:
        raise SystemExit(
            f"{name}: can't be handed on to another step ({error}): make it in the step that uses it"
        ) from None
