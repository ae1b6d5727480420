"""What must agree within a runconfig: the client sends both of two places that disagree, or heeds neither.

Each rule takes a config whose values have the types of the schema, and yields findings. No file is read here.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Iterator
from typing import Any

Config = dict[str, Any]
Rule = Callable[[Config], Iterator[str]]

IMAGES = ("baseImage", "baseDockerfile", "buildContext")
MPI = ("intelmpi", "openmpi", "mpi")
TORCH = ("nccl", "gloo")
# The section of each launcher, the number in it that must be nodeCount, and the communicators that read it.
LAUNCHERS = (
    ("mpi", "nodeCount", MPI),
    ("pytorch", "nodeCount", TORCH),
    ("tensorflow", "workerCount", ("parameterserver",)),
)
AMD = re.compile(r"_mi\d+x_|_v[67]\d0_|^standard_nv\d+as_v4$", re.IGNORECASE)
# A placeholder that Azure ML fills in when the run starts.
PLACEHOLDER = re.compile(r"^\$|DatasetConsumptionConfig:|\$\{")


def section(config: Config, *keys: str) -> Config:
    """A section of the config; an absent or empty one is empty."""
    for key in keys:
        config = config.get(key) or {}
    return config


def is_registered(environment: Config) -> bool:
    """Whether the environment is one that the workspace has: then its parts need not be named here."""
    known = environment.get("version") or environment.get("assetId")
    return bool(known) or str(environment.get("name")).startswith("AzureML-")


def what_runs(config: Config) -> Iterator[str]:
    if config.get("command"):
        if config.get("script") or config.get("arguments"):
            yield "command: does not go with script and arguments: remove one of the two"
    elif not config.get("script"):
        yield "script: missing: write the name of the Python file to run, as in train.py"


def target(config: Config) -> Iterator[str]:
    name = config.get("target", "")
    if name.lower() == "local" and name != "local":
        yield f"target: is {name!r}, which is taken for a cluster's name: write local"
    if name == "amlcompute" and not section(config, "amlcompute").get("vmSize"):
        yield "amlcompute.vmSize: missing, and target amlcompute makes a cluster for the run: write the VM size"


def docker_switches(config: Config) -> Iterator[str]:
    enabled = section(config, "environment", "docker").get("enabled", False)
    used = section(config, "docker").get("useDocker", False)
    if enabled != used:
        yield (
            f"docker.useDocker: is {yaml_word(used)}, but environment.docker.enabled is {yaml_word(enabled)};"
            " the client sends both: write both alike"
        )


def image(config: Config) -> Iterator[str]:
    environment = section(config, "environment")
    docker = section(environment, "docker")
    dockerfile = docker.get("baseDockerfile")
    used = section(config, "docker").get("useDocker", False)
    if dockerfile and not re.search(r"^\s*FROM\s", dockerfile, re.IGNORECASE | re.MULTILINE):
        yield (
            "environment.docker.baseDockerfile: has no FROM line; it is the text of a Dockerfile and no path:"
            " write `baseDockerfile: |` and the text below it"
        )
    elif dockerfile and docker.get("baseImage"):
        yield (
            "environment.docker.baseImage: the client sends it with baseDockerfile, and only one may be given:"
            " remove the one that is not meant"
        )
    if used and not is_registered(environment) and not any(docker.get(kind) for kind in IMAGES):
        yield "environment.docker.baseImage: missing: name an image, or write a Dockerfile's text as baseDockerfile"


def node_counts(config: Config) -> Iterator[str]:
    """The client derives no node count from another one; the communicator decides which of them is read."""
    nodes = config.get("nodeCount", 1)
    communicator = config.get("communicator", "None")
    framework = config.get("framework", "Python")
    for name, count, communicators in LAUNCHERS:
        written = section(config, name).get(count, 1)
        in_use = communicator.lower() in communicators
        if written != nodes and (in_use or (written > 1 and communicator == "None")):
            yield f"{name}.{count}: is {written}, but nodeCount is {nodes}: write the same number in both places"
    if (
        nodes > 1
        and communicator == "None"
        and all(section(config, name).get(count, 1) == 1 for name, count, _ in LAUNCHERS)
    ):
        yield f"communicator: is None, and nodeCount is {nodes}: name one (IntelMpi, Nccl), or write nodeCount: 1"
    wanted = "Python" if communicator.lower() in MPI else "PyTorch" if communicator.lower() in TORCH else framework
    if communicator == "ParameterServer":
        wanted = "TensorFlow"
    if framework != wanted:
        yield f"framework: is {framework}, where communicator {communicator} has no effect: write framework: {wanted}"
    if nodes > 1 and config.get("target") == "local":
        yield f"nodeCount: is {nodes}, and target is local: write nodeCount: 1"


def torch_processes(config: Config) -> Iterator[str]:
    communicator = config.get("communicator", "None").lower()
    if communicator not in TORCH:
        return
    torch, nodes = section(config, "pytorch"), config.get("nodeCount", 1)
    processes = torch.get("processCount")
    if processes and processes % nodes:
        yield f"pytorch.processCount: is {processes}, and nodeCount is {nodes}: write a multiple of {nodes}"
    backend = torch.get("communicationBackend", "nccl")
    if backend.lower() != communicator:
        yield f"pytorch.communicationBackend: is {backend}, and communicator is {config['communicator']}: write one"


def data(config: Config) -> Iterator[str]:
    for name, entry in section(config, "data").items():
        field = f"data.{name}"
        if "dataLocation" in entry:
            given = [kind for kind in ("dataset", "dataPath", "uri") if entry["dataLocation"].get(kind)]
            dataset = section(entry, "dataLocation", "dataset")
            if not given:
                yield f"{field}.dataLocation: names no data: write dataset: with name: and version:"
            elif len(given) > 1:
                yield f"{field}.dataLocation: names {' and '.join(given)}: leave one"
            elif dataset and not dataset.get("id") and not (dataset.get("name") and dataset.get("version")):
                yield f"{field}.dataLocation.dataset: is known by its id, or by name and version: write both"
        variable = entry.get("environmentVariableName")
        asked = any(variable and f"DatasetConsumptionConfig:{variable}" in text for text in config.get("arguments", []))
        if not entry.get("pathOnCompute") and not is_direct(entry) and not asked:
            yield f"{field}.pathOnCompute: missing: write the folder where the script is to find the data, as in /data"


def is_direct(entry: Config) -> bool:
    """Whether the script itself brings this data: nothing else does."""
    return bool(entry.get("mechanism", "mount").lower() == "direct")


def data_path(config: Config) -> Iterator[str]:
    """The script reads where --data-path says: there lies the data, or --dataset names what the script brings there."""
    blocks, arguments = section(config, "data"), config.get("arguments", [])
    by_name = {entry.get("environmentVariableName") or name: entry for name, entry in blocks.items()}
    direct = [name for name, entry in by_name.items() if is_direct(entry)]
    wanted, given = argument(arguments, "--dataset"), argument(arguments, "--data-path")
    if wanted is not None and (wanted in by_name or direct):
        if wanted not in by_name:
            yield f"arguments: --dataset is {wanted!r}, and data has no such block: write {' or '.join(direct)}"
        elif wanted not in direct:
            yield (
                f"arguments: --dataset is {wanted!r}, whose mechanism is {by_name[wanted].get('mechanism', 'mount')}:"
                " leave --dataset out, or write mechanism: direct"
            )
        return
    places = [entry.get("pathOnCompute") for entry in blocks.values() if not is_direct(entry)]
    places += [entry.get("pathOnCompute") for entry in section(config, "dataReferences").values()]
    known = [place.rstrip("/") or "/" for place in places if place]
    if given is None or PLACEHOLDER.search(given) or not (known or direct):
        return
    path = given.rstrip("/") or "/"
    if any(path == place or path.startswith(place.rstrip("/") + "/") for place in known):
        return
    if direct:
        yield (
            f"arguments: nothing brings data to --data-path {given!r}: its mechanism is direct:"
            f' add "--dataset", "{direct[0]}", or write mechanism: mount and the pathOnCompute'
        )
    else:
        yield (
            f"arguments: --data-path is {given!r}, but the data lies at pathOnCompute {' or '.join(map(repr, known))}:"
            " write the same path"
        )


def gpu(config: Config, vm_size: str) -> Iterator[str]:
    """An image with CUDA needs a GPU to be of use, and a GPU needs such an image."""
    docker = section(config, "environment", "docker")
    name = docker.get("baseDockerfile") or docker.get("baseImage") or ""
    amd = AMD.search(vm_size)
    nvidia = re.match(r"standard_n[cdvg]", vm_size, re.IGNORECASE) and not amd
    if not nvidia and re.search(r"cuda|[-_/]gpu\b|nvcr\.io/nvidia/", name):
        image = "for NVIDIA's GPUs" if amd else "for a GPU"
        has = "AMD's" if amd else "none"
        yield f"environment.docker.baseImage: is {image}, and {vm_size} has {has}: take one without cuda or another VM"
    if nvidia and re.match(r"mcr\.microsoft\.com/azureml/(openmpi|intelmpi|minimal)(?!.*(cuda|gpu))", name):
        yield f"environment.docker.baseImage: is for a CPU, and {vm_size} has a GPU: take one with cuda or another VM"


def argument(arguments: list[str], option: str) -> str | None:
    """The value of an option."""
    for position, text in enumerate(arguments):
        if text.startswith(option + "="):
            return text[len(option) + 1 :]
        if text == option and position + 1 < len(arguments):
            return arguments[position + 1]
    return None


def yaml_word(value: bool) -> str:
    return "true" if value else "false"


# A rule holds only where the values that it reads are beyond doubt: a finding is not to bring forth others.
RULES: list[tuple[Rule, tuple[str, ...]]] = [
    (what_runs, ("command", "script", "arguments")),
    (target, ("target", "amlcompute")),
    (docker_switches, ("environment", "docker")),
    (image, ("environment", "docker")),
    (node_counts, ("nodeCount", "communicator", "framework", "mpi", "pytorch", "tensorflow", "target")),
    (torch_processes, ("nodeCount", "communicator", "pytorch")),
    (data, ("data", "arguments")),
    (data_path, ("data", "dataReferences", "arguments")),
]


def disagreements(config: Config, doubtful: set[str], vm_size: str | None) -> Iterator[str]:
    """What the rules find."""
    for rule, reads in RULES:
        if doubtful.isdisjoint(reads):
            yield from rule(config)
    if vm_size and doubtful.isdisjoint(("environment", "docker", "amlcompute")):
        yield from gpu(config, vm_size)
