"""The arithmetic of rungs and brackets."""

from __future__ import annotations

import pytest

from aiohpo_plugins.schedulers.halving.brackets import (
    Plan,
    bracket_shares,
    fewest_steps,
    geometric_levels,
    halvings,
    hyperband_plans,
    lowest_rung,
    plan,
    rungs_below,
    shrunk,
)


@pytest.mark.parametrize(
    ("eta", "r_min", "r_max", "steps", "levels"),
    [
        (3, 1, None, 27, (1, 3, 9)),
        (3, 1, None, 28, (1, 3, 9, 27)),
        (4, 2, None, 100, (2, 8, 32)),
        (2.5, 1, None, 20, (1, 2, 6, 16)),
        (3, 1, 3, 27, (1, 3)),
        (3, 1, 99, 27, (1, 3, 9)),
        (3, 1, None, 2, (1,)),
    ],
)
def test_rungs_of_asha(eta, r_min, r_max, steps, levels):
    """r_min·eta^k, as long as that is below the end and not above r_max."""
    assert geometric_levels(eta, r_min, r_max, steps) == levels


@pytest.mark.parametrize(
    ("steps", "rungs"),
    [(2, (1,)), (9, (1, 3)), (27, (1, 3, 9)), (81, (3, 9, 27)), (100, (4, 12, 36)), (50, (2, 6, 18))],
)
def test_the_lowest_rung_leaves_three_below_the_end(steps, rungs):
    """Unless r_min says otherwise."""
    assert geometric_levels(3, lowest_rung(None, steps), None, steps) == rungs
    assert lowest_rung(5, steps) == 5


@pytest.mark.parametrize(("steps", "rungs"), [(9, (1, 3)), (27, (1, 3, 9)), (50, (2, 6, 17)), (100, (4, 11, 33))])
def test_the_longest_bracket_has_as_many_rungs_as_asha(steps, rungs):
    """A 27th of the steps is rounded only after the halvings were counted."""
    assert hyperband_plans(3, fewest_steps(None, steps), steps)[0].levels == (*rungs, steps)


def test_brackets_of_the_paper():
    """Algorithm 1 of the Hyperband paper with R = 81 and eta = 3 (its table of this example rounds n down)."""
    assert [(p.sizes, p.levels) for p in hyperband_plans(3, 1, 81)] == [
        ((81, 27, 9, 3, 1), (1, 3, 9, 27, 81)),
        ((34, 11, 3, 1), (3, 9, 27, 81)),
        ((15, 5, 1), (9, 27, 81)),
        ((8, 2), (27, 81)),
        ((5,), (81,)),
    ]


@pytest.mark.parametrize(("eta", "power"), [(3, 5), (4, 4), (10, 3), (2, 12)])
def test_exact_powers_are_not_lost_to_rounding(eta, power):
    """log_eta(eta^k) is k, and a bracket of eta^k trials ends with one."""
    assert halvings(eta, 1, eta**power) == power
    assert plan(eta, 1, eta**power, power).sizes == tuple(eta**i for i in reversed(range(power + 1)))


@pytest.mark.parametrize("steps", range(2, 200))
def test_levels_ascend_to_the_end(steps):
    """Whatever the number of steps: levels from r_min up, strictly, the last at the end; sizes never grow."""
    for eta in (2, 2.5, 3, 4):
        for bracket in hyperband_plans(eta, 1, steps):
            assert bracket.levels[-1] == steps
            assert bracket.levels[0] >= 1
            assert all(a < b for a, b in zip(bracket.levels, bracket.levels[1:], strict=False))
            assert all(a >= b >= 1 for a, b in zip(bracket.sizes, bracket.sizes[1:], strict=False))


def test_shares_of_brackets():
    """A new trial begins at rung s as often as one of Hyperband's does, whose brackets begin with so many."""
    assert bracket_shares(3, 3) == pytest.approx([27 / 49, 12 / 49, 6 / 49, 4 / 49])
    assert [plan.sizes[0] for plan in hyperband_plans(3, 1, 27)] == [27, 12, 6, 4]


def test_a_bracket_with_fewer_trials():
    """What is left when the budget is used up: in proportion, and at least one each."""
    assert shrunk(Plan((27, 9, 3, 1), (1, 3, 9, 27)), 10) == (10, 3, 1, 1)
    assert shrunk(Plan((27, 9, 3, 1), (1, 3, 9, 27)), 27) == (27, 9, 3, 1)
    assert shrunk(Plan((27, 9, 3, 1), (1, 3, 9, 27)), 1) == (1, 1, 1, 1)


@pytest.mark.parametrize(
    ("r_min", "steps", "levels", "below"),
    [(None, 27, (1, 3, 9), ()), (None, 50, (2, 6, 17), (1,)), (None, 1000, (37, 111), (4, 12)), (5, 1000, (5, 15), ())],
)
def test_rungs_below_the_usual_one(r_min, steps, levels, below):
    """At most two, down to step 1; none if it is said which rung is the lowest."""
    assert rungs_below(3, r_min, steps, levels) == below
