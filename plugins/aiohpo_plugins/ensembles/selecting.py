"""What top-k and greedy selection share: calibrate, put into a pool, select, and make an ensemble of it."""

from __future__ import annotations

from abc import ABC, abstractmethod
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import numpy as np

from aiohpo.ensembles.ensemble import Ensemble, Member
from aiohpo.ensembles.metrics import Metric, get_metric
from aiohpo.ensembles.predictions import check_targets, encode_targets, usable
from aiohpo.errors import UsageError
from aiohpo.plugin import Options

from .calibration import CALIBRATIONS, cross_fit
from .folds import assign
from .models import Models
from .pools import pool_for
from .selection import LossMemory

if TYPE_CHECKING:
    from collections.abc import Sequence

    from aiohpo.ensembles.calibrators import Calibrator
    from aiohpo.plugin import FloatArray


@dataclass(frozen=True, slots=True)
class Choice:
    """How often each slot was chosen, the loss of that, and (size, loss) of the way there."""

    counts: dict[int, int]
    loss: float
    path: Sequence[tuple[int, float]]


class SelectingBuilder(ABC):
    """A builder that chooses models by what they would add, and weighs them by how often they were chosen."""

    name: str

    def __init__(self, calibration: str, folds: int, seed: int) -> None:
        options = Options(self.name)
        self.calibration = options.choice("calibration", calibration, ("auto", *CALIBRATIONS))
        self.folds = options.whole("folds", folds, least=2)
        self.seed = options.whole("seed", seed, least=0)

    @abstractmethod
    def select(self, memory: LossMemory, slots: Sequence[int]) -> Choice:
        """Choose among ``slots``, which are in canonical order."""

    def fit(self, predictions: Any, y: Any, metric: Any) -> Ensemble:
        """See :class:`aiohpo.plugin.EnsembleBuilder`. Models that cannot be used are left out, and named in the
        ensemble's ``problems``; raises UsageError if there is none left."""
        metric = get_metric(metric)
        models = Models(predictions, y, metric)
        live = LiveSelection(self, models.y, metric, models.k)
        live.reserve(len(models.rows))
        for row in models.rows:
            live.put(row, models[row])
        return live.ensemble([Member(row) for row in models.rows], models.problems)

    def live(self, y: Any, metric: Any) -> LiveSelection:
        """See :class:`aiohpo.plugin.LiveEnsembleBuilder`."""
        metric = get_metric(metric)
        return LiveSelection(self, check_targets(y, metric.task), metric)


class LiveSelection:
    """See :class:`aiohpo.plugin.LiveEnsemble`."""

    def __init__(self, builder: SelectingBuilder, y: Any, metric: Metric, k: int | None = None) -> None:
        self._builder, self._y, self._metric = builder, y, metric
        self._slots: dict[Any, int] = {}
        self._calibrators: dict[int, Calibrator | None] = {}
        self._free: list[int] = []
        self._memory: LossMemory | None = None
        if k is not None:
            self._begin(k)

    def _begin(self, k: int) -> LossMemory:
        self._k = k
        if self._metric.task == "classification":
            self._y, _ = encode_targets(self._y, k)
        self._fold = assign(self._y, min(self._builder.folds, len(self._y)), self._builder.seed)
        regression = self._metric.task == "regression"
        self._calibration = self._builder.calibration
        if self._calibration == "auto":
            self._calibration = "platt" if regression else "none"
        width = 2 if regression and self._calibration != "none" else k
        self._memory = LossMemory(pool_for(self._y, width, self._metric))
        return self._memory

    def add(self, key: Any, predictions: Any) -> None:
        """Take in a model. The first one says how many columns all have. Raises UsageError for what is no use."""
        p = np.asarray(predictions)
        p = p[:, None] if p.ndim == 1 and self._metric.task == "regression" else p
        k = p.shape[1] if self._memory is None and p.ndim == 2 else getattr(self, "_k", 2)
        p = usable(p, len(self._y), k, self._metric.task)
        if self._memory is None:
            self._begin(k)
        self.discard(key)
        self.put(key, p)

    def reserve(self, size: int) -> None:
        """Expect ``size`` models."""
        assert self._memory is not None
        self._memory.pool.reserve(size)

    def put(self, key: Any, p: FloatArray) -> None:
        """Take in a model that has been checked."""
        assert self._memory is not None
        slot = self._free.pop() if self._free else len(self._slots)
        calibrator, p = cross_fit(self._calibration, p, self._y, self._metric.task, self._fold)
        self._slots[key], self._calibrators[slot] = slot, calibrator
        self._memory.put(slot, p)

    def discard(self, key: Any) -> None:
        """Forget a model; nothing happens if it is not there."""
        slot = self._slots.pop(key, None)
        if slot is not None and self._memory is not None:
            self._memory.forget(slot)
            self._free.append(slot)

    def fit(self) -> tuple[Ensemble, list[Any]]:
        """Return the ensemble of the models that are here, and their keys in order."""
        keys = sorted(self._slots)
        if not keys:
            raise UsageError("there are no predictions to build an ensemble from")
        return self.ensemble([Member(row) for row in range(len(keys))], ()), keys

    def ensemble(self, members: Sequence[Member], problems: tuple[str, ...]) -> Ensemble:
        """Select. ``members`` are the models in the order of their keys."""
        assert self._memory is not None
        slots = [self._slots[key] for key in sorted(self._slots)]
        choice = self._builder.select(self._memory, slots)
        self._memory.prune()
        chosen = [(member, slot) for member, slot in zip(members, slots, strict=True) if slot in choice.counts]
        counts = np.array([choice.counts[slot] for _, slot in chosen], dtype=np.float64)
        sign = -1.0 if self._metric.maximise else 1.0
        return Ensemble(
            task=self._metric.task,
            members=tuple(member for member, _ in chosen),
            weights=counts / counts.sum(),
            calibrators=tuple(self._calibrators[slot] for _, slot in chosen),
            metric=self._metric.name,
            score=sign * choice.loss,
            columns=self._k,
            path=tuple((size, sign * loss) for size, loss in choice.path),
            builder=self._builder.name,
            problems=problems,
        )

    def __len__(self) -> int:
        return len(self._slots)

    def __repr__(self) -> str:
        return f"<LiveSelection by {self._builder!r} among {len(self)} models>"
