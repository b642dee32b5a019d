"""The page of the study: its tables and its plots."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from statistics import mean, median, stdev
from typing import TYPE_CHECKING, Any

from ..framework.pages import fill, number, table
from ..framework.results import Results
from .library import library
from .network import SPACE

if TYPE_CHECKING:
    from matplotlib.figure import Figure

TEMPLATE = Path(__file__).with_name("page.md")
NAMES = {
    "baseline": "baseline",
    "best model": "best network",
    "topk": "`topk`",
    "greedy": "`greedy`",
    "greedy, platt": "`greedy:calibration=platt`",
    "gradient": "`gradient`",
}
_BLUE, _ORANGE, _GREY = "#1f77b4", "#ff7f0e", "#7f7f7f"


def text(results: Results) -> str:
    """Return the page."""
    models = library()
    return fill(
        TEMPLATE,
        provenance=results.provenance(),
        networks=str(len(models.p)),
        seconds=f"{float(models.fit_seconds.sum()):,.0f}",
        validation=f"{models.validation:,}",
        test=f"{len(models.y) - models.validation:,}",
        space=_space(),
        methods=_methods(results),
        paired=_paired(results),
        calibration=_calibration(results),
        uncertainty=_uncertainty(results),
    )


def means(results: Results) -> dict[str, dict[str, float]]:
    """Return the means over the splits of each method's figures."""
    outcomes = [record.result["methods"] for record in results]
    return {
        name: {
            figure: mean(outcome[name][figure] for outcome in outcomes)
            for figure, value in outcomes[0][name].items()
            if value is not None
        }
        for name in (NAMES if outcomes else ())
    }


# ------------------------------------------------------------------------------------------------------ tables
def _space() -> str:
    rows = [(name, f"`{parameter}`") for name, parameter in SPACE.params.items()]
    return table(("hyperparameter", "values"), rows)


def _methods(results: Results) -> str:
    found = means(results)
    head = ("", "AUC", "balanced CE", "log-loss", "ECE", "members", "inference, ms", "construction, s")
    rows = []
    for name, shown in NAMES.items():
        figures = found.get(name, {})
        cells = [_fixed(figures.get(each), 4) for each in ("roc_auc", "balanced_cross_entropy", "log_loss", "ece")]
        seconds = [record.result["methods"][name]["construction"] for record in results]
        built = median(seconds) if seconds and None not in seconds else None
        rows.append((shown, *cells, number(figures.get("members")), number(figures.get("inference")), number(built, 2)))
    return table(head, rows)


def _paired(results: Results) -> str:
    """Every method's difference from gradient on the same split."""
    rows = []
    for name, shown in NAMES.items():
        if name == "gradient":
            continue
        cells = [
            _difference([record.result["methods"] for record in results], name, figure)
            for figure in ("balanced_cross_entropy", "log_loss", "ece")
        ]
        rows.append((shown, *cells))
    return table(("worse than `gradient` by", "balanced CE", "log-loss", "ECE"), rows)


def _difference(outcomes: list[dict[str, Any]], name: str, figure: str) -> str | None:
    values = [outcome[name][figure] - outcome["gradient"][figure] for outcome in outcomes]
    return _with_error(values)


def _with_error(values: list[float]) -> str | None:
    if len(values) < 2:
        return None
    return f"{mean(values):+.4f} ± {stdev(values) / len(values) ** 0.5:.4f}"


def _fixed(value: float | None, digits: int) -> str | None:
    return None if value is None else f"{value:.{digits}f}"


def _calibration(results: Results) -> str:
    outcomes = [record.result for record in results]
    if not outcomes:
        return "Nothing has been played yet."
    rows = [
        ("`gradient`, its weights alone", *(_fixed(mean(o["before"][each] for o in outcomes), 4) for each in _BOTH)),
        (
            "`gradient`, calibrated",
            *(_fixed(mean(o["methods"]["gradient"][each] for o in outcomes), 4) for each in _BOTH),
        ),
        ("by chance, if its probabilities were exact", None, _fixed(mean(o["floor"] for o in outcomes), 4)),
    ]
    return table(("", "log-loss", "ECE"), rows)


