"""What all commands share: their exit codes, one clear line on failure, signs of life, a clean Ctrl-C.

Every command imports this first, so it imports next to nothing: --help has to answer at once.
"""

from __future__ import annotations

import argparse
import os
import sys

TYPE_CHECKING = False  # typing's own costs its import
if TYPE_CHECKING:
    from collections.abc import Callable
    from types import TracebackType

    Act = Callable[[argparse.Namespace], int | None]
    Command = Callable[..., int]

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

    def _render_traceback_(self) -> list[str]:
        """What Jupyter shows: that line, and not how it came about."""
        return [f"ERROR: {self}"]


class Parser(argparse.ArgumentParser):
    """An argument parser whose errors are one line; `others` is the program that gets what it does not know."""

    def __init__(self, description: str, example: str = "", others: str = "") -> None:
        super().__init__(
            description=f"{description} Other options go to {others}." if others else description,
            epilog=f"example:\n{example}\n\n{EXIT_CODES}" if example else EXIT_CODES,
            formatter_class=argparse.RawDescriptionHelpFormatter,
            allow_abbrev=False,
        )
        self.others = others
        self.add_argument("--debug", action="store_true", help="show the traceback of a failure")

    def read(self, argv: list[str] | None) -> argparse.Namespace:
        if not self.others:
            return self.parse_args(argv)
        args, others = self.parse_known_args(argv)
        args.others = [word for number, word in enumerate(others) if word != "--" or "--" in others[:number]]
        return args

    def error(self, message: str) -> None:  # type: ignore[override]
        print(f"ERROR: {message} ({self.prog} --help lists what there is)", file=sys.stderr)
        raise SystemExit(WRONG_USE)


def run(act: Callable[[argparse.Namespace], int], parser: Parser, argv: list[str] | None = None) -> int:
    """Parse the arguments and act; turn whatever happens into an exit code and at most one line."""
    args = parser.read(argv)
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
        if os.environ.get("GITHUB_STEP_SUMMARY") or os.environ.get("TF_BUILD"):
            from aml_project.ci import summary

            summary.failed(parser.prog, without_secrets(message))
        return code


def command(description: str, options: Callable[[Parser], object] | None = None) -> Callable[[Act], Command]:
    """Make a command of a script's function: with --model, --debug, --help, exit codes, and one line on failure.

        @command("Register the model of the last run.")
        def main(args): ...

        if __name__ == "__main__":
            sys.exit(main())

    `options` may add more to the parser, which is one of argparse. What the function returns, if anything, is the code.
    """

    def command_of(act: Act) -> Command:
        def main(argv: list[str] | None = None) -> int:
            parser = Parser(description)
            parser.add_argument("--model", help="a folder of models/ (default: the only one there is)")
            if options:
                options(parser)
            return run(quietly, parser, argv)

        def quietly(args: argparse.Namespace) -> int:
            from aml_project.service.workspace import quiet

            quiet(args.debug)
            return act(args) or DONE

        return main

    return command_of


def told(error: Exception) -> tuple[str, int]:
    """Say what an exception that nobody foresaw means; only those of the client come from the service."""
    if isinstance(error, OSError) and error.filename and error.strerror:
        return f"{error.filename}: {error.strerror}", REFUSED
    if "azureml.core" in sys.modules:
        from aml_project.service.errors import explain

        return explain(error), SERVICE_FAILED
    return f"{type(error).__name__}: {error} (--debug shows where)", REFUSED


def without_secrets(text: str) -> str:
    """Leave out what opens a storage: an exception may hold an address with its SAS."""
    import re

    return re.sub(r"(sig=|AccountKey=)[^&\s'\";]+", r"\1***", text)


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
