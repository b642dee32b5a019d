"""Tests of when a search is over, and why."""

from __future__ import annotations

import pytest

from aiohpo import Float, Space
from aiohpo.events.lifecycle import MOST_LOSSES
from aiohpo.events.schema import OWN, Claimed, Ended, Goal, Lost, Over, Proposed
from aiohpo.peer.ending import (
    LEFT_EARLY,
    SAW_THE_END,
    EndReason,
    SearchEnd,
    end_to_record,
    falls_short,
    final_end,
    find_end,
    is_quiet,
    leaving_reason,
    time_up,
)
from aiohpo.plugin.objective import Objective
from aiohpo.view.view import View

ME = ("me",)


def view_of(*events, mode="min") -> View:
    view = View(Space(x=Float(0, 1)), Objective("loss", mode))
    for seq, event in enumerate(events, 1):
        view.apply("w" * 12, seq, event)
    return view


def trial(n: int, how: str | None = "finished", value: float | None = 1.0) -> list:
    """The events 2n+1 and 2n+2: a proposal, and its end if it has one."""
    proposed = Proposed(2 * n + 1, 0.0, (0.5,), OWN)
    return [proposed] if how is None else [proposed, Ended(2 * n + 2, 2 * n + 1, 0, how, 0, value)]


def reason(view: View, *, target: float | None = None, left: bool = False) -> EndReason | None:
    end = find_end(view, workers=ME, target=target, is_work_left=lambda: left)
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

    assert find_end(view_of(*trial(0, None)), workers=ME, target=None, is_work_left=unexpected) is None
    called_off = view_of(Over(1, "enough", workers=ME))
    assert find_end(called_off, workers=ME, target=None, is_work_left=unexpected) is not None


@pytest.mark.parametrize(
    ("over", "expected"),
    [
        (Over(3, "the target is reached", 0, ("bob", "me")), EndReason.TARGET_REACHED),
        (Over(3, "10 trials failed and none succeeded", 10, ME), EndReason.GIVEN_UP),
        (Over(3, "in the words of a later version", 0, ME), EndReason.CALLED_OFF),
    ],
)
def test_a_search_that_was_called_off_is_over_whatever_runs(over: Over, expected: EndReason):
    """Its words are those that were recorded; for workers that it does not name, of a later run, it goes on."""
    view = view_of(*trial(0, None), over)
    end = final_end(view, workers=ME, target=None)
    assert end is not None
    assert (end.reason, end.text, str(end), end.failures) == (expected, over.reason, over.reason, over.failures)
    assert end.is_final
    assert (end.given_up is not None) == (expected is EndReason.GIVEN_UP)
    assert final_end(view, workers=("ann", "newcomer"), target=None) is None
    assert final_end(view, workers=(), target=None) is None


def test_the_first_of_several_call_offs_says_why():
    """Workers that notice the same end record one each; everybody goes by the same, whatever the order of arrival."""
    calls = [Over(2, "10 trials failed and none succeeded", 10, ME), Over(3, "the target is reached", 0, ("bob", "me"))]
    for order in (calls, calls[::-1]):
        end = final_end(view_of(*order), workers=("me", "bob"), target=None)
        assert end is not None
        assert end.reason is EndReason.GIVEN_UP
        assert reason(view_of(*order)) is EndReason.GIVEN_UP


@pytest.mark.parametrize(
    ("end", "says", "short"),
    [
        (None, LEFT_EARLY, False),
        (time_up(), "time is up", True),
        (SearchEnd(EndReason.CALLED_OFF, "x"), SAW_THE_END, True),
        (SearchEnd(EndReason.NOTHING_LEFT, "x"), SAW_THE_END, False),
        (SearchEnd(EndReason.TARGET_REACHED, "x"), SAW_THE_END, False),
    ],
)
def test_what_a_worker_says_when_it_leaves(end: SearchEnd | None, says: str, short: bool):
    """A worker whose time is up has not seen the end, and its search falls short of a budget that is not met."""
    assert leaving_reason(end) == says
    assert falls_short(view_of(*trial(0), Goal(3, 2)), end) == short
    assert not falls_short(view_of(*trial(0), Goal(3, 1)), end)
    assert not falls_short(view_of(*trial(0)), end)


@pytest.mark.parametrize(("mode", "target", "reached"), [("min", 1.0, True), ("min", 0.9, False), ("max", 1.1, False)])
def test_a_target_is_in_the_metrics_own_units(mode: str, target: float, reached: bool):
    """It is reached by a value at least as good, whether that is small or large."""
    view = view_of(*trial(0), *trial(1, None), mode=mode)
    assert (reason(view, target=target) is EndReason.TARGET_REACHED) == reached
    due = end_to_record(view, me="me", present=lambda: ME, target=target, max_failures=0)
    assert (due is not None) == reached


def test_a_search_is_given_up_after_so_many_failures_of_this_run():
    """Not while one of the study's trials has succeeded, nor for what failed on workers that are away, nor where any
    number may."""
    failing = view_of(*trial(0, "failed", None), *trial(1, "failed", None))

    def due(view, present=("w" * 12, "me"), most=2):
        end = end_to_record(view, me="me", present=lambda: present, target=None, max_failures=most)
        return None if end is None else (end.reason, end.text, end.failures)

    assert due(failing) == (EndReason.GIVEN_UP, "2 trials failed and none succeeded", 2)
    assert due(failing, most=3) is None
    assert due(failing, most=0) is None
    assert due(failing, present=ME) is None
    assert due(view_of(*trial(0), *trial(1, "failed", None), *trial(2, "failed", None))) is None


def test_what_somebody_has_called_off_already_is_not_called_off_again():
    """One event for one end."""
    view = view_of(*trial(0, "failed", None), Over(3, "1 trials failed and none succeeded", 1, ME))
    assert end_to_record(view, me="me", present=lambda: ("w" * 12, "me"), target=None, max_failures=1) is None


def test_a_lost_trial_keeps_the_search_going_until_it_was_lost_too_often():
    """It is to be taken over, but not for ever."""
    events: list = [Proposed(1, 0.0, (0.5,), OWN), Lost(2, 1, 0)]
    assert not is_quiet(view_of(*events))
    for attempt in range(1, MOST_LOSSES + 1):
        events += [Claimed(2 * attempt + 1, 0.0, 1, attempt), Lost(2 * attempt + 2, 1, attempt)]
    assert is_quiet(view_of(*events))
