"""``aiohpo plot``: pictures of a run."""

from __future__ import annotations

from pathlib import Path

import click

from ..errors import UsageError
from ..plots.drawing import KINDS
from .common import PATH, as_json, command, open_directory, print_json
from .terminal import say


@command(
    "plot",
    example="""
aiohpo plot runs/digits
aiohpo plot runs/digits --kind parallel --out digits.svg
aiohpo plot runs/digits --kind curves --metric accuracy
aiohpo plot runs/digits --kind contour --parameter lr --parameter layers --out digits.html
aiohpo plot runs/a runs/b --kind edf
""",
)
@click.argument("directories", metavar="DIR [DIR]...", type=PATH, nargs=-1, required=True)
@click.option("--kind", type=click.Choice(list(KINDS)), default="overview", show_default=True, help="What to draw.")
@click.option(
    "--parameter",
    "parameters",
    multiple=True,
    metavar="NAME",
    help="A parameter of a contour or rank plot; give two or more. Default: those that matter most.",
)
@click.option(
    "--out",
    type=click.Path(path_type=Path, dir_okay=False),
    metavar="FILE",
    help="Output file; its suffix sets the format (png, svg, pdf; html is interactive). Default: plot.png or "
    "plot-KIND.png in DIR.",
)
@click.option("--metric", metavar="NAME", help="Draw the curves of another metric that trials reported.")
@as_json
def plot(
    directories: tuple[Path, ...],
    kind: str,
    parameters: tuple[str, ...],
    out: Path | None,
    metric: str | None,
    json_: bool,
) -> None:
    """Draw what is in DIR.

    overview is history (or curves, where most trials are given up early) above timeline; history shows every result
    and the best so far; curves the learning curves; rungs how many trials got how far, and who was promoted; parallel
    every configuration as a line; slice the metric against each parameter; contour and rank the metric, and the ranks
    of the trials, over pairs of parameters; importance how much each parameter matters; edf which share of the trials
    is at least as good as each value, for several DIRs side by side; timeline what each worker did when; schedule what
    the best trial and those it inherited from were trained with; ensemble what an ensemble of the trials is made of
    and worth.
    """
    from ..plots.drawing import compute, save
    from ..plots.subject import Subject

    directory = directories[0]
    if metric is not None and kind != "curves":
        raise UsageError(f"metrics other than the objective's are drawn only as curves, not as {kind}: --kind curves")
    first, *others = [Subject.of_run(open_directory(each), metric) for each in directories]
    path = out or directory / ("plot.png" if kind == "overview" else f"plot-{kind}.png")
    picture = compute(first, kind, parameters, others)
    try:
        save(picture, path, shared=path.parent == directory)
    except OSError as error:
        raise UsageError(f"cannot write {path}: {error.strerror or error}; name another file with --out") from None
    if json_:
        print_json({"plot": str(path), "kind": kind})
    else:
        say(str(path))
