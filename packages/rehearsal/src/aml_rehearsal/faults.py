"""What a test switches on: faults on the way between the client and the service, clusters that take their time."""

from __future__ import annotations

import re
import threading
from dataclasses import dataclass, field


@dataclass
class Fault:
    """What happens to the next requests that match: METHOD host/path is searched for the pattern."""

    pattern: str
    times: int = 1
    skip: int = 0  # so many matching requests pass first
    status: int = 0  # answer with this status instead of the real one
    headers: dict[str, str] = field(default_factory=dict)
    delay: float = 0.0  # seconds of silence before anything else
    drop: str = ""  # close the connection: 'before' the work, 'after' it but without an answer, 'half' way through it
    expire_tokens: bool = False

    def __post_init__(self) -> None:
        if self.drop not in {"", "before", "after", "half"}:
            raise ValueError(f"drop: 'before', 'after' or 'half', not {self.drop!r}")
        re.compile(self.pattern)


@dataclass
class Provisioning:
    """How the making of a cluster goes: how often somebody looks before it is done, and why it fails if it does."""

    polls: int = 0
    error: str = ""


class Faults:
    def __init__(self) -> None:
        self.lock = threading.Lock()
        self.waiting: list[Fault] = []
        self.fired: list[str] = []  # what was hit, in order

    def add(self, fault: Fault) -> None:
        with self.lock:
            self.waiting.append(fault)

    def clear(self) -> None:
        with self.lock:
            self.waiting.clear()
            self.fired.clear()

    def take(self, method: str, host: str, path: str) -> Fault | None:
        """The fault that strikes this request, if any."""
        line = f"{method} {host}{path}"
        with self.lock:
            for fault in self.waiting:
                if not re.search(fault.pattern, line):
                    continue
                if fault.skip > 0:
                    fault.skip -= 1
                    continue
                fault.times -= 1
                if fault.times <= 0:
                    self.waiting.remove(fault)
                self.fired.append(line)
                return fault
        return None
