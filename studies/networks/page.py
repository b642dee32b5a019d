"""The page of the study: its tables, its plots, and the lines of the index."""

from __future__ import annotations

import math
from pathlib import Path
from statistics import median
from typing import TYPE_CHECKING, Any

from ..framework.pages import fill, number, share, spread, table
from ..framework.regrets import by_seed, draw_legend, draw_regrets, final_regrets, regret_at, share_of_time
from ..framework.results import Results
from ..framework.study import Comparison

if TYPE_CHECKING:
    from matplotlib.figure import Figure

TEMPLATE = Path(__file__).with_name("page.md")
TASKS = {
    "lcbench:167168": "LCBench vehicle",
    "lcbench:189906": "LCBench segment",
    "lcbench:168329": "LCBench helena",
    "rbv2_xgboost:41163": "boosted trees, dilbert",
}
METHODS = {
    "manager, random": "central:random",
    "manager, GP": "central:gp",
    "ASHA": "random+asha",
    "ADBO": "adbo+fifo",
    "ADBO+ASHA": "adbo+asha",
    "A-BOHB": "gp+asha",
}
PUBLISHED = {"ADBO": 0.990, "ADBO+ASHA": 0.994}  # utilisation, Combo, 1,920 workers


def text(results: Results) -> str:
    """Return the page."""
    return fill(TEMPLATE, provenance=results.provenance(), tables="\n\n".join(_table(results, task) for task in TASKS))


def comparisons(results: Results) -> list[Comparison]:
    """Return the lines of the index."""
    lines = []
    for name, published in PUBLISHED.items():
        outcomes = [outcome for task in TASKS for outcome in _of(results, name, task)]
        ours = median(outcome["utilisation"] for outcome in outcomes) if outcomes else None
        note = "theirs: 1,920 workers on the benchmark Combo; ours: 64 on learning curves, the median of all tasks"
        lines.append(Comparison(f"utilisation, {name}, tuning a network", published, ours, "more", note))
    return lines


def _of(results: Results, name: str, task: str) -> list[dict[str, Any]]:
    return by_seed(results, method=METHODS[name], task=task)


def _table(results: Results, task: str) -> str:
    rows = []
    reference = _of(results, "manager, random", task)
    for name in METHODS:
        outcomes = _of(results, name, task)
        if not outcomes:
            continue
        part = share_of_time(outcomes, reference)
        rows.append(
            (
                name,
                share(median(o["utilisation"] for o in outcomes)),
                *(number(median(regret_at(o, moment) for o in outcomes), 2) for moment in (0.25, 0.5)),
                spread(final_regrets(outcomes), 2),
                None if part is None else ("never" if math.isinf(part) else f"{part:.2f}"),
                number(median(o["trials"] for o in outcomes)),
                number(median(o["trained"] for o in outcomes)),
                number(1e3 * median(o["fit_over_time"][-1] for o in outcomes), 2),
                len(outcomes),
            )
        )
    head = (
        "method",
        "utilisation",
        "regret at a quarter",
        "at half",
        "at the end",
        "share of random's time",
        "trials",
        "complete",
        "fit at the end, ms",
        "seeds",
    )
    minutes = f"{reference[0]['seconds'] / 60.0:.1f} minutes" if reference else "not played yet"
    return f"### {TASKS[task]} (`{task}`), {minutes}\n\n{table(head, rows)}"


def plots(results: Results) -> dict[str, Figure]:
    """Return the figures by name."""
    return {"objective": _objective_plot(results), "workers": _workers_plot(results)}


def _objective_plot(results: Results) -> Figure:
    from matplotlib.figure import Figure

    figure = Figure(figsize=(11, 6.5), layout="constrained")
    for axes, (task, title) in zip(figure.subplots(2, 2).flat, TASKS.items(), strict=True):
        draw_regrets(axes, {name: _of(results, name, task) for name in METHODS})
        axes.set_title(title, loc="left", fontsize=10)
    draw_legend(figure.axes[0])
    return figure


def _workers_plot(results: Results) -> Figure:
    """Utilisation, and the time that a fit takes, over time."""
    from matplotlib.figure import Figure

    figure = Figure(figsize=(11, 6), layout="constrained")
    shown = list(TASKS.items())[::3]
    for column, (task, title) in zip(figure.subplots(2, 2, sharex="col").T, shown, strict=True):
        for at, name in enumerate(METHODS):
            outcomes = _of(results, name, task)
            if not outcomes:
                continue
            parts = len(outcomes[0]["fit_over_time"])
            minutes = [outcomes[0]["seconds"] / 60.0 * (part + 1) / parts for part in range(parts)]
            for axes, key in zip(column, ("utilisation_over_time", "fit_over_time"), strict=True):
                middle = [median(o[key][part] for o in outcomes) for part in range(parts)]
                if any(middle):
                    axes.plot(minutes, middle, color=f"C{at}", lw=1.4, label=name)
        column[0].set_title(title, loc="left", fontsize=10)
        column[0].set_ylabel("utilisation")
        column[1].set_ylabel("seconds of a fit")
        column[1].set_xlabel("minutes")
        for axes in column:
            axes.grid(alpha=0.25)
    draw_legend(figure.axes[0])
    return figure
