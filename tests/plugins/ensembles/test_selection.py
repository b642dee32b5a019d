"""Tests of greedy selection against a textbook version of it."""

from __future__ import annotations

import numpy as np
import pytest

from aiohpo.ensembles.metrics import get_metric
from aiohpo_plugins.ensembles.pools import pool_for
from aiohpo_plugins.ensembles.selection import LossMemory, algorithm1, caruana
from tests.support.ensemble_problems import models

METRIC = get_metric("log_loss")


def memory(p: np.ndarray, y: np.ndarray, metric: str = "log_loss") -> LossMemory:
    made = LossMemory(pool_for(y, p.shape[2], get_metric(metric)))
    for slot, model in enumerate(p):
        made.put(slot, model)
    return made


def textbook(p: np.ndarray, y: np.ndarray, size: int, chosen: list[int]) -> tuple[list[int], list[float]]:
    """Add the model that helps most, again and again."""
    chosen, losses = list(chosen), []
    p = p.astype(float)
    while len(chosen) < size:
        options = [METRIC.loss(y, p[[*chosen, j]].mean(axis=0)) for j in range(len(p))]
        chosen.append(int(np.argmin(options)))
        losses.append(min(options))
    return chosen, losses


@pytest.mark.parametrize("seed", range(5))
def test_selects_what_the_textbook_selects(seed: int) -> None:
    """Step by step, with the same losses."""
    p, y = models(seed=seed)
    path = caruana(memory(p, y), range(len(p)), 15, 1)
    chosen, losses = textbook(p, y, 15, [])
    assert list(path.slots[:10]) == chosen[:10]  # later steps are nearly ties
    assert path.losses == pytest.approx(losses, abs=1e-6)
    assert losses[path.best - 1] == pytest.approx(min(losses), abs=1e-6)


def test_counts_are_those_of_the_best_selection_on_the_way() -> None:
    """What was added after the best size does not count."""
    p, y = models()
    path = caruana(memory(p, y), range(len(p)), 30, 1)
    assert sum(path.counts.values()) == path.best
    assert path.losses[path.best - 1] == pytest.approx(min(path.losses))


def test_sorted_initialisation_takes_the_best_that_do_well_together() -> None:
    """It begins with the N best for the N, up to the limit, of least loss; then it goes on greedily."""
    p, y = models(12, 200, 2, seed=5)
    alone = np.argsort([METRIC.loss(y, model) for model in p], kind="stable")
    together = [METRIC.loss(y, p[alone[:n]].astype(float).mean(axis=0)) for n in range(1, 9)]
    n = int(np.argmin(together)) + 1
    assert n > 1
    path = caruana(memory(p, y), range(len(p)), 12, 8)
    assert list(path.slots[:n]) == alone[:n].tolist()
    assert list(path.slots) == textbook(p, y, 12, alone[:n].tolist())[0]
    assert path.best >= n


def test_ties_go_to_members_then_to_the_first() -> None:
    """Of identical models only the first is ever used."""
    p, y = models(4)
    twins = np.concatenate([p, p, p])
    path = caruana(memory(twins, y), range(12), 20, 1)
    assert max(path.slots) < 4
    assert caruana(memory(p[[2] * 5], y), range(5), 6, 1).counts == {0: 1}


def test_a_member_is_preferred_to_an_equal_stranger() -> None:
    """A copy that comes first in order is still not taken if another copy is in."""
    y = np.array([0, 1] * 20)
    good = np.where(np.eye(2)[y] > 0, 0.8, 0.2).astype(np.float32)
    pool = memory(np.stack([good, good]), y)
    assert caruana(pool, [1, 0], 5, 1).slots == (1,) * 5


def test_only_the_candidates_are_considered() -> None:
    """Slots that are not named might as well not be there."""
    p, y = models()
    some = [7, 2, 4]
    assert set(caruana(memory(p, y), some, 10, 3).slots) <= set(some)


def test_algorithm1_stops_at_the_first_step_that_does_not_improve() -> None:
    """It follows the same path and ends before that step."""
    p, y = models(seed=2)
    path = algorithm1(memory(p, y), range(len(p)), 25)
    whole = caruana(memory(p, y), range(len(p)), 60, 1)
    assert path.slots == whole.slots[: path.best]
    assert whole.losses[path.best] >= path.losses[-1] - 1e-6
    assert list(path.losses) == sorted(path.losses, reverse=True)


def test_algorithm1_has_at_most_so_many_distinct_models() -> None:
    """It also ends when it has as many as it may."""
    p, y = models(seed=2)
    assert len(set(algorithm1(memory(p, y), range(len(p)), 2).slots)) == 2
    assert len(algorithm1(memory(p, y), range(len(p)), 1).slots) == 1


@pytest.mark.parametrize("metric", ["log_loss", "brier", "accuracy"])
def test_memory_changes_nothing(metric: str) -> None:
    """After models came and went, the path is bit for bit that of a fresh explorer."""
    p, y = models(14, 200)
    rng = np.random.default_rng(0)
    old = memory(p[:6], y, metric)
    here = list(range(6))
    for _ in range(12):
        slot = int(rng.integers(0, 14)) if len(here) > 3 else int(rng.integers(6, 14))
        if slot in here:
            here.remove(slot)
            old.forget(slot)
        elif slot <= max(here):
            here = sorted([*here, slot])
            old.put(slot, p[slot])
        ours = caruana(old, here, 10, 2)
        fresh = caruana(memory(p, y, metric), here, 10, 2)
        assert (ours.slots, ours.losses) == (fresh.slots, fresh.losses)
        old.prune()


def test_an_unchanged_path_asks_only_for_the_newcomer() -> None:
    """That is what makes a live ensemble cheap."""
    p, y = models(11)
    worst = int(np.argmax([METRIC.loss(y, model) for model in p]))
    p = p[[i for i in range(11) if i != worst] + [worst]]
    made = memory(p[:10], y)
    caruana(made, range(10), 10, 1)
    made.prune()
    made.put(10, p[10])
    asked: list[int] = []
    losses = made.pool.losses
    made.pool.losses = lambda state, slots: asked.extend(slots.tolist()) or losses(state, slots)  # type: ignore[method-assign]
    caruana(made, range(11), 10, 1)
    assert set(asked) == {10}
    assert len(asked) == 10


def test_losses_that_are_not_defined_do_not_stop_it() -> None:
    """Where no model can be judged the first is taken."""
    p, _ = models(3, 20, 2)
    path = caruana(memory(p, np.zeros(20, dtype=int), "roc_auc"), range(3), 3, 1)
    assert path.counts == {0: 1}
