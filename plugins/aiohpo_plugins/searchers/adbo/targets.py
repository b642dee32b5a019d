"""Losses as a regression target: robust, scale-free, and with something to learn from failures.

A forest predicts by averaging, so one diverged trial of loss 1e6 would drag every leaf it falls into, and the
differences among the good ones would vanish. Two remedies are common and each loses something: ranks mapped to
normal quantiles forget how much better the best is; a robust standardisation keeps that but lets the tails
grow. The target here is the mean of both:

    z = (Φ⁻¹((rank - ½) / n) + s / std(s)) / 2      with s = arsinh((y - median) / IQR)
"""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np
from scipy.special import ndtri
from scipy.stats import rankdata

from ..common.magnitude import to_common_magnitude

if TYPE_CHECKING:
    from aiohpo.plugin import FloatArray

FAILURES = ("worst", "mean", "ignore")
_FARTHEST = 1e150  # in interquartile ranges from the median: an outlier's place must be finite


def rescale(y: FloatArray) -> FloatArray:
    """Return the target of losses ``y`` (n,), finite: about standard normal, in the order of ``y``."""
    if not len(y):
        return np.empty(0)
    gauss = ndtri((rankdata(y) - 0.5) / len(y))
    y = to_common_magnitude(y)
    low, median, high = np.quantile(y, [0.25, 0.5, 0.75])
    if high <= low:  # more than half of the losses are equal: only ranks say something
        return np.asarray(gauss)
    with np.errstate(over="ignore"):
        robust = np.arcsinh(np.clip((y - median) / (high - low), -_FARTHEST, _FARTHEST))
    return np.asarray(0.5 * (gauss + robust / robust.std()))


def impute(z: FloatArray, n: int, how: str) -> FloatArray:
    """Return the targets (n,) of ``n`` failed trials, given those of the others: the ``worst``, the ``mean``, or
    none at all (``ignore``)."""
    if how == "ignore" or not len(z):
        return np.empty(0)
    return np.full(n, z.max() if how == "worst" else z.mean())
