"""Pictures drawn with matplotlib (the extra ``plot``)."""

from __future__ import annotations

from io import BytesIO
from typing import TYPE_CHECKING, Any, Literal

import numpy as np
from matplotlib.figure import Figure

from ..text import printable
from .picture import Axis, Bars, Dots, Line, Panel, Paths, Picture, Rules, Shading, Surface, Texts

if TYPE_CHECKING:
    from matplotlib.axes import Axes

    from .picture import Mark


class NotebookFigure(Figure):
    """A figure that a notebook shows. By itself it shows those of pyplot only, which keeps them all in memory."""

    def _repr_png_(self) -> bytes:
        drawn = BytesIO()
        self.savefig(drawn, format="png", dpi=100)
        return drawn.getvalue()


def draw_on(figure: Figure, picture: Picture) -> None:
    """Draw a picture on an empty figure, whose size changes."""
    figure.set_size_inches(picture.width, picture.height)
    columns = max(len(row) for row in picture.rows)
    grid: Any = figure.subplots(
        len(picture.rows),
        columns,
        squeeze=False,
        sharex="col" if picture.share_x else False,
        sharey="row" if picture.share_y else False,
        height_ratios=picture.heights,
    )
    coloured: Any = None
    for row, places in zip(picture.rows, grid, strict=True):
        for panel, axes in zip(row, places, strict=True):
            if panel is None:
                axes.set_visible(False)
            else:
                coloured = _draw_panel(axes, panel, picture.colour_scale) or coloured
    if picture.title:
        figure.suptitle(_text(picture.title), x=0.01, ha="left")
    if picture.legend:
        marks = [_key(mark) for mark in picture.legend]
        figure.legend(handles=marks, loc="outside lower right", ncols=4, frameon=False, fontsize=8)
    if picture.colour_scale is not None and coloured is not None:
        label, _, _ = picture.colour_scale
        _whole_numbers(figure.colorbar(coloured, ax=grid, label=_text(label)).ax.yaxis)


def _text(text: str) -> str:
    """Escape what matplotlib would take for a formula."""
    return printable(text, lines=True).replace("$", r"\$")


def _draw_panel(axes: Axes, panel: Panel, colours: tuple[str, float, float] | None) -> Any:
    """Draw a panel; return what a colour bar explains, if there is such a thing."""
    coloured = None
    for mark in panel.marks:
        coloured = _draw_mark(axes, mark, colours) or coloured
    _scale(axes, "x", panel.x)
    _scale(axes, "y", panel.y)
    if panel.title:
        axes.set_title(_text(panel.title), loc="left", fontsize=None if len(panel.title) < 80 else "medium")
    if panel.grid:
        axes.grid(alpha=0.25, axis=panel.grid)
    if not panel.frame:
        for side in axes.spines.values():
            side.set_visible(False)
    if panel.legend == "outside":
        axes.legend(loc="upper left", bbox_to_anchor=(1.0, 1.0), frameon=False, fontsize=8)
    elif panel.legend == "inside":
        axes.legend(loc="best", framealpha=0.85, edgecolor="none", fontsize="small")
    return coloured


def _scale(axes: Axes, which: Literal["x", "y"], axis: Axis) -> None:
    from matplotlib.ticker import NullFormatter, NullLocator

    on = axes.xaxis if which == "x" else axes.yaxis
    if axis.log:
        axes.set(**{f"{which}scale": "log"})
        on.set_minor_formatter(NullFormatter())
    if axis.ticks is not None:
        on.set_ticks([place for place, _ in axis.ticks], [_text(text) for _, text in axis.ticks])
        if axis.log:
            on.set_minor_locator(NullLocator())
    elif axis.whole:
        _whole_numbers(on)
    if axis.size is not None:
        axes.tick_params(axis=which, labelsize=axis.size)
    if axis.slanted:
        axes.tick_params(axis=which, rotation=axis.slanted)
        for text in on.get_ticklabels():
            text.set(ha="right", rotation_mode="anchor")
    if axis.limits is not None:
        axes.set(**{f"{which}lim": axis.limits})
    if axis.label:
        axes.set(**{f"{which}label": _text(axis.label)})


def _whole_numbers(axis: Any) -> None:
    from matplotlib.ticker import MaxNLocator

    axis.set_major_locator(MaxNLocator("auto", steps=[1, 2, 5, 10], integer=True))


def _key(mark: Line) -> Any:
    from matplotlib.lines import Line2D

    look: dict[str, Any] = {"color": mark.colour, "lw": mark.width, "ls": mark.dash or "none"}
    return Line2D([], [], label=_text(mark.label), marker=mark.marker or None, **look)


