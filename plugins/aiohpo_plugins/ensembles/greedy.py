"""Greedy selection: see :mod:`.selection`.

What the defaults rest on: test losses relative to plain greedy selection, averaged over libraries of real models, with
8 random splits into validation and test rows each. Classification, log-loss, 8 libraries of 59 or 81 models and 230
to 2,000 rows:

    best single model 1.165   calibration before: temperature 0.999, platt 0.995 (0.92 to 1.04), vector 0.995
    top-k             1.074   sorted initialisation with up to 25: 1.00, on one library 1.05
    gradient          0.983   20 bags of half the models (not offered): 0.99 to 1.01

Regression, root mean squared error, 7 libraries of 30 models: calibrated 0.998, and only then there are variances.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from aiohpo.plugin import Options

from .selecting import Choice, SelectingBuilder
from .selection import algorithm1, caruana

if TYPE_CHECKING:
    from collections.abc import Sequence

    from .selection import LossMemory

VARIANTS = ("caruana", "algorithm1")


class GreedyBuilder(SelectingBuilder):
    """Forward selection with replacement.

    Args:
        size: how often to select; for ``algorithm1`` how many distinct models at most.
        variant: ``caruana``, or ``algorithm1``, which stops at the first step that does not improve.
        start: sorted initialisation with up to so many of the best models; 1 begins with the best one.
        calibration: of each model before selection: ``none``, ``temperature``, ``platt``, ``vector`` or ``isotonic``;
            for regression all but ``none`` are an affine map and a variance. ``auto`` is the affine map for
            regression and ``none`` for classification.
        folds: for cross-fitting calibrators.
        seed: of the folds.

    Raises UsageError for values that are out of range.
    """

    name = "greedy"

    def __init__(
        self,
        *,
        size: int = 25,
        variant: str = "caruana",
        start: int = 1,
        calibration: str = "auto",
        folds: int = 5,
        seed: int = 0,
    ) -> None:
        super().__init__(calibration, folds, seed)
        options = Options(self.name)
        self.size = options.whole("size", size, least=1)
        self.variant = options.choice("variant", variant, VARIANTS)
        self.start = options.whole("start", start, least=1)

    def select(self, memory: LossMemory, slots: Sequence[int]) -> Choice:
        """Add models one after the other, and stop where the loss was lowest."""
        if self.variant == "algorithm1":
            path = algorithm1(memory, slots, self.size)
        else:
            path = caruana(memory, slots, self.size, self.start)
        return Choice(path.counts, path.losses[path.best - 1], list(enumerate(path.losses, start=1)))

    def __repr__(self) -> str:
        return f"<GreedyBuilder {self.variant}, size {self.size}, calibration {self.calibration}>"
