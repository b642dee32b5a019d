"""Tests of learning hyperparameters."""

from __future__ import annotations

import numpy as np

from aiohpo.space.space import Float, Space
from aiohpo_plugins.searchers.gp.surrogate.features import Features
from aiohpo_plugins.searchers.gp.surrogate.learn import MOST, Memory, learn
from aiohpo_plugins.searchers.gp.surrogate.likelihood import Likelihood, TrainingRows
from aiohpo_plugins.searchers.gp.surrogate.resource import MaternModel
from aiohpo_plugins.searchers.gp.surrogate.threads import one_thread

SPACE = Space({f"x{i}": Float(0, 1) for i in range(3)})
FEATURES = Features(SPACE)
LIKELIHOOD = Likelihood(MaternModel(), FEATURES.group, FEATURES.groups)


def rows(n: int, noise: float = 0.0) -> TrainingRows:
    rng = np.random.default_rng(0)
    U = SPACE.sample(rng, n)
    y = np.sin(9 * U[:, 0]) + U[:, 1] + noise * rng.normal(size=n)
    return TrainingRows(FEATURES.embed(U), np.zeros(n, dtype=np.intp), (y - y.mean()) / y.std(), np.ones(1))


def learnt(data: TrainingRows, memory: Memory | None = None) -> tuple[np.ndarray, Memory]:
    with one_thread():
        return learn(LIKELIHOOD, lambda k: data.select(slice(0, min(k, MOST))), len(data), memory or Memory())


def test_finds_out_which_parameters_matter() -> None:
    """The wiggly one has a short lengthscale, the linear one a longer, the useless one the longest."""
    theta, _ = learnt(rows(80))
    assert theta[0] < theta[1] < theta[2]


def test_finds_out_how_much_noise_there_is() -> None:
    """Noise of half the standard deviation is told from none."""
    quiet, noisy = (learnt(rows(120, noise))[0][3] for noise in (0.0, 0.5))
    assert quiet < np.log(0.03)
    assert np.log(0.3) < noisy < np.log(0.8)


def test_memory_changes_the_time_and_not_the_answer() -> None:
    """With what an earlier fit remembered the hyperparameters are the same, to the last bit."""
    data = rows(100)
    _, memory = learnt(data.select(slice(0, 70)))
    warm, cold = learnt(data, memory), learnt(data)
    assert np.array_equal(warm[0], cold[0])
    assert warm[1].known.keys() == cold[1].known.keys()


def test_the_memory_of_other_observations_is_of_no_use() -> None:
    """A loss that changes is noticed, and the old memory is dropped."""
    data = rows(60)
    _, memory = learnt(data)
    changed = TrainingRows(data.features, data.level, data.target + (np.arange(60) == 3), data.resources)
    assert np.array_equal(learnt(changed, memory)[0], learnt(changed)[0])
    assert not set(learnt(changed, memory)[1].known) & set(memory.known)
