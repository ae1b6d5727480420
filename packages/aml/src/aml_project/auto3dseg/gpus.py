"""The GPUs of Azure's VM sizes, and whether they do for what MONAI's page says of Auto3DSeg's needs."""

from __future__ import annotations

import re

# What the name of a size says: how many GPUs by its number of processors, and the GB of each.
SERIES = (
    (r"NC(\d+)ads_A100_v4", {24: 1, 48: 2, 96: 4}, 80),
    (r"NC(\d+)(?:ads|adis)_H100_v5", {40: 1, 80: 2}, 94),
    (r"NC(\d+)as_T4_v3", {4: 1, 8: 1, 16: 1, 64: 4}, 16),
    (r"NC(\d+)r?s_v[23]", {6: 1, 12: 2, 24: 4}, 16),
    (r"NC(\d+)r?(?:_Promo)?", {6: 1, 12: 2, 24: 4}, 12),
    (r"ND(\d+)r?s", {6: 1, 12: 2, 24: 4}, 24),
    (r"ND(\d+)r?s_v2", {40: 8}, 32),
    (r"ND(\d+)asr_v4", {96: 8}, 40),
    (r"ND(\d+)amsr?_A100_v4", {96: 8}, 80),
    (r"ND(\d+)isr?_H[12]00_v5", {96: 8}, 80),
    (r"NV(\d+)ads_A10_v5", {6: 1, 12: 1, 18: 1, 36: 1, 72: 2}, 24),
    (r"NV(\d+)(?:s_v[23]|s)?(?:_Promo)?", {6: 1, 12: 1, 24: 2, 48: 4}, 8),
)
SMALL, LARGE = 8, 16  # GB that the page names: for its hello world, and for larger data on four GPUs
MANY = 200  # volumes that are larger data, where nothing else is known


def of_size(size: str) -> tuple[int, int]:
    """How many GPUs a VM size has, and the GB of each; of one that is not listed 1 and 0, if it is a size with GPUs."""
    name = re.sub(r"^standard_", "", size, flags=re.IGNORECASE)
    for pattern, counts, memory in SERIES:
        found = re.fullmatch(pattern, name, re.IGNORECASE)
        if found and int(found[1]) in counts:
            return counts[int(found[1])], memory
    return (1, 0) if re.match(r"N[CDGV]\d", name, re.IGNORECASE) else (0, 0)


def hint(count: int, memory: int, volumes: int, own_algorithms: bool) -> str:
    """What somebody should know before hours are spent; nothing where all is well."""
    if count == 0:
        return "" if own_algorithms else "no GPU: MONAI's own algorithms take days on processors alone"
    if memory and memory < SMALL:
        return f"{memory} GB on a GPU: Auto3DSeg's smallest example takes {SMALL}"
    if volumes >= MANY and (count < 4 or (memory and memory < LARGE)):
        return f"{count} GPU with {memory or '?'} GB: for {volumes} volumes MONAI recommends 4 with {LARGE} GB or more"
    return ""
