"""What the commands of this folder share: their exit codes, one clear line on failure, signs of life, a clean Ctrl-C.

Every command imports this first, so it imports next to nothing: --help has to answer at once.
"""

from __future__ import annotations

import argparse
import os
import sys

TYPE_CHECKING = False  # typing's own costs its import
if TYPE_CHECKING:
    from collections.abc import Callable
    from pathlib import Path
    from types import TracebackType

DONE, REFUSED, WRONG_USE, SERVICE_FAILED, INTERRUPTED = 0, 1, 2, 3, 130
EXIT_CODES = """exit codes:
  0 done    1 refused by a check    2 wrong use    3 the service failed    130 interrupted"""
FIRST_BEAT, BEAT = 2.0, 10.0  # seconds until the first sign of life, and between the later ones


class Failure(Exception):
    """An end with one line for the user and an exit code."""

    for_user = True

    def __init__(self, message: str, code: int = REFUSED) -> None:
        super().__init__(message)
        self.code = code


class Parser(argparse.ArgumentParser):
    """An argument parser whose errors are one line."""

    def __init__(self, description: str, example: str) -> None:
        super().__init__(
            description=description,
            epilog=f"example:\n{example}\n\n{EXIT_CODES}",
            formatter_class=argparse.RawDescriptionHelpFormatter,
            allow_abbrev=False,
        )
        self.add_argument("--debug", action="store_true", help="show the traceback of a failure")

    def error(self, message: str) -> None:  # type: ignore[override]
        print(f"ERROR: {message} ({self.prog} --help lists what there is)", file=sys.stderr)
        raise SystemExit(WRONG_USE)


def run(act: Callable[[argparse.Namespace], int], parser: Parser, argv: list[str] | None = None) -> int:
    """Parse the arguments and act; turn whatever happens into an exit code and at most one line."""
    args = parser.parse_args(argv)
    try:
        return act(args)
    except KeyboardInterrupt as interrupt:
        said = f"{interrupt}" or "Interrupted; the same command begins again."
        print(f"\n{said}", file=sys.stderr)
        return INTERRUPTED
    except BrokenPipeError:  # the reader of the output has gone
        os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())
        return REFUSED
    except Exception as error:
        if args.debug:
            import traceback

            print(without_secrets(traceback.format_exc()), file=sys.stderr)
        message, code = (str(error), error.code) if isinstance(error, Failure) else told(error)
        print(f"ERROR: {without_secrets(message)}", file=sys.stderr)
        return code


def told(error: Exception) -> tuple[str, int]:
    """Say what an exception that nobody foresaw means; only those of the client come from the service."""
    if isinstance(error, OSError) and error.filename and error.strerror:
        return f"{error.filename}: {error.strerror}", REFUSED
    if "azureml.core" in sys.modules:
        from azure_ml.errors import explain

        return explain(error), SERVICE_FAILED
    return f"{type(error).__name__}: {error} (--debug shows where)", REFUSED


def without_secrets(text: str) -> str:
    """Leave out what opens a storage: an exception may hold an address with its SAS."""
    import re

    return re.sub(r"(sig=|AccountKey=)[^&\s'\";]+", r"\1***", text)


def pick_model(root: Path, given: str | None) -> str:
    """Return the name of the model that is meant: the given one, or the only one there is."""
    models = sorted(path.name for path in (root / "models").glob("*/") if (path / "aml_config").is_dir())
    if given is None and len(models) == 1:
        return models[0]
    listed = ", ".join(models) or "none"
    if given is None:
        raise Failure(f"--model: say which; models here: {listed}", WRONG_USE)
    if given not in models:
        raise Failure(f"--model: no such model: {given}; models here: {listed}", WRONG_USE)
    return given


def note(line: str) -> None:
    """Print what the user may want to know but need not act upon."""
    print(f"NOTE: {line}", file=sys.stderr, flush=True)


class Progress:
    """Say every few seconds that something still goes on: with Progress("Uploading"): …"""

    def __init__(self, what: str) -> None:
        self.what = what

    def __enter__(self) -> None:
        import threading
        import time

        self.over = threading.Event()
        began = time.monotonic()

        def beat() -> None:
            pause = FIRST_BEAT
            while not self.over.wait(pause):
                print(f"{self.what}: {time.monotonic() - began:.0f} s", file=sys.stderr, flush=True)
                pause = BEAT

        self.thread = threading.Thread(target=beat, daemon=True)
        self.thread.start()

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.over.set()
        self.thread.join()
