"""How far trials got, as the events tell."""

from __future__ import annotations

import itertools

from msgspec.structs import replace

from aiohpo import Float, Space
from aiohpo.events.schema import EXTERNAL, OWN, QUEUED, Claimed, Ended, Proposed, Reported, Seen
from aiohpo.plugin.objective import Objective
from aiohpo.view.promotions import Promotions
from aiohpo.view.view import View

A1, A2 = ("a", 1), ("a", 2)
COMPLETE = Ended(10, 1, 2, "finished", 9, 0.5, 6.0)
# a starts two trials to step 1; b goes on with the first to step 3, and a with it to its end.
STORY = [
    Seen("a", 1, Proposed(1, 0.0, (0.5,), OWN, 1)),
    Seen("a", 2, Proposed(2, 0.0, (0.6,), OWN, 1)),
    Seen("a", 3, Reported(3, 1, 0, 1, 0.9)),
    Seen("a", 4, Ended(4, 1, 0, "paused", 1, None, 1.0)),
    Seen("a", 5, Reported(5, 2, 0, 1, 0.8)),
    Seen("a", 6, Ended(6, 2, 0, "paused", 1, None, 1.0)),
    Seen("b", 1, Claimed(7, 0.0, A1, 1, 3)),
    Seen("b", 2, Ended(8, A1, 1, "paused", 3, None, 2.0)),
    Seen("a", 7, Claimed(9, 0.0, 1, 2, None)),
    Seen("a", 8, COMPLETE),
]


def told(events: list[Seen], max_steps: int | None = 9) -> Promotions:
    """What is told of a view of these events that was asked after each of them."""
    view = View(Space(x=Float(0.0, 1.0)), Objective("loss", "min"), max_steps)
    rungs = Promotions(view)
    for seen in events:
        view.apply(*seen)
        account(rungs)
    fresh = Promotions(view)
    assert (account(fresh), fresh.steps) == (account(rungs), rungs.steps)
    return rungs


def account(rungs: Promotions) -> tuple[object, ...]:
    return rungs.reached(), rungs.promoted, rungs.moved_segments


def test_rungs_promotions_and_moves_are_counted() -> None:
    """Where trials got, how often one went beyond its rung, and how often on another worker."""
    rungs = told(STORY)
    assert rungs.steps == [1, 3, 9]
    assert rungs.reached() == {1: 2, 3: 1, 9: 1}
    assert (rungs.promoted, rungs.moved_segments) == (2, (2, 2))
    assert [rungs.first_rung(row) for row in range(2)] == [1, 1]


def test_the_order_of_arrival_does_not_matter() -> None:
    """The logs of two workers, interleaved in every way, tell the same."""
    mine = [seen for seen in STORY if seen.origin == "a"]
    other = [seen for seen in STORY if seen.origin == "b"]
    for places in itertools.combinations(range(len(STORY)), len(other)):
        events, rest = list(mine), iter(other)
        for place in places:
            events.insert(place, next(rest))
        assert account(told(events)) == account(told(STORY))


def test_a_lost_race_is_no_second_promotion() -> None:
    """Two workers that claim one segment promote once; the smaller stamp runs it."""
    events = [*STORY[:7], Seen("a", 9, Claimed(6, 0.0, 1, 1, 3))]
    rungs = told(events)
    assert (rungs.promoted, rungs.moved_segments) == (1, (1, 0))


def test_going_on_after_a_loss_is_neither_promotion_nor_resuming() -> None:
    """Who takes over from a dead worker goes to the same rung."""
    events = [STORY[0], STORY[2], Seen("b", 1, Claimed(7, 0.0, A1, 1, 1)), Seen("b", 2, Ended(8, A1, 1, "paused", 1))]
    rungs = told(events)
    assert rungs.reached() == {1: 1, 9: 0}
    assert (rungs.promoted, rungs.moved_segments) == (0, (0, 0))


def test_withdrawn_queued_and_added_trials_count_nowhere() -> None:
    """Only what was run counts; a queued trial counts once somebody takes it."""
    events = [
        *STORY,
        Seen("c", 1, Proposed(1, 0.0, (0.1,), OWN, 1)),
        Seen("c", 2, Ended(2, 1, 0, "cancelled", 1)),
        Seen("c", 3, Proposed(3, 0.0, (0.2,), QUEUED)),
        Seen("c", 4, Proposed(4, 0.0, (0.3,), EXTERNAL)),
    ]
    assert told(events).reached() == told(STORY).reached()


def test_without_pauses_there_are_no_rungs() -> None:
    """Trials that run to their end, or are told to go as far as that, leave nothing to say."""
    rungs = told([Seen("a", 1, Proposed(1, 0.0, (0.5,), OWN, None)), Seen("a", 2, Proposed(2, 0.0, (0.6,), OWN, 9))])
    assert (rungs.steps, rungs.reached(), rungs.promoted) == ([], {}, 0)


def test_a_study_without_steps_has_no_top() -> None:
    """Then the rungs are those that were named, and complete trials have reached all of them."""
    assert told(STORY, None).reached() == {1: 2, 3: 1}


def test_what_was_complete_with_fewer_steps_paused_there() -> None:
    """Where max_steps was raised, its trials are at a rung; going on with one is a promotion."""
    story = [*STORY[:-2], Seen("a", 7, Claimed(9, 0.0, 1, 2, 9)), Seen("a", 8, replace(COMPLETE, max_steps=9))]
    rungs = told(story, max_steps=27)
    assert rungs.reached() == {1: 2, 3: 1, 9: 1, 27: 0}
    assert rungs.was_paused(0)
    on = [Seen("b", 3, Claimed(20, 0.0, A1, 3, None)), Seen("b", 4, Ended(21, A1, 3, "finished", 27, 0.4))]
    rungs = told([*story, *on], max_steps=27)
    assert rungs.reached() == {1: 2, 3: 1, 9: 1, 27: 1}
    assert (rungs.promoted, rungs.moved_segments) == (3, (3, 3))
