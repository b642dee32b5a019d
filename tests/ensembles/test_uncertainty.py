"""Tests of what makes an ensemble unsure."""

from __future__ import annotations

import math

import numpy as np
import pytest

from aiohpo.ensembles.uncertainty import decompose, entropy, error_auroc, errors, rejection_curve

HALF = np.array([0.5, 0.5])


def test_disagreement_of_certain_models_is_epistemic() -> None:
    """Two models that are sure of different classes: all of the ln 2 nats are theirs, none the data's."""
    u = decompose(np.array([[[1.0, 0.0]], [[0.0, 1.0]]]), HALF, "classification")
    assert u.total == pytest.approx([math.log(2)])
    assert u.epistemic == pytest.approx([math.log(2)])
    assert u.aleatoric == pytest.approx([0.0])


def test_agreement_of_unsure_models_is_aleatoric() -> None:
    """Two models that both say one half: all of it is the data's."""
    u = decompose(np.full((2, 1, 2), 0.5), HALF, "classification")
    assert u.aleatoric == pytest.approx([math.log(2)])
    assert u.epistemic == pytest.approx([0.0])


def test_total_is_the_entropy_of_the_mixture() -> None:
    """The parts add up to the predictive entropy, and neither is negative."""
    rng = np.random.default_rng(0)
    p = rng.dirichlet([0.3] * 4, size=(5, 100))
    w = rng.dirichlet([1.0] * 5)
    u = decompose(p, w, "classification")
    assert u.total == pytest.approx(entropy(np.tensordot(w, p, 1)))
    assert u.aleatoric == pytest.approx(np.tensordot(w, -(p * np.log(p)).sum(axis=2), 1))
    assert (u.epistemic >= 0).all()


def test_law_of_total_variance() -> None:
    """For regression the parts are the mean variance and the variance of the means, as drawing would show."""
    means, variances, w = np.array([0.0, 4.0]), np.array([1.0, 9.0]), np.array([0.25, 0.75])
    u = decompose(np.stack([means, variances], axis=1)[:, None, :], w, "regression")
    assert u.aleatoric == pytest.approx([0.25 + 6.75])
    assert u.epistemic == pytest.approx([0.25 * 9 + 0.75 * 1])
    rng = np.random.default_rng(0)
    which = rng.choice(2, 200_000, p=w)
    assert u.total == pytest.approx([rng.normal(means[which], np.sqrt(variances[which])).var()], rel=0.02)


def test_means_without_variances_have_nothing_aleatoric() -> None:
    """What nobody states is not made up."""
    u = decompose(np.array([[[1.0]], [[3.0]]]), HALF, "regression")
    assert u.aleatoric.tolist() == [0.0]
    assert u.total == pytest.approx([1.0])


def test_weights_count() -> None:
    """A model of no weight changes nothing."""
    p = np.array([[[1.0, 0.0]], [[0.0, 1.0]]])
    assert decompose(p, np.array([1.0, 0.0]), "classification").total == pytest.approx([0.0])


def test_errors_are_wrong_classes_or_the_larger_half() -> None:
    """What counts as wrong depends on the task."""
    assert errors(np.array([0, 1]), np.array([[0.9, 0.1], [0.8, 0.2]]), "classification").tolist() == [False, True]
    distances = np.array([[0.0], [1.0], [5.0], [9.0]])
    assert errors(np.zeros(4), distances, "regression").tolist() == [False, False, True, True]


def test_error_auroc_is_one_when_uncertainty_finds_every_error() -> None:
    """It is a probability of ranking an error above a hit; without errors it is not defined."""
    assert error_auroc([0.1, 0.2, 0.9], [False, False, True]) == 1.0
    assert error_auroc([0.9, 0.2, 0.1], [False, False, True]) == 0.0
    assert math.isnan(error_auroc([0.9, 0.2], [False, False]))


def test_rejection_leaves_the_least_certain_out_first() -> None:
    """Accuracy begins with that of all rows and ends with that of the most certain one."""
    rejected, accuracy = rejection_curve([0.9, 0.1, 0.5, 0.4], [0.0, 1.0, 0.0, 1.0])
    assert rejected.tolist() == [0.0, 0.25, 0.5, 0.75]
    assert accuracy == pytest.approx([0.5, 2 / 3, 1.0, 1.0])
