"""The page of the study: its tables, its plots, and the lines of the index."""

from __future__ import annotations

from pathlib import Path
from statistics import median
from typing import TYPE_CHECKING

from ..framework.pages import fill, number, spread, table
from ..framework.results import Results
from ..framework.study import Comparison
from .tasks import TASKS, best_descent

if TYPE_CHECKING:
    from matplotlib.axes import Axes
    from matplotlib.figure import Figure

TEMPLATE = Path(__file__).with_name("page.md")
HINDSIGHT = "best constant"
METHODS = ("truncation", "tournament", "ttest", "exploit only", "explore only", "random constants", HINDSIGHT)
# Figure 2 of the paper draws the population as reaching the maximum.
MAXIMUM = 1.2


def text(results: Results) -> str:
    """Return the page."""
    return fill(
        TEMPLATE,
        provenance=results.provenance(),
        losses=_losses_table(results),
        wins=_wins_table(results),
        best_descent=f"{best_descent():.4f}",
    )


def comparisons(results: Results) -> list[Comparison]:
    """Return the lines of the index."""
    found = _losses(results, "figure 2", "truncation")
    ours = MAXIMUM - median(found.values()) if found else None
    note = "read off a plot; ours is the median of the seeds"
    return [Comparison("Q of figure 2's toy after 200 steps, a population of two", MAXIMUM, ours, "more", note)]


def _losses(results: Results, task: str, method: str) -> dict[int, float]:
    """Return the final losses by seed."""
    return {
        record.parameters["seed"]: record.result["loss"]
        for record in results
        if record.parameters["task"] == task and record.parameters["method"] == method
    }


def _losses_table(results: Results) -> str:
    rows = []
    for method in METHODS:
        copies = [record.result["copies"] for record in results if record.parameters["method"] == method]
        cells = [spread(list(_losses(results, task, method).values())) for task in TASKS]
        rows.append((method, *cells, number(median(copies)) if copies else None))
    return table(("", *TASKS, "trials with a parent, median"), rows)


def _wins_table(results: Results) -> str:
    rows = []
    for task in TASKS:
        for method in METHODS[:5]:
            ours = _losses(results, task, method)
            cells = []
            for other in (HINDSIGHT, "random constants", "truncation", "tournament"):
                theirs = _losses(results, task, other)
                both = [seed for seed in ours if seed in theirs]
                better = sum(ours[seed] < theirs[seed] for seed in both)
                cells.append(f"{better} of {len(both)}" if both and other != method else None)
            rows.append((task, method, *cells))
    head = ("task", "better than", "the best constant", "random constants", "truncation", "tournament")
    return table(head, rows)


def plots(results: Results) -> dict[str, Figure]:
    """Return the figures by name."""
    from matplotlib.figure import Figure
    from matplotlib.ticker import LogLocator, NullFormatter

    losses = Figure(figsize=(11, 4), layout="constrained")
    for axes, task in zip(losses.subplots(1, len(TASKS)), TASKS, strict=True):
        for at, method in enumerate(METHODS):
            found = list(_losses(results, task, method).values())
            if found:
                axes.plot(found, [at] * len(found), "o", color=f"C{at}", ms=4, alpha=0.5)
                axes.plot([median(found)], [at], "|", color="k", ms=16)
        if task == "descent":
            axes.axvline(best_descent(), color="k", ls=":", lw=1)
        axes.set_xscale("log")
        axes.xaxis.set_major_locator(LogLocator(subs=(1.0, 3.0)))
        axes.xaxis.set_major_formatter("{x:g}")
        axes.xaxis.set_minor_formatter(NullFormatter())
        axes.tick_params(axis="x", labelsize=8)
        axes.set_yticks(range(len(METHODS)), METHODS if task == next(iter(TASKS)) else [""] * len(METHODS))
        axes.invert_yaxis()
        axes.set_title(task, loc="left", fontsize=10)
        axes.set_xlabel("final loss")
    schedules = Figure(figsize=(11, 4), layout="constrained")
    for axes, task in zip(schedules.subplots(1, 2), ("descent", "digits"), strict=True):
        _schedules(axes, results, task)
    return {"losses": losses, "schedules": schedules}


def _schedules(axes: Axes, results: Results, task: str) -> None:
    """Draw the schedules of the best members."""
    for method, color in (("truncation", "C0"), ("tournament", "C1"), (HINDSIGHT, "k")):
        records = [r for r in results if r.parameters["task"] == task and r.parameters["method"] == method]
        for at, record in enumerate(records):
            ends = [0, *(last for last, _ in record.result["schedule"])]
            rates = [config["rate"] for _, config in record.result["schedule"]]
            axes.stairs(rates, ends, baseline=None, color=color, lw=1, alpha=0.6, label=method if at == 0 else None)
    if task == "descent":
        error, rates = 1.0, []
        for _ in range(TASKS[task].steps):
            rates.append(error / 2)
            error = (1 - error / 2) * error + (error / 2) ** 2
        axes.plot(range(1, len(rates) + 1), rates, "k:", label="the best schedule")
    axes.set_yscale("log")
    axes.yaxis.set_major_formatter("{x:g}")
    axes.yaxis.set_minor_formatter("{x:g}")
    axes.tick_params(axis="y", which="both", labelsize=7)
    axes.set_title(task, loc="left", fontsize=10)
    axes.set_xlabel("step")
    axes.set_ylabel("rate of the best member")
    if axes.get_legend_handles_labels()[0]:
        axes.legend(frameon=False, fontsize=8)
