"""Which runs of a search are ended early, as HyperDrive's policies say."""

from __future__ import annotations

import statistics
from typing import Any

from aml_rehearsal.messages import Refusal

Histories = dict[str, list[float]]  # what each run has logged of the primary metric, in order
POLICIES = ("default", "bandit", "medianstopping", "truncationselection")


class Policy:
    """Judges runs at the intervals that it was given; each value that a run logs is one interval."""

    def __init__(self, config: dict[str, Any], *, maximize: bool) -> None:
        self.name, self.settings = str(config["name"]).lower(), config.get("properties") or {}
        if self.name not in POLICIES:
            raise Refusal(400, f"Unknown policy {config['name']}.")
        self.sign = 1 if maximize else -1
        self.judged: dict[str, int] = {}  # by run, the intervals that have been looked at

    def ended(self, histories: Histories, running: list[str]) -> list[str]:
        """Those of the running that are to be cancelled."""
        if self.name == "default":
            return []
        own = {run: [self.sign * value for value in values] for run, values in histories.items()}
        found = []
        for run in running:
            reached = len(own.get(run, []))
            due = [at for at in range(self.judged.get(run, 0) + 1, reached + 1) if self.is_due(at)]
            self.judged[run] = reached
            if any(self.lags(own, run, at) for at in due):
                found.append(run)
        return found

    def is_due(self, interval: int) -> bool:
        every, delay = self.settings.get("evaluation_interval") or 1, self.settings.get("delay_evaluation") or 0
        return interval % int(every) == 0 and interval >= int(delay)

    def lags(self, histories: Histories, run: str, interval: int) -> bool:
        """Whether a run is worse than allowed, by what all had logged up to an interval; more is better."""
        bests = {name: max(values[:interval]) for name, values in histories.items() if len(values) >= interval}
        own = bests[run]
        if self.name == "bandit":
            return own < self.allowed(max(bests.values()))
        if self.name == "medianstopping":
            return own < statistics.median(statistics.fmean(histories[name][:interval]) for name in bests)
        worst = sorted(bests, key=lambda name: bests[name])[
            : len(bests) * int(self.settings["truncation_percentage"]) // 100
        ]
        return run in worst

    def allowed(self, best: float) -> float:
        """How far a run may be from the best one."""
        factor = self.settings.get("slack_factor")
        if factor is None:
            return best - float(self.settings.get("slack_amount") or 0)
        return best / (1 + float(factor)) if best > 0 else best * (1 + float(factor))
