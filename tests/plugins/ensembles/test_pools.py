"""Tests of pools: fast paths give what asking the metric would give."""

from __future__ import annotations

import numpy as np
import pytest

from aiohpo.ensembles.metrics import get_metric
from aiohpo_plugins.ensembles.pools import AnyPool, SelectionPool, SquaresPool, TrueClassPool, pool_for
from tests.support.ensemble_problems import models, numbers

CASES = [
    ("log_loss", 2),
    ("log_loss", 5),
    ("balanced_cross_entropy", 2),
    ("balanced_cross_entropy", 4),
    ("brier", 2),
    ("brier", 3),
    ("rmse", 1),
    ("r2", 1),
    ("rmse", 2),
]


def problem(name: str, k: int, m: int = 10, n: int = 123) -> tuple[np.ndarray, np.ndarray]:
    return (models if get_metric(name).task == "classification" else numbers)(m, n, k)


def filled(pool: SelectionPool, p: np.ndarray) -> SelectionPool:
    for slot, model in enumerate(p):
        pool.put(slot, model)
    return pool


def after(pool: SelectionPool, chosen: list[int]) -> object:
    state = pool.start()
    for slot in chosen:
        state = pool.extend(state, slot)
    return state


@pytest.mark.parametrize(("name", "k"), CASES)
@pytest.mark.parametrize("chosen", [[], [3], [3, 1, 3, 0, 7]])
def test_fast_paths_agree_with_the_metric(name: str, k: int, chosen: list[int]) -> None:
    """The loss of a selection with each model added is that of the mean of its predictions."""
    metric, (p, y) = get_metric(name), problem(name, k)
    pool = filled(pool_for(y, k, metric), p)
    assert not isinstance(pool, AnyPool)
    losses = pool.losses(after(pool, chosen), np.arange(len(p)))
    expected = [metric.loss(y, p[[*chosen, j]].astype(float).mean(axis=0)) for j in range(len(p))]
    assert losses == pytest.approx(expected, abs=2e-6)


@pytest.mark.parametrize("name", ["accuracy", "roc_auc", "mae", "nll"])
def test_any_metric_will_do(name: str) -> None:
    """A metric without a fast path is asked; mixtures of normals have the variance between them."""
    metric = get_metric(name)
    k = 2 if name == "nll" else 1 if name == "mae" else 3
    p, y = problem(name, k)
    pool = filled(pool_for(y, k, metric), p)
    mixture = p[[2, 4]].astype(float).mean(axis=0)
    if name == "nll":
        mixture[:, 1] += p[[2, 4], :, 0].astype(float).var(axis=0)
    assert pool.losses(after(pool, [2]), np.array([4])) == pytest.approx([metric.loss(y, mixture)])


@pytest.mark.parametrize(("name", "k"), [*CASES, ("accuracy", 3)])
def test_a_models_loss_does_not_depend_on_what_else_is_asked(name: str, k: int) -> None:
    """To the last bit: alone, among others, in any order, with other models in the pool, in another slot."""
    metric, (p, y) = get_metric(name), problem(name, k, m=40, n=4001)
    pool = filled(pool_for(y, k, metric), p)
    every = pool.losses(after(pool, [5, 9]), np.arange(len(p)))
    order = np.random.default_rng(0).permutation(len(p))
    assert np.array_equal(pool.losses(after(pool, [5, 9]), order), every[order])
    one_by_one = [pool.losses(after(pool, [5, 9]), np.array([j]))[0] for j in range(len(p))]
    assert np.array_equal(one_by_one, every)
    few = filled(pool_for(y, k, metric), p[[9, 30, 5]])
    assert np.array_equal(few.losses(after(few, [2, 0]), np.arange(3)), every[[9, 30, 5]])


@pytest.mark.parametrize(("name", "k"), CASES)
def test_a_slot_can_be_used_again(name: str, k: int) -> None:
    """A new model in an old one's place leaves nothing of it, remembered products included."""
    metric, (p, y) = get_metric(name), problem(name, k)
    pool = filled(pool_for(y, k, metric), p[:5])
    pool.losses(after(pool, [1, 2]), np.arange(5))
    pool.put(1, p[7])
    fresh = filled(pool_for(y, k, metric), p[[0, 7, 2, 3, 4]])
    for chosen in ([2], [1, 2]):
        new, old = (q.losses(after(q, chosen), np.arange(5)) for q in (fresh, pool))
        assert np.array_equal(new, old)


def test_certain_models_that_are_wrong_do_not_underflow() -> None:
    """Products of the smallest probabilities stay above zero, whatever their number."""
    y = np.zeros(1000, dtype=np.int64)
    wrong = np.tile(np.float32([0.0, 1.0]), (1000, 1))
    for balanced in (False, True):
        pool = filled(TrueClassPool(y, balanced=balanced), wrong[None])
        assert pool.losses(pool.start(), np.array([0])) == pytest.approx([15.9424], abs=1e-3)


def test_a_long_selection_does_not_overflow() -> None:
    """Sums of hundreds of certain models are multiplied without trouble."""
    y = np.zeros(100, dtype=np.int64)
    right = np.tile(np.float32([1.0, 0.0]), (100, 1))
    pool = filled(TrueClassPool(y, balanced=False), right[None])
    assert pool.losses(after(pool, [0] * 500), np.array([0])) == pytest.approx([0.0], abs=1e-6)


def test_rows_need_not_fill_blocks() -> None:
    """Any number of rows is served, one included."""
    for n in (1, 2, 15, 16, 17):
        p, y = models(3, n, 2)
        pool = filled(TrueClassPool(y, balanced=False), p)
        expected = [get_metric("log_loss").loss(y, model) for model in p]
        assert pool.losses(pool.start(), np.arange(3)) == pytest.approx(expected, abs=1e-6)


def test_targets_that_are_all_the_same_have_no_r2() -> None:
    """No model explains what does not vary: all are equally, infinitely bad."""
    p, _ = numbers(3, 20)
    pool = filled(SquaresPool(np.full(20, 5.0), 1, get_metric("r2")), p)
    assert np.isinf(pool.losses(pool.start(), np.arange(3))).all()
