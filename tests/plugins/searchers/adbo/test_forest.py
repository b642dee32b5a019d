"""Tests of the forest surrogate."""

from __future__ import annotations

import numpy as np
import pytest

from aiohpo.space.space import Categorical, Float, Space
from aiohpo_plugins.searchers.adbo.forest import Forest

CUBE = Space({f"x{i}": Float(0, 1) for i in range(3)})
CONDITIONAL = Space(
    kind=Categorical(["a", "b", "c", "d", "e"]),
    x=Float(0, 1, when={"kind": ["a", "b"]}),
    y=Float(0, 1),
)


def fitted(space: Space, n: int = 200, noise: float = 0.0, **options: object) -> tuple[Forest, np.ndarray, np.ndarray]:
    rng = np.random.default_rng(0)
    X = space.sample(rng, n)
    y = np.nansum((X - 0.3) ** 2, axis=1) + noise * rng.normal(size=n)
    return Forest(space, X, y, rng, **options), X, y  # type: ignore[arg-type]  # options of any kind


def test_predicts_what_it_was_not_shown() -> None:
    """Most of the variance of new configurations is explained."""
    forest, _, _ = fitted(CUBE)
    X = CUBE.sample(np.random.default_rng(9), 500)
    y = ((X - 0.3) ** 2).sum(axis=1)
    assert np.var(y - forest.predict(X).mean) < 0.2 * np.var(y)


def test_variance_is_split_by_the_law_of_total_variance() -> None:
    """Epistemic plus aleatoric is the variance of a target drawn from a random tree's leaf."""
    forest, X, y = fitted(CUBE, noise=0.2, min_leaf=5, rotate=False)
    leaves = forest.leaves(X)
    inside = leaves[:, :1] == leaves  # training rows that share the first row's leaf, per tree
    means = np.array([y[row].mean() for row in inside])
    squares = np.array([(y[row] ** 2).mean() for row in inside])
    prediction = forest.predict(X[:1])
    assert prediction.mean[0] == pytest.approx(means.mean())
    assert prediction.epistemic[0] == pytest.approx(means.var())
    assert prediction.aleatoric[0] == pytest.approx((squares - means**2).mean())
    assert prediction.std[0] ** 2 == pytest.approx(squares.mean() - means.mean() ** 2)


def test_uncertainty_is_larger_where_nothing_is_known() -> None:
    """Trees disagree more away from the training rows than on them."""
    forest, X, _ = fitted(CUBE, n=50)
    assert forest.predict(X).epistemic.mean() < 1e-6
    assert forest.predict(CUBE.sample(np.random.default_rng(1), 200)).epistemic.mean() > 1e-3


def test_noise_shows_up_as_aleatoric_variance() -> None:
    """With leaves of several rows, noise in the target appears as aleatoric, not as epistemic variance."""
    quiet, X, _ = fitted(CUBE, min_leaf=8)
    noisy, _, _ = fitted(CUBE, min_leaf=8, noise=0.5)
    assert noisy.predict(X).aleatoric.mean() > quiet.predict(X).aleatoric.mean() + 0.1


def test_categories_have_no_order() -> None:
    """Renaming categories changes predictions no more than another seed does."""
    X = CONDITIONAL.sample(np.random.default_rng(0), 300)
    good = np.isin(np.floor(X[:, 0] * 5), [0, 3])  # not neighbours in any fixed order
    forest = Forest(CONDITIONAL, X, np.where(good, 0.0, 1.0), np.random.default_rng(1), min_leaf=3)
    new = CONDITIONAL.sample(np.random.default_rng(2), 200)
    truth = np.where(np.isin(np.floor(new[:, 0] * 5), [0, 3]), 0.0, 1.0)
    assert np.abs(forest.predict(new).mean - truth).mean() < 0.05


def test_inactive_parameters_are_understood() -> None:
    """A parameter that a condition makes inactive neither breaks nor confuses the forest."""
    forest, X, y = fitted(CONDITIONAL, n=300)
    assert np.corrcoef(forest.predict(X).mean, y)[0, 1] > 0.95


def test_a_large_training_set_is_sampled_but_its_best_rows_are_kept() -> None:
    """Beyond the limit every tree sees other rows, but all see the best ones."""
    forest, X, y = fitted(CUBE, n=3000, rows=100)
    best = np.argsort(y)[:20]
    assert forest.predict(X[best]).mean == pytest.approx(y[best], abs=1e-9)
    assert forest.predict(X).mean != pytest.approx(y, abs=1e-3)


def test_equal_seeds_give_equal_forests() -> None:
    """All randomness comes from the generator."""
    one, X, _ = fitted(CONDITIONAL)
    two, _, _ = fitted(CONDITIONAL)
    assert np.array_equal(one.predict(X).mean, two.predict(X).mean)


def test_repr_is_a_status_line() -> None:
    """The repr tells how big the forest is."""
    forest, _, _ = fitted(CUBE, n=2, trees=3)
    assert repr(forest) == "<Forest 3 trees, 9 nodes>"
