"""Tests of the searcher differential."""

from __future__ import annotations

from itertools import pairwise

import numpy as np
import pytest
from aiohpo_differential import DifferentialSearcher

import aiohpo
from aiohpo.testing import StaticView, check_searcher


@pytest.mark.parametrize("options", [{}, {"population": 4, "best": 1.0, "crossover": 0.1}])
def test_keeps_what_a_searcher_promises(options):
    """It passes aiohpo's conformance check, with its defaults and without."""
    check_searcher(lambda: DifferentialSearcher(**options))


def valley(trial):
    """Rosenbrock's function: a curved valley whose lowest point is hard to find by chance."""
    x = [trial[name] for name in trial.config]
    return sum(100 * (b - a * a) ** 2 + (1 - a) ** 2 for a, b in pairwise(x))


def search(searcher, seed):
    space = aiohpo.Space({f"x{i}": aiohpo.Float(-2, 2) for i in range(4)})
    study = aiohpo.Study(valley, space, searcher=searcher, evaluator="thread", seed=seed)
    return study.run(trials=400, progress=False).best.value


def test_runs_by_name_and_is_better_than_chance():
    """The installed package is found by name, and finds what random search does not."""
    ours = np.median([search("differential:population=24", seed) for seed in range(3)])
    chance = np.median([search("random", seed) for seed in range(3)])
    assert ours < chance / 5


def test_population_contracts_around_the_best():
    """What it suggests lies nearer to a population that has converged than to one that has not."""
    space = aiohpo.Space(x=aiohpo.Float(0, 1), y=aiohpo.Float(0, 1))
    spread = []
    for width in (0.5, 0.01):
        rng = np.random.default_rng(0)
        rows = 0.5 + width * (rng.random((16, 2)) - 0.5)
        searcher = DifferentialSearcher(population=16)
        searcher.setup(space, 0, None)
        asked = searcher.ask(StaticView(space, rows, rows.sum(axis=1)), rng, [0] * 50)
        spread.append(np.std([config["x"] for config in asked]))
    assert spread[1] < spread[0] / 10


@pytest.mark.parametrize("options", [{"population": 3}, {"best": 0.0}, {"crossover": "often"}])
def test_refuses_options_that_make_no_sense(options):
    """A wrong option is an error that names it, its value and what is allowed."""
    ((name, value),) = options.items()
    with pytest.raises(ValueError, match=f"differential: {name} must be .*, not {value!r}"):
        DifferentialSearcher(**options)
