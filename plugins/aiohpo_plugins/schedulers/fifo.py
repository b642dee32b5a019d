"""First in, first out: every trial runs to its end."""

from __future__ import annotations

import numpy as np

from aiohpo.plugin import Claims, Decision, Identity, NewTrial, StudyView


class FIFOScheduler:
    """Start a new trial whenever a worker is free and let it run; the default."""

    def setup(self, max_steps: int | None, seed: int, identity: Identity) -> None:
        """Nothing to prepare."""

    def next(self, view: StudyView, claims: Claims, rng: np.random.Generator) -> NewTrial:
        return NewTrial()

    def on_report(self, view: StudyView, trial: str, step: int) -> Decision:
        return Decision.CONTINUE

    def __repr__(self) -> str:
        return "FIFOScheduler()"
