"""Tests of how a population is read from trials: slots, generations, rounds."""

from __future__ import annotations

import math
from typing import Any, cast

import pytest

from aiohpo.plugin import Inherit, StudyView, TrialState
from aiohpo_plugins.schedulers.pbt.population import NEVER, Population, bracket, place


def trial(name: str, slot: int, generation: int = 0, order: int = 0, **given: Any) -> TrialState:
    curve = given.pop("curve", {})
    fields: dict[str, Any] = {
        "id": name,
        "status": "paused",
        "order": (order, name),
        "bracket": bracket(slot, generation),
        "to_step": None,
        "attempt": 0,
        "step": max(curve, default=0),
        "curve": curve,
        "loss": None,
        "parent": None,
        "checkpoints": (),
    }
    return TrialState(**{**fields, **given})


class Trials:
    """As much of a view as a population reads."""

    def __init__(self, *trials: TrialState) -> None:
        self.trials: dict[str, TrialState] = {}
        self.log: list[str] = []
        self.put(*trials)

    def put(self, *trials: TrialState) -> None:
        for one in trials:
            self.trials[one.id] = one
            self.log.append(one.id)

    def trial(self, name: str) -> TrialState:
        return self.trials[name]

    def changed(self, since: int) -> tuple[list[str], int]:
        return list(dict.fromkeys(self.log[since:])), len(self.log)


def read(trials: Trials, population: Population | None = None) -> Population:
    population = population or Population(3, 10, 40)
    population.read(cast(StudyView, trials))
    return population


def test_bracket_says_slot_and_generation() -> None:
    """What goes in comes out; brackets of other schedulers are nothing of ours."""
    assert place(bracket(7, 12)) == (7, 12)
    assert place(0)[0] == place(4)[0] == -1


def test_latest_generation_holds_the_slot_and_the_first_of_several() -> None:
    """A successor supersedes; of two that were begun at once the earlier one stays."""
    found = read(Trials(trial("a", 0), trial("b", 0, 1, order=5), trial("c", 0, 1, order=4), trial("d", 2)))
    assert [holder and holder.id for holder in found.holders] == ["c", None, "d"]
    assert [found.superseded(name) for name in "abcd"] == [True, True, False, False]


def test_withdrawn_proposal_gives_the_slot_back() -> None:
    """A cancelled successor leaves the slot to whom it was to follow, and the round as if it had never been."""
    trials = Trials(trial("a", 0), trial("b", 0, 1, order=1, curve={10: 1.0}))
    found = read(trials)
    assert found.rounds == {1: {"b": 1.0}}
    trials.put(trial("b", 0, 1, order=1, status="cancelled", curve={10: 1.0}))
    assert [holder and holder.id for holder in read(trials, found).holders] == ["a", None, None]
    assert found.rounds == {1: {}}


def test_queued_trial_that_two_began_moves_to_the_first_ones_slot() -> None:
    """The earlier claim's bracket arrives later and holds."""
    trials = Trials(trial("a", 2))
    found = read(trials)
    trials.put(trial("a", 1))
    assert [holder and holder.id for holder in read(trials, found).holders] == [None, "a", None]


@pytest.mark.parametrize("status", ["queued", "running"])
def test_trials_of_other_schedulers_are_left_alone(status: str) -> None:
    """A trial with another bracket holds nothing and is superseded by nobody."""
    found = read(Trials(trial("a", 0, bracket=0, status=status), trial("b", 0, bracket=3)))
    assert found.holders == [None] * 3
    assert not found.superseded("a")
    assert "b" not in found


def test_round_has_the_first_report_at_or_after_an_age() -> None:
    """Steps may be overshot, even by whole intervals; the last age is before the end."""
    found = read(Trials(trial("a", 0, curve={5: 9.0, 12: 3.0, 33: 2.0, 38: 1.0})))
    assert found.last == 3
    assert found.rounds == {1: {"a": 3.0}, 2: {"a": 2.0}, 3: {"a": 2.0}}


def test_round_has_no_inherited_losses() -> None:
    """Who began at age 2 is first judged at age 3."""
    heir = trial("b", 1, 1, curve={25: 4.0, 30: 3.0}, parent=Inherit("a", 20))
    found = read(Trials(trial("a", 0, curve={10: 2.0, 20: 1.0}), heir))
    assert found.rounds == {1: {"a": 2.0}, 2: {"a": 1.0}, 3: {"b": 3.0}}
    assert found.age(heir) == 3


def test_failure_counts_at_the_age_it_was_heading_for() -> None:
    """It is worst there, and not any more if a late result shows that it had not failed."""
    trials = Trials(trial("a", 0, curve={10: 2.0, 13: 9.0}, status="failed"))
    found = read(trials)
    assert found.rounds == {1: {"a": 2.0}, 2: {"a": math.inf}}
    trials.put(trial("a", 0, curve={10: 2.0, 13: 9.0}, status="running"))
    assert read(trials, found).rounds == {1: {"a": 2.0}, 2: {}}


def test_complete_trial_counts_with_its_result_where_it_reported_nothing() -> None:
    """An objective that ends early is judged by what it ended with."""
    found = read(Trials(trial("a", 0, curve={10: 2.0}, status="finished", loss=1.5)))
    assert found.rounds == {1: {"a": 2.0}, 2: {"a": 1.5}, 3: {"a": 1.5}}


def test_history_goes_back_through_the_ancestors() -> None:
    """What the weights went through before, up to the step at which they were copied."""
    old = trial("a", 0, curve={5: 5.0, 10: 4.0, 20: 3.0})
    heir = trial("b", 1, 1, curve={15: 2.0, 20: 1.0, 25: 0.5}, parent=Inherit("a", 10))
    found = read(Trials(heir, old))
    assert found.history("b", 2) == [5.0, 4.0, 2.0, 1.0]
    assert found.history("a", 1) == [5.0, 4.0]
    assert found.history("unknown", 1) == []


def test_failures_in_a_row_are_those_that_got_nowhere() -> None:
    """One that came to the next age ends the row; a slot with too many is given up."""
    dead = [trial(f"f{g}", 0, g, status="failed") for g in range(1, 4)]
    found = read(Trials(trial("a", 0, 0, status="failed", curve={10: 1.0}), *dead))
    assert found.failures(0) == 3
    assert found.lives(0)
    trials = Trials(*dead, trial("f4", 0, 4, status="failed"))
    assert not read(trials).lives(0)


def test_floor_is_the_age_of_the_youngest_that_goes_on() -> None:
    """Empty slots and complete members inherit nothing."""
    paused, complete = trial("a", 0, curve={20: 1.0}), trial("b", 1, status="finished", curve={40: 1.0})
    assert read(Trials(paused, complete)).floor() == 2
    assert read(Trials(complete)).floor() == NEVER


def test_repr_is_a_status_line() -> None:
    """How many slots are filled, by how many trials."""
    assert repr(read(Trials(trial("a", 0), trial("b", 0, 1)))) == "<Population 1 of 3 slots filled, 2 trials>"
