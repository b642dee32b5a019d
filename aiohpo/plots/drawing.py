"""Pictures of a run, drawn from its directory with matplotlib (the extra ``plot``).

overview  how good it got, above what the workers did: what ``aiohpo run`` saves
history   every result in the order in which it came, and the best so far
curves    the learning curves of all trials, the best on top
rungs     how many trials got how far, what they were worth there, and who was promoted
parallel  every configuration as a line over the parameters, the best tenth on top
slice     the metric against each parameter
timeline  what each worker ran when, with a lane for each slot, and which part of them was busy
schedule  what the best trial and those it inherited from were trained with, step by step
ensemble  an ensemble of the trials: its members, its calibration and its uncertainty

Nothing is smoothed or modelled: each mark is a trial. Of more than 1,000 curves of one colour some are drawn, and the
title says so; a timeline of more than 20,000 segments shows the share of the time that they take. Where outliers would
flatten the rest, the axis is cut and the title says how many trials lie outside.
"""

from __future__ import annotations

import warnings
from collections.abc import Iterator
from contextlib import contextmanager
from importlib import import_module
from io import BytesIO
from pathlib import Path
from typing import TYPE_CHECKING

from ..errors import UsageError
from ..files import replace_file

if TYPE_CHECKING:
    from matplotlib.figure import Figure

    from ..storage.run import Run

# Each kind is a module with draw(figure, run, records, metric), imported when it is wanted: the command line lists the
# kinds without numpy or matplotlib.
KINDS = {
    "overview": ".overview",
    "history": ".history",
    "curves": ".curves",
    "rungs": ".rungs",
    "parallel": ".parallel",
    "slice": ".slice",
    "timeline": ".timeline",
    "schedule": ".schedule",
    "ensemble": ".ensemble",
}


def draw(run: Run, kind: str, metric: str | None = None) -> Figure:
    """Draw one kind of picture; ``curves`` also of another ``metric`` than the objective's. Raises ``UsageError`` if
    there is nothing to draw or no matplotlib."""
    figure = new_figure()
    if kind not in KINDS:
        raise UsageError(f"there is no plot of kind {kind!r}; there are: {', '.join(KINDS)}")
    if metric is not None and kind != "curves":
        raise UsageError(f"only curves are drawn of other metrics than the objective's, {kind} is not: --kind curves")
    from .units import metric_of

    with own_style():
        quantity, records = metric_of(run, list(run.records()), metric)
        import_module(KINDS[kind], __package__).draw(figure, run, records, quantity)
    return figure


def save(run: Run, kind: str, path: Path, metric: str | None = None) -> None:
    """Draw to a file, whose suffix says the format (png, svg, pdf). Raises ``UsageError``."""
    figure = draw(run, kind, metric)
    suffix = format_of(path)
    with own_style():
        if path.parent != run.path:
            figure.savefig(path, dpi=120)
            return
        picture = BytesIO()
        figure.savefig(picture, format=suffix, dpi=120)
        replace_file(path, picture.getvalue())  # others may be able to write there: a link is not followed


def new_figure() -> Figure:
    """Return an empty figure, to be drawn on within :func:`own_style`. Raises ``UsageError`` without matplotlib."""
    try:
        from matplotlib.figure import Figure
    except ImportError:
        raise UsageError("plots need matplotlib: pip install 'aiohpo[plot]'") from None
    return Figure(figsize=(9, 5), layout="constrained")


def format_of(path: Path) -> str:
    """Return the format that a picture's suffix names. Raises ``UsageError`` if it is none."""
    known = new_figure().canvas.get_supported_filetypes()
    suffix = path.suffix.lstrip(".").lower()
    if suffix not in known:
        raise UsageError(
            f"cannot write a picture to {str(path)!r}: its suffix must be one of {', '.join(sorted(known))}"
        )
    return suffix


@contextmanager
def own_style() -> Iterator[None]:
    """The user's style but for what would take names for TeX; no warnings about glyphs that the font does not have."""
    import matplotlib

    with warnings.catch_warnings(), matplotlib.rc_context({"text.usetex": False, "text.parse_math": True}):
        warnings.filterwarnings("ignore", r"Glyph \d+ .* missing from", UserWarning)
        yield
