"""Predicted candidates, and what is left of their promise when others take some of them.

A pool is what :meth:`ADBOSearcher.fit` returns: candidates with the model's prediction for each. Between two fits
workers take configurations; the model need not be trained again to know that the neighbourhood of a running
one has become less interesting. Two configurations are *close* as far as they share leaves:

    w(x, x') = share of the trees in which x and x' fall into the same leaf     (Breiman's proximity)

When x' is taken, the prediction at every x moves to what it would be if x' had been observed with the value l,

    mu(x) <- mu(x) + w/2 (l - mu(x))        sigma(x) <- (1 - w) sigma(x)

where l depends on the option ``pending``:

    liar      the worst loss so far: stay away         believer  mu(x'): nothing but less uncertainty
    random    a random observed loss                   none      as if nothing ran
"""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any

import numpy as np

from .geometry import Geometry

if TYPE_CHECKING:
    from numpy.typing import NDArray

    from aiohpo.interfaces import FloatArray

PENDING = ("none", "liar", "believer", "random")


@dataclass(slots=True)
class Pool:
    """Candidates and their predictions.

    units     (n, d) snapped rows
    mean      (n,) predicted target
    std       (n,) its standard deviation by the forest
    gap       (n,) distance to the nearest row that was observed or taken
    leaves    (trees, n)
    embedded  (n, e), see :class:`Geometry`
    targets   (m,) of the observations, ascending
    """

    units: FloatArray
    mean: FloatArray
    std: FloatArray
    gap: FloatArray
    leaves: NDArray[np.int32]
    embedded: NDArray[np.float32]
    targets: FloatArray = field(repr=False)

    def copy(self) -> Pool:
        """Return a pool to take from; the arrays that :meth:`take` changes are its own."""
        return Pool(
            self.units,
            self.mean.copy(),
            self.std.copy(),
            self.gap.copy(),
            self.leaves,
            self.embedded,
            self.targets,
        )

    def extended(self, other: Pool) -> Pool:
        """Return this pool and another one of the same model as one."""

        def joined(name: str, axis: int = 0) -> Any:
            return np.concatenate([getattr(self, name), getattr(other, name)], axis=axis)

        return Pool(
            joined("units"),
            joined("mean"),
            joined("std"),
            joined("gap"),
            joined("leaves", 1),
            joined("embedded"),
            self.targets,
        )

    def take(
        self,
        leaf: NDArray[np.int32],
        embedded: NDArray[np.float32],
        pending: str,
        rng: np.random.Generator,
        mean: float = 0.0,
    ) -> None:
        """Discount, in place, for a taken row that falls into ``leaf`` (trees,)."""
        close = (self.leaves == leaf[:, None]).mean(axis=0)
        if pending != "believer":
            lie = self.targets[-1] if pending == "liar" else rng.choice(self.targets)
            self.mean += 0.5 * close * (lie - self.mean)
        self.std *= 1.0 - close
        np.minimum(self.gap, Geometry.nearest(self.embedded, embedded[None]), out=self.gap)
