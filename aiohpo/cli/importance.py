"""``aiohpo importance``: how much each parameter matters."""

from __future__ import annotations

from pathlib import Path

import click

from .common import as_json, command, open_directory, print_json, run_directory
from .terminal import say

_METHODS = ("fanova", "ped-anova")  # aiohpo.importance.importances.METHODS, which need not be imported for --help


@command("importance", example="aiohpo importance runs/digits\naiohpo importance runs/digits --among-best --json")
@run_directory
@click.option(
    "--method",
    type=click.Choice(_METHODS),
    default="fanova",
    show_default=True,
    help="fanova: the share of the metric's variance; ped-anova: how differently good trials are distributed.",
)
@click.option("--among-best", is_flag=True, help="Sort by how much a parameter matters among the best trials.")
@click.option(
    "--seed", type=click.IntRange(min=0), default=0, show_default=True, metavar="N", help="Seed of all draws."
)
@as_json
def importance(directory: Path, method: str, among_best: bool, seed: int, json_: bool) -> None:
    """Print how much each parameter matters in DIR, overall and among the best trials.

    With fanova, 0.4 means that the parameter alone explains 40 % of the variance of the metric over the search space;
    what is missing to 1 are interactions and noise. A conditional parameter counts only where it is active. Brackets
    hold a 90 % bootstrap interval. The best are a tenth of the trials, but at least 20. Failed trials are left out;
    where most trials were stopped early, they are compared at a step that enough of them reached.
    """
    from ..importance.importances import importances

    run = open_directory(directory)
    found = importances(run.view.space, run.view.objective, list(run.records()), method=method, seed=seed)
    if json_:
        print_json(found.as_dict(among_best=among_best))
        return
    say(found.heading())
    rows = found.table(among_best=among_best)
    widths = [max(map(len, column)) for column in zip(*rows, strict=True)]
    for row in rows:
        say("  ".join(cell.ljust(width) for cell, width in zip(row, widths, strict=True)).rstrip())
