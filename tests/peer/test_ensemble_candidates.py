"""Tests of whose predictions an ensemble is chosen from."""

from __future__ import annotations

import itertools

from aiohpo import Float, Space
from aiohpo.events.schema import Ended, Event, Predicted, Proposed, Reported
from aiohpo.peer.ensemble_candidates import nominate
from aiohpo.plugin.objective import Objective
from aiohpo.view.view import View

A = "a" * 64
SPACE = Space(x=Float(0.0, 1.0))


def study(trials: list[tuple[float, float | None, str]], mode: str = "min") -> list[Event]:
    """Trials with predictions: (x, value, how they ended)."""
    events: list[Event] = []
    for x, value, how in trials:
        t = len(events) + 1
        events += [Proposed(t, 0.0, (x,)), Predicted(t + 1, t, 0, {"valid": A})]
        events.append(Ended(t + 2, t, 0, how, 3, value))
    return events


def chosen(events: list[Event], most: int = 50, mode: str = "min") -> list[float]:
    view = View(SPACE, Objective("loss", mode))  # type: ignore[arg-type]
    for seq, event in enumerate(events, 1):
        view.apply("ann", seq, event)
    return [record.config["x"] for record in nominate(view, most=most)]


def test_all_are_nominated_while_there_is_room():
    """In canonical order; failed ones never, nor those without predictions or a value."""
    events = study([(0.1, 0.5, "finished"), (0.2, None, "failed"), (0.3, 0.4, "stopped"), (0.4, None, "finished")])
    events += [Proposed(50, 0.0, (0.9,)), Ended(51, len(events) + 1, 0, "finished", 3, 0.0)]
    assert chosen(events) == [0.1, 0.3]


def test_the_better_half_of_the_places_goes_to_the_best():
    """The other half goes to configurations far from those, among the next best."""
    near = [(0.50 + i / 1000, float(i), "finished") for i in range(8)]
    far = [(0.0, 9.0, "finished"), (1.0, 10.0, "finished")]
    assert chosen(study([*near, *far]), most=4) == [0.5, 0.501, 0.0, 1.0]


def test_a_maximised_metric_is_read_right():
    """More is better where the mode says so."""
    trials = [(i / 10, float(i), "finished") for i in range(10)]
    assert {0.9, 0.8} <= set(chosen(study(trials), most=4, mode="max"))
    assert {0.0, 0.1} <= set(chosen(study(trials), most=4, mode="min"))


def test_partial_trials_count_with_what_they_reported_last():
    """A paused trial's model is a model, too."""
    events = study([(0.1, 0.5, "finished")])
    events += [
        Proposed(60, 0.0, (0.7,), to_step=3),
        Reported(61, 4, 0, 1, 0.9),
        Reported(62, 4, 0, 3, 0.2),
        Predicted(63, 4, 0, {"valid": A}),
        Ended(64, 4, 0, "paused", 3),
    ]
    assert chosen(events) == [0.1, 0.7]
    assert chosen(events, most=1) == [0.7]


def test_who_is_nominated_does_not_depend_on_the_order_of_arrival():
    """Two workers' logs, heard in either order, nominate the same trials."""
    logs = {"ann": study([(0.1, 0.5, "finished"), (0.2, 0.5, "finished")]), "bob": study([(0.3, 0.5, "finished")])}
    answers = []
    for order in itertools.permutations(logs):
        view = View(SPACE, Objective("loss", "min"))
        for origin in order:
            for seq, event in enumerate(logs[origin], 1):
                view.apply(origin, seq, event)
        answers.append([record.id for record in nominate(view, most=2)])
    assert answers[0] == answers[1]
