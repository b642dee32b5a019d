"""Reading a run directory without the program that made it: what ``best``, ``show``, ``plot`` and ``export`` use."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

from ..events.lifecycle import FINAL
from ..events.log import Log
from ..space.space import Space
from ..view.promotions import Rungs
from ..view.summary import best_of, n_done
from ..view.trials import TrialRecord
from ..view.view import View
from .run_directory import Loaded, load_journals, read_study


@dataclass(frozen=True, slots=True)
class Run:
    """A run directory's contents."""

    path: Path
    study: dict[str, Any]
    log: Log
    view: View
    loaded: Loaded

    def records(self) -> Iterator[TrialRecord]:
        """All trials in order. One whose worker has gone without ending it is lost: nobody runs it now."""
        for record in self.view.records():
            yield replace(record, status="lost") if self._abandoned(record) else record

    @property
    def n_ended(self) -> int:
        """Trials of the budget that have ended, without those beyond its line."""
        view = self.view
        return view.n_ended - sum(view.status(row) in FINAL for row in view.beyond_line())

    @property
    def n_done(self) -> int:
        """Those, and the ones that pause."""
        return n_done(self.view)

    def rungs(self) -> Rungs:
        """How far its trials got."""
        rungs = Rungs(self.view.max_steps)
        for origin in self.log.origins:
            rungs.take(self.log.events(origin))
        return rungs

    def _abandoned(self, record: TrialRecord) -> bool:
        if record.status != "running":
            return False
        return self.loaded.states.get(record.worker) in ("dead", "left")

    def as_dict(self) -> dict[str, Any]:
        """The JSON form of ``aiohpo show --json``."""
        view = self.view
        best = best_of(view)
        trials = [record.as_dict() for record in self.records()]
        return {
            "study": {
                **{k: v for k, v in self.study.items() if k != "format"},
                "trials": view.goal[1] if view.goal else None,
                "ended": self.n_ended,
                "running": sum(trial["status"] == "running" for trial in trials),
                "done": self.n_done,
                "rungs": [[step, n] for step, n in self.rungs().reached().items()],
                "best": None if best is None else best.as_dict(),
                "damage": [*map(str, self.loaded.damage), *([self.loaded.skipped] if self.loaded.skipped else [])],
            },
            "workers": self.as_workers(),
            "trials": trials,
        }

    def as_workers(self) -> list[dict[str, Any]]:
        """The worker processes that ever took part, oldest first, in JSON form."""
        workers = sorted(self.view.workers.values(), key=lambda w: (w.started.time if w.started else 0, w.name))
        return [
            {
                "id": w.name,
                "rank": w.started.rank if w.started else None,
                "host": w.started.host if w.started else None,
                "pid": w.started.pid if w.started else None,
                "started": w.started.time if w.started else None,
                "status": self.loaded.states.get(w.name, "unknown"),
            }
            for w in workers
        ]


def open_run(path: Path) -> Run:
    """Load a run directory. Raises ``UsageError`` if it is not one."""
    study = read_study(path)
    space = Space.from_dict(study["space"])
    log, view = Log(), View(space, study["metric"], study["mode"], study.get("max_steps"))
    return Run(path, study, log, view, load_journals(path, log, view))
