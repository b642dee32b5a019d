"""The k best models with equal weights: hard to beat for so little."""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np

from aiohpo.plugin import Options

from .selecting import Choice, SelectingBuilder

if TYPE_CHECKING:
    from collections.abc import Sequence

    from .selection import LossMemory

MOST = 25  # models tried when validation chooses how many


class TopKBuilder(SelectingBuilder):
    """The k best models by the metric.

    Args:
        size: how many; None: as many, up to 25, as do best together on the validation rows.
        calibration: of each model beforehand, as for :class:`.greedy.GreedyBuilder`.
        folds: for cross-fitting calibrators.
        seed: of the folds.

    Raises UsageError for values that are out of range.
    """

    name = "topk"

    def __init__(self, *, size: int | None = None, calibration: str = "auto", folds: int = 5, seed: int = 0) -> None:
        super().__init__(calibration, folds, seed)
        self.size = Options(self.name).whole_or_none("size", size, least=1)

    def select(self, memory: LossMemory, slots: Sequence[int]) -> Choice:
        """Rank the models; add one after the other."""
        pool, candidates = memory.pool, np.asarray(slots, dtype=np.int64)
        state = pool.start()
        alone = memory.losses((), state, candidates)
        ranked = candidates[np.argsort(alone, kind="stable")][: MOST if self.size is None else self.size]
        losses = []
        for slot in ranked:
            losses.append(float(pool.losses(state, np.array([slot]))[0]))
            state = pool.extend(state, int(slot))
        k = int(np.argmin(losses)) + 1 if self.size is None else len(ranked)
        return Choice({int(slot): 1 for slot in ranked[:k]}, losses[k - 1], list(enumerate(losses, start=1)))

    def __repr__(self) -> str:
        return f"<TopKBuilder size {self.size or 'by validation'}, calibration {self.calibration}>"
