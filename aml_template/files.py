"""What the rendered files hold that Jinja would have to work for: quoted text, answers, packages, whole files."""

from __future__ import annotations

from jinja2.utils import htmlsafe_json_dumps

from aml_template.answers import Answers, answers_rows, trains_network
from aml_template.place import ROOT, address, commit

TEMPLATES = ROOT / "templates"
PATHS = ("notebook", "environment_file")
# What a model is made with; the other questions are about the repo around.
OF_MODEL = (
    "framework", "task", "python_version", "notebook", "environment_file", "compute_name", "vm_size", "node_count",
    "gpu", "processes_per_node", "launcher", "data_access", "dataset_name",
)  # fmt: skip


def quoted(text: str) -> str:
    """A quoted string for TOML and YAML: JSON writes 😀 as two surrogates, which both refuse.

    Python writes one escape, of which only \\xe9 is no TOML; a backslash of the text goes first, so that every other
    one begins an escape.
    """
    escaped = text.encode("unicode_escape").decode().replace("\\\\", "\\u005c").replace("\\x", "\\u00")
    return '"' + escaped.replace('"', '\\"') + '"'


def markdown(text: str) -> str:
    """One line of Markdown that reads as the text itself; not for the beginning of a line, where `-` makes a list."""
    return "".join(f"\\{c}" if c in "\\`*_[]<&#~$!" else c for c in " ".join(text.split()))


def answers_json(answers: Answers) -> str:
    """The answers of the repo."""
    return as_json({question: answer for question, answer in answers.items() if not question.startswith("_")})


def model_answers_json(answers: Answers) -> str:
    """What a model is made with, and from which commit of the template: what an update begins with."""
    of_model = {question: answer for question, answer in answers.items() if question in OF_MODEL}
    return as_json({"_commit": commit(ROOT), **of_model})


def as_json(answers: dict[str, str]) -> str:
    """Answers without the machine's paths: what they were is told, where they lay is not."""
    told = {question: answers[question].replace("\\", "/").split("/")[-1] for question in PATHS}
    return str(htmlsafe_json_dumps({**answers, **told}, indent=2))


def requirement(answers: Answers, name: str, folder: str) -> str:
    """A line for a requirements file: one of the template's packages, at the template's own address and commit."""
    at = commit(ROOT)
    place = address(ROOT, str(answers.get("_template", ""))) + (f"@{at}" if at else "")
    return f"{name} @ {place}#subdirectory=packages/{folder}"


def packages(answers: Answers, purpose: str) -> str:
    """The packages of a conda file: those of Azure ML, then those of the framework."""
    own = of_framework(answers, f"{purpose}-requirements.txt")
    if purpose == "train" and answers["gpu"] == "yes":
        own = own.replace("tensorflow-cpu", "tensorflow[and-cuda]")  # the same version, with CUDA beside it
    lines = f"{as_it_is(f'environments/{purpose}.txt')}\n{own}".splitlines()
    return "\n      ".join(line if line.startswith("#") else f"- {line}" for line in lines)


def of_framework(answers: Answers, file: str) -> str:
    """A file of the framework's folder, as it is, or else of what those share that answer rows."""
    own = f"frameworks/{answers['framework']}/{file}"
    return as_it_is(own if (TEMPLATES / own).is_file() else f"predictors/{file}")


def as_it_is(file: str) -> str:
    """A file of templates/ in which Jinja has nothing to look for; the file around has its last line break."""
    return (TEMPLATES / file).read_text(encoding="utf-8").removesuffix("\n")


def network(answers: Answers, file: str) -> str:
    """The name of a file that only frameworks which train networks have; "" keeps it out of the others' repos."""
    return file if trains_network(answers) else ""


def predictor(answers: Answers, file: str) -> str:
    """The name of a file, or of a folder, that those have which answer rows; "" keeps it out of the others' repos."""
    return file if answers_rows(answers) else ""


def framework(answers: Answers, name: str, file: str) -> str:
    """The name of a file that only one framework has; "" keeps it out of the others' repos."""
    return file if answers["framework"] == name else ""
