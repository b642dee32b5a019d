"""``aiohpo plot``: pictures of a run."""

from __future__ import annotations

from pathlib import Path

import click

from ..errors import UsageError
from ..plots.drawing import KINDS, save
from .common import as_json, command, open_directory, print_json, run_directory
from .terminal import say


@command(
    "plot",
    example="""
aiohpo plot runs/digits
aiohpo plot runs/digits --kind parallel --out digits.svg
aiohpo plot runs/digits --kind curves --metric accuracy
""",
)
@run_directory
@click.option("--kind", type=click.Choice(list(KINDS)), default="overview", show_default=True, help="What to draw.")
@click.option(
    "--out",
    type=click.Path(path_type=Path, dir_okay=False),
    metavar="FILE",
    help="Output file; its suffix sets the format (png, svg, pdf). Default: plot.png or plot-KIND.png in DIR.",
)
@click.option("--metric", metavar="NAME", help="Draw the curves of another metric that trials reported.")
@as_json
def plot(directory: Path, kind: str, out: Path | None, metric: str | None, json_: bool) -> None:
    """Draw what is in DIR.

    overview is history (or curves, where most trials are given up early) above timeline; history shows every result
    and the best so far; curves the learning curves; rungs how many trials got how far, and who was promoted; parallel
    every configuration as a line; slice the metric against each parameter; timeline what each worker did when;
    schedule what the best trial and those it inherited from were trained with; ensemble what an ensemble of the
    trials is made of and worth.
    """
    run = open_directory(directory)
    path = out or directory / ("plot.png" if kind == "overview" else f"plot-{kind}.png")
    try:
        save(run, kind, path, metric)
    except OSError as error:
        raise UsageError(f"cannot write {path}: {error.strerror or error}; name another file with --out") from None
    if json_:
        print_json({"plot": str(path), "kind": kind})
    else:
        say(str(path))
