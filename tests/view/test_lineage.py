"""Tests of family trees of trials."""

from __future__ import annotations

from typing import Any

from aiohpo.view.lineage import Lineage
from aiohpo.view.trials import TrialRecord


def record(number: int, parent: tuple[int, int] | None = None, step: int = 10, **config: Any) -> TrialRecord:
    curve = {s: 100.0 * number + s for s in range(1 + (parent[1] if parent else 0), step + 1)}
    return TrialRecord(
        id=f"w-{number}",
        number=number,
        status="paused",
        config=config,
        value=curve.get(step),
        metrics={},
        step=step,
        worker="w",
        started=0.0,
        seconds=1.0,
        attempt=0,
        error=None,
        detail=None,
        checkpoint=None,
        predictions={},
        curve=curve,
        parent=None if parent is None else (f"w-{parent[0]}", parent[1]),
    )


FAMILY = [
    record(0, lr=1.0),
    record(1, lr=2.0),
    record(2, (0, 4), lr=0.8, extra="a"),
    record(3, (2, 6), step=9, lr=0.8),
    record(4, (0, 10), step=20, lr=1.2),
]


def test_trees_have_roots_and_children() -> None:
    """Who inherited nothing is a root; children stand below whose checkpoint they began with."""
    found = Lineage(FAMILY)
    assert [r.number for r in found.roots] == [0, 1]
    assert [r.number for r in found.children(FAMILY[0])] == [2, 4]
    assert [r.number for r in found.ancestry(FAMILY[3])] == [0, 2, 3]
    assert found.inherited
    assert not Lineage(FAMILY[:2]).inherited


def test_schedule_ends_each_stretch_where_the_heir_began() -> None:
    """What the donor trained after that does not belong to it."""
    schedule = Lineage(FAMILY).schedule(FAMILY[3])
    assert [(s.first, s.last, s.config["lr"]) for s in schedule] == [(1, 4, 1.0), (5, 6, 0.8), (7, 9, 0.8)]
    assert schedule[0].as_dict() == {"from": 1, "to": 4, "config": {"lr": 1.0}}


def test_curve_is_that_of_the_weights() -> None:
    """Each step's value is the one of the trial whose steps led there."""
    curve = Lineage(FAMILY).values_by_step(FAMILY[3])
    assert curve == [(1, 1), (2, 2), (3, 3), (4, 4), (5, 205), (6, 206), (7, 307), (8, 308), (9, 309)]


def test_changes_are_those_from_the_parent() -> None:
    """Values before and after; None where a parameter was or became inactive; none for a root."""
    found = Lineage(FAMILY)
    assert found.changes(FAMILY[0]) == {}
    assert found.changes(FAMILY[2]) == {"lr": (1.0, 0.8), "extra": (None, "a")}
    assert found.changes(FAMILY[3]) == {"extra": ("a", None)}


def test_true_and_one_are_a_change() -> None:
    """Choices that compare equal are different values."""
    pair = [record(0, flag=1), record(1, (0, 5), flag=True)]
    assert Lineage(pair).changes(pair[1]) == {"flag": (1, True)}


def test_impossible_parents_count_for_nothing() -> None:
    """Itself, a later trial or an unknown one cannot be a parent, so every line ends."""
    odd = [record(0, (1, 5)), record(1, (1, 5)), record(2, (9, 5)), record(3, (0, 5))]
    found = Lineage(odd)
    assert [r.number for r in found.roots] == [0, 1, 2]
    assert [len(found.ancestry(r)) for r in odd] == [1, 1, 1, 2]
    assert found.first_step(odd[1]) == 0


def test_json_form() -> None:
    """The best one's schedule, and every trial with its parent, its steps and what changed."""
    shown = Lineage(FAMILY).as_dict(FAMILY[4])
    assert shown["best"] == "w-4"
    assert [s["to"] for s in shown["schedule"]] == [10, 20]
    assert shown["trials"][4] == {
        "id": "w-4",
        "number": 4,
        "parent": "w-0",
        "from": 11,
        "to": 20,
        "status": "paused",
        "value": 420.0,
        "config": {"lr": 1.2},
        "changed": {"lr": [1.0, 1.2]},
    }
    assert Lineage([]).as_dict(None) == {"best": None, "schedule": [], "trials": []}


def test_repr_is_a_status_line() -> None:
    """How many trials in how many families."""
    assert repr(Lineage(FAMILY)) == "<Lineage of 5 trials in 2 families>"
