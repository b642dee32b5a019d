"""How a segment ended."""

from __future__ import annotations

import re
from collections.abc import Callable, Mapping
from typing import Any

import pytest

from aiohpo.evaluate.program import Program
from aiohpo.evaluate.segment import MAX_DETAIL, MAX_ERROR, failed, run_segment
from aiohpo.evaluate.trial import Trial
from aiohpo.evaluate.trial_link import TrialEnded
from aiohpo.plugin import Decision, Outcome
from tests.support.evaluate_objectives import Recorder, assignment, behave, stop_at


def run(function: Callable[[Trial], Any], channel: Recorder | None = None, **options: Any) -> Outcome:
    objective = Program(function, "loss")
    return run_segment(objective, Trial(assignment(**options), channel or Recorder(), {}, objective))


def test_a_returned_value_finishes_it() -> None:
    """A number is the metric, a dict is taken as it is."""
    assert run(lambda trial: 3) == Outcome("finished", {"loss": 3.0})
    assert run(lambda trial: {"loss": 1, "auc": 2}) == Outcome("finished", {"loss": 1.0, "auc": 2.0})


def test_a_report_is_as_good_as_a_returned_value() -> None:
    """The last reported value counts if the objective returns nothing, or a dict without it."""
    assert run(lambda trial: trial.report(2) or trial.report(1)) == Outcome("finished", {"loss": 1.0})
    assert run(lambda trial: trial.report(2) or {"auc": 1}) == Outcome("finished", {"loss": 2.0, "auc": 1.0})


@pytest.mark.parametrize(("decision", "kind"), [(Decision.PAUSE, "paused"), (Decision.STOP, "stopped")])
def test_being_told_to_end_decides_over_what_is_returned(decision: Decision, kind: str) -> None:
    """However the objective comes back after that, the segment was paused or stopped."""
    for ending in (lambda t: t.report(1), lambda t: 5.0, lambda t: None, lambda t: float("nan")):
        channel = Recorder(stop_at(1, decision))
        assert run(lambda trial, ending=ending: (trial.report(2), ending(trial))[1], channel) == Outcome(kind)


@pytest.mark.parametrize("ending", ["returns", "reports", "both"])
def test_a_value_given_after_the_loop_counts_for_the_step_of_the_pause(ending: str) -> None:
    """A report after the loop is one of the last step, and so is a returned value if that step has no report yet."""

    def objective(trial: Trial) -> float | None:
        for _ in trial.steps():
            pass
        if ending != "returns":
            trial.report(0.25)
        return 0.25 if ending == "returns" else 9.0 if ending == "both" else None

    channel = Recorder()
    assert run(objective, channel, to_step=3, max_steps=9) == Outcome("paused")
    assert channel.reports == [(3, {"loss": 0.25})]


def test_a_pause_between_two_reports_is_compared_by_the_earlier_one() -> None:
    """The last value of this segment counts, or else that of earlier segments; of other metrics what was returned."""

    def objective(trial: Trial) -> dict[str, float] | None:
        for step in trial.steps():
            if step % 5 == 0:
                trial.report(1 / step)
        return {"aux": 3.0} if trial.start == 10 else None

    for start, reported, expected in ((0, None, {"loss": 0.2}), (9, 0.2, {"loss": 0.1}), (10, 0.7, {"loss": 0.7})):
        channel, to_step = Recorder(), 9 if start == 0 else 13
        if start == 10:
            expected = {**expected, "aux": 3.0}
        ended = run(objective, channel, start=start, to_step=to_step, max_steps=27, reported=reported)
        assert ended == Outcome("paused")
        assert channel.reports[-1] == (to_step, expected)


def test_a_trial_that_reported_before_finishes_without_another_report() -> None:
    """What earlier segments reported is the value of a trial whose last segment reported nothing."""
    assert run(lambda trial: None, start=9, reported=0.5) == Outcome("finished", {"loss": 0.5})
    assert run(lambda trial: 0.25, start=9, reported=0.5) == Outcome("finished", {"loss": 0.25})


@pytest.mark.parametrize(("reported", "says"), [({}, "reported nothing so far"), ({"auc": 1.0}, "only auc")])
def test_a_pause_without_any_value_is_a_failure_with_a_remedy(reported: dict[str, float], says: str) -> None:
    """The error names the step, the metric and what to do, as nobody could compare such a trial."""

    def objective(trial: Trial) -> None:
        for _ in trial.steps():
            if reported:
                trial.report(reported)

    outcome = run(objective, to_step=3, max_steps=9)
    assert outcome.kind == "failed"
    for words in ("step 3", "'loss'", says, "trial.report(loss=...)", "r_min"):
        assert words in (outcome.error or "")


def test_a_pause_is_no_excuse_for_a_value_that_is_none() -> None:
    """A returned NaN that would count for the step fails the trial, as a reported one does."""

    def objective(trial: Trial) -> float:
        return float("nan") * sum(trial.steps())

    assert run(objective, to_step=3, max_steps=9).kind == "failed"


