"""Tests of asynchronous decentralised Bayesian optimisation as a searcher."""

from __future__ import annotations

from itertools import cycle
from typing import Any

import numpy as np
import pytest

from aiohpo.errors import UsageError
from aiohpo.plugin import Identity
from aiohpo.space.space import Categorical, Float, Int, Space
from aiohpo.testing import StaticView, check_searcher
from aiohpo_plugins.searchers.adbo.acquisition import ACQUISITIONS
from aiohpo_plugins.searchers.adbo.model import PENDING
from aiohpo_plugins.searchers.adbo.searcher import ADBOSearcher
from aiohpo_plugins.searchers.quasirandom import QuasiRandomSearcher

PLANE = Space(x=Float(0, 1), y=Float(0, 1))


def bowl(X: np.ndarray) -> np.ndarray:
    return np.asarray(np.nansum((X - 0.7) ** 2, axis=1))


def learned(space: Space, view: StaticView, identity: Identity | None = None, **options: Any) -> ADBOSearcher:
    searcher = ADBOSearcher(**options)
    searcher.setup(space, 0, identity or Identity("w", 0, 1))
    searcher.adopt(searcher.fit(view.observations()))
    return searcher


def observed(space: Space, n: int, **more: Any) -> StaticView:
    X = space.sample(np.random.default_rng(0), n)
    return StaticView(space, X, bowl(X), **more)


def test_conforms_before_it_has_a_model() -> None:
    """While observations are few, ADBO keeps every promise of a searcher."""
    check_searcher(lambda: ADBOSearcher(initial=1000))


@pytest.mark.parametrize(("acquisition", "pending"), list(zip(ACQUISITIONS, cycle(PENDING), strict=False)))
def test_conforms_with_a_model(acquisition: str, pending: str) -> None:
    """Whatever the acquisition, and whatever running evaluations count as, ADBO keeps every promise of a searcher."""
    check_searcher(lambda: ADBOSearcher(initial=5, acquisition=acquisition, pending=pending))


def test_starts_with_the_defaults_and_a_sobol_sequence() -> None:
    """Until enough has been observed, suggestions are the defaults and those of the quasi-random searcher."""
    view, rng = observed(PLANE, 3), np.random.default_rng(0)
    sobol = QuasiRandomSearcher()
    sobol.setup(PLANE, 0, Identity("w", 0, 1))
    expected = [PLANE.default(), *sobol.ask(view, rng, [0] * 3)]
    assert learned(PLANE, view).ask(view, rng, [0] * 4) == expected


def test_finds_the_bottom_of_a_bowl() -> None:
    """After 30 random observations, 20 steps come within a hundredth of the optimum."""
    X = PLANE.sample(np.random.default_rng(1), 30)
    for step in range(20):
        view = StaticView(PLANE, X, bowl(X))
        config = learned(PLANE, view).ask(view, np.random.default_rng(step), (0,))
        X = np.concatenate([X, PLANE.encode(config)])
    assert bowl(X).min() < 2 * 0.01**2


def test_finds_the_best_categories() -> None:
    """On 4^6 unordered combinations, the best one is found in far fewer steps than by chance."""
    space = Space({f"c{i}": Categorical(["a", "b", "c", "d"]) for i in range(6)})
    X = space.sample(np.random.default_rng(1), 20)
    wrong = lambda X: (np.floor(X * 4) != [2, 0, 3, 1, 1, 2]).sum(axis=1).astype(float)  # noqa: E731  # one line
    for step in range(60):
        view = StaticView(space, X, wrong(X))
        X = np.concatenate([X, space.encode(learned(space, view).ask(view, np.random.default_rng(step), (0,)))])
        if wrong(X).min() == 0:
            break
    assert wrong(X).min() == 0


