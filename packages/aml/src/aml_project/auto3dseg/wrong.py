"""How a key that is not known is told: with the nearest one that is."""

from __future__ import annotations

TYPE_CHECKING = False  # typing's own costs its import
if TYPE_CHECKING:
    from collections.abc import Iterable


def nearest(key: object, known: Iterable[str]) -> str:
    """The known key that somebody may have meant, or nothing. A colon or a capital within the quotes is a slip."""
    import difflib

    by_letters = {name.lower().replace("_", ""): name for name in known}
    letters = "".join(letter for letter in str(key).lower() if letter.isalnum())
    found = difflib.get_close_matches(letters, by_letters, n=1, cutoff=0.6)
    inside = [name for bare, name in by_letters.items() if len(bare) > 4 and letters.endswith(bare)]
    return inside[0] if inside else by_letters[found[0]] if found else ""


def meant(key: object, known: Iterable[str], otherwise: str) -> str:
    """The end of the line about a key that is not known."""
    name = nearest(key, known)
    return f"is no key; do you mean {name}?" if name else f"is no key; {otherwise}"
