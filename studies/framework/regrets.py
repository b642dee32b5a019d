"""Searches of curves compared: regret over time, and who was as good how much sooner.

The regret is 0 for the best loss that is known of a task and 1 for that of a typical complete training. Several seeds
are one curve, the median at each moment.
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from typing import TYPE_CHECKING, Any

import numpy as np
from numpy.typing import NDArray

from .curve_search import best_at

if TYPE_CHECKING:
    from matplotlib.axes import Axes

_MOMENTS = 201  # at which regrets are compared

Outcome = dict[str, Any]


def regret_at(outcome: Outcome, share: float) -> float:
    """Return the regret of a search after a share of its time; infinite where no loss was told yet."""
    best, typical = outcome["scale"]
    return float((best_at(outcome["best_over_time"], share * outcome["seconds"]) - best) / (typical - best))


def final_regrets(outcomes: Sequence[Outcome]) -> list[float]:
    """Return the regrets at the end, one of each seed."""
    return [regret_at(outcome, 1.0) for outcome in outcomes]


def median_curve(outcomes: Sequence[Outcome]) -> tuple[NDArray[np.float64], NDArray[np.float64]]:
    """Return shares of the time, and the median regret then."""
    shares = np.linspace(0.0, 1.0, _MOMENTS)
    regrets = np.sort([[regret_at(outcome, share) for share in shares] for outcome in outcomes], axis=0)
    above, below = regrets[len(regrets) // 2], regrets[(len(regrets) - 1) // 2]
    return shares, np.where(above == below, above, (above + below) / 2)


def breaks_away(outcomes: Sequence[Outcome], others: Sequence[Outcome]) -> float | None:
    """Return the share of the time from which on the median regret is below that of the others, to the end; None: it is
    not at the end."""
    if not outcomes or not others:
        return None
    shares, ours = median_curve(outcomes)
    _, theirs = median_curve(others)
    behind = np.flatnonzero(~(ours < theirs))
    if len(behind) and behind[-1] == len(shares) - 1:
        return None
    return float(shares[behind[-1] + 1]) if len(behind) else 0.0


def share_of_time(outcomes: Sequence[Outcome], others: Sequence[Outcome]) -> float | None:
    """Return the time after which the median regret is what that of the others is in the end, as a share of the time
    that the others took for it; infinite: it never is. None: nothing was played."""
    if not outcomes or not others:
        return None
    shares, ours = median_curve(outcomes)
    _, theirs = median_curve(others)
    good = np.flatnonzero(ours <= theirs[-1] + 1e-12)
    took = shares[np.flatnonzero(theirs <= theirs[-1] + 1e-12)[0]]
    return float(shares[good[0]] / took) if len(good) else math.inf


def draw_regrets(axes: Axes, lines: dict[str, Sequence[Outcome]], workers: str = "") -> None:
    """Draw median regrets over time, and the seeds' range of the first and the last line."""
    for at, (name, outcomes) in enumerate(lines.items()):
        if not outcomes:
            continue
        shares, regrets = median_curve(outcomes)
        minutes = shares * outcomes[0]["seconds"] / 60.0
        shown = np.isfinite(regrets)
        axes.step(minutes[shown], regrets[shown], where="post", color=f"C{at}", lw=1.4, label=name)
    axes.set_yscale("log")
    axes.set_ylabel("regret")
    axes.set_xlabel("minutes")
    axes.grid(alpha=0.25)
