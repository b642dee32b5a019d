"""Tests of maximising the acquisition."""

from __future__ import annotations

import numpy as np

from aiohpo.space.space import Categorical, Float, Int, Space
from aiohpo_plugins.searchers.common.candidates import Candidates
from aiohpo_plugins.searchers.gp.acquisition import log_ei
from aiohpo_plugins.searchers.gp.maximise import Maximiser
from aiohpo_plugins.searchers.gp.pool import GPPool
from aiohpo_plugins.searchers.gp.surrogate.features import Features
from aiohpo_plugins.searchers.gp.surrogate.likelihood import Likelihood, TrainingRows
from aiohpo_plugins.searchers.gp.surrogate.posterior import Posterior
from aiohpo_plugins.searchers.gp.surrogate.resource import MaternModel

CUBE = Space({f"x{i}": Float(0, 1) for i in range(3)})
MIXED = Space(
    n=Int(1, 500),
    kind=Categorical([f"k{i}" for i in range(9)]),
    x=Float(0, 1, when={"kind": ["k0", "k4"]}),
    z=Float(0, 1),
)


def maximised(space: Space, n: int = 20, taken: np.ndarray | None = None, trust: float = 0.0) -> GPPool:
    rng = np.random.default_rng(0)
    U = space.sample(rng, n)
    features = Features(space)
    likelihood = Likelihood(MaternModel(), features.group, features.groups)
    y = np.nansum((U - 0.42) ** 2, axis=1)
    z = (y - y.mean()) / y.std()
    posterior = Posterior.of(
        likelihood, likelihood.mean, TrainingRows(features.embed(U), np.zeros(n, dtype=np.intp), z, np.ones(1))
    )
    elites = U[np.argsort(z)[:5]]
    taken = U if taken is None else taken
    return Maximiser(space, features, Candidates(space)).pool(
        posterior, 0, 0.0, np.array([z.min()]), elites, taken, trust, np.random.default_rng(1)
    )


def score(pool: GPPool, units: np.ndarray) -> np.ndarray:
    at = pool.posterior.predict(pool.embed(units), 0)
    return log_ei(at.mean, at.variance, pool.best, pool.posterior.noise)


def test_nothing_nearby_or_random_is_better() -> None:
    """Of 20,000 random rows and as many small steps from the end none promises more than a trifle more."""
    pool, rng = maximised(CUBE), np.random.default_rng(2)
    best = pool.units[0]
    others = np.concatenate([rng.random((20_000, 3)), np.clip(best + 0.01 * rng.normal(size=(20_000, 3)), 0, 1)])
    assert score(pool, others).max() < score(pool, pool.units[:1])[0] + 1e-3


def test_what_promises_alike_is_tried_inside() -> None:
    """With a belief in what is inside the ranges fewer candidates are at their ends."""
    at_ends = [int((np.abs(maximised(CUBE, 3, trust=t).units[:20] - 0.5) > 0.49).sum()) for t in (0.0, 0.5)]
    assert at_ends[1] < at_ends[0]


def test_no_other_choice_or_level_is_better() -> None:
    """After hill-climbing, changing any discrete parameter of the most promising row does not help."""
    pool = maximised(MIXED)
    rows = np.repeat(pool.units[:1], 11, axis=0)
    rows[:9, 1] = (np.arange(9) + 0.5) / 9
    rows[9:, 0] += np.array([1, -1]) / 500
    rows = MIXED.snap(rows)
    assert score(pool, rows).max() <= score(pool, pool.units[:1])[0] + 0.05


def test_a_small_space_is_searched_completely() -> None:
    """All configurations that were not taken are candidates, the most promising first."""
    space = Space(a=Int(1, 6), b=Categorical(["u", "v", "w"]))
    pool = maximised(space, 4)
    assert len(pool) == 18 - len(np.unique(space.sample(np.random.default_rng(0), 4), axis=0))
    assert (np.diff(pool.taking().score()) <= 0).all()


def test_candidates_are_representable_distinct_and_not_taken() -> None:
    """Rows are snapped, each occurs once, and none is one of those that are taken."""
    for space in (CUBE, MIXED):
        first = maximised(space)
        pool = maximised(space, taken=first.units[:10])
        rows = {row.tobytes() for row in pool.units}
        assert len(rows) == len(pool)
        assert not rows & {row.tobytes() for row in first.units[:10]}
        np.testing.assert_array_equal(space.snap(pool.units), pool.units)