def test_batches_are_distinct_and_spread() -> None:
    """32 suggestions at once are 32 different ones that do not crowd together."""
    view = observed(PLANE, 60)
    rows = PLANE.encode(learned(PLANE, view).ask(view, np.random.default_rng(0), [0] * 32))
    assert len(np.unique(rows.round(3), axis=0)) == 32
    gaps = np.sqrt(((rows[:, None] - rows[None]) ** 2).sum(axis=2)) + 9 * np.eye(32)
    assert np.median(gaps.min(axis=1)) > 0.005


def test_a_worker_keeps_away_from_what_others_took_since_its_fit() -> None:
    """What it would have suggested, and its neighbourhood, is avoided once somebody else evaluates it."""
    view = observed(PLANE, 60)
    searcher = learned(PLANE, view, kappa=4.0)
    first = PLANE.encode(searcher.ask(view, np.random.default_rng(0), (0,)))
    later = observed(PLANE, 60, pending=first)
    second = PLANE.encode(searcher.ask(later, np.random.default_rng(0), (0,)))
    assert np.abs(first - second).max() > 0.02


def test_workers_explore_to_different_degrees() -> None:
    """With the same observations, the most exploring of 16 workers goes further from the data than the least."""
    view = observed(PLANE, 60)
    known = view.observations().X
    distances = []
    for rank in (0, 15):
        searcher = learned(PLANE, view, Identity(f"w{rank}", rank, 16), spread=1.0)
        row = PLANE.encode(searcher.ask(view, np.random.default_rng(0), (0,)))
        distances.append(np.sqrt(((row - known) ** 2).sum(axis=1)).min())
    assert distances[1] > 2 * distances[0]


def test_a_failing_region_is_avoided() -> None:
    """Failures count as the worst loss, so the neighbourhood of the failures is left alone."""
    X = PLANE.sample(np.random.default_rng(0), 80)
    bad = X[:, 0] > 0.6
    view = StaticView(PLANE, X[~bad], bowl(X[~bad]), failed=X[bad])
    searcher = learned(PLANE, view, kappa=0.1)
    rows = PLANE.encode(searcher.ask(view, np.random.default_rng(0), [0] * 10))
    assert (rows[:, 0] < 0.65).all()


def test_learns_from_partial_trials() -> None:
    """With no complete trial yet, those paused at the highest rung with enough of them are learned from, and the
    losses at lower rungs, which say the opposite here, are not."""
    X = PLANE.sample(np.random.default_rng(0), 90)
    reports = [(i, 1, float(-loss)) for i, loss in enumerate(bowl(X))]
    reports += [(i, 3, float(loss)) for i, loss in enumerate(bowl(X)[:45])]
    view = StaticView(PLANE, partial=X, reports=reports, max_steps=9)
    rows = PLANE.encode(learned(PLANE, view, kappa=0.1).ask(view, np.random.default_rng(0), [0] * 5))
    assert bowl(rows).max() < 0.1


def test_partial_trials_count_towards_the_initial_ones() -> None:
    """The model is used from ``initial`` trials on, complete or not."""
    X = PLANE.sample(np.random.default_rng(0), 20)
    for n, there in ((19, False), (20, True)):
        reports = [(i, 1, float(loss)) for i, loss in enumerate(bowl(X[:n]))]
        view = StaticView(PLANE, partial=X[:n], reports=reports, max_steps=9)
        searcher = ADBOSearcher()
        searcher.setup(PLANE, 0, Identity("w", 0, 1))
        assert (searcher.fit(view.observations()) is not None) == there


def test_reports_change_nothing_in_a_study_without_steps() -> None:
    """Where trials have no steps, what was reported on the way has no influence."""
    X = PLANE.sample(np.random.default_rng(0), 40)
    answers = []
    for reports in ([], [(i, 1, 1.0) for i in range(40)]):
        view = StaticView(PLANE, X, bowl(X), reports=reports)
        answers.append(learned(PLANE, view).ask(view, np.random.default_rng(0), [0] * 3))
    assert answers[0] == answers[1]


