"""Calling the objective ahead of time, to play what it said when its virtual time comes.

Each segment is called once, to its end, and what it reports and saves is written down. What the scheduler would have
answered is not known at that moment: the objective hears "continue" until it comes to the step where the segment is to
pause. Where the answer is "stop" later, the rest is not played.

An objective may call ``asyncio.run`` or be ``async def``, which asyncio refuses while a loop runs in the same thread.
In a simulation by production's code one does, so it steps aside for the call. (A thread for objectives did the same,
but on a busy machine each change of threads waited: 15 ms where an objective took 0.1.)
"""

from __future__ import annotations

import asyncio
import random
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
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
    """The link of a trial that is rehearsed. Implements :class:`aiohpo.evaluate.trial_link.TrialLink`."""

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

    def note(self, notes: Mapping[str, str]) -> None:
        self.said.append(Said(self.step, "note", (dict(notes),)))

    def attach(self, name: str, digest: str, size: int) -> None:
        self.said.append(Said(self.step, "attach", (name, digest, size)))


class Rehearser:
    """Calls objectives, one at a time.

    Args:
        program: the objective.
        seed: that of Python's and numpy's global draws.
    """

    def __init__(self, program: Program, seed: int) -> None:
        if program.is_async:
            coroutine = program.function
            assert coroutine is not None
            program = replace(program, function=lambda trial: run(lambda: coroutine(trial), timeout=_FOREVER))
        self._program = program
        self._seed = seed

    def rehearse(self, assignment: Assignment, blobs: BlobStore) -> Rehearsal:
        """Call the objective for one segment and return what it said. Whatever it raises is an outcome."""
        import numpy as np

        # An objective that draws from the global generators repeats with the simulation's seed, too.
        draws = random.Random(f"{self._seed}/{assignment.trial}/{assignment.attempt}")
        random.seed(draws.random())
        np.random.seed(draws.randrange(1 << 32))
        notebook = _Notebook(assignment.start)
        trial = Trial(assignment, notebook, blobs, self._program)
        with _loop_aside():
            outcome = run_segment(self._program, trial)
        return Rehearsal(notebook.said, outcome, max(trial.step, notebook.step))

    def __repr__(self) -> str:
        return f"<Rehearser of {self._program.title}>"


@contextmanager
def _loop_aside() -> Iterator[None]:
    """Within the block no event loop runs in this thread, as far as asyncio knows."""
    loop = asyncio._get_running_loop()
    if loop is None:
        yield
        return
    task = asyncio.current_task(loop)
    if task is not None:
        asyncio._leave_task(loop, task)
    asyncio._set_running_loop(None)
    try:
        yield
    finally:
        asyncio._set_running_loop(loop)
        if task is not None:
            asyncio._enter_task(loop, task)
