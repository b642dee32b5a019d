"""Pictures of a search.

overview    how good it got, above what the workers did: what ``aiohpo run`` saves
history     every result in the order in which it came, and the best so far
curves      the learning curves of all trials, the best on top
rungs       how many trials got how far, what they were worth there, and who was promoted
parallel    every configuration as a line over the parameters, the best tenth on top
slice       the metric against each parameter
contour     the metric over pairs of the parameters that matter most, between the trials interpolated
rank        the trials over the same pairs, coloured by their rank
importance  how much each parameter matters, overall and among the best trials
edf         which share of the trials is at least as good as each value; of several runs, to compare them
timeline    what each worker ran when, with a lane for each slot, and which part of them was busy
schedule    what the best trial and those it inherited from were trained with, step by step
ensemble    an ensemble of the trials: its members, its calibration and its uncertainty

Each mark is a trial; only the surface of a contour plot is interpolated, and the importances come from a model. Of more
than 1,000 curves of one colour some are drawn, and the title says so; a timeline of more than 20,000 segments shows the
share of the time that they take. Where outliers would flatten the rest, the axis is cut and the title says how many
trials lie outside.

A kind computes a :class:`~aiohpo.plots.picture.Picture` and draws nothing; matplotlib (the extra ``plot``) and Plotly
(the extra ``plotly``) draw the same one.
"""

from __future__ import annotations

import warnings
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from importlib import import_module
from io import BytesIO
from pathlib import Path
from typing import TYPE_CHECKING

from ..errors import UsageError
from ..files import replace_file

if TYPE_CHECKING:
    from matplotlib.figure import Figure

    from .picture import Picture
    from .subject import Subject

# Each is a module with picture(subject), imported when it is wanted: the command line lists the kinds without numpy.
KINDS = {
    "overview": ".overview",
    "history": ".history",
    "curves": ".curves",
    "rungs": ".rungs",
    "parallel": ".parallel",
    "slice": ".slice",
    "contour": ".contour",
    "rank": ".rank",
    "importance": ".importance",
    "edf": ".edf",
    "timeline": ".timeline",
    "schedule": ".schedule",
    "ensemble": ".ensemble",
}
HTML = ".html"  # the suffix of what Plotly draws
_OF_PAIRS = ("contour", "rank")


def compute(subject: Subject, kind: str, parameters: Sequence[str] = (), others: Sequence[Subject] = ()) -> Picture:
    """Compute one kind of picture. Raises ``UsageError`` if there is nothing to draw.

    Args:
        subject: what it is drawn of.
        kind: one of ``KINDS``.
        parameters: of a contour or rank plot; without any, those that matter most.
        others: other searches for the same metric, for an edf plot.
    """
    if kind not in KINDS:
        raise UsageError(f"there is no plot of kind {kind!r}; the kinds are: {', '.join(KINDS)}")
    if parameters and kind not in _OF_PAIRS:
        raise UsageError(f"a plot of kind {kind!r} takes no parameters; those of kind {' and '.join(_OF_PAIRS)} do")
    if others and kind != "edf":
        raise UsageError(f"a plot of kind {kind!r} shows one run; several are compared by kind 'edf'")
    make = import_module(KINDS[kind], __package__).picture
    if kind in _OF_PAIRS:
        return make(subject, parameters)  # type: ignore[no-any-return]  # of a module that is found by name
    return make([subject, *others] if kind == "edf" else subject)  # type: ignore[no-any-return]


def draw(picture: Picture) -> Figure:
    """Draw a picture with matplotlib. Raises ``UsageError`` without it."""
    figure = new_figure()
    from .with_matplotlib import draw_on

    with own_style():
        draw_on(figure, picture)
    return figure


def save(picture: Picture, path: Path, *, shared: bool = False) -> None:
    """Draw to a file, whose suffix says the format: html with Plotly, png, svg or pdf with matplotlib.

    ``shared``: others may be able to write to its directory, so a link is not followed. Raises ``UsageError``.
    """
    drawn = BytesIO()
    if path.suffix.lower() == HTML:
        from .with_plotly import to_figure

        drawn.write(to_figure(picture).to_html(include_plotlyjs=True).encode())
    else:
        suffix = format_of(path)
        figure = draw(picture)
        with own_style():
            figure.savefig(drawn, format=suffix, dpi=120)
    if shared:
        replace_file(path, drawn.getvalue())
    else:
        path.write_bytes(drawn.getvalue())


def new_figure() -> Figure:
    """Return an empty figure, to be drawn on within :func:`own_style`. Raises ``UsageError`` without matplotlib."""
    try:
        from .with_matplotlib import NotebookFigure
    except ImportError:
        raise UsageError("plots need matplotlib: pip install 'aiohpo[plot]'") from None
    return NotebookFigure(figsize=(9, 5), layout="constrained")


def format_of(path: Path) -> str:
    """Return the format that a picture's suffix names. Raises ``UsageError`` if it is none."""
    known = new_figure().canvas.get_supported_filetypes()
    suffix = path.suffix.lstrip(".").lower()
    if suffix not in known:
        raise UsageError(
            f"cannot write a picture to {str(path)!r}: its suffix must be one of "
            f"{', '.join(sorted([*known, HTML[1:]]))}"
        )
    return suffix


@contextmanager
def own_style() -> Iterator[None]:
    """The user's style but for what would take names for TeX; no warnings about glyphs that the font does not have."""
    import matplotlib

    with warnings.catch_warnings(), matplotlib.rc_context({"text.usetex": False, "text.parse_math": True}):
        warnings.filterwarnings("ignore", r"Glyph \d+ .* missing from", UserWarning)
        yield
