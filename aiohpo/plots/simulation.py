"""What a simulation shows over its time: how busy the slots were, the best value, and how long news took to travel."""

from __future__ import annotations

from collections.abc import Mapping
from typing import TYPE_CHECKING, Any

from ..text import plot_text
from .style import BLUE, GREEN, GREY, ORANGE

if TYPE_CHECKING:
    from matplotlib.figure import Figure

_MINUTES_FROM = 600.0  # seconds


def draw(figure: Figure, figures: Mapping[str, Any], metric: str, title: str) -> None:
    """Draw on an empty figure.

    Args:
        figure: is made higher.
        figures: those of a simulation, as its JSON form has them.
        metric: the name of what is searched for.
        title: what was simulated.
    """
    figure.set_size_inches(9, 8)
    busy, best, news = figure.subplots(3, 1, sharex=True)
    end = figures["seconds"]
    unit, word = (60.0, "minutes") if end >= _MINUTES_FROM else (1.0, "seconds")

    when, share = _columns(figures["utilisation_over_time"], 2)
    busy.stairs(share, _edges(when, unit), color=BLUE, fill=True, alpha=0.25)
    busy.stairs(share, _edges(when, unit), color=BLUE)
    busy.axhline(figures["utilisation"], color=GREY, lw=0.8, ls="--", label=f"{figures['utilisation']:.1%} on the mean")
    busy.set_ylim(0, 1.05)
    busy.set_ylabel("busy slots")
    busy.set_title(f"{plot_text(title, 110)} ({figures['way']})", loc="left", fontsize=10)
    busy.legend(loc="lower right", frameon=False, fontsize=8)

    when, value = _columns(figures["best_over_time"], 2)
    if when:
        best.step([t / unit for t in [*when, end]], [*value, value[-1]], where="post", color=ORANGE)
        best.plot([t / unit for t in when], value, "o", ms=2.5, color=ORANGE)
        if min(value) > 0 and max(value) > 30 * min(value):
            best.set_yscale("log")
    else:
        best.text(0.5, 0.5, "no complete trial", transform=best.transAxes, ha="center", color=GREY)
    best.set_ylabel(f"best {plot_text(metric, 20)}")

    when, median, p99 = _columns(figures["propagation_over_time"], 3)
    if when:
        moments = [t / unit for t in when]
        news.plot(moments, [1000 * d for d in p99], ".-", color=GREY, lw=0.8, ms=3, label="99 % of them within")
        news.plot(moments, [1000 * d for d in median], ".-", color=GREEN, lw=1.2, ms=3, label="half of them within")
        news.set_yscale("log")
        news.yaxis.set_major_formatter("{x:g}")
        news.yaxis.set_minor_formatter("{x:g}")
        news.legend(loc="best", framealpha=0.85, edgecolor="none", fontsize=8)
    else:
        news.text(0.5, 0.5, "no news that had the time to travel", transform=news.transAxes, ha="center", color=GREY)
    news.set_ylabel("news arrives (ms)")
    news.set_xlabel(word)
    news.set_xlim(0, max(end / unit, 1e-6))
    for axes in (busy, best, news):
        axes.grid(alpha=0.25)


def _columns(rows: list[tuple[float, ...]], count: int) -> list[list[float]]:
    return [[row[at] for row in rows] for at in range(count)]


def _edges(middles: list[float], unit: float) -> list[float]:
    """The edges of parts of equal length with these middles."""
    if not middles:
        return [0.0]
    half = middles[0]
    return [(2 * half * at) / unit for at in range(len(middles) + 1)]
