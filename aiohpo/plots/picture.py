"""A picture as data: panels with marks on them, which :mod:`.matplotlib` and :mod:`.plotly` draw alike.

Each kind of picture is a function that computes one of these and draws nothing. Texts are printable, but not escaped:
what is markup to a library is for its module to escape. Sizes are in points, lengths in inches.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from typing import Any, Literal

from numpy.typing import NDArray

Ticks = list[tuple[float, str]]
Hover = Callable[[], Sequence[str]]  # called by what can show these texts, which take longer than the rest
BLACK = "#000000"


@dataclass(slots=True)
class Axis:
    """One axis of a panel.

    limits   from where to where; a reversed pair turns it around; None: what the marks need
    ticks    where which text stands; None: numbers that suit the limits
    whole    only whole numbers
    slanted  by how many degrees the texts are turned
    size     of the texts
    """

    label: str = ""
    log: bool = False
    whole: bool = False
    ticks: Ticks | None = None
    limits: tuple[float, float] | None = None
    slanted: int = 0
    size: float | None = None


@dataclass(frozen=True, slots=True)
class Line:
    """Points (k,), joined unless ``dash`` is empty. ``step``: y holds until the next x. ``hover``: the texts of all.

    marker     "" (none), "." (a dot), "x" or "|"
    at_bottom  points stand just above the x axis, whatever their y
    """

    x: Any
    y: Any
    colour: str
    dash: Literal["", "-", "--", ":"] = "-"
    width: float = 1.5
    marker: Literal["", ".", "x", "|"] = ""
    size: float = 6.0
    alpha: float = 1.0
    label: str = ""
    step: bool = False
    at_bottom: bool = False
    hover: Hover | None = None


@dataclass(frozen=True, slots=True)
class Paths:
    """Many lines of one look, each (k, 2)."""

    paths: Sequence[NDArray[Any]]
    colour: str
    width: float
    alpha: float
    hover: Hover | None = None


@dataclass(frozen=True, slots=True)
class Dots:
    """Points (k,) with areas ``size`` (one, or (k,)), coloured by ``values`` (k,) where there are any."""

    x: Any
    y: Any
    colour: str = BLACK
    values: Any = None
    size: Any = 14.0
    alpha: float = 1.0
    label: str = ""
    hover: Hover | None = None


@dataclass(frozen=True, slots=True)
class Bars:
    """Bars (k,) from ``start`` (k, or 0) to ``end`` (k,) at the places ``at`` (k,), upright unless ``across``.

    texts  what stands at their ends
    error  (2, k): how far whiskers reach below and above the end
    """

    at: Any
    end: Any
    colour: str
    start: Any = 0.0
    width: float = 0.8
    across: bool = False
    alpha: float = 1.0
    edge: float = 0.0
    texts: Sequence[str] | None = None
    error: Any = None
    label: str = ""
    hover: Hover | None = None


@dataclass(frozen=True, slots=True)
class Rules:
    """Lines across the panel at x, or at y where ``across``; ``span``: only from there to there."""

    at: Sequence[float]
    across: bool = False
    colour: str = BLACK
    width: float = 0.8
    dash: Literal["-", "--", ":"] = "-"
    label: str = ""
    span: tuple[float, float] | None = None


@dataclass(frozen=True, slots=True)
class Texts:
    """Texts to the right of points (x, y)."""

    texts: Sequence[tuple[float, float, str]]
    size: float = 7.0


@dataclass(frozen=True, slots=True)
class Shading:
    """An image (rows, columns, 4) of red, green, blue and opacity, from ``left`` to ``right``, a row for each whole
    number on the y axis; ``legend`` says what the colours mean."""

    image: NDArray[Any]
    left: float
    right: float
    legend: Sequence[tuple[str, str]]


@dataclass(frozen=True, slots=True)
class Surface:
    """Values ``z`` (rows, columns) over ``x`` (columns,) and ``y`` (rows,) as colours; NaN stays white.

    ``contours``: with lines of equal height; cells of a grid otherwise.
    """

    x: Any
    y: Any
    z: Any
    label: str
    contours: bool = True


Mark = Line | Paths | Dots | Bars | Rules | Texts | Shading | Surface


@dataclass(slots=True)
class Panel:
    """One pair of axes, and what is on it, the first at the bottom.

    legend  where the labels of its marks are explained; None: nowhere
    """

    x: Axis = field(default_factory=Axis)
    y: Axis = field(default_factory=Axis)
    marks: list[Mark] = field(default_factory=list)
    title: str = ""
    legend: Literal["inside", "outside"] | None = None
    grid: Literal["", "y", "both"] = "both"
    frame: bool = True


@dataclass(slots=True)
class Picture:
    """Panels in ``rows``, None where a place is empty.

    heights       of the rows, in proportion
    share_x       all panels of a column have one x axis
    share_y       all panels of a row have one y axis
    legend        marks whose labels are explained once for all
    colour_scale  (label, low, high) of the values of ``Dots``
    """

    rows: list[list[Panel | None]]
    width: float = 9.0
    height: float = 5.0
    title: str = ""
    heights: Sequence[float] | None = None
    share_x: bool = False
    share_y: bool = False
    legend: Sequence[Line] = ()
    colour_scale: tuple[str, float, float] | None = None

    @property
    def panels(self) -> list[Panel]:
        """All of them, row by row."""
        return [panel for row in self.rows for panel in row if panel is not None]
