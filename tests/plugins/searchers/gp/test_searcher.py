"""Tests of Bayesian optimisation with a Gaussian process as a searcher."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest

from aiohpo.errors import UsageError
from aiohpo.plugin import Identity
from aiohpo.space.space import Categorical, Float, Int, Space
from aiohpo.testing import StaticView, check_searcher
from aiohpo_plugins.searchers.gp.model import PENDING, RESOURCES
from aiohpo_plugins.searchers.gp.searcher import GPSearcher
from aiohpo_plugins.searchers.quasirandom import QuasiRandomSearcher

PLANE = Space(x=Float(0, 1), y=Float(0, 1))
MIXED = Space(x=Float(0, 1), n=Int(1, 9), kind=Categorical(["a", "b", "c"]))


def bowl(X: np.ndarray) -> np.ndarray:
    return np.asarray(np.nansum((X - 0.7) ** 2, axis=1))


def learned(space: Space, view: StaticView, **options: Any) -> GPSearcher:
    searcher = GPSearcher(**options)
    searcher.setup(space, 0, Identity("w", 0, 1))
    searcher.adopt(searcher.fit(view.observations()))
    return searcher


def halving(space: Space, n: int, seed: int = 0, max_steps: int = 27) -> StaticView:
    """The state of a study with successive halving: losses decay to that of the bowl."""
    rng = np.random.default_rng(seed)
    X = space.sample(rng, n)
    reports, alive, r = [], np.arange(n), 1
    while r <= max_steps and len(alive):
        reports += [(int(i), r, float(bowl(X[i : i + 1])[0] + np.exp(-r / 5))) for i in alive]
        alive, r = alive[np.argsort(bowl(X[alive]))[: len(alive) // 3]], 3 * r
    return StaticView(space, partial=X, reports=reports, max_steps=max_steps)


def sequence(space: Space, steps: int, scale: float = 1.0, offset: float = 0.0, **options: Any) -> np.ndarray:
    """What one worker evaluates, one after the other."""
    X, y = np.empty((0, space.dim)), np.empty(0)
    searcher = GPSearcher(**options)
    searcher.setup(space, 0, Identity("w", 0, 1))
    for step in range(steps):
        view = StaticView(space, X, y * scale + offset)
        searcher.adopt(searcher.fit(view.observations()))
        row = space.encode(searcher.ask(view, np.random.default_rng(step), (0,)))
        X, y = np.concatenate([X, row]), np.append(y, np.sin(12 * row[:, 0]) + bowl(row))
    return X


@pytest.mark.parametrize("pending", PENDING)
def test_conforms_with_every_treatment_of_running_evaluations(pending: str) -> None:
    """Whatever running evaluations count as, every promise of a searcher is kept."""
    spaces = None if pending == "fantasies" else {"mixed": MIXED}
    check_searcher(lambda: GPSearcher(pending=pending, initial=4), spaces=spaces)


def test_starts_with_the_defaults_and_a_sobol_sequence() -> None:
    """Until enough has been observed, suggestions are the defaults and those of the quasi-random searcher."""
    X = PLANE.sample(np.random.default_rng(0), 3)
    view, rng = StaticView(PLANE, X, bowl(X)), np.random.default_rng(0)
    sobol = QuasiRandomSearcher()
    sobol.setup(PLANE, 0, Identity("w", 0, 1))
    expected = [PLANE.default(), *sobol.ask(view, rng, [0] * 3)]
    assert learned(PLANE, view).ask(view, rng, [0] * 4) == expected


def test_the_model_is_used_from_the_fifth_observation_on() -> None:
    """With four observations there is no model and with five there is; where trials have steps it takes more."""
    X = MIXED.sample(np.random.default_rng(0), 5)
    models = [GPSearcher(), GPSearcher(), GPSearcher()]
    views = [StaticView(MIXED, X[:4], bowl(X[:4])), StaticView(MIXED, X, bowl(X))]
    views.append(StaticView(MIXED, X, bowl(X), max_steps=9))
    for searcher in models:
        searcher.setup(MIXED, 0, Identity("w", 0, 1))
    fitted = [s.fit(view.observations()) is not None for s, view in zip(models, views, strict=True)]
    assert fitted == [False, True, False]


def test_finds_the_bottom_of_a_bowl() -> None:
    """After 15 evaluations one is within a hundredth of the optimum."""
    X = PLANE.sample(np.random.default_rng(1), 5)
    for step in range(10):
        view = StaticView(PLANE, X, bowl(X))
        X = np.concatenate([X, PLANE.encode(learned(PLANE, view).ask(view, np.random.default_rng(step), (0,)))])
    assert bowl(X).min() < 2 * 0.01**2


def test_finds_the_best_categories() -> None:
    """On 4^6 unordered combinations, the best one is found in far fewer steps than by chance."""
    space = Space({f"c{i}": Categorical(["a", "b", "c", "d"]) for i in range(6)})
    X = space.sample(np.random.default_rng(1), 10)
    wrong = lambda X: (np.floor(X * 4) != [2, 0, 3, 1, 1, 2]).sum(axis=1).astype(float)  # noqa: E731  # one line
    for step in range(40):
        view = StaticView(space, X, wrong(X))
        X = np.concatenate([X, space.encode(learned(space, view).ask(view, np.random.default_rng(step), (0,)))])
        if wrong(X).min() == 0:
            break
    assert wrong(X).min() == 0


@pytest.mark.parametrize(("scale", "offset"), [(1e-3, 0.0), (1e3, 17.3), (1e-3, -4.0)])
def test_scale_and_offset_of_the_metric_make_no_difference(scale: float, offset: float) -> None:
    """The whole sequence of suggestions is identical, to the last bit."""
    assert np.array_equal(sequence(MIXED, 25), sequence(MIXED, 25, scale, offset))


@pytest.mark.parametrize("resource", RESOURCES)
def test_learns_from_partial_trials(resource: str) -> None:
    """With no trial complete at all, suggestions gather around the best that was seen."""
    view = halving(PLANE, 30)
    rows = PLANE.encode(learned(PLANE, view, resource=resource).ask(view, np.random.default_rng(0), [0] * 3))
    assert bowl(rows).min() < 0.05


@pytest.mark.parametrize("resource", RESOURCES)
def test_running_evaluations_may_be_at_any_step(resource: str) -> None:
    """Pending rows count at the step that they run to, and what nobody knows counts at the goal."""
    done = halving(PLANE, 20)
    o = done.observations()
    running = PLANE.sample(np.random.default_rng(5), 4)
    reports = list(zip(o.curves.trial.tolist(), o.curves.step.tolist(), o.curves.loss.tolist(), strict=True))
    view = StaticView(
        PLANE, partial=o.curves.X, reports=reports, max_steps=27, pending=running, pending_to=[1, 3, 27, 0]
    )
    config = learned(PLANE, view, resource=resource).ask(view, np.random.default_rng(0), (0,))
    assert not view.seen(PLANE.encode(config)).any()


def test_keeps_away_from_what_others_took_since_its_fit() -> None:
    """What it would have suggested, and its neighbourhood, is avoided once somebody else evaluates it."""
    X = PLANE.sample(np.random.default_rng(0), 12)
    y = np.sin(7 * X[:, 0]) * np.cos(9 * X[:, 1])
    view = StaticView(PLANE, X, y)
    searcher = learned(PLANE, view)
    first = PLANE.encode(searcher.ask(view, np.random.default_rng(0), (0,)))
    second = PLANE.encode(searcher.ask(StaticView(PLANE, X, y, pending=first), np.random.default_rng(0), (0,)))
    assert np.abs(first - second).max() > 0.02


def test_batches_are_distinct_and_spread() -> None:
    """16 suggestions at once are 16 different ones that do not crowd together."""
    X = PLANE.sample(np.random.default_rng(0), 12)
    view = StaticView(PLANE, X, np.sin(7 * X[:, 0]) * np.cos(9 * X[:, 1]))
    rows = PLANE.encode(learned(PLANE, view).ask(view, np.random.default_rng(0), [0] * 16))
    gaps = np.sqrt(((rows[:, None] - rows[None]) ** 2).sum(axis=2)) + 9 * np.eye(16)
    assert np.median(gaps.min(axis=1)) > 0.01


def test_a_failing_region_is_avoided() -> None:
    """Failures count as the worst loss, so where everything fails little is tried."""
    X = PLANE.sample(np.random.default_rng(0), 25)
    for step in range(12):
        bad = X[:, 0] > 0.6
        view = StaticView(PLANE, X[~bad], bowl(X[~bad]), failed=X[bad])
        X = np.concatenate([X, PLANE.encode(learned(PLANE, view).ask(view, np.random.default_rng(step), (0,)))])
    assert (X[25:, 0] > 0.6).sum() <= 5


def test_is_not_trapped_where_ripples_look_like_noise() -> None:
    """On a loss with ripples finer than what can be resolved, evaluations do not all end at one place."""
    space = Space({f"x{i}": Float(0, 1) for i in range(3)})
    X = 0.02 + 0.04 * np.random.default_rng(0).random((15, 3))
    ripples = lambda X: 0.3 * np.cos(150 * X).sum(axis=1) + 2 * np.sqrt(((X - 0.7) ** 2).sum(axis=1))  # noqa: E731  # one line
    for step in range(15):
        view = StaticView(space, X, ripples(X))
        X = np.concatenate([X, space.encode(learned(space, view).ask(view, np.random.default_rng(step), (0,)))])
    assert np.abs(X[15:] - 0.04).max(axis=1).max() > 0.3
    assert ripples(X).min() < ripples(X[:15]).min() - 0.5


@pytest.mark.parametrize("y", [np.zeros(9), np.r_[np.zeros(8), 1e300], np.arange(9.0) * 1e-200])
def test_odd_losses_do_no_harm(y: np.ndarray) -> None:
    """Equal, absurdly large and absurdly small losses give a suggestion like any others."""
    X = MIXED.sample(np.random.default_rng(0), 9)
    view = StaticView(MIXED, X, y, failed=MIXED.sample(np.random.default_rng(1), 2))
    assert len(learned(MIXED, view).ask(view, np.random.default_rng(0), [0] * 3)) == 3


def test_cost_is_bounded() -> None:
    """Beyond the budget the exact Gaussian process has no more rows than the budget says."""
    X = PLANE.sample(np.random.default_rng(0), 300)
    view = StaticView(PLANE, X, bowl(X))
    searcher = learned(PLANE, view, budget=100)
    assert searcher._model is not None
    assert len(searcher._model.pool.posterior.level) == 100
    assert bowl(PLANE.encode(searcher.ask(view, np.random.default_rng(0), (0,))))[0] < 0.01


@pytest.mark.parametrize(
    ("option", "value"),
    [
        ("initial", 1),
        ("initial", 2.5),
        ("resource", "linear"),
        ("pending", "hope"),
        ("fantasies", 0),
        ("eta", 1.0),
        ("eta", float("nan")),
        ("enough", 0),
        ("budget", True),
    ],
)
def test_refuses_options_out_of_range(option: str, value: Any) -> None:
    """The error names the option and the value."""
    with pytest.raises(UsageError, match=option):
        GPSearcher(**{option: value})


def test_repr_says_what_it_is() -> None:
    """It is a status line."""
    assert repr(GPSearcher()).startswith("<GPSearcher ")
    assert "no model yet" in repr(GPSearcher())
