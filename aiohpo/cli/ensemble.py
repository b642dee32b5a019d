"""``aiohpo ensemble``: the best predictor that a search has already paid for."""

from __future__ import annotations

import math
from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any

import click

from ..errors import UsageError
from ..report.words import configuration
from ..text import printable
from .common import as_json, command, open_directory, print_json, run_directory
from .terminal import say

if TYPE_CHECKING:
    from ..report.ensemble import Assessment
    from ..storage.run import Run

METHOD = "gradient"
_WIDEST = 70  # characters of a configuration


@command(
    "ensemble",
    example="""
aiohpo ensemble runs/digits
aiohpo ensemble runs/digits --method greedy --metric log_loss --size 25 --save digits.ensemble
""",
)
@run_directory
@click.option(
    "--method",
    default=METHOD,
    show_default=True,
    metavar="E",
    help="The builder: topk, greedy, gradient or a plugin, with options as in greedy:size=10.",
)
@click.option(
    "--metric", metavar="M", help="The metric to optimise. Default: log_loss, or rmse for continuous targets."
)
@click.option("--size", type=click.IntRange(min=1), metavar="N", help="Most members.")
@click.option(
    "--models",
    type=click.IntRange(min=1),
    metavar="N",
    help="Trials to choose from: half of them the best, the others chosen to differ. Default: as in a search.",
)
@click.option(
    "--save",
    type=click.Path(path_type=Path, dir_okay=False),
    metavar="FILE",
    help="Write the ensemble to FILE, for aiohpo.load_ensemble.",
)
@as_json
def ensemble(
    directory: Path,
    method: str,
    metric: str | None,
    size: int | None,
    models: int | None,
    save: Path | None,
    json_: bool,
) -> None:
    """Make an ensemble of the trials in DIR, from their predictions of the validation rows.

    Prints its members and what it is worth beside the best single model. The scores of the validation rows are those
    that the ensemble reports of itself: with gradient, and with calibrated models, of rows that were held out.
    """
    from ..peer.ensemble_candidates import MOST
    from ..report.ensemble import assess

    builder = make_builder(method, size)
    run = open_directory(directory)
    found = assess(run, builder, metric, models or MOST)
    if save is not None:
        found.ensemble.save(save)
    for problem in found.problems:
        say(f"left out: {problem}", err=True)
    if json_:
        print_json(as_dict(found, save))
    else:
        say(in_words(run, found))
        if save is not None:
            say(f"saved: {save} (read it with aiohpo.load_ensemble)")


def make_builder(method: str, size: int | None = None) -> Any:
    """Make a builder from its name and options; ``size`` is one of these, given separately."""
    from ..plugin.registry import create

    if size is None:
        return create("ensembles", method)
    name, colon, options = method.partition(":")
    if any(option.strip().partition("=")[0] == "size" for option in options.split(",")):
        raise UsageError(f"the size is given twice: --size {size}, and in --method {method}")
    return create("ensembles", f"{name}:{options}{',' if colon else ''}size={size}")


def as_dict(found: Assessment, save: Path | None) -> dict[str, Any]:
    """The JSON form of ``aiohpo ensemble --json``."""
    table = {
        metric: {who: {rows: _finite(value) for rows, value in values.items()} for who, values in both.items()}
        for metric, both in found.table().items()
    }
    return {
        "ensemble": found.ensemble.as_dict(),
        "models": len(found.library.names),
        "single": {"trial": found.single[0], "score": _finite(found.single[1])},
        "table": table,
        "uncertainty": {
            rows: {k: _finite(v) for k, v in values.items()} for rows, values in found.uncertainty().items()
        },
        "problems": list(found.problems),
        "saved": None if save is None else str(save),
    }


def _finite(value: float) -> float | None:
    return value if math.isfinite(value) else None


def in_words(run: Run, found: Assessment) -> str:
    """Members, a table of metrics beside the best single model's, and what the uncertainty is worth."""
    made, numbers = found.ensemble, {r.id: r.number for r in run.records()}
    lines = [
        f"{len(made.members)} of {len(found.library.names)} models, chosen by {printable(made.builder)} for "
        f"{printable(made.metric)}",
        "",
    ]
    members = [["weight", "trial", "calibrator", "configuration"]]
    for weight, member, calibrator in sorted(
        zip(made.weights.tolist(), made.members, made.calibrators, strict=True), key=lambda m: -m[0]
    ):
        config = printable(configuration(member.config or {}), _WIDEST)
        kind = "" if calibrator is None else type(calibrator).__name__.lower()
        members.append([f"{weight:.3f}", str(numbers.get(str(member.trial), "")), kind, config])
    lines += _aligned(members)
    if made.final is not None:
        lines += ["", f"their mean has a calibrator of its own: {type(made.final).__name__.lower()}"]
    names = [found.valid.name, *(rows.name for rows in found.others)]
    table = [["", *(f"{who}, {printable(name)}" for name in names for who in ("best single", "ensemble"))]]
    for metric, both in found.table().items():
        cells = [both[who].get(name) for name in names for who in ("single", "ensemble")]
        table.append([printable(metric), *("" if value is None else f"{value:.4f}" for value in cells)])
    lines += ["", *_aligned(table, numbers=True)]
    for rows, values in found.uncertainty().items():
        lines += [
            "",
            f"uncertainty, {printable(rows)}: {values['epistemic_share']:.0%} of it epistemic; AUROC for errors "
            f"{values['auroc_total']:.3f}, of the epistemic part alone {values['auroc_epistemic']:.3f}",
        ]
        if "accuracy" in values:
            lines.append(
                f"accuracy, {printable(rows)}: {values['accuracy']:.4f}; of the most certain half "
                f"{values['accuracy_half']:.4f}"
            )
    return "\n".join(lines)


def _aligned(rows: Sequence[Sequence[str]], numbers: bool = False) -> list[str]:
    """Rows as lines of columns; all but the first column right-aligned if they are ``numbers``."""
    widths = [max(map(len, column)) for column in zip(*rows, strict=True)]
    lines = []
    for row in rows:
        cells = [
            cell.rjust(width) if numbers and i else cell.ljust(width)
            for i, (cell, width) in enumerate(zip(row, widths, strict=True))
        ]
        lines.append("  ".join(cells).rstrip())
    return lines
