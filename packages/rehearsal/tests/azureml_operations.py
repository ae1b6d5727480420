"""Every public operation of azureml's classes, by introspection, and what a call of each has shown.

It runs in the client's own Python: `python azureml_operations.py FOLDER` calls all that azureml_calls.py calls, and
writes what it saw to answer.json in that folder.
"""

from __future__ import annotations

import functools
import importlib
import inspect
import json
import logging
import os
import pkgutil
import re
import sys
import time
import traceback
import warnings
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

PACKAGES = (
    "azureml.core",
    "azureml.data",
    "azureml.train.hyperdrive",
    "azureml.pipeline.core",
    "azureml.pipeline.steps",
)
# What only describes something, in the caller's memory: it asks no service, so it is counted neither way.
LOCAL_CLASSES = re.compile(
    r"\w*(Configuration|Config|Options|Section|Settings|Requirements|Parameter|Policy|Sampling|Definition|Def|Binding"
    r"|Dependencies|Recurrence|Reference|Properties|Counts|Status|Level|Library|Scaler|Collection|Mixin|Goal|Port|Node"
    r"|Param|Manager)|AccessToken|DatabricksCluster|AksServiceAccessToken|Asset|Data|DataPath|DataType|DockerBuildContext|Edge"
    r"|LinkOutput|ParameterType|PipelineData|PipelineDataset|PipelineOutput\w+|StoredProcedureParameterType"
    r"|SystemService|TargetRuntime|WebServiceAccessToken|AbstractComputeTarget|diagnostic_log"
)
LOCAL_METHODS = re.compile(
    r"(de)?serialize|\w*_configuration|get_docs_url|add_type_provider|to_json|from_str|as_(named_input|mount|download"
    r"|upload|input|hdfs|dataset|cache)|path|set_token|update_arm_access_token|module_def_builder|process_source_directory"
    r"|register_on_complete|(read|parse)_\w+_files"
)
LOCAL_OPERATIONS = re.compile(  # of classes that have others
    r"PipelineStep\.\w+|ParallelRunStep\.create_module_def|DataTransferStep\.get_output|OutputTabularDatasetConfig\.\w+"
    r"|Graph\.(sequence|add_\w+|get_node|delete_node|connect|finalize|generate_yaml)|RunConfiguration\.\w+"
    r"|Run\.get_submitted_run|ModuleStepBase\.create_node|Webservice\.get_token"
)
seen: dict[str, str] = {}  # by operation: played, refused: how, or not played
groups: list[Callable[[], None]] = []
how: list[str] = ["played"]  # how what is called now is to be written down


def modules(name: str) -> Iterator[Any]:
    module = importlib.import_module(name)
    yield module
    for found in pkgutil.iter_modules(getattr(module, "__path__", [])):
        if not found.name.startswith("_"):
            yield from modules(f"{name}.{found.name}")


def classes() -> list[type]:
    """The public classes: those that a module says are, or that it defines if it says nothing."""
    found: dict[type, None] = {}
    for module in (module for package in PACKAGES for module in modules(package)):
        own = [name for name, value in vars(module).items() if getattr(value, "__module__", "") == module.__name__]
        for name in getattr(module, "__all__", own):
            value = getattr(module, name, None)
            if inspect.isclass(value) and not name.startswith("_") and not issubclass(value, BaseException):
                found[value] = None
    return sorted((each for each in found if "error" not in each.__module__), key=lambda each: each.__name__)


def methods(owner: type) -> list[str]:
    """The public methods that a class itself has; of one that its heirs are to have, theirs count."""
    return [
        name
        for name, value in vars(owner).items()
        if not name.startswith("_")
        and (inspect.isfunction(value) or isinstance(value, staticmethod | classmethod))
        and not getattr(value, "__isabstractmethod__", False)
    ]


def is_local(owner: type, method: str) -> bool:
    whole = f"{owner.__name__}.{method}"
    return any(
        rule.fullmatch(text)
        for rule, text in ((LOCAL_CLASSES, owner.__name__), (LOCAL_METHODS, method), (LOCAL_OPERATIONS, whole))
    )


