"""How much of each pixel bars cover."""

from __future__ import annotations

import numpy as np
from numpy.testing import assert_allclose

from aiohpo.plots.coverage import Coverage


def test_a_pixel_is_as_opaque_as_what_is_covered_of_it() -> None:
    """Bars cover whole pixels, parts of them at their ends, and parts of one pixel; what overlaps counts once."""
    coverage = Coverage(2, 4, 8.0)
    left, right = np.array([1.0, 6.5, 0.0, 0.0]), np.array([5.0, 7.0, 8.0, 8.0])
    coverage.add((1.0, 0.0, 0.0), np.array([0, 0, 1, 1]), left, right)
    image = coverage.image()
    assert_allclose(image[0, :, 3], [0.5, 1.0, 0.5, 0.25])
    assert_allclose(image[1, :, 3], 1.0)
    assert_allclose(image[0, :, :3], [[1.0, 0.0, 0.0]] * 4)


def test_colours_are_mixed_by_what_they_cover() -> None:
    """Three quarters red and a quarter blue are three quarters red; beyond the end nothing is drawn."""
    coverage = Coverage(1, 1, 1.0)
    coverage.add((1.0, 0.0, 0.0), np.array([0]), [0.0], [0.75])
    coverage.add((0.0, 0.0, 1.0), np.array([0]), [0.75], [9.0])
    assert_allclose(coverage.image(), [[[0.75, 0.0, 0.25, 1.0]]])
    assert repr(coverage) == "<Coverage of 1 x 1 pixels, 100% covered>"
