"""What is broken in azureml-core's commands, mended as they are loaded; each function says what and why.

azureml-core is frozen at the version that this distribution pins, so what is replaced here stays where it is.
"""

from __future__ import annotations

import collections
import collections.abc
import contextlib
import functools
import json
import logging
import sys
import tempfile
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

from aml_project import files

applied = False


def apply() -> None:
    """Mend everything, once in a process."""
    global applied  # noqa: PLW0603
    if not applied:
        applied = True
        give_collections_their_iterator()
        write_results_whole()
        submit_with_care()
        attach_only_the_root()
        know_the_subscription()
        log_in_only_where_somebody_is()
        end_in_one_line()


def give_collections_their_iterator() -> None:
    """Python 3.10 dropped collections.Iterator, and every command that prints a result imports it from there.

    Without it the work is done, and then the command fails.
    """
    if not hasattr(collections, "Iterator"):
        collections.Iterator = collections.abc.Iterator  # type: ignore[attr-defined]


def write_results_whole() -> None:
    """`-t FILE` opens the file before it knows what to write: a failure leaves it empty.

    It also refuses a file that exists, after the run. Here a result is written beside its place and moved there, and
    takes the place of an earlier result, but never of a file that is something else.
    """
    from azureml._cli import cli_command

    write = cli_command._write_output_metadata_file

    def write_whole(result: Any, file: str, logger: Any) -> None:
        path = Path(file).absolute()
        check_replaceable(path)
        with tempfile.TemporaryDirectory() as folder:
            elsewhere = Path(folder) / path.name
            write(result, str(elsewhere), logger)
            files.write_whole(path, elsewhere.read_bytes())

    cli_command._write_output_metadata_file = write_whole


def check_replaceable(path: Path) -> None:
    """Refuse to write over what is no earlier result."""
    from azureml.exceptions import UserErrorException

    if path.is_dir():
        raise UserErrorException(f"-t {path.name}: a folder; name a file")
    try:
        content = path.read_text(encoding="utf-8")
        if content.strip():  # an empty file is what the client left without this repair
            json.loads(content)
    except FileNotFoundError:
        return
    except (OSError, ValueError):
        raise UserErrorException(f"-t {path.name}: no earlier result but another file; name a new one") from None


def submit_with_care() -> None:
    """`run submit-script` looks at -t after the run only. See to it before, and to an earlier run.json.

    Until the run is over that file would name the run before, and `model register` would take that one's model: it goes
    once the new run is accepted. A submission that is refused leaves it. --docker is the switch of `aml submit`.
    A password in the address of git's remote would go into the run's properties: it is kept out of them.
    """
    from azureml._cli.argument import Argument
    from azureml._cli.run import run_commands
    from azureml._cli.run.run_subgroup import RunSubGroup
    from azureml.core import Experiment

    from aml_project import model_environment
    from aml_project.service import git_address, local_docker

    submit_script = run_commands.submit_run
    command = next(command for command in RunSubGroup.get_commands() if command.get_command_name() == "submit-script")
    command.get_command_arguments().append(
        Argument(
            "docker",
            "--docker",
            "",
            choices=list(local_docker.CHOICES),
            default="auto",
            help="For the target local: auto takes Docker where its daemon answers.",
        )
    )

    @functools.wraps(submit_script)
    def submit_run(*args: Any, docker: str = "auto", **options: Any) -> Any:
        folder = Path(options.get("source_directory") or options.get("path") or ".").absolute()
        git_address.hide_git_password(folder)
        file = options.get("output_metadata_file")
        result = Path(file).absolute() if file else None
        if result:
            check_replaceable(result)
        submit = Experiment.submit

        def submit_here(experiment: Any, config: Any, *rest: Any, **more: Any) -> Any:
            with contextlib.ExitStack() as stack:
                if config.run_config.target == "local":
                    python = model_environment.python_for_runs(folder)
                    stack.enter_context(local_docker.python_first(python))
                    use_docker, why = local_docker.decide(docker, python)
                    logging.disable(logging.WARNING)  # the client warns of the older of the two switches
                    local_docker.apply(config.run_config, use_docker)
                    logging.disable(logging.NOTSET)
                    print(why, file=sys.stderr)
                run = submit(experiment, config, *rest, **more)
            if result:
                result.unlink(missing_ok=True)
            return run

        with replaced(Experiment, "submit", submit_here):
            return submit_script(*args, **options)

    run_commands.submit_run = submit_run


