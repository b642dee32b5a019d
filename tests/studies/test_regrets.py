"""Tests of comparing searches by their regret over time."""

from __future__ import annotations

import math
from typing import Any

import pytest

from studies.framework.regrets import breaks_away, final_regrets, median_curve, share_of_time


def search(*best: tuple[float, float]) -> dict[str, Any]:
    return {"best_over_time": list(best), "seconds": 100.0, "scale": [0.0, 1.0]}


def test_regrets_are_medians_over_seeds() -> None:
    """Of an even number, the mean of the two in the middle."""
    searches = [search((10.0, 0.5), (50.0, 0.1)), search((10.0, 0.3))]
    assert final_regrets(searches) == [0.1, 0.3]
    shares, regrets = median_curve(searches)
    assert (shares[-1], regrets[-1]) == (1.0, pytest.approx(0.2))
    assert regrets[0] == math.inf


def test_who_is_as_good_sooner_takes_a_share_of_the_time() -> None:
    """It counts from when the others had found it, and is infinite where it is never found."""
    others = [search((10.0, 0.5), (80.0, 0.2))]
    assert share_of_time([search((40.0, 0.2))], others) == pytest.approx(0.5)
    assert share_of_time([search((40.0, 0.3))], others) == math.inf
    assert share_of_time([], others) is None


def test_breaking_away_lasts_to_the_end() -> None:
    """It is the last moment from which on one is better."""
    others = [search((10.0, 0.5), (80.0, 0.2))]
    assert breaks_away([search((10.0, 0.6), (60.0, 0.1))], others) == pytest.approx(0.6)
    assert breaks_away([search((10.0, 0.2))], others) is None
