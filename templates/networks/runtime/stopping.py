"""When training brings nothing any more."""


def waited(history: list[dict[str, float]], name: str) -> int:
    """For how many epochs a loss has not been lower than ever before."""
    losses = [epoch[name] for epoch in history]
    return len(losses) - 1 - losses.index(min(losses)) if losses else 0
