"""KDE: the sampler of BOHB (Falkner et al., arXiv 1807.01774, sections 3.2 and 4.1).

Of the trials of the highest rung that has d + 1 good and d + 1 bad ones, the best 15 % (at least d + 1) are good.
One bandwidth per column, for all kernels of a density, by the normal reference rule

    h = 1.06 s n^(-1 / (d + 4))         s, n: standard deviation and number of the centres' values

but at least ``min_bandwidth``. Candidates are drawn with ``factor`` times that, and a ``random`` share of all
suggestions is drawn from the whole space, which keeps Hyperband's guarantee.

All is done on the unit encoding, so on a logarithmic scale where a parameter has one. This differs from the paper:
categories (:data:`.ratio.MOVES`; the rule above applied to their numbers says nothing); inactive
parameters (:mod:`.density`), which the published code imputes; defaults and a Sobol sequence in the beginning;
running evaluations (:mod:`.ratio`). To begin with d + 3 trials, good and bad ones overlapping, as
the published code does, was no better (mean rank 3.47 against 3.46, in the setting described there).
"""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np

from aiohpo.plugin import Options

from .density import Density, reference_widths
from .ratio import MOVES, Ratio, RatioSearcher

if TYPE_CHECKING:
    from aiohpo.plugin import FloatArray, IntArray


class KDESearcher(RatioSearcher):
    """BOHB's sampler: at the highest rung with enough trials, kernel densities of good and of bad ones.

    Args:
        good: share of a rung's trials that is good.
        candidates: how many are drawn per suggestion.
        factor: how much wider than the kernels candidates are drawn.
        random: share of suggestions that are drawn from the whole space.
        min_bandwidth: least bandwidth, in units of a parameter's range.
        pending: whether running evaluations count as bad ones.

    Raises UsageError for values that are out of range.
    """

    name = "kde"

    def __init__(
        self,
        *,
        good: float = 0.15,
        candidates: int = 64,
        factor: float = 3.0,
        random: float = 1 / 3,
        min_bandwidth: float = 1e-3,
        pending: bool = True,
    ) -> None:
        super().__init__(good, candidates, pending)
        options = Options(self.name)
        self.factor = options.number("factor", factor, above=0, below=100)
        self.random = options.number("random", random, least=0, most=1)
        self.min_bandwidth = options.number("min_bandwidth", min_bandwidth, above=0, below=1)

    def _enough(self, losses: int, failures: int) -> bool:
        least = self._space.dim + 1
        return losses >= least and losses + failures >= 2 * least

    def _split(self, n: int) -> int:
        return max(self._space.dim + 1, int(self.good * n))

    def _densities(self, good: FloatArray, bad: FloatArray) -> Ratio:
        made = []
        for rows in (good, bad):
            width = reference_widths(self._kernels, rows, self.min_bandwidth, MOVES)
            made.append((Density(self._kernels, rows, np.broadcast_to(width, rows.shape)), width))
        return Ratio(made[0][0], *made[1])

    def _draw(self, model: Ratio, rng: np.random.Generator, n: int) -> tuple[FloatArray, IntArray]:
        counts = np.where(rng.random(n) < self.random, 0, self.candidates)
        return model.good.draw(rng, int(counts.sum()), self.factor), counts
