"""Tests of Optuna's samplers as searchers."""

from __future__ import annotations

import logging
import warnings
from typing import Any

import numpy as np
import pytest

from aiohpo.errors import UsageError
from aiohpo.plugin import Identity
from aiohpo.plugin.registry import create
from aiohpo.space.space import Categorical, Float, Space
from aiohpo.testing import StaticView, check_searcher, example_spaces

pytest.importorskip("optuna")

from aiohpo_plugins.searchers.common.fresh import first_occurrences
from aiohpo_plugins.searchers.optuna import samplers as optuna_samplers
from aiohpo_plugins.searchers.optuna.samplers import OptunaSearcher

PLANE = Space(x=Float(0, 1), y=Float(0, 1))
MIXED = {name: example_spaces()[name] for name in ("conditional", "finite")}


def bowl(X: np.ndarray) -> np.ndarray:
    return np.asarray(np.nansum((X - 0.7) ** 2, axis=1))


def best_after(sampler: str, steps: int, **options: Any) -> float:
    """Return the best loss in the plane after so many steps, one at a time."""
    searcher = OptunaSearcher(sampler, **options)
    searcher.setup(PLANE, 0, Identity("w", 0, 1))
    X = np.empty((0, 2))
    for step in range(steps):
        view = StaticView(PLANE, X, bowl(X))
        searcher.adopt(searcher.fit(view.observations()))
        X = np.concatenate([X, PLANE.encode(searcher.ask(view, np.random.default_rng(step), (0,)))])
    return float(bowl(X).min())


def test_tpe_conforms() -> None:
    """Optuna's TPE keeps every promise of a searcher."""
    check_searcher(OptunaSearcher)


@pytest.mark.parametrize("sampler", ["random", "qmc", "nsgaii", "bruteforce"])
def test_other_samplers_conform(sampler: str) -> None:
    """Samplers that keep a state in the study, or serve finite spaces only, keep every promise too."""
    check_searcher(lambda: OptunaSearcher(sampler), spaces=MIXED)


def test_cmaes_remembers_its_generations() -> None:
    """CMA-ES, whose state would be lost with every rebuilt study, closes in on the bottom of a bowl."""
    pytest.importorskip("cmaes")
    assert best_after("cmaes", 80, n_startup_trials=5) < 1e-3


def test_tpe_learns() -> None:
    """TPE finds the bottom of a bowl better than random search would."""
    assert best_after("tpe", 50, n_startup_trials=8) < 3e-3


def test_the_registry_takes_the_sampler_as_a_bare_word() -> None:
    """``optuna:random`` names a sampler, and what follows are the sampler's own options."""
    assert repr(create("searchers", "optuna:random")) == "OptunaSearcher('random')"
    made = create("searchers", "optuna:tpe,n_startup_trials=5")
    assert repr(made) == "OptunaSearcher('tpe', n_startup_trials=5)"


@pytest.mark.parametrize(
    ("spec", "message"),
    [
        ("optuna:tpa", "optuna: sampler must be one of .*cmaes.*tpe.*, not 'tpa'"),
        ("optuna:tpe,n_start=5", "the sampler 'tpe' has no option 'n_start'; its options are: .*n_startup_trials"),
        ("optuna:tpe,seed=5", "has no option 'seed'"),
    ],
)
def test_unknown_samplers_and_options_list_the_known_ones(spec: str, message: str) -> None:
    """The error names what is unknown and what there is instead."""
    with pytest.raises(UsageError, match=message):
        create("searchers", spec)


def test_what_is_missing_is_named_with_the_remedy(monkeypatch: pytest.MonkeyPatch) -> None:
    """Without Optuna, or a package that a sampler needs, the error says what to install."""
    monkeypatch.setattr(optuna_samplers.importlib.util, "find_spec", lambda name: None if name == "torch" else True)
    with pytest.raises(UsageError, match=r"the sampler 'gp' needs the package torch: pip install torch"):
        OptunaSearcher("gp")
    monkeypatch.setattr(optuna_samplers.importlib.util, "find_spec", lambda name: None)
    with pytest.raises(UsageError, match=r"pip install 'aiohpo\[optuna\]'"):
        OptunaSearcher()


def test_a_space_that_the_sampler_cannot_serve_is_refused() -> None:
    """Brute force in a continuous space is an error at once, with Optuna's reason."""
    searcher = OptunaSearcher("bruteforce")
    with pytest.raises(UsageError, match=r"'bruteforce' cannot serve this space: .*infinite"):
        searcher.setup(Space(a=Categorical(["u", "v"]), x=Float(0, 1, when={"a": "v"})), 0, Identity("w"))


def test_trials_of_every_kind_reach_optuna() -> None:
    """Complete, partial, failed and running trials become Optuna's, with curves, values and only active parameters."""
    space = example_spaces()["conditional"]
    X = space.sample(np.random.default_rng(3), 50)
    X = X[first_occurrences(X)[:8]]
    view = StaticView(
        space, X[:3], [1.0, 3.0, 2.0], failed=X[3:4], pending=X[4:6], partial=X[6:8],
        reports=[(0, 1, 9.0), (3, 1, 5.0), (3, 2, 4.0), (4, 1, 6.0)], max_steps=9,
    )  # fmt: skip
    searcher = OptunaSearcher()
    searcher.setup(space, 0, Identity("w"))
    trials = searcher._trials(view.observations())
    assert [t.state.name for t in trials] == ["COMPLETE"] * 3 + ["PRUNED"] * 2 + ["COMPLETE"] + ["RUNNING"] * 2
    assert [t.value for t in trials] == [1.0, 3.0, 2.0, None, None, 3.0, None, None]
    assert trials[0].intermediate_values == {1: 9.0, 9: 1.0}
    assert trials[3].intermediate_values == {1: 5.0, 2: 4.0}
    configs = space.decode(np.concatenate([X[:3], X[6:8], X[3:6]]))
    assert [set(t.params) for t in trials] == [set(c) for c in configs]


def test_failures_are_left_to_optuna_while_nothing_succeeded() -> None:
    """With no loss to compare with, failed trials are Optuna's failed ones."""
    searcher = OptunaSearcher()
    searcher.setup(PLANE, 0, Identity("w"))
    trials = searcher._trials(StaticView(PLANE, failed=[[0.1, 0.2]]).observations())
    assert [t.state.name for t in trials] == ["FAIL"]


def test_warnings_and_logging_are_as_before() -> None:
    """What the process had set for warnings and for Optuna's log is untouched by fitting and asking."""
    logger = logging.getLogger("optuna")
    before = logger.level, list(warnings.filters)
    best_after("random", 3)
    assert (logger.level, list(warnings.filters)) == before
