"""An evaluator in virtual time: it plays what the objective said, and notes how long each slot was busy."""

from __future__ import annotations

import asyncio
from collections.abc import Iterator
from dataclasses import dataclass

from ..plugin import Assignment, BlobStore, Channel, Decision, Outcome
from .durations import EvaluationTimes, full_seconds
from .rehearsal import Rehearsal, Rehearser, Said


@dataclass(slots=True)
class Evaluation:
    """A segment on a slot, from ``began`` to ``ended`` (virtual seconds; None: it runs).

    how     its outcome's kind, or "aborted" (not wanted any more), or "crashed" (its worker died)
    value   the objective metric of a complete trial
    kept    until when what it did is in a checkpoint that others can go on from
    """

    worker: str
    slot: int
    trial: str
    attempt: int
    began: float
    ended: float | None = None
    how: str = "running"
    value: float | None = None
    kept: float = 0.0


class SimEvaluator:
    """Runs segments of one simulated worker. Implements :class:`aiohpo.plugin.Evaluator`.

    Args:
        worker: its name.
        rehearser: calls the objective.
        times, seed: give the seconds of a full evaluation.
        diary: takes a note of each segment.

    ``free_at`` is when the worker's loop has done what holds it up (asking the searcher), and a segment may begin;
    ``crashed``: the worker has died.
    """

    def __init__(
        self, worker: str, rehearser: Rehearser, times: EvaluationTimes, seed: int, diary: list[Evaluation]
    ) -> None:
        self.free_at = 0.0
        self.crashed = False
        self._worker = worker
        self._rehearser = rehearser
        self._times = times
        self._seed = seed
        self._diary = diary
        self._blobs: BlobStore  # set by start()
        self._metric = "loss"

    async def start(self, program: object, blobs: BlobStore) -> None:
        self._blobs = blobs
        self._metric = getattr(program, "metric", self._metric)

    async def run(self, assignment: Assignment, channel: Channel) -> Outcome:
        loop = asyncio.get_running_loop()
        if self.free_at > loop.time():
            with channel.untimed():
                await asyncio.sleep(self.free_at - loop.time())
        note = Evaluation(self._worker, assignment.slot, assignment.trial, assignment.attempt, loop.time())
        note.kept = note.began
        self._diary.append(note)
        try:
            outcome = await self._play(self._rehearser.rehearse(assignment, self._blobs), assignment, channel, note)
        except BaseException:
            note.ended, note.how = loop.time(), "crashed" if self.crashed else "aborted"
            raise
        note.ended, note.how = loop.time(), outcome.kind
        if outcome.kind == "finished":
            note.value = outcome.metrics.get(self._metric)
        return outcome

    async def _play(self, rehearsal: Rehearsal, assignment: Assignment, channel: Channel, note: Evaluation) -> Outcome:
        full = full_seconds(self._times, self._seed, assignment.trial)
        for said, seconds in schedule(rehearsal, assignment, full):
            await _sleep_until(note.began + seconds)
            decision = getattr(channel, said.method)(*said.arguments)
            if said.method == "save":
                note.kept = note.began + seconds
            if said.method == "report" and decision is Decision.STOP:
                return Outcome("stopped")
            if said.method == "report" and decision is Decision.PAUSE and said.step < rehearsal.last_step:
                return Outcome("paused")
        await _sleep_until(note.began + length(rehearsal, assignment, full))
        return rehearsal.outcome

    async def aclose(self) -> None:
        pass

    def __repr__(self) -> str:
        return f"<SimEvaluator of {self._worker}>"


def length(rehearsal: Rehearsal, assignment: Assignment, full: float) -> float:
    """Return the seconds of a segment whose trial takes ``full`` seconds in all.

    In a study with steps each step takes its share. A segment that fails does so at the end of the step that it was in;
    one that never named a step lasts to where it was to pause or end.
    """
    if assignment.max_steps is None:
        return full
    done = rehearsal.last_step - assignment.start
    if rehearsal.outcome.kind == "failed":
        done = max(done, 1)
    elif done <= 0:
        done = (assignment.to_step or assignment.max_steps) - assignment.start
    return full * max(done, 0) / assignment.max_steps


def schedule(rehearsal: Rehearsal, assignment: Assignment, full: float) -> Iterator[tuple[Said, float]]:
    """Yield what a segment said, with the second at which it says it, counted from the segment's beginning.

    Without ``max_steps`` the reports are spread evenly over the evaluation, the last one at its end.
    """
    whole = assignment.max_steps or max((said.step for said in rehearsal.said), default=1)
    for said in rehearsal.said:
        yield said, full * max(said.step - assignment.start, 0) / max(whole, 1)


async def _sleep_until(when: float) -> None:
    await asyncio.sleep(max(when - asyncio.get_running_loop().time(), 0.0))
