"""The page of the study: its tables, its plots, and the lines of the index."""

from __future__ import annotations

import math
from pathlib import Path
from statistics import median
from typing import TYPE_CHECKING, Any

from ..framework.pages import fill, number, spread, table
from ..framework.regrets import breaks_away, by_seed, draw_legend, draw_regrets, final_regrets, regret_at, share_of_time
from ..framework.results import Results
from ..framework.study import Comparison

if TYPE_CHECKING:
    from matplotlib.figure import Figure

TEMPLATE = Path(__file__).with_name("page.md")
WORKERS = (1, 2, 4, 8, 16)
METHODS = {
    "random": "random+fifo",
    "ASHA": "random+asha",
    "ASHA, stopping": "random+asha:type=stopping",
    "HB": "random+hyperband",
    "A-HB": "random+asha:brackets=4",
    "BOHB": "kde+hyperband",
    "BOHB, asynchronous": "kde+asha",
    "BOHB, asynchronous, stopping": "kde+asha:type=stopping",
    "A-BOHB": "gp+asha",
    "A-BOHB, stopping": "gp+asha:type=stopping",
    "A-BOHB, Matérn": "gp:resource=matern+asha",
    "A-BOHB, exponential decay": "gp:resource=expdecay+asha",
    "A-BOHB, fantasies": "gp:pending=fantasies+asha",
    "A-BOHB, pending ignored": "gp:pending=none+asha",
    "ASHA, first rung learned": "random+asha:first_rung=learned",
    "A-BOHB, first rung learned": "gp+asha:first_rung=learned",
}
_SHOWN = ("random", "ASHA", "HB", "BOHB", "BOHB, asynchronous", "A-BOHB", "A-BOHB, stopping")


def text(results: Results) -> str:
    """Return the page."""
    return fill(
        TEMPLATE,
        provenance=results.provenance(),
        workers=_workers_table(results),
        electricity=_methods_table(results, "electricity"),
        nb301=_methods_table(results, "nb301"),
    )


def comparisons(results: Results) -> list[Comparison]:
    """Return the lines of the index."""
    cases = [("electricity", workers) for workers in WORKERS] + [("nb301", 8)]
    return [_comparison(results, task, workers) for task, workers in cases]


def _comparison(results: Results, task: str, workers: int) -> Comparison:
    share = share_of_time(_of(results, "A-BOHB", task, workers), _of(results, "ASHA", task, workers))
    ours = None if share is None or math.isinf(share) else round(share, 3)
    what = f"time until A-BOHB reaches ASHA's result, as a share of ASHA's; {task}, {_plural(workers)}"
    return Comparison(what, 0.5, ours, "less", "A-BOHB does not reach it" if share == math.inf else "")


def _of(results: Results, name: str, task: str, workers: int) -> list[dict[str, Any]]:
    return by_seed(results, method=METHODS[name], task=task, workers=workers)


def _plural(workers: int) -> str:
    return "1 worker" if workers == 1 else f"{workers} workers"


def _workers_table(results: Results) -> str:
    rows = []
    played = [record.parameters for record in results]
    trainings = {parameters["workers"]: parameters["trainings"] for parameters in played}
    for workers in WORKERS:
        asha, ours = (_of(results, name, "electricity", workers) for name in ("ASHA", "A-BOHB"))
        if not asha or not ours:
            continue
        minutes = ours[0]["seconds"] / 60.0
        away, share = breaks_away(ours, asha), share_of_time(ours, asha)
        rows.append(
            (
                workers,
                number(trainings[workers]),
                number(minutes),
                spread(final_regrets(asha), 2),
                spread(final_regrets(ours), 2),
                "not" if away is None else number(away * minutes),
                None if share is None else ("never" if math.isinf(share) else f"{share:.2f}"),
                f"{len(asha)}, {len(ours)}",
            )
        )
    head = (
        "workers",
        "trainings",
        "minutes",
        "regret, ASHA",
        "A-BOHB",
        "breaks away after minutes",
        "share of the time",
        "seeds",
    )
    return table(head, rows)


def _methods_table(results: Results, task: str) -> str:
    rows = []
    reference = _of(results, "ASHA", task, 8)
    for name in METHODS:
        outcomes = _of(results, name, task, 8)
        if not outcomes:
            continue
        share = share_of_time(outcomes, reference)
        rows.append(
            (
                name,
                f"`{METHODS[name]}`",
                *(number(median(regret_at(o, part) for o in outcomes), 2) for part in (0.25, 0.5)),
                spread(final_regrets(outcomes), 2),
                None if share is None else ("never" if math.isinf(share) else f"{share:.2f}"),
                number(median(o["trials"] for o in outcomes)),
                number(median(o["trained"] for o in outcomes)),
                len(outcomes),
            )
        )
    head = (
        "method",
        "searcher and scheduler",
        "regret at a quarter",
        "at half",
        "at the end",
        "share of ASHA's time",
        "trials",
        "complete",
        "seeds",
    )
    return table(head, rows)


def plots(results: Results) -> dict[str, Figure]:
    """Return the figures by name."""
    return {"workers": _workers_plot(results), "methods": _methods_plot(results)}


def _workers_plot(results: Results) -> Figure:
    from matplotlib.figure import Figure

    figure = Figure(figsize=(12, 3.4), layout="constrained")
    for axes, workers in zip(figure.subplots(1, len(WORKERS), sharey=True), WORKERS, strict=True):
        draw_regrets(axes, {name: _of(results, name, "electricity", workers) for name in ("ASHA", "A-BOHB")})
        axes.set_title(_plural(workers), loc="left", fontsize=10)
        if workers > 1:
            axes.set_ylabel("")
    draw_legend(figure.axes[0])
    return figure


def _methods_plot(results: Results) -> Figure:
    from matplotlib.figure import Figure

    figure = Figure(figsize=(10, 4.2), layout="constrained")
    for axes, task in zip(figure.subplots(1, 2), ("electricity", "nb301"), strict=True):
        draw_regrets(axes, {name: _of(results, name, task, 8) for name in _SHOWN})
        axes.set_title(f"{task}, 8 workers", loc="left", fontsize=10)
    draw_legend(figure.axes[1], outside=True)
    return figure
