"""A View with a fixed content, for testing searchers and schedulers without a swarm.

What a plugin sees in production is a view of the log. A test needs no log: it says which configurations were
observed, which failed and which are being evaluated, and hands the plugin that.
"""

from __future__ import annotations

from itertools import count
from typing import TYPE_CHECKING

import numpy as np

from aiohpo.interfaces import Observations
from aiohpo.seen import SeenRows

if TYPE_CHECKING:
    from collections.abc import Sequence

    from numpy.typing import ArrayLike, NDArray

    from aiohpo.interfaces import Config, FloatArray
    from aiohpo.space import Space

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


class StaticView:
    """Implement :class:`aiohpo.interfaces.View` over given arrays.

    Args:
        space: the search space.
        X: (m, d) unit-encoded rows, or m configurations, with a successful result.
        y: (m,) their losses, lower is better.
        failed: rows or configurations whose trial failed.
        pending: rows or configurations that somebody is evaluating.

    Rows are snapped to what the space can represent; their order is taken to be the canonical one.
    """

    def __init__(
        self,
        space: Space,
        X: ArrayLike | Sequence[Config] | None = None,
        y: ArrayLike = (),
        failed: ArrayLike | Sequence[Config] | None = None,
        pending: ArrayLike | Sequence[Config] | None = None,
    ) -> None:
        self.space = space
        losses = np.array(y, dtype=np.float64)
        observed, broken = _rows(space, X, "X"), _rows(space, failed, "failed")
        running = _rows(space, pending, "pending")
        if losses.shape != (len(observed),):
            raise ValueError(f"y has shape {losses.shape}; X has {len(observed)} rows")
        if not np.isfinite(losses).all():
            raise ValueError("y must be finite; give configurations without a result as failed or pending")
        for array in (observed, losses, broken, running):
            array.flags.writeable = False
        self._observations = Observations(observed, losses, broken, running, next(_versions))
        self._seen = SeenRows()
        self._seen.add(np.concatenate([observed, broken, running]))

    def __repr__(self) -> str:
        o = self._observations
        return f"<StaticView {len(o.X)} observed, {len(o.failed)} failed, {len(o.pending)} pending>"

    @property
    def n_trials(self) -> int:
        """Observed, failed and pending trials."""
        return self.n_observed + len(self._observations.pending)

    @property
    def n_observed(self) -> int:
        """Observed and failed trials."""
        return len(self._observations.X) + len(self._observations.failed)

    def observations(self) -> Observations:
        """Return the content; the same object every time."""
        return self._observations

    def seen(self, X: FloatArray) -> NDArray[np.bool_]:
        """Say for each row of ``X`` (k, d) whether it is observed, failed or pending."""
        return self._seen.contains(np.asarray(X, dtype=np.float64))
