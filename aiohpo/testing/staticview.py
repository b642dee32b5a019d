"""A View with a fixed content, for testing searchers and schedulers without a swarm.

What a plugin sees in production is a view of the log. A test needs no log: it says which configurations were
observed, which failed and which are being evaluated, and hands the plugin that.
"""

from __future__ import annotations

from itertools import count
from typing import TYPE_CHECKING

import numpy as np

from aiohpo.plugin import Observations, TrialState
from aiohpo.view.known_rows import KnownRows
from aiohpo.view.observations import ReportedCurves

if TYPE_CHECKING:
    from collections.abc import Sequence

    from numpy.typing import ArrayLike, NDArray

    from aiohpo.plugin import Config, FloatArray
    from aiohpo.space.space import Space

_versions = count(1)


def _rows(space: Space, rows: ArrayLike | Sequence[Config] | None, name: str) -> FloatArray:
    """Bring configurations, given as dicts or as unit-encoded rows, to a (k, d) array of snapped units."""
    if rows is None or len(rows) == 0:  # type: ignore[arg-type]  # a scalar is wrong usage and raises here
        return np.empty((0, space.dim))
    if isinstance(rows, (list, tuple)) and isinstance(rows[0], dict):
        rows = space.encode(rows)
    units = np.asarray(rows, dtype=np.float64)
    if units.ndim != 2 or units.shape[1] != space.dim:
        raise ValueError(f"{name} has shape {units.shape}; the space needs (k, {space.dim})")
    return space.snap(units)


def _curves(
    X: FloatArray, y: FloatArray, reports: Sequence[tuple[int, int, float]], max_steps: int | None
) -> ReportedCurves:
    points = {(int(trial), int(step)): float(loss) for trial, step, loss in reports}
    if max_steps is not None:
        points.update({(i, max_steps): float(loss) for i, loss in enumerate(y)})
    order = sorted(points)
    for i, step in order:
        if not 0 <= i < len(X) or step < 1 or not np.isfinite(points[i, step]):
            raise ValueError(f"report {(i, step, points[i, step])} is not (trial below {len(X)}, step from 1, finite)")
    trials = sorted({i for i, _ in order})
    row = {i: at for at, i in enumerate(trials)}
    arrays = (
        X[trials],
        np.array([row[i] for i, _ in order], dtype=np.int64),
        np.array([step for _, step in order], dtype=np.int64),
        np.array([points[at] for at in order], dtype=np.float64),
    )
    return ReportedCurves(lambda: arrays)


class StaticView:
    """Implement :class:`aiohpo.plugin.StudyView` over given arrays.

    Args:
        space: the search space.
        X: (m, d) unit-encoded rows, or m configurations, with a successful result.
        y: (m,) their losses, lower is better.
        failed: rows or configurations whose trial failed.
        pending: rows or configurations that are being evaluated.
        pending_to: (p,) the steps they run to; 0 (unknown) if not given.
        partial: rows or configurations of trials that are not complete: paused, stopped early.
        reports: (trial, step, loss) of everything that was reported on the way; ``trial`` counts through X, then
            ``partial``. With ``max_steps``, the results ``y`` stand at that step.
        max_steps: steps of a complete trial; None for a study without steps.

    Rows are snapped to representable configurations; their order is taken as the canonical one.
    """

    def __init__(
        self,
        space: Space,
        X: ArrayLike | Sequence[Config] | None = None,
        y: ArrayLike = (),
        failed: ArrayLike | Sequence[Config] | None = None,
        pending: ArrayLike | Sequence[Config] | None = None,
        pending_to: ArrayLike = (),
        partial: ArrayLike | Sequence[Config] | None = None,
        reports: Sequence[tuple[int, int, float]] = (),
        max_steps: int | None = None,
    ) -> None:
        self.space = space
        self.max_steps = max_steps
        losses = np.array(y, dtype=np.float64)
        observed, broken = _rows(space, X, "X"), _rows(space, failed, "failed")
        running = _rows(space, pending, "pending")
        if losses.shape != (len(observed),):
            raise ValueError(f"y has shape {losses.shape}; X has {len(observed)} rows")
        if not np.isfinite(losses).all():
            raise ValueError("y must be finite; give configurations without a result as failed or pending")
        unfinished = _rows(space, partial, "partial")
        to = np.array(pending_to, dtype=np.int64)
        if not len(to):
            to = np.zeros(len(running), np.int64)
        if to.shape != (len(running),):
            raise ValueError(f"pending_to has shape {to.shape}; pending has {len(running)} rows")
        curves = _curves(np.concatenate([observed, unfinished]), losses, reports, max_steps)
        for array in (observed, losses, broken, running, to):
            array.flags.writeable = False
        self._observations = Observations(observed, losses, broken, running, to, curves, max_steps, next(_versions), 0)
        self._n_partial = len(unfinished)
        self._proposed = np.concatenate([observed, unfinished, broken, running])
        self._proposed.flags.writeable = False
        self._seen = KnownRows()
        self._seen.add(self._proposed)

    def __repr__(self) -> str:
        o = self._observations
        return f"<StaticView {len(o.X)} observed, {len(o.failed)} failed, {len(o.pending)} pending>"

    @property
    def n_trials(self) -> int:
        """Observed, partial, failed and pending trials."""
        return self.n_observed + self._n_partial + len(self._observations.pending)

    @property
    def n_observed(self) -> int:
        """Observed and failed trials."""
        return len(self._observations.X) + len(self._observations.failed)

    def observations(self) -> Observations:
        """Return the content; the same object every time."""
        return self._observations

    def pending(self, most: int | None = None) -> FloatArray:
        """Return the pending rows, or the last ``most`` of them."""
        pending = self._observations.pending
        return pending if most is None else pending[max(len(pending) - most, 0) :]

    def proposed(self, since: int) -> tuple[FloatArray, NDArray[np.bool_], int]:
        """Return all rows, of which the last are pending: nothing here has a time."""
        rows = self._proposed
        return rows, np.arange(len(rows)) >= len(rows) - len(self._observations.pending), 0

    def seen(self, X: FloatArray) -> NDArray[np.bool_]:
        """Say for each row of ``X`` (k, d) whether it is observed, failed or pending."""
        return self._seen.contains(np.asarray(X, dtype=np.float64))

    def trial(self, id: str) -> TrialState:
        """There are no trials with names here, only observations."""
        raise KeyError(id)

    def config_of(self, trial: str) -> Config:
        """There are no trials with names here, only observations."""
        raise KeyError(trial)

    def changed(self, since: int) -> tuple[Sequence[str], int]:
        """Nothing ever changes."""
        return (), since
