"""The page of the study: its tables, its plot, and the lines of the index."""

from __future__ import annotations

from pathlib import Path
from statistics import median
from typing import TYPE_CHECKING, Any

from ..framework.pages import fill, number, spread, table
from ..framework.results import Results
from ..framework.study import Comparison
from .published import CANDIDATES, OTHER_SPEED_UP, OTHER_WORKERS, SPEED_UP, THREADS

if TYPE_CHECKING:
    from matplotlib.figure import Figure

TEMPLATE = Path(__file__).with_name("page.md")
METHODS = ("asynchronous", "synchronous")
_SIZES = (128, 256, 512)


def text(results: Results) -> str:
    """Return the page."""
    return fill(
        TEMPLATE,
        provenance=results.provenance(),
        published=_published_table(results),
        hours=_hours_table(results),
        quality=_quality_table(results),
        real=_real_table(results),
    )


def comparisons(results: Results) -> list[Comparison]:
    """Return the lines of the index."""
    lines = []
    for workers, theirs in ((THREADS, SPEED_UP), (OTHER_WORKERS, OTHER_SPEED_UP)):
        pairs = _pairs(results, "asynchronous", CANDIDATES, workers)
        ours = median(one["seconds"] / many["seconds"] for one, many in pairs) if pairs else None
        most = _bound(results, CANDIDATES, workers, 0)
        note = (
            f"recorded trainings in virtual time; the critical path of sequential halving allows {number(most) or '?'}"
        )
        what = f"speed-up over sequential halving, {CANDIDATES} candidates, {workers} workers"
        lines.append(Comparison(what, theirs, ours, "more", note))
    return lines


def _pairs(results: Results, method: str, size: int, workers: int) -> list[tuple[dict[str, Any], dict[str, Any]]]:
    """Return the sequential run and that of ``method``, seed by seed."""
    seeds = sorted({record.parameters["seed"] for record in results})
    found = [
        (
            results.get({"method": "sequential", "candidates": size, "workers": 1, "seed": seed}),
            results.get({"method": method, "candidates": size, "workers": workers, "seed": seed}),
        )
        for seed in seeds
    ]
    return [(one, many) for one, many in found if one is not None and many is not None]


def _bound(results: Results, size: int, workers: int, which: int) -> float | None:
    """Return the median of a bound on the speed-up: 0 for the critical path, 1 with a barrier after each rung."""
    ones = results.where(method="sequential", candidates=size)
    values = [one["bounds"][str(workers)][which] for one in ones if str(workers) in one["bounds"]]
    return median(values) if values else None


def _workers(results: Results) -> list[int]:
    return sorted({r.parameters["workers"] for r in results if r.parameters["method"] in METHODS})


def _published_table(results: Results) -> str:
    rows = []
    for size in _SIZES:
        for workers in _workers(results):
            theirs = {(CANDIDATES, THREADS): SPEED_UP, (CANDIDATES, OTHER_WORKERS): OTHER_SPEED_UP}
            ups = {
                method: [one["seconds"] / many["seconds"] for one, many in _pairs(results, method, size, workers)]
                for method in METHODS
            }
            published = theirs.get((size, workers))
            rows.append(
                (
                    size,
                    workers,
                    None if published is None else f"{published:g}",
                    spread(ups["asynchronous"]),
                    number(_bound(results, size, workers, 0)),
                    spread(ups["synchronous"]),
                    number(_bound(results, size, workers, 1)),
                )
            )
    head = ("candidates", "workers", "published", "asynchronous", "bound", "synchronous", "bound with barriers")
    return table(head, rows)


def _hours_table(results: Results) -> str:
    rows = []
    for size in _SIZES:
        ones = results.where(method="sequential", candidates=size)
        rows.append((size, "sequential", 1, *_hours(ones, 1)))
        for method in METHODS:
            for workers in (8, 32, 64):
                many = results.where(method=method, candidates=size, workers=workers)
                rows.append((size, method, workers, *_hours(many, workers)))
    return table(("candidates", "", "workers", "hours", "core hours, busy", "core hours, reserved"), rows)


def _hours(outcomes: list[dict[str, Any]], workers: int) -> tuple[str | None, str | None, str | None]:
    hours = [outcome["seconds"] / 3600 for outcome in outcomes]
    return (
        spread(hours),
        spread([outcome["busy"] / 3600 for outcome in outcomes]),
        spread([workers * value for value in hours]),
    )


def _quality_table(results: Results) -> str:
    rows = []
    for size in _SIZES:
        ones = [one["best"] for one in results.where(method="sequential", candidates=size)]
        cells = [
            spread([many["best"] for many in results.where(method=method, candidates=size)], 4) for method in METHODS
        ]
        rows.append((size, spread(ones, 4), *cells))
    return table(("candidates", "sequential", "asynchronous, all workers", "synchronous, all workers"), rows)


def _real_table(results: Results) -> str:
    rows = []
    for workers in (1, 2):
        for outcome in results.where(method="real", workers=workers):
            rows.append(
                (
                    workers,
                    "sequential" if workers == 1 else "asynchronous",
                    outcome["seconds"],
                    outcome["cpu"],
                    outcome["megabytes"],
                    f"{outcome['best']:.4f}",
                    outcome["load"],
                )
            )
    head = ("workers", "", "seconds", "CPU seconds", "MB, the largest process", "error", "load of the machine")
    return table(head, rows)


def plots(results: Results) -> dict[str, Figure]:
    """Return the figures by name."""
    from matplotlib.figure import Figure

    figure = Figure(figsize=(11, 4), layout="constrained")
    for axes, size in zip(figure.subplots(1, 3, sharey=True), _SIZES, strict=True):
        workers = _workers(results)
        for which, style, name in ((0, "k--", "critical path"), (1, "k:", "with barriers")):
            bounds = [(w, b) for w in workers if (b := _bound(results, size, w, which)) is not None]
            axes.plot([w for w, _ in bounds], [b for _, b in bounds], style, lw=1, label=f"bound, {name}")
        for method, color in zip(METHODS, ("C0", "C1"), strict=True):
            ups = {w: [a["seconds"] / b["seconds"] for a, b in _pairs(results, method, size, w)] for w in workers}
            ups = {w: values for w, values in ups.items() if values}
            axes.plot(list(ups), [median(values) for values in ups.values()], "o-", color=color, ms=4, label=method)
            for w, values in ups.items():
                axes.plot([w, w], [min(values), max(values)], "-", color=color, lw=1)
        if size == CANDIDATES:
            axes.plot([THREADS], [SPEED_UP], "rx", label="Han and Jiang")
            axes.plot([OTHER_WORKERS], [OTHER_SPEED_UP], "r+", ms=9, label="another implementation")
        axes.set_xscale("log", base=2)
        axes.xaxis.set_major_formatter("{x:g}")
        axes.set_title(f"{size} candidates", loc="left", fontsize=10)
        axes.set_xlabel("workers")
    figure.axes[0].set_ylabel("times as fast as sequential halving")
    figure.axes[1].legend(frameon=False, fontsize=8, loc="upper left")
    return {"speedup": figure}
