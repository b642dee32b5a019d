"""Calling the objective ahead of time, to play what it said when its virtual time comes.

Each segment is called once, to its end, and what it reports and saves is written down. What the scheduler would have
answered is not known at that moment: the objective hears "continue" until it comes to the step where the segment is to
pause. Where the answer is "stop" later, the rest is not played.

An objective may call ``asyncio.run`` or be ``async def``, which cannot be while a loop runs in the same thread. Where
one does, as in a simulation by production's code, objectives are called in a thread apart. That costs little, but on a
busy machine each change of threads has to wait: 15 ms were measured where an objective took 0.1.
"""

from __future__ import annotations

import queue
import random
import threading
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field, replace
from typing import Any

from ..evaluate.program import Program
from ..evaluate.segment import run_segment
from ..evaluate.trial import Trial
from ..plugin import Assignment, BlobStore, Decision, Outcome
from .loop import run

_FOREVER = 1e12  # virtual seconds that an async objective may sleep in all


@dataclass(frozen=True, slots=True)
class Said:
    """A word of the objective, after ``step``: the channel's method and its arguments."""

    step: int
    method: str
    arguments: tuple[Any, ...]


@dataclass(frozen=True, slots=True)
class Rehearsal:
    """What a segment said, how it ended, and the last step that it did or began."""

    said: list[Said]
    outcome: Outcome
    last_step: int


@dataclass(slots=True)
class _Notebook:
    """The link of a trial that is rehearsed. Implements :class:`aiohpo.evaluate.trial.TrialLink`."""

    step: int
    said: list[Said] = field(default_factory=list)
    aborted: bool = False
    ending: bool = False

    def listen(self) -> None:
        pass

    def report(self, step: int, metrics: Mapping[str, float]) -> Decision:
        self.step = step
        self.said.append(Said(step, "report", (step, dict(metrics))))
        return Decision.CONTINUE

    def save(self, step: int, digest: str, size: int) -> None:
        self.step = max(self.step, step)
        self.said.append(Said(step, "save", (step, digest, size)))

    def predictions(self, digests: Mapping[str, str]) -> None:
        self.said.append(Said(self.step, "predictions", (dict(digests),)))


class Rehearser:
    """Calls objectives, one at a time, and waits for each.

    Args:
        program: the objective.
        seed: that of Python's and numpy's global draws.
        apart: call it in a thread of its own, as a loop runs in this one.
    """

    def __init__(self, program: Program, seed: int, *, apart: bool = True) -> None:
        if program.is_async:
            coroutine = program.function
            assert coroutine is not None
            program = replace(program, function=lambda trial: run(lambda: coroutine(trial), timeout=_FOREVER))
        self._program = program
        self._seed = seed
        self._apart = apart
        if not apart:
            return
        self._jobs: queue.SimpleQueue[Callable[[], Rehearsal]] = queue.SimpleQueue()
        self._done: queue.SimpleQueue[Rehearsal | BaseException] = queue.SimpleQueue()
        # A daemon: an objective that hangs must not keep the program from ending by Ctrl-C.
        threading.Thread(target=self._serve, name="aiohpo-rehearsal", daemon=True).start()

    def rehearse(self, assignment: Assignment, blobs: BlobStore) -> Rehearsal:
        """Call the objective for one segment and return what it said. Whatever it raises is an outcome."""
        if not self._apart:
            return self._call(assignment, blobs)
        self._jobs.put(lambda: self._call(assignment, blobs))
        result = self._done.get()
        if isinstance(result, BaseException):
            raise result
        return result

    def _serve(self) -> None:
        while True:
            job = self._jobs.get()
            try:
                self._done.put(job())
            except BaseException as error:
                self._done.put(error)

    def _call(self, assignment: Assignment, blobs: BlobStore) -> Rehearsal:
        import numpy as np

        # An objective that draws from the global generators repeats with the simulation's seed, too.
        draws = random.Random(f"{self._seed}/{assignment.trial}/{assignment.attempt}")
        random.seed(draws.random())
        np.random.seed(draws.randrange(1 << 32))
        notebook = _Notebook(assignment.start)
        trial = Trial(assignment, notebook, blobs, self._program)
        outcome = run_segment(self._program, trial)
        return Rehearsal(notebook.said, outcome, max(trial.step, notebook.step))

    def __repr__(self) -> str:
        return f"<Rehearser of {self._program.title}>"
