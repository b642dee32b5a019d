"""Tests of the checks that builders make themselves."""

from __future__ import annotations

import numpy as np
import pytest

from aiohpo.ensembles.metrics import get_metric
from aiohpo.errors import UsageError
from aiohpo_plugins.ensembles.models import Models
from tests.support.ensemble_problems import models, numbers

LOG_LOSS, RMSE = get_metric("log_loss"), get_metric("rmse")


def test_leaves_out_what_is_no_good_and_says_which() -> None:
    """Rows keep their numbers."""
    p, y = models(4)
    p[1, 3, 0] = np.nan
    p[2] *= 2
    checked = Models(p, y, LOG_LOSS)
    assert checked.rows == [0, 3]
    assert [problem[:9] for problem in checked.problems] == ["model 1: ", "model 2: "]


def test_none_left_is_an_error() -> None:
    """It lists what is wrong with each."""
    p, y = models(2)
    with pytest.raises(UsageError, match=r"(?s)model 0: .*model 1: "):
        Models(2 * p, y, LOG_LOSS)


def test_a_memory_map_is_not_copied() -> None:
    """Models that are right are read where they are."""
    p, y = models(3)
    checked = Models(p, y, LOG_LOSS)
    assert all(np.shares_memory(checked[row], p) for row in checked.rows)


def test_half_precision_is_scaled_whenever_it_is_read() -> None:
    """Rows sum to one though they are stored otherwise."""
    p, y = models(2, k=7)
    checked = Models(p.astype(np.float16), y, LOG_LOSS)
    assert checked[1].dtype == np.float32
    assert checked[1].sum(axis=1) == pytest.approx(np.ones(len(y)), abs=1e-6)


def test_one_column_will_do() -> None:
    """(m, n) are probabilities of the second class, or means."""
    p, y = models(3, k=2)
    assert Models(p[:, :, 1], y, LOG_LOSS)[2] == pytest.approx(p[2], abs=1e-6)
    q, z = numbers(3)
    assert Models(q[:, :, 0], z, RMSE)[1].shape == (len(z), 1)


@pytest.mark.parametrize("shape", [(3,), (0, 4, 2), (3, 0, 2), (2, 3, 4, 5)])
def test_other_shapes_are_refused(shape: tuple[int, ...]) -> None:
    """The message says what is expected."""
    with pytest.raises(UsageError, match="expected \\(models, rows"):
        Models(np.zeros(shape), np.zeros(4), LOG_LOSS)


def test_regression_has_two_columns_at_most() -> None:
    """Three are somebody's class probabilities."""
    p, _ = models()
    with pytest.raises(UsageError, match="one column of means"):
        Models(p, np.zeros(p.shape[1]), RMSE)
