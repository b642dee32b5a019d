"""The page of the study: its tables, its plots, and the lines of the index."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Any, Literal

from ..framework.pages import fill, median_of, number, share, spread, table
from ..framework.results import Results
from ..framework.study import Comparison
from .ackley import SECONDS, WIDE_SECONDS
from .published import ADBO, SDBO, UTILISATION

if TYPE_CHECKING:
    from matplotlib.figure import Figure

TEMPLATE = Path(__file__).with_name("page.md")
_COMPARED: tuple[tuple[str, str, Literal["more", "less"]], ...] = (
    ("utilisation", "utilisation (busy)", "more"),
    ("evaluations", "evaluations", "more"),
    ("best", "best", "less"),
)
METHODS = {
    "ours": "ours",
    "published": "paper's own",
    "synchronous:1": "SDBO, 1",
    "synchronous:10": "SDBO, 10",
    "central:forest": "manager, one, forest",
    "central-batch:forest": "manager, all, forest",
    "central:gp": "manager, one, GP",
    "central-batch:gp": "manager, all, GP",
    "random": "random",
}


def text(results: Results) -> str:
    """Return the page."""
    return fill(
        TEMPLATE,
        provenance=results.provenance(),
        published=_published_table(results),
        methods=_methods_table(results),
        dimension_seconds=f"{WIDE_SECONDS:,.0f}",
        dimensions=_dimensions_table(results),
        shifted=_shifted_table(results),
    )


def comparisons(results: Results) -> list[Comparison]:
    """Return the lines of the index."""
    lines = []
    for workers, theirs in ADBO.items():
        ours = _of(results, "ours", workers)
        for name, what, better in _COMPARED:
            value, note = median_of(ours, name), ""
            soon = median_of(_in_dimensions(results, 5), name) if workers == 4096 else None
            if value is None and soon is not None:
                note = f"{number(soon, 4)} over {WIDE_SECONDS:.0f} s in place of {SECONDS:,.0f}"
            lines.append(Comparison(f"{what}, {workers:,} workers", getattr(theirs, name), value, better, note))
    for dimensions, utilisation in UTILISATION.items():
        ours = _in_dimensions(results, dimensions)
        lines.append(
            Comparison(
                f"utilisation (busy), 4,096 workers, {dimensions} dimensions",
                utilisation,
                median_of(ours, "utilisation"),
                "more",
                f"ours over {WIDE_SECONDS:.0f} s",
            )
        )
    return lines


# ------------------------------------------------------------------------------------------------------ tables
def _of(results: Results, method: str, workers: int) -> list[dict[str, Any]]:
    return results.where(method=method, workers=workers, dimensions=5, shifted=False, seconds=SECONDS)


def _in_dimensions(results: Results, dimensions: int) -> list[dict[str, Any]]:
    return results.where(method="ours", workers=4096, dimensions=dimensions, shifted=False, seconds=WIDE_SECONDS)


def _sizes(results: Results) -> list[int]:
    return sorted({record.parameters["workers"] for record in results} | set(ADBO))


def _published_table(results: Results) -> str:
    rows = []
    for workers in _sizes(results):
        theirs, ours = ADBO.get(workers), _of(results, "ours", workers)
        rows.append(
            (
                f"{workers:,}",
                None if theirs is None else share(theirs.utilisation),
                share(median_of(ours, "utilisation"), 4),
                share(median_of(ours, "completed_share")),
                None if theirs is None else f"{theirs.evaluations:,}",
                number(median_of(ours, "evaluations")),
                None if theirs is None else f"{theirs.best:.2f}",
                spread([outcome["best"] for outcome in ours]),
                len(ours),
            )
        )
    head = (
        "workers",
        "utilisation, published",
        "ours, busy",
        "ours, completed",
        "evaluations, published",
        "ours",
        "best, published",
        "ours",
        "seeds",
    )
    return table(head, rows)


def _methods_table(results: Results) -> str:
    rows: list[tuple[object, ...]] = []
    for workers in _sizes(results):
        for method, name in METHODS.items():
            outcomes = _of(results, method, workers)
            if not outcomes:
                continue
            rows.append(
                (
                    f"{workers:,}",
                    name,
                    share(median_of(outcomes, "utilisation"), 4),
                    share(median_of(outcomes, "completed_share")),
                    number(median_of(outcomes, "evaluations")),
                    spread([outcome["best"] for outcome in outcomes]),
                    len(outcomes),
                )
            )
    for workers, theirs in SDBO.items():
        rows.append(
            (
                f"{workers:,}",
                "SDBO, published",
                share(theirs.utilisation),
                None,
                f"{theirs.evaluations:,}",
                theirs.best,
                None,
            )
        )
    rows.sort(key=lambda row: int(str(row[0]).replace(",", "")))
    return table(("workers", "method", "busy", "completed", "evaluations", "best", "seeds"), rows)


def _dimensions_table(results: Results) -> str:
    rows = []
    for dimensions, utilisation in UTILISATION.items():
        ours = _in_dimensions(results, dimensions)
        rows.append(
            (
                dimensions,
                share(utilisation),
                share(median_of(ours, "utilisation"), 4),
                share(median_of(ours, "completed_share")),
                number(median_of(ours, "evaluations")),
                spread([outcome["best"] for outcome in ours]),
            )
        )
    return table(("dimensions", "utilisation, published", "ours, busy", "completed", "evaluations", "best"), rows)


def _shifted_table(results: Results) -> str:
    rows = []
    for workers in _sizes(results):
        outcomes = results.where(method="ours", workers=workers, dimensions=5, shifted=True)
        if outcomes:
            best = spread([outcome["best"] for outcome in outcomes])
            rows.append((f"{workers:,}", share(median_of(outcomes, "utilisation"), 4), best, len(outcomes)))
    return table(("workers", "utilisation, busy", "best", "seeds"), rows)


# ------------------------------------------------------------------------------------------------------- plots
def plots(results: Results) -> dict[str, Figure]:
    """Return the figures by name."""
    return {"utilisation": _utilisation_plot(results), "objective": _objective_plot(results)}


def _utilisation_plot(results: Results) -> Figure:
    from matplotlib.figure import Figure

    figure = Figure(figsize=(8, 4.5), layout="constrained")
    axes = figure.subplots()
    for method, name in METHODS.items():
        sizes = [workers for workers in _sizes(results) if _of(results, method, workers)]
        if sizes:
            busy = [median_of(_of(results, method, workers), "utilisation") or 0.0 for workers in sizes]
            style: dict[str, Any] = {"lw": 2.2, "zorder": 3} if method == "ours" else {"lw": 1.0}
            axes.plot(sizes, busy, "o-", ms=4, color=f"C{list(METHODS).index(method)}", label=name, **style)
    soon = median_of(_in_dimensions(results, 5), "utilisation")
    if soon is not None:
        label = f"ours, {WIDE_SECONDS:.0f} s"
        axes.plot([4096], [soon], "o", ms=8, mfc="none", color="C0", zorder=3, label=label)
    for name, theirs in (("ADBO, published", ADBO), ("SDBO, published", SDBO)):
        axes.plot(list(theirs), [p.utilisation for p in theirs.values()], "k--" if theirs is ADBO else "k:", label=name)
    axes.set_xscale("log", base=2)
    axes.xaxis.set_major_formatter("{x:,.0f}")
    axes.set_xlabel("workers")
    axes.set_ylabel("utilisation (busy)")
    axes.set_ylim(0, 1.03)
    axes.legend(frameon=False, fontsize=8, loc="center left", bbox_to_anchor=(1.0, 0.5))
    return figure


def _objective_plot(results: Results) -> Figure:
    from matplotlib.figure import Figure

    figure = Figure(figsize=(8, 7), layout="constrained")
    sizes = [
        workers
        for workers in _sizes(results)
        if results.where(workers=workers, dimensions=5, shifted=False, seconds=SECONDS)
    ]
    shown = sorted({sizes[0], sizes[-1]}) if sizes else []
    for axes, workers in zip(figure.subplots(max(len(shown), 1), 1, squeeze=False)[:, 0], shown, strict=False):
        for method, name in METHODS.items():
            outcomes = _of(results, method, workers)
            for seed, outcome in enumerate(outcomes):
                when, value = zip(*outcome["best_over_time"], strict=True)
                style: dict[str, Any] = {"color": f"C{list(METHODS).index(method)}"}
                end = SECONDS / 60.0
                axes.step(
                    [*(t / 60.0 for t in when), end],
                    [*value, value[-1]],
                    where="post",
                    lw=2.0 if method == "ours" else 1.0,
                    alpha=1.0 if seed == 0 else 0.4,
                    label=name if seed == 0 else None,
                    **style,
                )
        if workers in ADBO:
            axes.axhline(ADBO[workers].best, color="k", ls="--", lw=0.8, label="ADBO, published, at the end")
        axes.set_yscale("log")
        axes.yaxis.set_major_formatter("{x:g}")
        axes.set_ylabel("best value")
        axes.set_title(f"{workers:,} workers", loc="left", fontsize=10)
        axes.legend(frameon=False, fontsize=8, loc="center left", bbox_to_anchor=(1.0, 0.5))
        axes.set_xlabel("minutes")
    return figure
