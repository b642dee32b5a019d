"""Tests of a trial's life."""

from __future__ import annotations

import itertools

import pytest
from hypothesis import given
from hypothesis import strategies as st

from aiohpo.events.lifecycle import (
    CLAIMABLE,
    ENDED_STATUS,
    FINAL,
    TRANSITIONS,
    Claim,
    Facts,
    IllegalTransition,
    Status,
    advance,
    settle,
)
from aiohpo.events.schema import ENDINGS, Ended

TRIAL = ("w", 1)


def test_every_status_and_ending_is_in_the_tables():
    """The tables are complete: each status has its transitions, each ending its status."""
    assert set(TRANSITIONS) == set(Status)
    assert set(ENDED_STATUS) == set(ENDINGS)
    assert all(not TRANSITIONS[status] for status in FINAL)
    assert all("claim" in TRANSITIONS[status] for status in CLAIMABLE)


@pytest.mark.parametrize("status", list(Status))
@pytest.mark.parametrize("action", ["claim", "report", "lose", *ENDINGS])
def test_illegal_transitions_raise_and_name_what_is_allowed(status, action):
    """Whatever the table does not list raises, naming the action, the status and the alternatives."""
    if action in TRANSITIONS[status]:
        assert advance(status, action) is TRANSITIONS[status][action]
        return
    with pytest.raises(IllegalTransition, match=f"cannot {action} a {status.name.lower()} trial") as caught:
        advance(status, action)
    assert all(allowed in str(caught.value) for allowed in TRANSITIONS[status])


def record(facts: Facts, action: str, worker: str, attempt: int, lamport: int) -> None:
    stamp = (lamport, worker)
    if action == "claim":
        facts.claim(attempt, Claim(stamp))
    elif action == "lose":
        facts.lost.add(attempt)
    elif action != "report":
        facts.end(Ended(lamport, TRIAL, attempt, action, 0), stamp)


@given(st.data())
def test_one_worker_at_a_time_settles_to_what_it_advanced_to(data):
    """A history without races has the same status by the table and by the set of facts."""
    facts, status, attempt = Facts(), Status.QUEUED, -1
    for lamport in range(1, data.draw(st.integers(1, 12))):
        if not TRANSITIONS[status]:
            break
        action = data.draw(st.sampled_from(sorted(TRANSITIONS[status])))
        if status is Status.LOST and action not in ("claim", *(e for e in ENDINGS if ENDED_STATUS[e] in FINAL)):
            continue  # a late report or pause of an attempt that was declared lost
        if action == "claim":
            attempt += 1
        record(facts, action, f"w{attempt}", attempt, lamport)
        status = advance(status, action)
        assert settle(facts) is status


facts_about = st.tuples(
    st.sampled_from(["claim", "claim", "lose", *ENDINGS]),
    st.sampled_from(["a", "b", "c"]),
    st.integers(0, 2),
)


@given(st.lists(facts_about, max_size=8), st.randoms(use_true_random=False))
def test_the_status_depends_on_the_set_of_facts_only(actions, rng):
    """Whatever order facts arrive in, and however often, status, owner and result are the same."""
    numbered = [(*action, lamport) for lamport, action in enumerate(actions, start=1)]
    reference = Facts()
    for fact in numbered:
        record(reference, *fact)
    shuffled = [*numbered, *numbered[::2]]
    rng.shuffle(shuffled)
    other = Facts()
    for fact in shuffled:
        record(other, *fact)
    assert settle(other) is settle(reference)
    assert (other.owner, other.attempt, other.result) == (reference.owner, reference.attempt, reference.result)


def test_the_smallest_stamp_wins_a_race():
    """Of several claims of one attempt, and of several results, the smallest (lamport, worker) holds."""
    for order in itertools.permutations([(5, "b"), (5, "a"), (6, "a")]):
        facts = Facts()
        for stamp in order:
            facts.claim(0, Claim(stamp))
            facts.end(Ended(stamp[0], TRIAL, 0, "finished", 0, value=float(stamp[0])), stamp)
        assert facts.owner == "a"
        assert facts.result is not None
        assert facts.result[0] == (5, "a")


def test_late_results_are_always_accepted():
    """A result for an attempt that was declared lost and claimed again makes the trial finished."""
    facts = Facts()
    facts.claim(0, Claim((1, "a")))
    facts.lost.add(0)
    assert settle(facts) is Status.LOST
    facts.claim(1, Claim((5, "b")))
    assert settle(facts) is Status.RUNNING
    facts.end(Ended(9, TRIAL, 0, "finished", 0, value=1.0), (9, "a"))
    assert settle(facts) is Status.FINISHED


def test_giving_up_a_lost_race_does_not_end_the_winners_segment():
    """What a loser of a claim race releases is not the winner's."""
    facts = Facts()
    facts.claim(1, Claim((5, "a")))
    facts.claim(1, Claim((6, "b")))
    facts.end(Ended(9, TRIAL, 1, "released", 0), (9, "b"))
    assert settle(facts) is Status.RUNNING
    facts.end(Ended(10, TRIAL, 1, "released", 0), (10, "a"))
    assert settle(facts) is Status.LOST


def test_a_result_beats_a_withdrawal():
    """A cancelled trial whose result exists nevertheless counts as finished."""
    facts = Facts()
    facts.claim(0, Claim((1, "a")))
    facts.end(Ended(2, TRIAL, 0, "cancelled", 0), (2, "a"))
    assert settle(facts) is Status.CANCELLED
    facts.end(Ended(3, TRIAL, 0, "finished", 0, value=1.0), (3, "a"))
    assert settle(facts) is Status.FINISHED


def test_what_the_loser_of_a_race_was_done_with_is_done():
    """A segment that the loser completed before it heard of the winner is paused, in either order of arrival."""
    claims = [Claim((3, "a"), 3), Claim((4, "b"), 3)]
    for first, second in itertools.permutations(claims):
        facts = Facts()
        facts.claim(0, Claim((1, "a")))
        facts.end(Ended(2, 1, 0, "paused", 1), (2, "a"))
        facts.claim(1, first)
        facts.claim(1, second)
        assert settle(facts) is Status.RUNNING
        facts.end(Ended(9, ("a", 1), 1, "paused", 3), (9, "b"))
        assert settle(facts) is Status.PAUSED
        facts.lost.add(1)
        assert settle(facts) is Status.PAUSED
        facts.claim(2, Claim((10, "c"), 9))
        assert settle(facts) is Status.RUNNING


def test_idle_pauses_are_those_in_a_row_that_came_no_further():
    """A pause at a new step ends the row, whichever worker made it; an attempt that was only released is no pause."""
    facts = Facts()
    steps = [("paused", 1), ("paused", 1), ("released", 1), ("paused", 0), ("paused", 2), ("paused", 2)]
    seen = []
    for attempt, (how, step) in enumerate(steps):
        facts.end(Ended(attempt, TRIAL, attempt, how, step), (attempt, f"w{attempt % 2}"))
        seen.append(facts.idle_pauses)
    assert seen == [0, 1, 1, 2, 0, 1]
