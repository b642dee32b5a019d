"""The page of the study: its tables, its plots, and the lines of the index."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Any

from ..framework.pages import fill, median_of, number, share, spread, table, values_of
from ..framework.results import Results
from ..framework.study import Comparison
from .published import UTILISATION, WORKERS

if TYPE_CHECKING:
    from matplotlib.figure import Figure

TEMPLATE = Path(__file__).with_name("page.md")
SCHEDULERS = {"asha": "ASHA", "fifo": "none"}
FAULTS = {
    "none": "none",
    "crashes:0.01": "1 % crash in an hour",
    "crashes:0.05": "5 % crash in an hour",
    "crashes:0.1": "10 % crash in an hour",
    "crashes:1.0": "100 % crash in an hour",
    "stragglers": "log-normal stragglers",
    "late": "half of the workers 10 minutes late",
    "partition": "two halves for 10 minutes",
}
_NOTE = "learning curves over Ackley's function in place of Combo"


def text(results: Results) -> str:
    """Return the page."""
    return fill(
        TEMPLATE,
        provenance=results.provenance(),
        sizes=_sizes_table(results),
        faults=_faults_table(results),
        production=_production_table(results),
    )


def comparisons(results: Results) -> list[Comparison]:
    """Return the lines of the index."""
    lines = []
    for scheduler, published in UTILISATION.items():
        name = "with early stopping" if scheduler == "asha" else "without early stopping"
        ours = median_of(_of(results, WORKERS, scheduler), "utilisation")
        lines.append(
            Comparison(f"utilisation (busy), {WORKERS:,} workers, {name}", published, ours, "more", _NOTE),
        )
    return lines


# ------------------------------------------------------------------------------------------------------ tables
def _of(results: Results, workers: int, scheduler: str = "asha", fault: str = "none") -> list[dict[str, Any]]:
    return results.where(workers=workers, scheduler=scheduler, fault=fault, way="model")


def _workers(results: Results, way: str) -> list[int]:
    return sorted({record.parameters["workers"] for record in results if record.parameters["way"] == way})


def _sizes_table(results: Results) -> str:
    rows = []
    for workers in _workers(results, "model"):
        for scheduler, name in SCHEDULERS.items():
            outcomes = _of(results, workers, scheduler)
            if outcomes:
                rows.append(
                    (
                        f"{workers:,}",
                        name,
                        share(median_of(outcomes, "utilisation"), 4),
                        share(median_of(outcomes, "completed_share")),
                        number(median_of(outcomes, "evaluations")),
                        number(median_of(outcomes, "trials")),
                        number(median_of(outcomes, "finished")),
                        number(median_of(outcomes, "promotions")),
                        number(median_of(outcomes, "collisions")),
                        _small(median_of(outcomes, "collision_share")),
                        spread(values_of(outcomes, "best")),
                        len(outcomes),
                    )
                )
    head = (
        "workers",
        "early stopping",
        "busy",
        "completed",
        "evaluations",
        "trials",
        "complete trials",
        "promotions",
        "collisions",
        "their part of the busy time",
        "best",
        "seeds",
    )
    return table(head, rows)


def _small(value: float | None) -> str | None:
    """A small part of one; nothing is 0."""
    if value is None:
        return None
    return f"{value:.5f}".lstrip("0") if value >= 0.5e-5 else "0"


def _faults_table(results: Results) -> str:
    rows = []
    for workers in _workers(results, "model"):
        for fault, name in FAULTS.items():
            for outcome in _of(results, workers, fault=fault)[:1]:
                rows.append((f"{workers:,}", name, *_cost_of(outcome)))
    return table(("workers", "fault", *_COSTS), rows)


_COSTS = (
    "busy",
    "busy, of the time that workers were present",
    "evaluations",
    "complete trials",
    "evaluations that crashed",
    "seconds lost per crash",
    "taken over",
    "collisions",
    "lost or done twice",
    "best",
)


def _cost_of(outcome: dict[str, Any]) -> tuple[object, ...]:
    crashed = outcome["crashed"]
    return (
        share(outcome["utilisation"], 4),
        share(outcome["present"], 4),
        number(outcome["evaluations"]),
        number(outcome["finished"]),
        crashed,
        f"{outcome['seconds_lost'] / crashed:.0f}" if crashed else None,
        outcome["takeovers"],
        outcome["collisions"],
        _small(outcome["wasted_share"]),
        number(outcome["best"]),
    )


def _production_table(results: Results) -> str:
    rows = []
    for fault, name in FAULTS.items():
        for seed, outcome in enumerate(results.where(fault=fault, way="production", scheduler="asha")):
            rows.append((name, seed, *_cost_of(outcome), outcome["results_lost"]))
    head = ("fault", "seed", *_COSTS, "results lost")
    return table(head, rows)


# ------------------------------------------------------------------------------------------------------- plots
def plots(results: Results) -> dict[str, Figure]:
    """Return the figures by name."""
    return {"utilisation": _utilisation_plot(results), "objective": _objective_plot(results)}


def _utilisation_plot(results: Results) -> Figure:
    """How busy the workers were over the time, with each fault."""
    from matplotlib.figure import Figure

    figure = Figure(figsize=(8, 7), layout="constrained")
    shown: dict[str, list[tuple[str, dict[str, Any]]]] = {
        "640 workers, by the model": [],
        "64 workers, by production's code": [],
    }
    for fault, name in FAULTS.items():
        for outcome in _of(results, 640, fault=fault)[:1]:
            shown["640 workers, by the model"].append((name, outcome))
        for outcome in results.where(fault=fault, way="production", scheduler="asha")[:1]:
            shown["64 workers, by production's code"].append((name, outcome))
    panels = [(title, lines) for title, lines in shown.items() if lines]
    for axes, (title, lines) in zip(figure.subplots(max(len(panels), 1), 1, squeeze=False)[:, 0], panels, strict=False):
        for name, outcome in lines:
            when, part = zip(*outcome["utilisation_over_time"], strict=True)
            axes.plot([t / 60.0 for t in when], part, lw=1.2, color=f"C{list(FAULTS.values()).index(name)}", label=name)
        axes.set_ylabel("utilisation (busy), of all slots")
        axes.set_ylim(0, 1.03)
        axes.set_xlabel("minutes")
        axes.set_title(title, loc="left", fontsize=10)
        axes.legend(frameon=False, fontsize=8, loc="center left", bbox_to_anchor=(1.0, 0.5))
    return figure


def _objective_plot(results: Results) -> Figure:
    """The best complete trial over the time, by the number of workers, with and without early stopping."""
    from matplotlib.figure import Figure

    figure = Figure(figsize=(8, 4.5), layout="constrained")
    axes = figure.subplots()
    for at, workers in enumerate(_workers(results, "model")):
        for scheduler, style in (("asha", "-"), ("fifo", "--")):
            for outcome in _of(results, workers, scheduler)[:1]:
                if not outcome["best_over_time"]:
                    continue
                end = outcome["utilisation_over_time"][-1][0], outcome["best_over_time"][-1][1]
                when, value = zip(*outcome["best_over_time"], end, strict=True)
                label = f"{workers:,}, {'ASHA' if scheduler == 'asha' else 'no early stopping'}"
                axes.step([t / 60.0 for t in when], value, style, where="post", lw=1.5, color=f"C{at}", label=label)
    axes.set_xlabel("minutes")
    axes.set_ylabel("best complete trial")
    if axes.lines:
        axes.legend(frameon=False, fontsize=8, loc="center left", bbox_to_anchor=(1.0, 0.5))
    return figure
