"""The VM sizes that clusters can have: an excerpt of Azure's, with their cores, memory and GPUs."""

from __future__ import annotations

from typing import NamedTuple


class Size(NamedTuple):
    cores: int
    memory_gb: float
    gpus: int = 0


D_V2 = {"1": Size(1, 3.5), "2": Size(2, 7), "3": Size(4, 14), "4": Size(8, 28), "5": Size(16, 56)}
D1X_V2 = {"11": Size(2, 14), "12": Size(4, 28), "13": Size(8, 56), "14": Size(16, 112), "15": Size(20, 140)}
SIZES: dict[str, Size] = {
    **{f"Standard_D{number}_v2": size for number, size in (D_V2 | D1X_V2).items()},
    **{f"Standard_DS{number}_v2": size for number, size in (D_V2 | D1X_V2).items()},
    **{
        f"Standard_{family}{cores}{version}": Size(cores, cores * memory)
        for cores in (2, 4, 8, 16, 32, 64)
        for family, version, memory in (
            ("D", "_v3", 4), ("D", "s_v3", 4), ("D", "s_v4", 4), ("D", "s_v5", 4), ("D", "as_v4", 4),
            ("E", "_v3", 8), ("E", "s_v3", 8), ("E", "s_v4", 8), ("E", "s_v5", 8), ("F", "s_v2", 2),
        )
    },
    "Standard_F72s_v2": Size(72, 144),
    "Standard_NC6": Size(6, 56, 1),
    "Standard_NC12": Size(12, 112, 2),
    "Standard_NC24": Size(24, 224, 4),
    "Standard_NV6": Size(6, 56, 1),
    "Standard_NC6s_v2": Size(6, 112, 1),
    "Standard_NC6s_v3": Size(6, 112, 1),
    "Standard_NC12s_v3": Size(12, 224, 2),
    "Standard_NC24s_v3": Size(24, 448, 4),
    "Standard_NC24rs_v3": Size(24, 448, 4),
    "Standard_NC4as_T4_v3": Size(4, 28, 1),
    "Standard_NC8as_T4_v3": Size(8, 56, 1),
    "Standard_NC16as_T4_v3": Size(16, 110, 1),
    "Standard_NC64as_T4_v3": Size(64, 440, 4),
    "Standard_NC24ads_A100_v4": Size(24, 220, 1),
    "Standard_NC48ads_A100_v4": Size(48, 440, 2),
    "Standard_NC96ads_A100_v4": Size(96, 880, 4),
    "Standard_ND40rs_v2": Size(40, 672, 8),
    "Standard_ND96asr_v4": Size(96, 900, 8),
}  # fmt: skip
BY_NAME = {name.lower(): size for name, size in SIZES.items()}


def find(name: str) -> Size | None:
    """A size by its name, in whichever case."""
    return BY_NAME.get(name.lower())