def watch(owner: type, method: str, caller: str) -> None:
    """Write down when a method is called from the file of the calls itself, not by the client within another."""
    whole, value = f"{owner.__name__}.{method}", vars(owner)[method]
    kind = type(value) if isinstance(value, staticmethod | classmethod) else None
    function = value.__func__ if kind else value

    @functools.wraps(function)
    def watched(*arguments: Any, **named: Any) -> Any:
        if sys._getframe(1).f_code.co_filename == caller:
            note(whole)
        return function(*arguments, **named)

    setattr(owner, method, kind(watched) if kind else watched)


def note(operation: str) -> None:
    """Of two outcomes of one operation, what works counts."""
    if seen.get(operation) != "played":
        seen[operation] = how[-1]


@contextmanager
def refused(words: str, by: str = "") -> Iterator[None]:
    """What is called is refused, in Azure as here, with these words; or by the client itself, which asks nobody."""
    how.append(f"refused: {by or words}")
    try:
        yield
    except Exception as error:
        if words not in told(error):
            raise AssertionError(f"refused otherwise than by {words!r}: {told(error)}") from error
    else:
        raise AssertionError(f"not refused: {words}")
    finally:
        how.pop()


@contextmanager
def not_played(words: str = "[Tt]he rehearsal|'Not Implemented'") -> Iterator[None]:
    """What is called is answered with 501, which names it, or does not get as far as that."""
    how.append("not played")
    try:
        yield
    except Exception as error:
        if not re.search(words, told(error)):
            raise AssertionError(f"no plain 501: {told(error)}") from error
    else:
        raise AssertionError("it is played")
    finally:
        how.pop()


@contextmanager
def perhaps(*owners: type) -> Iterator[None]:
    """What is called is played, or nothing of some classes is, since a request of theirs is answered with 501."""
    try:
        yield
    except Exception as error:
        if not re.search("[Tt]he rehearsal|'Not Implemented'", told(error)):
            raise
        how.append("not played")
        with_it(*owners)
        how.pop()


def with_it(*owners: type) -> None:
    """What an object of a class does has the fate of what makes the object, which is called next."""
    for owner in owners:
        for method in methods(owner):
            note(f"{owner.__name__}.{method}")


def told(error: BaseException | None) -> str:
    """What an error says, and those behind it."""
    said = []
    while error:
        said.append(f"{type(error).__name__}: {error}")
        error = error.__cause__ or error.__context__
    return "\n".join(said)


def calls(function: Callable[[], None]) -> Callable[[], None]:
    """A function that calls operations and looks at what comes of it."""
    groups.append(function)
    return function


def main(folder: Path) -> None:
    pause = time.sleep
    time.sleep = lambda seconds: pause(min(seconds, 0.2))  # the client looks every five seconds whether a thing is done
    warnings.simplefilter("ignore")
    logging.disable(logging.WARNING)
    os.chdir(folder)
    sys.modules["azureml_operations"] = sys.modules["__main__"]
    here = Path(__file__).with_name("azureml_calls.py")
    every = [(owner, method) for owner in classes() for method in methods(owner)]
    operations = {f"{owner.__name__}.{method}" for owner, method in every if not is_local(owner, method)}
    for owner, method in every:
        watch(owner, method, str(here))
    importlib.import_module("azureml_calls")
    only, failures = os.environ.get("ONLY", ""), {}
    for group in groups:
        if re.search(only, group.__name__):
            try:
                group()
            except BaseException:
                failures[group.__name__] = traceback.format_exc()
    local = sorted({f"{owner.__name__}.{method}" for owner, method in every if is_local(owner, method)})
    answer = {"operations": sorted(operations), "local": local, "seen": seen, "failures": failures}
    Path("answer.json").write_text(json.dumps(answer), encoding="utf-8")


if __name__ == "__main__":
    main(Path(sys.argv[1]))