def test_a_small_space_is_its_own_pool() -> None:
    """In a small finite space the best remaining configuration is always among the candidates."""
    space = Space(a=Int(1, 20), b=Int(1, 20))
    view = observed(space, 100)
    model = ADBOSearcher()
    model.setup(space, 0, Identity("w", 0, 1))
    state = model.fit(view.observations())
    assert state is not None
    assert len(state.pool) == 400 - len(np.unique(view.observations().X, axis=0))


@pytest.mark.parametrize(
    ("options", "message"),
    [
        ({"acquisition": "pi"}, "adbo: acquisition must be one of qucb, ucb, bucb, ei, not 'pi'"),
        ({"failures": "best"}, "adbo: failures must be one of .*worst.*, not 'best'"),
        ({"pending": "wait"}, "adbo: pending must be one of none, .*, not 'wait'"),
        ({"kappa": -1}, "adbo: kappa must be a number of at least 0, not -1"),
        ({"trees": 2.5}, "adbo: trees must be a whole number of at least 2, not 2.5"),
        ({"initial": "ten"}, "adbo: initial must be a whole number of at least 2, not 'ten'"),
        ({"max_features": 0.5}, "adbo: max_features must be a whole number of at least 1, not 0.5"),
    ],
)
def test_wrong_options_are_refused(options: dict[str, Any], message: str) -> None:
    """The error names the option, the value and what is allowed."""
    with pytest.raises(UsageError, match=message):
        ADBOSearcher(**options)


def test_repr_is_a_status_line() -> None:
    """The repr tells the acquisition, kappa and how large the pool is."""
    searcher = ADBOSearcher()
    assert repr(searcher) == "<ADBOSearcher qucb, kappa 1.96, no model yet>"
    view = observed(Space(a=Int(1, 20), b=Int(1, 20)), 100)
    assert repr(learned(view.space, view)).endswith(" candidates>")


def test_slots_explore_to_different_degrees() -> None:
    """A worker of four slots has the four degrees of curiosity that four workers of the same launch would have."""
    many = ADBOSearcher(spread=1.0)
    many.setup(PLANE, 0, Identity("w", 4, 16, slots=4))
    single = []
    for rank in range(4, 8):
        alone = ADBOSearcher(spread=1.0)
        alone.setup(PLANE, 0, Identity(f"w{rank}", rank, 16))
        single += alone._kappas
    assert many._kappas == single
    assert len(set(single)) == 4


def test_every_free_slot_gets_a_configuration_of_its_own() -> None:
    """Whichever slots of a worker are free, each is answered, in their order, and none is answered twice."""
    rng = np.random.default_rng(0)
    X = PLANE.snap(rng.random((40, 2)))
    view = StaticView(PLANE, X, bowl(X))
    found = {}
    for slots in ((0, 2, 3), (3, 0, 2)):
        searcher = ADBOSearcher(initial=10, spread=1.0)
        searcher.setup(PLANE, 0, Identity("w", 0, 4, slots=4))
        searcher.adopt(searcher.fit(view.observations()))
        found[slots] = PLANE.encode(searcher.ask(view, np.random.default_rng(1), slots))
        assert len({bytes(row) for row in found[slots]}) == 3
    assert not np.array_equal(found[0, 2, 3][0], found[3, 0, 2][0])


def test_one_fit_answers_many_slots_without_crowding() -> None:
    """No suggestion is less than half as far from an earlier one of the same ask as from what was known."""
    space = Space(**{f"x{i}": Float(0, 1) for i in range(5)})
    view = observed(space, 200)
    searcher = learned(space, view, Identity("w", 0, 32, slots=32))
    units = space.encode(searcher.ask(view, np.random.default_rng(0), list(range(32))))
    between = np.sqrt(((units[:, None] - units[None]) ** 2).mean(axis=2))
    known = np.sqrt(((units[:, None] - view.observations().X[None]) ** 2).mean(axis=2)).min(axis=1)
    for i in range(1, len(units)):
        assert between[i, :i].min() > 0.49 * known[i]
