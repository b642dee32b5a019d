"""Successive halving, synchronously: one bracket after the other (Jamieson & Talwalkar, arXiv 1502.07943)."""

from __future__ import annotations

from aiohpo.plugin import Identity, Options

from ..steps import steps_of
from .brackets import fewest_steps, halvings, plan
from .synchronous import SynchronousHalving


class SHAScheduler(SynchronousHalving):
    """Run n trials a little, the best 1/eta of them eta times as long, and so on; then the next n trials.

    Args:
        eta: one of so many goes on, to so many times the steps.
        r_min: no rung lies below it; default: a 27th of max_steps, at least 1.
        n: trials in a bracket; by default as many as it takes for one to reach the end, eta^floor(log_eta(R/r_min)).

    Raises UsageError for values that are out of range.
    """

    def __init__(self, *, eta: float = 3, r_min: int | None = None, n: int | None = None) -> None:
        super().__init__()
        options = Options("sha")
        self.eta = options.number("eta", eta, least=2)
        self.r_min = options.whole_or_none("r_min", r_min, least=1)
        self.n = options.whole_or_none("n", n, least=1)

    def setup(self, max_steps: int | None, seed: int, identity: Identity) -> None:
        """Lay out the bracket. Raises ``ValueError`` if there are no steps, or too few for a rung."""
        steps = steps_of("sha", max_steps, self.r_min or 1, self.eta)
        r_min = fewest_steps(self.r_min, steps)
        self._begin([plan(self.eta, r_min, steps, halvings(self.eta, r_min, steps), self.n)])

    def __repr__(self) -> str:
        n = "" if self.n is None else f", n={self.n}"
        return f"SHAScheduler(eta={self.eta:g}, r_min={self.r_min}{n})"
