"""Losses of any magnitude, brought to one at which arithmetic neither overflows nor vanishes.

A difference of two losses overflows from 1e308 on, a square from 1e154 on, and where a few losses are as large as that
the differences of the others may be too small for a double. Multiplying by a power of two changes no bit of a
significand. So whatever is computed from ratios of differences is the same as before, where it could be computed.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np

if TYPE_CHECKING:
    from aiohpo.plugin import FloatArray

LARGEST = 1000  # a sum of some losses of 2^1000 does not overflow, and most of the range of a double is below it


def to_common_magnitude(y: FloatArray) -> FloatArray:
    """Return finite losses ``y`` (n,) times the power of two with which the largest is between 2^999 and 2^1000."""
    exponent = int(np.frexp(np.abs(y).max(initial=0.0))[1])
    return np.asarray(np.ldexp(y, LARGEST - exponent))
