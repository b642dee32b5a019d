"""Tests of the ensemble builder mixture."""

from __future__ import annotations

import numpy as np
import pytest
from aiohpo_mixture import MixtureBuilder

from aiohpo.ensembles.metrics import get_metric
from aiohpo.plugin.registry import create
from aiohpo.testing import check_ensemble, example_libraries


@pytest.mark.parametrize("options", [{}, {"size": 3, "iterations": 20}])
def test_keeps_what_a_builder_promises(options):
    """It passes aiohpo's conformance check, with its defaults and without."""
    check_ensemble(lambda: MixtureBuilder(**options))


def test_is_found_by_name():
    """The installed package is all that aiohpo needs."""
    assert isinstance(create("ensembles", "mixture:size=7"), MixtureBuilder)


def test_no_other_weights_are_likelier():
    """Moving weight between any two members makes the validation rows less likely."""
    problem = example_libraries(["log_loss"])[0]
    ensemble = MixtureBuilder(size=12, iterations=5000).fit(problem.valid, problem.y_valid, problem.metric)
    rng = np.random.default_rng(0)
    for _ in range(20):
        weights = rng.dirichlet(200 * ensemble.weights + 0.1)
        other = np.tensordot(weights, problem.valid[ensemble.rows], 1)
        assert get_metric("log_loss")(problem.y_valid, other) > ensemble.score - 1e-6


@pytest.mark.parametrize("options", [{"size": 0}, {"iterations": 0.5}])
def test_refuses_options_that_make_no_sense(options):
    """A wrong option is an error that names it."""
    with pytest.raises(ValueError, match=next(iter(options))):
        MixtureBuilder(**options)