@contextlib.contextmanager
def replaced(owner: Any, name: str, function: Callable[..., Any]) -> Iterator[None]:
    """Put a function in the place of another for a while."""
    before = getattr(owner, name)
    setattr(owner, name, function)
    try:
        yield
    finally:
        setattr(owner, name, before)


def attach_only_the_root() -> None:
    """`folder attach` in a folder with an aml_config renames that away (to .aml_config), and then fails.

    That is every model's folder. Refuse it and change nothing. In the repo's root it works, but leaves the workspace's
    three names out of .azureml/config.json, which the second generation's tools read, and adds an .amlignore that
    turns .gitignore off there. See to both; the default experiment stays.
    """
    from azureml._cli.folder import folder_commands
    from azureml.exceptions import UserErrorException

    attach = folder_commands.attach_folder_to_workspace_and_experiment

    @functools.wraps(attach)
    def attach_folder(*args: Any, **options: Any) -> Any:
        folder = Path(options.get("path") or ".").absolute()
        if (folder / "aml_config").is_dir():
            raise UserErrorException(
                f"{folder.name} holds aml_config, which attach would break: run it in the repo's root, or `make attach`"
            )
        ignored = (folder / ".gitignore").exists() and not (folder / ".amlignore").exists()
        result = attach(*args, **options)
        if ignored:
            (folder / ".amlignore").unlink(missing_ok=True)
        name_the_workspace(folder / ".azureml" / "config.json")
        return result

    folder_commands.attach_folder_to_workspace_and_experiment = attach_folder


def name_the_workspace(file: Path) -> None:
    """Add the workspace's names to the config that the client wrote."""
    config = json.loads(file.read_text(encoding="utf-8"))
    parts = config["Scope"].split("/")
    config |= {"subscription_id": parts[2], "resource_group": parts[4], "workspace_name": parts[8]}
    files.write_whole(file, json.dumps(config, indent=2) + "\n")


def know_the_subscription() -> None:
    """azml has no default subscription as az has, and fails where one is only looked for to compare it.

    Take that of the folder's .azureml/config.json, or of one above it.
    """
    from azureml._base_sdk_common.cli_wrapper import _common
    from azureml.exceptions import AuthenticationException

    ask = _common.get_default_subscription_id

    @functools.wraps(ask)
    def get_default_subscription_id(auth: Any) -> str:
        try:
            return str(ask(auth))
        except AuthenticationException:
            for folder in (Path.cwd(), *Path.cwd().parents):
                with contextlib.suppress(OSError, ValueError, KeyError, IndexError):
                    config = json.loads((folder / ".azureml" / "config.json").read_text(encoding="utf-8"))
                    return str(config["Scope"].split("/")[2])
            raise

    _common.get_default_subscription_id = get_default_subscription_id


def log_in_only_where_somebody_is() -> None:
    """Without a login azml opens a browser or waits for a device code, also in a pipeline, where nobody sees it."""
    from azureml.core import authentication
    from azureml.exceptions import AuthenticationException

    from aml_project.service.errors import NOT_LOGGED_IN

    log_in = authentication.perform_interactive_login

    @functools.wraps(log_in)
    def perform_interactive_login(*args: Any, **options: Any) -> Any:
        if not sys.stdin.isatty():
            raise AuthenticationException(NOT_LOGGED_IN)
        return log_in(*args, **options)

    authentication.perform_interactive_login = perform_interactive_login


def end_in_one_line() -> None:
    """A failing command prints JSON over many lines. Say what is wrong in one; --debug shows the traceback."""
    from azureml._base_sdk_common.cli_wrapper import _common
    from azureml._cli import aml_cli

    from aml_project.azml.errors import one_line

    def for_az(error: Exception) -> None:
        from knack.util import CLIError

        raise CLIError(one_line(error)) from error

    _common.cli_exception_handler = for_az

    find = aml_cli._get_command_function_object

    def find_command(path: str) -> Callable[..., Any]:
        function = find(path)

        @functools.wraps(function)
        def run(*args: Any, **options: Any) -> Any:
            try:
                return function(*args, **options)
            except KeyboardInterrupt:
                print("Interrupted", file=sys.stderr)
                raise SystemExit(130) from None
            except Exception as error:
                if "--debug" in sys.argv:
                    raise
                raise SystemExit(f"ERROR: {one_line(error)}") from error

        return run

    aml_cli._get_command_function_object = find_command
