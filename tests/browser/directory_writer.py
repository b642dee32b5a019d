"""A run directory that a test writes to, event by event, while a page looks at it."""

from __future__ import annotations

import os
import time
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import aiohpo
from aiohpo.events.log import Log
from aiohpo.mesh.effects import Persist
from aiohpo.peer.recorder import Recorder
from aiohpo.peer.running_segments import Segment
from aiohpo.plugin.objective import Objective
from aiohpo.runtime.assembly.services import new_worker_id
from aiohpo.storage.run_directory import RunDirectory
from aiohpo.view.view import View


class DirectoryWriter:
    """One worker of a search in ``path``, which this process is, so that it counts as alive."""

    def __init__(
        self, path: Path, space: aiohpo.Space, *, metric: str = "loss", max_steps: int | None = 9, goal: int = 100
    ) -> None:
        study = aiohpo.Study(None, space, metric=metric, searcher="random", directory=path, max_steps=max_steps)
        directory = RunDirectory(path, study._definition.as_dict())
        self.space = space
        self.recorder = Recorder(new_worker_id(), View(space, Objective(metric, "min"), max_steps), Log(), directory.id)
        self._journal = directory.journal(self.recorder.me)
        self.recorder.begin(time.time(), "host", os.getpid(), 0)
        self.recorder.set_goal(goal)
        self.flush()

    def propose(self, config: Mapping[str, Any], to_step: int | None = None) -> Segment:
        """Begin a trial."""
        segment = self.recorder.propose(time.time(), self.space.pack(config), to_step)
        self.flush()
        return segment

    def finish(self, segment: Segment, value: float, steps: int = 9, **extra: float) -> None:
        """Report each step of a trial, and its end."""
        for step in range(1, steps + 1):
            self.recorder.report(segment, step, value + 1 / step, extra)
        self.recorder.end(segment, "finished", step=steps, seconds=0.5, value=value, extra=extra)
        self.flush()

    def fail(self, segment: Segment, error: str, detail: str | None = None) -> None:
        """End a trial with an error."""
        self.recorder.end(segment, "failed", step=0, seconds=0.5, error=error, detail=detail)
        self.flush()

    def flush(self) -> None:
        """Write what was recorded."""
        self._journal.append([effect.batch for effect in self.recorder.drain() if isinstance(effect, Persist)])

    def close(self) -> None:
        """Stop writing."""
        self._journal.close()
