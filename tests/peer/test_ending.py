"""Tests of when a search is over, and why."""

from __future__ import annotations

import pytest

from aiohpo import Float, Space
from aiohpo.events.lifecycle import MOST_LOSSES
from aiohpo.events.schema import OWN, Claimed, Ended, Goal, Lost, Over, Proposed
from aiohpo.peer.ending import EndReason, end_to_record, final_end, find_end, is_quiet
from aiohpo.plugin.objective import Objective
from aiohpo.view.view import View


def view_of(*events, mode="min") -> View:
    view = View(Space(x=Float(0, 1)), Objective("loss", mode))
    for seq, event in enumerate(events, 1):
        view.apply("w" * 12, seq, event)
    return view


def trial(n: int, how: str | None = "finished", value: float | None = 1.0) -> list:
    """The events 2n+1 and 2n+2: a proposal, and its end if it has one."""
    proposed = Proposed(2 * n + 1, 0.0, (0.5,), OWN)
    return [proposed] if how is None else [proposed, Ended(2 * n + 2, 2 * n + 1, 0, how, 0, value)]


def reason(view: View, *, since: int = 0, target: float | None = None, left: bool = False) -> EndReason | None:
    end = find_end(view, since=since, target=target, is_work_left=lambda: left)
    return None if end is None else end.reason


def test_a_budget_is_met_when_nothing_runs_and_nothing_is_left_to_do():
    """As long as the scheduler would go on with a trial, or one runs that counts, it goes on."""
    done = view_of(*trial(0), *trial(1), Goal(5, 2))
    assert reason(done) is EndReason.BUDGET_MET
    assert reason(done, left=True) is None
    assert reason(view_of(*trial(0), *trial(1, None), Goal(5, 2))) is None
    assert reason(view_of(*trial(0), *trial(1, None), Goal(5, 1))) is EndReason.BUDGET_MET  # that is surplus


def test_a_search_ends_without_a_budget_when_nothing_is_left():
    """A finite space that is searched through, or a budget that no scheduler wants to use."""
    assert reason(view_of(*trial(0))) is EndReason.NOTHING_LEFT
    assert reason(view_of(*trial(0), Goal(3, 9))) is EndReason.NOTHING_LEFT


def test_whether_work_is_left_is_asked_only_where_it_matters():
    """Asking a scheduler costs time: not while trials run, nor when the search is called off."""

    def unexpected() -> bool:
        raise AssertionError

    assert find_end(view_of(*trial(0, None)), since=0, target=None, is_work_left=unexpected) is None
    assert find_end(view_of(Over(1, "time is up")), since=0, target=None, is_work_left=unexpected) is not None


@pytest.mark.parametrize(
    ("over", "expected"),
    [
        (Over(3, "time is up"), EndReason.TIME_UP),
        (Over(3, "the target is reached"), EndReason.TARGET_REACHED),
        (Over(3, "10 trials failed and none succeeded", 10), EndReason.GIVEN_UP),
        (Over(3, "in the words of a later version"), EndReason.CALLED_OFF),
    ],
)
def test_a_search_that_was_called_off_is_over_whatever_runs(over: Over, expected: EndReason):
    """Its words are those that were recorded; what ended an earlier run does not count."""
    view = view_of(*trial(0, None), over)
    end = final_end(view, since=2, target=None)
    assert end is not None
    assert (end.reason, end.text, str(end), end.failures) == (expected, over.reason, over.reason, over.failures)
    assert end.is_final
    assert (end.given_up is not None) == (expected is EndReason.GIVEN_UP)
    assert final_end(view, since=3, target=None) is None


@pytest.mark.parametrize(("mode", "target", "reached"), [("min", 1.0, True), ("min", 0.9, False), ("max", 1.1, False)])
def test_a_target_is_in_the_metrics_own_units(mode: str, target: float, reached: bool):
    """It is reached by a value at least as good, whether that is small or large."""
    view = view_of(*trial(0), *trial(1, None), mode=mode)
    assert (reason(view, target=target) is EndReason.TARGET_REACHED) == reached
    due = end_to_record(view, since=0, target=target, max_failures=0)
    assert (due is not None) == reached


def test_a_search_is_given_up_after_so_many_failures_of_this_run():
    """Not while one of the study's trials has succeeded, nor for what failed before, nor where any number may."""
    failing = view_of(*trial(0, "failed", None), *trial(1, "failed", None))

    def due(view, since=0, most=2):
        end = end_to_record(view, since=since, target=None, max_failures=most)
        return None if end is None else (end.reason, end.text, end.failures)

    assert due(failing) == (EndReason.GIVEN_UP, "2 trials failed and none succeeded", 2)
    assert due(failing, most=3) is None
    assert due(failing, most=0) is None
    assert due(failing, since=2) is None
    assert due(view_of(*trial(0), *trial(1, "failed", None), *trial(2, "failed", None))) is None


def test_what_somebody_has_called_off_already_is_not_called_off_again():
    """One event for one end."""
    view = view_of(*trial(0), Over(3, "time is up"))
    assert end_to_record(view, since=0, target=None, max_failures=1) is None


def test_a_lost_trial_keeps_the_search_going_until_it_was_lost_too_often():
    """It is to be taken over, but not for ever."""
    events: list = [Proposed(1, 0.0, (0.5,), OWN), Lost(2, 1, 0)]
    assert not is_quiet(view_of(*events))
    for attempt in range(1, MOST_LOSSES + 1):
        events += [Claimed(2 * attempt + 1, 0.0, 1, attempt), Lost(2 * attempt + 2, 1, attempt)]
    assert is_quiet(view_of(*events))
