"""What is searched, for what, and how: the description that workers are put together from."""

from __future__ import annotations

import copy
import hashlib
import json
import time
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from ...evaluate.program import Program
from ...events.log import Log
from ...plugin import Identity, TrialCallback
from ...plugin.objective import Objective
from ...plugin.registry import create
from ...plugin.scheduler import set_up_scheduler
from ...space.space import Space
from ...view.trials import TrialRecord
from ...view.view import View

Callback = Callable[[TrialRecord], Any] | TrialCallback


@dataclass(frozen=True, slots=True, kw_only=True)
class StudyDefinition:
    """A study as its user described it, checked. The fields are those of :class:`aiohpo.Study`; ``targets`` are
    encoded arrays by prefixed name, and ``share`` says whether the directory is shared with its group."""

    program: Program
    space: Space
    objective: Objective
    max_steps: int | None
    searcher: Any
    scheduler: Any
    evaluator: Any
    directory: Path | None
    seed: int
    keep: int
    max_failures: int
    retries: int
    ensemble: Any
    ensemble_metric: Any
    targets: Mapping[str, bytes]
    callbacks: Sequence[Callback]
    share: bool

    @property
    def hash(self) -> str:
        """16 hex digits that all workers of a study share: its space, metric and mode."""
        text = json.dumps([self.space.to_dict(), self.objective.metric, self.objective.direction], sort_keys=True)
        return hashlib.sha256(text.encode()).hexdigest()[:16]

    @property
    def mesh_hash(self) -> str:
        """16 hex digits that workers must share to exchange trials: those of :attr:`hash`, and ``max_steps``."""
        if self.max_steps is None:
            return self.hash
        return hashlib.sha256(f"{self.hash}/{self.max_steps}".encode()).hexdigest()[:16]

    def extend(self, before: int) -> None:
        """Raise ``ValueError`` if the scheduler cannot go on with trials that were complete after ``before`` steps."""
        name = self.scheduler if isinstance(self.scheduler, str) else repr(self.scheduler)
        scheduler = copy.deepcopy(create("schedulers", self.scheduler))
        try:
            set_up_scheduler(scheduler, self.max_steps, self.seed, Identity("check", 0, 1), first=before)
        except ValueError as error:
            raise ValueError(f"scheduler {name}: {error}") from None

    def as_dict(self) -> dict[str, Any]:
        """The JSON form: what goes into ``study.json``, and what spectators are told."""
        return {
            "study": self.hash,
            "metric": self.objective.metric,
            "mode": self.objective.direction,
            "max_steps": self.max_steps,
            "searcher": self.searcher if isinstance(self.searcher, str) else repr(self.searcher),
            "scheduler": self.scheduler if isinstance(self.scheduler, str) else repr(self.scheduler),
            "seed": self.seed,
            "created": time.strftime("%Y-%m-%dT%H:%M:%S%z"),
            "space": self.space.to_dict(),
        }

    def empty(self) -> tuple[Log, View]:
        """A log of this study without any events, and the view of it."""
        return Log(), View(self.space, self.objective, self.max_steps)