def _draw_mark(axes: Axes, mark: Mark, colours: tuple[str, float, float] | None) -> Any:
    from matplotlib.collections import LineCollection

    name = getattr(mark, "label", "")
    label: dict[str, Any] = {"label": _text(name)} if name else {}
    match mark:
        case Line():
            _draw_line(axes, mark, label)
        case Paths():
            look: dict[str, Any] = {"colors": [mark.colour], "linewidths": mark.width, "alpha": mark.alpha}
            axes.add_collection(LineCollection(mark.paths, **look))
        case Dots():
            look = {"color": mark.colour}
            if mark.values is not None:
                _, low, high = colours or ("", None, None)
                look = {"c": mark.values, "cmap": "viridis", "vmin": low, "vmax": high}
            drawn = axes.scatter(mark.x, mark.y, s=mark.size, alpha=mark.alpha, **look, **label)
            return drawn if mark.values is not None else None
        case Bars():
            _draw_bars(axes, mark, label)
        case Rules():
            for i, at in enumerate(mark.at):
                look = {"color": mark.colour, "lw": mark.width, "ls": mark.dash, **(label if i == 0 else {})}
                if mark.span is not None:
                    (axes.hlines if mark.across else axes.vlines)(at, *mark.span, **look)
                else:
                    (axes.axhline if mark.across else axes.axvline)(at, **look)
        case Texts():
            box = {"facecolor": "white", "edgecolor": "none", "alpha": 0.75, "pad": 0.8}
            look = {"textcoords": "offset points", "fontsize": mark.size, "va": "center", "bbox": box}
            for x, y, text in mark.texts:
                axes.annotate(_text(text), (x, y), xytext=(4, 0), **look)
        case Shading():
            _draw_shading(axes, mark)
        case Surface():
            _draw_surface(axes, mark)
    return None


def _draw_line(axes: Axes, mark: Line, label: dict[str, Any]) -> None:
    x, y = mark.x, mark.y
    look: dict[str, Any] = {"color": mark.colour, "lw": mark.width, "ls": mark.dash or "none", "alpha": mark.alpha}
    look |= {"marker": mark.marker or None, "ms": mark.size, **label}
    if mark.at_bottom:
        look["alpha"] = 1.0
        axes.plot(x, np.full(len(x), 0.02), transform=axes.get_xaxis_transform(), **look)
    elif mark.step:
        axes.step(x, y, where="post", **look)
    else:
        axes.plot(x, y, **look)


def _draw_bars(axes: Axes, mark: Bars, label: dict[str, Any]) -> None:
    at, end = np.asarray(mark.at, dtype=float), np.asarray(mark.end, dtype=float)
    start = np.broadcast_to(np.asarray(mark.start, dtype=float), end.shape)
    if mark.across and np.ndim(mark.start):  # many: as one object
        from matplotlib.collections import PolyCollection

        low, high = at - mark.width / 2, at + mark.width / 2
        corners: Any = np.stack([start, high, start, low, end, low, end, high], axis=1).reshape(-1, 4, 2)
        look: dict[str, Any] = {"facecolor": mark.colour, "edgecolor": "white", "lw": mark.edge, "alpha": mark.alpha}
        axes.add_collection(PolyCollection(corners, **look, **label), autolim=False)
        return
    look = {"color": mark.colour, "alpha": mark.alpha, **label}
    if mark.error is not None:
        look |= {
            "xerr" if mark.across else "yerr": mark.error,
            "ecolor": "black",
            "capsize": 2,
            "error_kw": {"lw": 0.8},
        }
    if mark.across:
        drawn = axes.barh(at, end - start, height=mark.width, left=start, **look)
    else:
        drawn = axes.bar(at, end - start, width=mark.width, bottom=start, **look)
    if mark.texts is not None:
        axes.bar_label(drawn, [_text(text) for text in mark.texts], fontsize=8, padding=1)


def _draw_shading(axes: Axes, mark: Shading) -> None:
    from matplotlib.patches import Rectangle

    for name, colour in mark.legend:
        axes.add_patch(Rectangle((0.0, 0.0), 0.0, 0.0, facecolor=colour, label=_text(name)))
    extent = (mark.left, mark.right, len(mark.image) - 0.5, -0.5)
    axes.imshow(mark.image, extent=extent, aspect="auto", interpolation="antialiased")


def _draw_surface(axes: Axes, mark: Surface) -> None:
    z = np.ma.masked_invalid(np.asarray(mark.z, dtype=float))
    if mark.contours:
        drawn: Any = axes.contourf(mark.x, mark.y, z, levels=14, cmap="YlGnBu_r")
        axes.contour(drawn, colors="white", linewidths=0.4)
    else:
        drawn = axes.pcolormesh(mark.x, mark.y, z, cmap="YlGnBu_r")
    axes.figure.colorbar(drawn, ax=axes, label=_text(mark.label))
