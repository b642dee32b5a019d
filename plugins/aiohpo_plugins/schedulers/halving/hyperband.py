"""Hyperband: successive halving with every trade-off between many trials and long ones (arXiv 1603.06560)."""

from __future__ import annotations

from aiohpo.plugin import Identity, Options

from ..steps import steps_of
from .brackets import fewest_steps, hyperband_plans
from .synchronous import SynchronousHalving


class HyperbandScheduler(SynchronousHalving):
    """Run Hyperband's brackets, from the one with most and shortest trials to the one without early stopping, again
    and again.

    Args:
        eta: one of so many goes on, to so many times the steps.
        r_min: no rung lies below it; default: a 27th of max_steps, at least 1.

    Raises UsageError for values that are out of range.
    """

    def __init__(self, *, eta: float = 3, r_min: int | None = None) -> None:
        super().__init__()
        options = Options("hyperband")
        self.eta = options.number("eta", eta, least=2)
        self.r_min = options.whole_or_none("r_min", r_min, least=1)

    def setup(self, max_steps: int | None, seed: int, identity: Identity) -> None:
        """Lay out the brackets. Raises ``ValueError`` if there are no steps, or too few for a rung."""
        steps = steps_of("hyperband", max_steps, self.r_min or 1, self.eta)
        self._begin(hyperband_plans(self.eta, fewest_steps(self.r_min, steps), steps))

    def __repr__(self) -> str:
        return f"HyperbandScheduler(eta={self.eta:g}, r_min={self.r_min})"
