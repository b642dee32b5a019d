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

    from .results import Results

_MOMENTS = 201  # at which regrets are compared
_LEAST_DRAWN = 0.003  # regret, on a logarithmic scale

Outcome = dict[str, Any]


def regret_at(outcome: Outcome, share: float) -> float:
    """Return the regret of a search after a share of its time; infinite where no loss was told yet."""
    best, typical = outcome["scale"]
    loss = best_at(outcome["best_over_time"], share * outcome["seconds"])
    return max(float((loss - best) / (typical - best)), 0.0)  # what is kept of a loss is rounded


def by_seed(results: Results, **wanted: Any) -> list[Outcome]:
    """Return what came of the runs that have these parameters, the seeds in order."""
    records = [r for r in results if all(r.parameters.get(name) == value for name, value in wanted.items())]
    return [record.result for record in sorted(records, key=lambda record: int(record.parameters["seed"]))]


def of_same_seeds(
    outcomes: Sequence[Outcome], others: Sequence[Outcome]
) -> tuple[Sequence[Outcome], Sequence[Outcome]]:
    """Return the searches of the seeds that both have, where seeds count from 0."""
    both = min(len(outcomes), len(others))
    return outcomes[:both], others[:both]


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
    outcomes, others = of_same_seeds(outcomes, others)
    if not outcomes:
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
    outcomes, others = of_same_seeds(outcomes, others)
    if not outcomes:
        return None
    shares, ours = median_curve(outcomes)
    _, theirs = median_curve(others)
    good = np.flatnonzero(ours <= theirs[-1] + 1e-12)
    took = shares[np.flatnonzero(theirs <= theirs[-1] + 1e-12)[0]]
    return float(shares[good[0]] / took) if len(good) else math.inf


def draw_regrets(axes: Axes, lines: dict[str, Sequence[Outcome]]) -> None:
    """Draw median regrets over time, each of the ``lines`` in a colour of its place; those without a search are left
    out."""
    for at, (name, outcomes) in enumerate(lines.items()):
        if not outcomes:
            continue
        shares, regrets = median_curve(outcomes)
        minutes = shares * outcomes[0]["seconds"] / 60.0
        shown = np.isfinite(regrets)
        axes.step(
            minutes[shown], np.maximum(regrets[shown], _LEAST_DRAWN), where="post", color=f"C{at}", lw=1.4, label=name
        )
    axes.set_yscale("log")
    axes.yaxis.set_major_formatter("{x:g}")
    axes.yaxis.set_minor_formatter("")
    axes.set_ylabel("regret")
    axes.set_xlabel("minutes")
    axes.grid(alpha=0.25)


def draw_legend(axes: Axes, *, outside: bool = False) -> None:
    """Add a legend, to the right of the axes if ``outside``; none where nothing was drawn."""
    if not axes.get_legend_handles_labels()[0]:
        return
    if outside:
        axes.legend(frameon=False, fontsize=8, loc="center left", bbox_to_anchor=(1.0, 0.5))
    else:
        axes.legend(frameon=False, fontsize=8)