def test_a_pause_that_is_called_off_in_the_end_is_no_pause() -> None:
    """Where the answer to the value that counts is STOP, or nobody hears it any more, that is how it ends."""

    def objective(trial: Trial) -> float:
        return float(sum(trial.steps()))

    assert run(objective, Recorder(stop_at(3)), to_step=3, max_steps=9) == Outcome("stopped")

    class Deaf(Recorder):
        def report(self, step: int, metrics: Mapping[str, float]) -> Decision:
            raise TrialEnded

    assert run(objective, Deaf(), to_step=3, max_steps=9) == Outcome("paused")


def test_an_error_after_the_end_is_still_an_error() -> None:
    """A trial that was paused and then raised cannot be trusted to have saved what it needs."""

    def objective(trial: Trial) -> None:
        trial.report(1)
        raise ValueError("late")

    assert run(objective, Recorder(stop_at(1))).kind == "failed"


def test_a_swallowed_end_changes_nothing() -> None:
    """A bare ``except`` around every report neither resurrects the trial nor gets anything through."""
    channel = Recorder(stop_at(3))
    assert run(behave, channel, do="swallow") == Outcome("stopped")
    assert len(channel.reports) == 3


def test_a_failure_cannot_be_talked_away() -> None:
    """After a NaN report the trial has failed, whatever the objective returns or raises."""

    def objective(trial: Trial) -> float:
        try:
            trial.report(float("nan"))
        except BaseException:
            if trial["then"] == "raise":
                raise ValueError("something else") from None
        return 1.0

    for then in ("return", "raise"):
        outcome = run(objective, then=then)
        assert outcome.kind == "failed"
        assert "loss=nan" in (outcome.error or "")


@pytest.mark.parametrize(
    ("behaviour", "error"),
    [
        ("raise", "ValueError: bad luck"),
        ("raise huge", "ValueError: xxx"),
        ("raise unprintable", r"Unprintable: \(its message cannot be printed\)"),
        ("raise surrogate", r"ValueError: file \?"),
        ("raise interrupt", "KeyboardInterrupt"),
        ("raise generator exit", "GeneratorExit"),
        ("memory error", "MemoryError"),
        ("recursion", "RecursionError"),
        ("exit", r"sys\.exit\(3\)"),
        ("nan", "metric 'loss' is nan.*finite"),
        ("inf", "metric 'loss' is inf"),
        ("none", "returned None and never reported 'loss'"),
        ("string", "returned str '0.5'.*return a number"),
        ("list", "returned list"),
        ("dict of strings", "metric 'loss' is str 'low'"),
        ("dict without", "returned a dict without 'loss' and never reported it"),
        ("dict odd names", "metric name int 1"),
        ("odd number", "returned OddNumber"),
        ("complex", "returned complex"),
        ("array of two", "returned ndarray"),
        ("big int", "OverflowError"),
        ("report nan", "reported loss=nan at step 1"),
        ("report string", "metric 'loss' is str '0.5'"),
    ],
)
def test_every_mistake_is_a_failed_outcome_within_bounds(behaviour: str, error: str) -> None:
    """One line of error, a bounded detail, both encodable; never an exception."""
    outcome = run(behave, do=behaviour)
    assert outcome.kind == "failed"
    assert re.search(error, outcome.error or ""), outcome.error
    assert len(outcome.error or "") <= MAX_ERROR
    assert len(outcome.detail or "") <= MAX_DETAIL
    assert "\n" not in (outcome.error or "")
    ((outcome.error or "") + (outcome.detail or "")).encode()


@pytest.mark.parametrize(
    ("behaviour", "loss"),
    [("float32", 0.5), ("int64", 3.0), ("array of one", 0.5), ("decimal", 0.5), ("flag", 1.0)],
)
def test_numbers_of_all_kinds_are_fine(behaviour: str, loss: float) -> None:
    """What is one number finishes the trial."""
    outcome = run(behave, do=behaviour)
    assert outcome.kind == "finished"
    assert outcome.metrics["loss"] == loss


def test_a_coroutine_from_an_ordinary_function_is_explained() -> None:
    """A function that returns a coroutine should have been async def; no warning about it is left behind."""
    outcome = run(behave, do="coroutine", x=1)
    assert outcome.kind == "failed"
    assert "async def" in (outcome.error or "")


def test_the_traceback_is_the_users() -> None:
    """The detail shows the user's frames and none of ours."""
    detail = run(behave, do="raise").detail or ""
    assert "evaluate_objectives.py" in detail
    assert "segment.py" not in detail


def test_a_failure_is_cut_to_bounds() -> None:
    """The error keeps its start, the detail its end."""
    outcome = failed("a" * 9_999, "b" * 9_999 + "end")
    assert outcome.error is not None
    assert len(outcome.error) == MAX_ERROR
    assert outcome.detail is not None
    assert len(outcome.detail) == MAX_DETAIL
    assert outcome.detail.endswith("end")


class OutOfMemoryError(RuntimeError):
    """As torch names it."""


@pytest.mark.parametrize(
    ("error", "crashed"), [(MemoryError(), True), (OutOfMemoryError("CUDA"), True), (ValueError("no"), False)]
)
def test_what_runs_out_of_memory_has_crashed(error: Exception, crashed: bool) -> None:
    """Of all exceptions only these may come of what else the machine did."""

    def objective(trial: Trial) -> float:
        raise error

    outcome = run(objective)
    assert (outcome.kind, outcome.crashed) == ("failed", crashed)
