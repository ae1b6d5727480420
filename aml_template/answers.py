"""What follows from the answers: what other answers default to, and what the files are made of."""

from __future__ import annotations

from collections.abc import Mapping

from jinja2.filters import do_int

NETWORKS = ("pytorch", "tensorflow")  # the frameworks that train networks
SEGMENTS = ("auto3dseg",)  # those whose model draws masks; every other one answers rows or images
GPU_SERIES = ("NC", "ND", "NG", "NV")
AMD = ("_MI300X_", "_V620_", "_V710_")
# VM sizes by how many GPUs they have; those that are not here have one, or none.
SIZES_BY_GPUS = {
    "2": (
        "Standard_NC12", "Standard_NC12_Promo", "Standard_NC12s_v2", "Standard_NC12s_v3", "Standard_NC48ads_A100_v4",
        "Standard_NC80adis_H100_v5", "Standard_ND12s", "Standard_NV12", "Standard_NV12_Promo", "Standard_NV12s_v2",
        "Standard_NV24s_v3", "Standard_NV72ads_A10_v5",
    ),
    "4": (
        "Standard_NC24", "Standard_NC24_Promo", "Standard_NC24r", "Standard_NC24r_Promo", "Standard_NC24s_v2",
        "Standard_NC24rs_v2", "Standard_NC24s_v3", "Standard_NC24rs_v3", "Standard_NC64as_T4_v3",
        "Standard_NC96ads_A100_v4", "Standard_ND24s", "Standard_ND24rs", "Standard_ND128isr_NDR_GB200_v6",
        "Standard_ND128isr_GB300_v6", "Standard_NV24", "Standard_NV24_Promo", "Standard_NV24s_v2", "Standard_NV48s_v3",
    ),
    "8": (
        "Standard_ND40s_v2", "Standard_ND40rs_v2", "Standard_ND96asr_v4", "Standard_ND96ams_A100_v4",
        "Standard_ND96amsr_A100_v4", "Standard_ND96is_H100_v5", "Standard_ND96isr_H100_v5", "Standard_ND96isr_H200_v5",
    ),
}  # fmt: skip
IMAGES = "mcr.microsoft.com/azureml/openmpi4.1.0-"

Answers = Mapping[str, str]


def texts(answers: Mapping[str, object]) -> dict[str, str]:
    """The answers that are texts, as all are that are asked for; cookiecutter adds settings of other kinds."""
    return {question: answer for question, answer in answers.items() if isinstance(answer, str)}


def gpu_maker(answers: Answers) -> str:
    """Who makes the GPUs of the VM size: NVIDIA, AMD; "" where it has none."""
    size = answers["vm_size"].upper()
    series = size[9:11]
    if series not in GPU_SERIES:
        return ""
    is_amd = any(gpu in size for gpu in AMD) or (series == "NV" and size.endswith("AS_V4"))
    return "AMD" if is_amd else "NVIDIA"


def gpu(answers: Answers) -> str:
    """Whether the VM size has GPUs that CUDA runs on."""
    return "yes" if gpu_maker(answers) == "NVIDIA" else "no"


def processes_per_node(answers: Answers) -> str:
    """How many processes a node is for: with PyTorch one for each GPU."""
    if answers["framework"] == "pytorch" and answers["gpu"] == "yes":
        for gpus, sizes in SIZES_BY_GPUS.items():
            if answers["vm_size"].lower() in map(str.lower, sizes):
                return gpus
    return "1"


def processes(answers: Answers) -> int:
    """How many processes a run has, on all its nodes."""
    # As Jinja counts: where hooks are not run, nothing has asked for numbers.
    return do_int(answers["node_count"]) * do_int(answers["processes_per_node"])


def launcher(answers: Answers) -> str:
    """The template of what starts the processes of a run, where it has several."""
    several = processes(answers) != 1
    if several and answers["framework"] == "pytorch" and answers["launcher"] == "pytorch":
        return "launchers/pytorch.yml"
    return f"launchers/{'tensorflow' if several and answers['framework'] == 'tensorflow' else 'mpi'}.yml"


def trains_network(answers: Answers) -> bool:
    """Whether the framework trains networks."""
    return answers["framework"] in NETWORKS


def answers_rows(answers: Answers) -> bool:
    """Whether the model answers rows or images, with a class or a number for each."""
    return answers["framework"] not in SEGMENTS


def base_image(answers: Answers) -> str:
    """The image of Azure ML that a run's environment is built on."""
    return IMAGES + ("cuda11.8-cudnn8-ubuntu22.04" if answers["gpu"] == "yes" else "ubuntu22.04:20251130.v1")


def dockerfile(answers: Answers) -> str:
    """The template of the training environment as a container: NVIDIA's own image where nodes talk by InfiniBand."""
    has_infiniband = "r" in answers["vm_size"][11:].split("_")[0].lower()
    of_nvidia = answers["gpu"] == "yes" and trains_network(answers) and has_infiniband
    return f"dockerfiles/{'nvidia' if of_nvidia else 'azure-ml'}.dockerfile"


def mechanism(answers: Answers) -> str:
    """How a run gets its data. Several processes on a node would download it several times."""
    several = answers["data_access"] == "download" and answers["processes_per_node"] != "1"
    return "direct" if several else answers["data_access"]


def data_path(answers: Answers) -> str:
    """Where a run finds its data."""
    return "/data" if answers["data_access"] == "mount" else f"/tmp/{answers['dataset_name']}"
