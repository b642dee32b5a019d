"""Playing what an objective said over virtual time."""

from __future__ import annotations

import asyncio
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from typing import Any

import pytest

from aiohpo import Trial
from aiohpo.evaluate.program import Program
from aiohpo.plugin import Assignment, Decision, Outcome
from aiohpo.simulation.durations import ConstantTime
from aiohpo.simulation.evaluator import Evaluation, SimEvaluator
from aiohpo.simulation.loop import run
from aiohpo.simulation.memory import MemoryBlobs
from aiohpo.simulation.rehearsal import Rehearser


class Notes:
    """A channel that notes when what is said, and answers as it is told."""

    def __init__(self, answers: Mapping[int, Decision]) -> None:
        self.heard: list[tuple[float, str, int]] = []
        self.untimed_seconds = 0.0
        self._answers = answers

    def report(self, step: int, metrics: Mapping[str, float]) -> Decision:
        self.heard.append((asyncio.get_running_loop().time(), "report", step))
        return self._answers.get(step, Decision.CONTINUE)

    def save(self, step: int, digest: str, size: int) -> None:
        self.heard.append((asyncio.get_running_loop().time(), "save", step))

    @contextmanager
    def untimed(self) -> Iterator[None]:
        loop = asyncio.get_running_loop()
        began = loop.time()
        yield
        self.untimed_seconds += loop.time() - began


def train(trial: Trial) -> float:
    for step in trial.steps():
        trial.report(float(step))
        trial.save(step)
    return float(trial.step)


def play(
    function: Any,
    answers: Mapping[int, Decision] | None = None,
    *,
    free_at: float = 0.0,
    cancel_at: float | None = None,
    **assigned: Any,
) -> tuple[Outcome | None, Notes, Evaluation]:
    """Play one segment whose full evaluation takes 90 s."""
    program = Program(function, "loss", assigned.get("max_steps"), secret=b"s")
    diary: list[Evaluation] = []
    notes = Notes(answers or {})

    async def main() -> Outcome | None:
        evaluator = SimEvaluator("w", Rehearser(program, 0), ConstantTime(90.0), 0, diary)
        await evaluator.start(program, MemoryBlobs())
        evaluator.free_at = free_at
        task = asyncio.create_task(evaluator.run(Assignment("w-1", 0, {}, **assigned), notes))  # type: ignore[arg-type]
        await asyncio.wait([task], timeout=cancel_at)
        if task.done():
            return task.result()
        task.cancel()
        await asyncio.wait([task])
        return None

    return run(main), notes, diary[0]


def test_each_step_takes_its_share_of_the_time() -> None:
    """A segment from step 3 to step 5 of 9 takes two ninths, and is heard step by step."""
    outcome, notes, note = play(train, start=3, to_step=5, max_steps=9)
    assert notes.heard == [(10.0, "report", 4), (10.0, "save", 4), (20.0, "report", 5), (20.0, "save", 5)]
    assert outcome is not None
    assert (outcome.kind, note.how, note.began, note.ended, note.kept) == ("paused", "paused", 0.0, 20.0, 20.0)


def test_without_steps_reports_are_spread_over_the_evaluation() -> None:
    """The last one comes at its end."""

    def objective(trial: Trial) -> None:
        for value in (3.0, 2.0, 1.0):
            trial.report(value)

    _, notes, note = play(objective)
    assert [heard[0] for heard in notes.heard] == [30.0, 60.0, 90.0]
    assert (note.how, note.value, note.ended) == ("finished", 1.0, 90.0)


def test_a_stopped_segment_plays_no_further() -> None:
    """It ends with the report that the scheduler answered by "stop"."""
    outcome, notes, note = play(train, {2: Decision.STOP}, max_steps=9)
    assert outcome == Outcome("stopped")
    assert notes.heard[-1] == (20.0, "report", 2)
    assert (note.ended, note.value) == (20.0, None)


def test_a_segment_paused_before_its_time_ends_there() -> None:
    """A scheduler may pause at a step that it did not name before."""
    outcome, _, note = play(train, {4: Decision.PAUSE}, max_steps=9)
    assert outcome == Outcome("paused")
    assert note.ended == 40.0


def test_a_failure_comes_at_the_end_of_the_step_that_it_happened_in() -> None:
    """One that happens before any step takes a step; without steps, the time of an evaluation."""

    def fails(trial: Trial) -> None:
        for step in trial.steps():
            if step == 3:
                raise RuntimeError("boom")
            trial.report(1.0)

    assert play(fails, max_steps=9)[2].ended == 30.0
    assert play(lambda trial: 1 / 0, max_steps=9)[2].ended == 10.0
    outcome, _, note = play(lambda trial: 1 / 0)
    assert (outcome.kind if outcome else None, note.ended) == ("failed", 90.0)


def test_an_objective_that_only_returns_takes_the_whole_segment() -> None:
    """In a study with steps, too."""
    assert play(lambda trial: 1.0, max_steps=9)[2].ended == 90.0


def test_asking_holds_up_what_begins_next() -> None:
    """The wait is not the trial's."""
    _, notes, note = play(lambda trial: 1.0, free_at=2.5)
    assert (notes.untimed_seconds, note.began, note.ended) == (2.5, 2.5, 92.5)


@pytest.mark.parametrize("kept", [0.0, 30.0])
def test_a_cancelled_segment_is_noted(kept: float) -> None:
    """The note says when it was aborted, and until when it is in a checkpoint."""
    outcome, _, note = play(train if kept else lambda trial: 1.0, cancel_at=35.0, max_steps=9)
    assert outcome is None
    assert (note.how, note.ended, note.kept) == ("aborted", 35.0, kept)
