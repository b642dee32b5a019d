"""Tests of bringing losses to a common magnitude."""

from __future__ import annotations

import numpy as np
import pytest

from aiohpo_plugins.searchers.common.magnitude import to_common_magnitude


@pytest.mark.parametrize("scale", [5e-324, 1e-300, 1.0, 3.0, 1.7e308])
def test_only_the_exponent_changes(scale: float) -> None:
    """The largest loss is about 2^1000, and ratios are what they were, to the bit."""
    y = scale * np.array([1.0, -0.5, 0.0, 0.25])
    z = to_common_magnitude(y)
    assert 2.0**999 <= np.abs(z).max() <= 2.0**1000
    assert (z / z[0] == y / y[0]).all()


def test_nothing_to_scale() -> None:
    """No losses, and losses of zero, stay what they are."""
    assert to_common_magnitude(np.empty(0)).tolist() == []
    assert to_common_magnitude(np.zeros(2)).tolist() == [0.0, 0.0]