_BOTH = ("log_loss", "ece")


def _uncertainty(results: Results) -> str:
    rows = []
    for part in ("total", "aleatoric", "epistemic"):
        found = [record.result["uncertainty"][part] for record in results]
        if found:
            tenths = [mean(each["errors"][at] for each in found) for at in (0, -1)]
            rows.append(
                (
                    part,
                    _fixed(mean(each["mean"] for each in found), 3),
                    _fixed(mean(each["auroc"] for each in found), 3),
                    *(f"{100 * share:.1f} %" for share in tenths),
                )
            )
    head = ("part", "mean, nats", "AUROC for errors", "errors in its lowest tenth", "in its highest tenth")
    return table(head, rows)


# ------------------------------------------------------------------------------------------------------- plots
def draw(results: Results) -> Mapping[str, Figure]:
    """Return the plots by name."""
    from matplotlib.figure import Figure

    outcomes = [record.result for record in results]
    return {
        "calibration": _drawn_calibration(Figure(figsize=(9, 4.2), layout="constrained"), outcomes),
        "uncertainty": _drawn_uncertainty(Figure(figsize=(6, 4.2), layout="constrained"), outcomes),
    }


def _drawn_calibration(figure: Figure, outcomes: list[dict[str, Any]]) -> Figure:
    """On the left hits over confidence, for every split; on the right the calibration errors of all methods."""
    left, right = figure.subplots(1, 2)
    left.plot([0.5, 1], [0.5, 1], color="black", lw=0.8)
    for which, colour in (("before", _ORANGE), ("after", _BLUE)):
        for number_, outcome in enumerate(outcomes):
            confidence, share, hits = outcome["reliability"][which]
            label = f"gradient, {which} calibration" if not number_ else None
            sizes = [4 + 100 * each for each in share]
            left.scatter(confidence, hits, s=sizes, color=colour, alpha=0.25, lw=0, label=label)
    left.set(xlabel="confidence", ylabel="share of hits", xlim=(0.5, 1.0), ylim=(0.4, 1.0))
    left.legend(fontsize="small", loc="upper left")
    names = list(NAMES)
    values = [[outcome["methods"][name]["ece"] for outcome in outcomes] for name in names]
    if outcomes:
        right.boxplot(values, orientation="horizontal", widths=0.6)
        right.axvline(mean(o["floor"] for o in outcomes), color=_GREY, ls="--", lw=1, label="by chance alone")
        right.legend(fontsize="small")
    right.set_yticks(range(1, len(names) + 1), [NAMES[name].replace("`", "") for name in names], fontsize="small")
    right.invert_yaxis()
    right.set(xlabel="expected calibration error, one value a split")
    right.set_xlim(left=0)
    return figure


def _drawn_uncertainty(figure: Figure, outcomes: list[dict[str, Any]]) -> Figure:
    """The share of errors by tenths of the rows, ordered by each part."""
    axes = figure.subplots()
    for part, colour in (("total", _GREY), ("aleatoric", _ORANGE), ("epistemic", _BLUE)):
        curves = [outcome["uncertainty"][part]["errors"] for outcome in outcomes]
        if curves:
            middle = [mean(values) for values in zip(*curves, strict=True)]
            low, high = ([pick(values) for values in zip(*curves, strict=True)] for pick in (min, max))
            places = range(1, len(middle) + 1)
            axes.fill_between(places, low, high, color=colour, alpha=0.15, lw=0)
            axes.plot(places, middle, "o-", ms=4, color=colour, label=part)
    axes.set(xlabel="tenth of the test rows, the least uncertain first", ylabel="share of errors", ylim=(0, None))
    axes.legend(title="ordered by their uncertainty", fontsize="small")
    return figure
