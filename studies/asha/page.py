"""The page of the study: its tables, its plot, and the lines of the index."""

from __future__ import annotations

import math
from pathlib import Path
from statistics import linear_regression, mean, median
from typing import TYPE_CHECKING, Any

from ..framework.pages import fill, number, spread, table
from ..framework.results import Results
from ..framework.study import Comparison

if TYPE_CHECKING:
    from matplotlib.figure import Figure

TEMPLATE = Path(__file__).with_name("page.md")
# In units of the time that a complete training takes: the paper's example, 9 workers, R 9, eta 3 (section 3), and its
# bounds with any number of workers that is large enough.
EXAMPLE, BOUND, BOUND_RESUMED = 13 / 9, 2.0, 1.0


def text(results: Results) -> str:
    """Return the page."""
    return fill(
        TEMPLATE,
        provenance=results.provenance(),
        first=_first_table(results),
        simulated=_simulated_table(results),
        wrong=_wrong_table(results),
        exponent=number(_exponent(results), 2) or "–",
        horizon=_horizon_table(results),
    )


def comparisons(results: Results) -> list[Comparison]:
    """Return the lines of the index."""
    scratch, resumed = (_first(results, method, 9) for method in ("from scratch", "resumed"))
    what = "first complete training, in units of a complete training"
    return [
        Comparison(f"{what}, from scratch, the example of 9 workers", EXAMPLE, scratch, "less"),
        Comparison(f"{what}, from scratch, the bound", BOUND, scratch, "less"),
        Comparison(f"{what}, resumed, the bound", BOUND_RESUMED, resumed, "less", "it cannot be sooner"),
    ]


def _first(results: Results, method: str, workers: int) -> float | None:
    outcomes = results.where(what="first", method=method, workers=workers)
    return outcomes[0]["times"] if outcomes else None


def _first_table(results: Results) -> str:
    methods = (
        ("from scratch", "`asha:restart=true`", f"{EXAMPLE:.3f} (at most {BOUND:g})"),
        ("resumed", "`asha`", f"{BOUND_RESUMED:g}"),
        ("synchronous", "`sha`, resumed", None),
    )
    rows = [
        (name, published, *(number(_first(results, method, workers), 4) for workers in (9, 25)))
        for method, name, published in methods
    ]
    return table(("", "published", "9 workers", "25 workers"), rows)


def _conditions(results: Results) -> list[tuple[float, float]]:
    found = {(r.parameters["std"], r.parameters["drop"]) for r in results if r.parameters["what"] == "simulated"}
    return sorted(found, key=lambda condition: (condition[1], condition[0]))


def _simulated_table(results: Results) -> str:
    rows = []
    for std, drop in _conditions(results):
        cells: list[object] = []
        for name in ("complete", "first"):
            for method in ("asha", "sha"):
                outcomes = results.where(what="simulated", method=method, std=std, drop=drop)
                cells.append(spread([outcome[name] for outcome in outcomes if outcome[name] is not None]))
        rows.append((f"{std:g}", f"{drop:g}", *cells))
    head = ("stragglers", "drops", "complete, asha", "complete, sha", "first, asha", "first, sha")
    return table(head, rows)


def _wrong(results: Results) -> dict[int, list[dict[str, Any]]]:
    sizes = sorted({r.parameters["number"] for r in results if r.parameters["what"] == "wrong"})
    return {size: results.where(what="wrong", number=size) for size in sizes}


def _wrong_table(results: Results) -> str:
    rows = [
        (
            f"{size:,}",
            size // 4,
            spread([outcome["promoted"] for outcome in outcomes]),
            spread([outcome["wrong"] for outcome in outcomes]),
            number(math.sqrt(size), 3),
        )
        for size, outcomes in _wrong(results).items()
    ]
    return table(("trials", "a quarter", "promoted", "wrongly", "square root"), rows)


def _exponent(results: Results) -> float | None:
    """Return the slope of wrong promotions over trials, both in logarithms."""
    points = [
        (math.log(size), math.log(wrong))
        for size, outcomes in _wrong(results).items()
        if (wrong := mean(outcome["wrong"] for outcome in outcomes)) > 0
    ]
    if len(points) < 2:
        return None
    return float(linear_regression(*zip(*points, strict=True)).slope)


def _horizon_table(results: Results) -> str:
    names = {"short": "max_steps=16", "raised": "raised from 16 to 64", "at once": "max_steps=64"}
    rows = []
    for method, name in names.items():
        outcomes = results.where(what="horizon", method=method)
        rows.append(
            (name, *(spread([outcome[key] for outcome in outcomes], 4) for key in ("epochs", "segments", "best")))
        )
    return table(("", "epochs trained", "segments", "best error"), rows)


def plots(results: Results) -> dict[str, Figure]:
    """Return the figures by name."""
    from matplotlib.figure import Figure

    figure = Figure(figsize=(11, 4), layout="constrained")
    wrong, complete = figure.subplots(1, 2)
    sizes = _wrong(results)
    for size, outcomes in sizes.items():
        wrong.plot([size] * len(outcomes), [max(o["wrong"], 0.5) for o in outcomes], "o", color="C0", ms=4, alpha=0.5)
    wrong.plot(list(sizes), [mean(o["wrong"] for o in outcomes) for outcomes in sizes.values()], "C0-", label="mean")
    wrong.plot(list(sizes), [math.sqrt(size) for size in sizes], "k--", lw=1, label="square root")
    wrong.set_xscale("log", base=2)
    wrong.set_yscale("log")
    wrong.xaxis.set_major_formatter("{x:,.0f}")
    wrong.set_xlabel("trials on the lowest rung")
    wrong.set_ylabel("wrong promotions (0 drawn at 0.5)")
    wrong.legend(frameon=False, fontsize=8)
    conditions = _conditions(results)
    for at, method in enumerate(("asha", "sha")):
        found = [results.where(what="simulated", method=method, std=std, drop=drop) for std, drop in conditions]
        heights = [median(o["complete"] for o in outcomes) if outcomes else 0 for outcomes in found]
        complete.bar([x + 0.4 * at for x in range(len(found))], heights, 0.38, label=method)
    labels = [f"std {std:g}" if not drop else f"drop {drop:g}" for std, drop in conditions]
    complete.set_xticks([x + 0.2 for x in range(len(labels))], labels, fontsize=8)
    complete.set_ylabel("trained to R in the time")
    complete.legend(frameon=False, fontsize=8)
    return {"asha": figure}
