"""What is wrong in a file of Bicep. It is no compiler, which can't be had from the package indexes.

The grammar is that of pycep, a parser of the language. That each name is declared, each parameter of a module given,
and each output there, is looked up here. What a resource may hold is what Microsoft's management client of its service
has: names, what is required, what only the service writes. Types, and the words that a property takes, go unchecked.
"""

import re
from collections.abc import Iterator
from functools import cache
from importlib import import_module
from pathlib import Path
from types import ModuleType
from typing import Any

from pycep import BicepParser

Node = dict[str, Any]
IDENTITIES = "Microsoft.ManagedIdentity/userAssignedIdentities"
# The client of a resource, and what it sends to make one.
MODELS = {
    "Microsoft.Authorization/roleAssignments": ("authorization", "RoleAssignmentCreateParameters"),
    "Microsoft.ContainerRegistry/registries": ("containerregistry", "Registry"),
    "Microsoft.Insights/components": ("applicationinsights", "ApplicationInsightsComponent"),
    "Microsoft.KeyVault/vaults": ("keyvault", "VaultCreateOrUpdateParameters"),
    "Microsoft.MachineLearningServices/workspaces": ("machinelearningservices", "Workspace"),
    "Microsoft.MachineLearningServices/workspaces/computes": ("machinelearningservices", "ComputeResource"),
    IDENTITIES: ("msi", "Identity"),
    f"{IDENTITIES}/federatedIdentityCredentials": ("msi", "FederatedIdentityCredential"),
    "Microsoft.OperationalInsights/workspaces": ("loganalytics", "Workspace"),
    "Microsoft.Storage/storageAccounts": ("storage", "StorageAccountCreateParameters"),
}  # fmt: skip
OF_BICEP = {"name", "parent", "scope", "dependsOn"}
FUNCTIONS = {"guid", "resourceGroup", "subscription", "subscriptionResourceId", "uniqueString"}
WORDS = {"param", "var", "resource", "module", "output", "existing", "for", "in", "if", "true", "false", "null",
         "object", "string", "int", "bool", "array", "description", "minLength", "maxLength", "minValue",
         "maxValue"}  # fmt: skip
DECLARED = re.compile(r"^(?:param|var|resource|module) (\w+)|\[for \(?(\w+)(?:, (\w+)\))?", re.MULTILINE)
VALUES = re.compile(r"^(?:param|var) (\w+)", re.MULTILINE)
TEXT = re.compile(r"'((?:[^'\\]|\\.)*)'")
NAME = re.compile(r"(?<![.\w])([A-Za-z_]\w*)\b")


def problems(folder: Path) -> list[str]:
    """What is wrong in the files of a folder; each begins with the file."""
    parsed = {file.name: parse(read(file)) for file in sorted(folder.glob("*.bicep"))}
    found = []
    for name, content in parsed.items():
        said = [*undeclared(read(folder / name)), *wrong_modules(parsed, content, read(folder / name))]
        for resource in content.get("resources", {}).values():
            if not resource["existing"]:
                said += wrong_resource(resource)
        found += [f"{name}: {one}" for one in said]
    for file in folder.glob("*.bicepparam"):
        found += [f"{file.name}: {one}" for one in wrong_parameters(parsed, read(file))]
    return found


@cache
def parse(text: str) -> Node:
    content: Any = parser().parse(text=text)
    return dict(content)


@cache
def parser() -> BicepParser:
    """Its grammar takes longer to read than our files."""
    return BicepParser()


def read(file: Path) -> str:
    return file.read_text(encoding="utf-8")


def undeclared(text: str) -> Iterator[str]:
    """The names that are used and that nothing declares, and those that are declared for nothing."""
    code = re.sub(rf"({TEXT.pattern})|//.*$", lambda found: found[1] or "", text, flags=re.MULTILINE)
    inside = [name for part in re.findall(r"\$\{([^}]*)\}", code) for name in NAME.findall(part)]
    bare = TEXT.sub("''", code)
    declared = {name for found in DECLARED.findall(bare) for name in found if name}
    titles, keys = r"^(?:param|var|resource|module|output) \w+", r"^\s*\w+:"
    used = {*NAME.findall(re.sub(f"{titles}|{keys}", "", bare, flags=re.MULTILINE)), *inside}
    yield from (f"{name} is not declared" for name in sorted(used - declared - FUNCTIONS - WORDS))
    yield from (f"{name} is declared for nothing" for name in sorted(set(VALUES.findall(bare)) - used))


def wrong_modules(parsed: dict[str, Node], content: Node, text: str) -> Iterator[str]:
    """A module's file, its parameters, and the outputs of it that are read."""
    for name, module in content.get("modules", {}).items():
        file = module["detail"]["path"]
        if file not in parsed:
            yield f"{name}: {file} is not there"
            continue
        yield from against(parsed[file]["parameters"], set(module["config"]["params"]), name)
        outputs = set(re.findall(rf"\b{name}\.outputs\.(\w+)", text))
        yield from (f"{name} has no output {one}" for one in sorted(outputs - set(parsed[file].get("outputs", {}))))


def wrong_parameters(parsed: dict[str, Node], text: str) -> Iterator[str]:
    of = re.search(r"^using '(.+)'", text, re.MULTILINE)
    if not of or of[1] not in parsed:
        yield "uses no file that is there"
        return
    yield from against(parsed[of[1]]["parameters"], set(re.findall(r"^param (\w+) = ", text, re.MULTILINE)), of[1])


def against(parameters: Node, given: set[str], of: str) -> Iterator[str]:
    needed = {name for name, parameter in parameters.items() if parameter["default"] is None}
    yield from (f"{of} has no parameter {name}" for name in sorted(given - set(parameters)))
    yield from (f"{of} needs {name}" for name in sorted(needed - given))


def wrong_resource(resource: Node) -> Iterator[str]:
    """What the client of its service does not know in a resource, or misses."""
    kind, config = resource["type"], resource["config"]
    if "loop_type" in config:
        config = config["config"]
    if kind not in MODELS:
        yield f"{kind}: no client is known here"
        return
    client, model = MODELS[kind]
    content = {key: value for key, value in config.items() if key not in OF_BICEP}
    yield from strangers(import_module(f"azure.mgmt.{client}.models"), model, content, kind)


def strangers(models: ModuleType, kind: str, node: Any, at: str) -> Iterator[str]:
    """A model of the client, beside what is written for it; lists and mappings of names are not looked into."""
    known = getattr(models, kind, None)
    if known is not None and isinstance(node, dict):
        for name, kinds in getattr(known, "_subtype_map", {}).items():
            given = node.get(known._attribute_map[name]["key"])
            known = getattr(models, kinds.get(given, known.__name__))
        paths = {one["key"]: (name, one["type"]) for name, one in known._attribute_map.items()}
        yield from below(models, known, paths, node, at)


def below(models: ModuleType, known: Any, paths: dict[str, tuple[str, str]], node: Node, at: str) -> Iterator[str]:
    for key, value in node.items():
        inner = {path[len(key) + 1 :]: kind for path, kind in paths.items() if path.startswith(f"{key}.")}
        if key in paths:
            name, kind = paths[key]
            if known._validation.get(name, {}).get("readonly"):
                yield f"{at}.{key}: only the service writes it"
            yield from strangers(models, kind, value, f"{at}.{key}")
        elif inner and isinstance(value, dict):
            yield from below(models, known, inner, value, f"{at}.{key}")
        else:
            yield f"{at}.{key}: is unknown"
    for path, (name, _) in paths.items():
        if known._validation.get(name, {}).get("required") and path.split(".")[0] not in node:
            yield f"{at}: needs {path}"
