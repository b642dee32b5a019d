"""A run that grows while it is looked at, in memory: two recorders with one log between them."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from typing import Any

import numpy as np

from aiohpo.events.lifecycle import Status
from aiohpo.events.log import Log
from aiohpo.peer.recorder import Recorder
from aiohpo.peer.running_segments import Segment
from aiohpo.plugin.objective import Objective
from aiohpo.report.sources import News, ProgressSource
from aiohpo.view.view import View

from .run_directories import BEGAN, SPACE

RUNGS = (1, 3, 9)


class GrowingRun(ProgressSource):
    """A search of :data:`SPACE` by two workers, which :meth:`step` and each poll (``steps_a_poll``) play on."""

    name = "a growing run"

    def __init__(self, seed: int) -> None:
        self._rng = np.random.default_rng(seed)
        self._view, self._log = View(SPACE, Objective("loss", "min"), RUNGS[-1]), Log()
        self._news = News(self._log)
        self.workers = [Recorder(name, self._view, self._log) for name in ("aaaa", "bbbb")]
        self.alive = {worker.me: "alive" for worker in self.workers}
        self.running: list[tuple[Recorder, Segment]] = []
        self.time = BEGAN
        self.steps_a_poll = 0
        for rank, worker in enumerate(self.workers):
            worker.begin(self.time, "host", 100 + rank, rank)

    @property
    def study(self) -> Mapping[str, Any]:
        return {"metric": "loss", "mode": "min", "max_steps": 9, "searcher": "random", "scheduler": "asha"}

    @property
    def view(self) -> View:
        return self._view

    @property
    def log(self) -> Log:
        return self._log

    @property
    def directory(self) -> Path | None:
        return None

    def replace_view(self, view: View) -> None:
        """Look at this one from now on."""
        self._view = view

    def poll(self) -> int:
        for _ in range(self.steps_a_poll):
            self.step()
        return self._news.poll()

    def states(self) -> Mapping[str, str]:
        return self.alive

    def step(self) -> None:
        """Let something happen: a trial begins, reports, pauses, ends, fails, is lost, taken over or tried again."""
        self.time += 0.25
        rng, view = self._rng, self._view
        worker = self.workers[int(rng.integers(2))]
        what = rng.random()
        waiting = [row for row in {*view.paused, *view.waiting} if view.status(row) is not Status.FINISHED]
        if self.running and what < 0.55:
            self._advance(*self.running[int(rng.integers(len(self.running)))])
        elif waiting and what < 0.7:
            row = waiting[int(rng.integers(len(waiting)))]
            beyond = [step for step in RUNGS if step > view.step(row)]
            self.running.append((worker, worker.record_claim(self.time, row, beyond[0] if len(beyond) > 1 else None)))
        elif what < 0.75 and (failed := [row for row in range(view.n_rows) if view.status(row) is Status.FAILED]):
            worker.queue_retry(self.time, failed[int(rng.integers(len(failed)))])
        else:
            values = SPACE.pack(SPACE.decode(SPACE.sample(rng, 1))[0])
            self.running.append((worker, worker.propose(self.time, values, RUNGS[0])))
        for each in self.workers:
            each.drain()

    def _advance(self, worker: Recorder, segment: Segment) -> None:
        step, chance = self._view.step(segment.row), self._rng.random()
        if chance < 0.08:
            self.running.remove((worker, segment))
            other = next(each for each in self.workers if each is not worker)
            other.declare_lost(segment.trial, segment.attempt)
            return
        if chance < 0.16:
            self.running.remove((worker, segment))
            worker.end(segment, "failed", step=step, seconds=0.5, error=f"ValueError: {int(chance * 100)}")
            return
        step, value = step + 1, float(self._rng.random())
        worker.report(segment, step, value, {"size": 2.0 * step})
        if step in RUNGS:
            self.running.remove((worker, segment))
            how = "finished" if step == RUNGS[-1] else "paused"
            worker.end(segment, how, step=step, seconds=0.5, value=value if how == "finished" else None)
