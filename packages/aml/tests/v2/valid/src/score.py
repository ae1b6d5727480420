from typing import Any


def init() -> None: ...


def run(data: str) -> Any: ...
