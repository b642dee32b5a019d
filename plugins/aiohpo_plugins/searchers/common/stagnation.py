"""Whether a search has come to a standstill: better losses, if there are any, are elsewhere."""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np

if TYPE_CHECKING:
    from aiohpo.plugin import FloatArray

WORTH = 0.02  # an improvement smaller than this share of the best loss's distance from the median is none


def since_improvement(q: FloatArray) -> int:
    """Return how many losses of ``q`` (n,), in canonical order, came after the last improvement worth the name.

    The answer is the same for c q + b, c > 0.
    """
    if not len(q):
        return 0
    best = np.minimum.accumulate(q)
    worth = WORTH * float(np.median(q) - best[-1])
    last, level = 0, best[0]
    for i in np.flatnonzero(np.diff(best)) + 1:
        if best[i] < level - worth:
            last, level = int(i), best[i]
    return len(q) - 1 - last
