"""What is sent to a model: rows as JSON, or a volume (NIfTI), whose answer is a mask."""

from __future__ import annotations

TYPE_CHECKING = False  # typing's own costs its import
if TYPE_CHECKING:
    from pathlib import Path

# How a NIfTI file begins: as gzip does, or with the length of its header, in either order of bytes.
VOLUME = (b"\x1f\x8b", b"\x5c\x01\0\0", b"\0\0\x01\x5c")


def sample_of(folder: Path) -> Path:
    """The file of the model's sample request, which may not be there."""
    volume = folder / "sample-request.nii.gz"
    return volume if volume.is_file() else folder / "sample-request.json"


def is_volume(body: bytes) -> bool:
    return body.startswith(VOLUME)


def kind_of(body: bytes) -> str:
    """The Content-Type of a request."""
    return "application/octet-stream" if is_volume(body) else "application/json"
