"""Pictures drawn with Plotly (the extra ``plotly``): they answer to the mouse, in a notebook or a browser."""

from __future__ import annotations

import base64
import html
import math
import struct
import zlib
from typing import TYPE_CHECKING, Any

import numpy as np

from ..errors import UsageError
from .picture import Axis, Bars, Dots, Line, Panel, Paths, Picture, Rules, Shading, Surface, Texts

if TYPE_CHECKING:
    from numpy.typing import NDArray
    from plotly.graph_objects import Figure

    from .picture import Hover, Mark

_INCH = 96  # pixels
_POWERS = 5  # of ten that are named on an axis, at most
_MANY = 5000  # points, of which more are drawn by the graphics card
_SYMBOLS = {".": "circle", "x": "x-thin", "|": "line-ns"}
_DASHES = {"-": "solid", "--": "dash", ":": "dot"}


def to_figure(picture: Picture) -> Figure:
    """Make the Plotly figure of a picture. Raises ``UsageError`` without Plotly."""
    try:
        from plotly.subplots import make_subplots
    except ImportError:
        raise UsageError("interactive plots need Plotly: pip install 'aiohpo[plotly]'") from None
    rows, columns = len(picture.rows), max(len(row) for row in picture.rows)
    flat = [panel for row in picture.rows for panel in [*row, *[None] * (columns - len(row))]]
    figure = make_subplots(
        rows,
        columns,
        shared_xaxes="columns" if picture.share_x else False,
        shared_yaxes="rows" if picture.share_y else False,
        row_heights=list(picture.heights) if picture.heights is not None else None,
        subplot_titles=[_text(panel.title) if panel is not None else "" for panel in flat],
        specs=[[{} if i < len(row) and row[i] is not None else None for i in range(columns)] for row in picture.rows],
        horizontal_spacing=min(0.12 if _surfaces(picture) else 0.07, 0.9 / max(columns - 1, 1)),
        vertical_spacing=min((0.4 if picture.share_x else 0.9) / picture.height, 0.9 / max(rows - 1, 1)),
    )
    figure.update_annotations(font_size=13)
    figure.update_layout(
        template="plotly_white",
        title={"text": _text(picture.title), "font": {"size": 15}, "x": 0.01} if picture.title else None,
        width=picture.width * _INCH,
        height=(picture.height + (0.4 if picture.title else 0.0)) * _INCH,
        margin={
            "l": 150 if any(panel.x.slanted for panel in picture.panels) else 70,
            "r": 30,
            "t": 70 if picture.title else 45,
            "b": 55,
        },
        barmode="overlay",
        hovermode="closest",
        hoverlabel={"align": "left"},
    )
    if picture.colour_scale is not None or _surfaces(picture):  # the right side is that of the colours
        figure.update_layout(legend={"orientation": "h", "x": 1.0, "xanchor": "right", "y": 1.02, "yanchor": "bottom"})
    explained: set[str] = set()
    for r, row in enumerate(picture.rows, 1):
        for c, panel in enumerate(row, 1):
            if panel is not None:
                _PanelDrawing(figure, panel, r, c, picture, explained).draw()
    for mark in picture.legend:
        figure.add_trace(_key(mark.label, mark.colour, "lines+markers" if mark.dash else "markers"))
    return figure


def _text(text: str) -> str:
    """Escape what Plotly would take for tags or a formula; lines end where they did."""
    return html.escape(text, quote=False).replace("$", "&#36;").replace("\n", "<br>")


def _surfaces(picture: Picture) -> bool:
    return any(isinstance(mark, Surface) for panel in picture.panels for mark in panel.marks)


def _key(label: str, colour: str, mode: str) -> dict[str, Any]:
    look = {"line": {"color": colour}, "marker": {"color": colour}}
    return {"type": "scatter", "x": [None], "y": [None], "mode": mode, "name": _text(label), **look}


class _PanelDrawing:
    """One panel being drawn at row ``r`` and column ``c``. ``explained`` are labels that the legend has."""

    def __init__(self, figure: Figure, panel: Panel, r: int, c: int, picture: Picture, explained: set[str]) -> None:
        self._figure, self._panel, self._place = figure, panel, {"row": r, "col": c}
        self._picture, self._explained = picture, explained
        plot = figure.get_subplot(r, c)
        self._x, self._y = plot.xaxis.plotly_name.replace("axis", ""), plot.yaxis.plotly_name.replace("axis", "")
        self._span = plot.xaxis.domain, plot.yaxis.domain

    def draw(self) -> None:
        for mark in self._panel.marks:
            self._draw(mark)
        self._figure.update_xaxes(**self._axis(self._panel.x, "x"), **self._place)
        self._figure.update_yaxes(**self._axis(self._panel.y, "y"), **self._place)
        if not self._panel.frame:
            self._figure.update_xaxes(showline=False, zeroline=False, **self._place)

    def _axis(self, axis: Axis, which: str) -> dict[str, Any]:
        grid = self._panel.grid == "both" or self._panel.grid == which
        made: dict[str, Any] = {"showgrid": grid, "zeroline": False, "showline": self._panel.frame, "linecolor": "#666"}
        made |= {
            "ticks": "outside",
            "title": {"text": _text(axis.label)},
            "exponentformat": "power",
            "automargin": True,
        }
        if axis.log:
            made["type"] = "log"
            if axis.ticks is None:  # a label for each power of ten, or for every second one …
                made |= {"dtick": max(1, math.ceil(self._decades(which) / _POWERS)), "tickangle": 0}
                made["tickfont"] = {"size": 11}
        if axis.ticks is not None:
            made |= {"tickmode": "array", "tickvals": [at for at, _ in axis.ticks]}
            made |= {"ticktext": [_text(text) for _, text in axis.ticks], "tickangle": -axis.slanted}
        elif axis.whole:
            made |= {"tickformat": "d", **({"dtick": 1} if self._extent(which) < 6 else {})}
        if axis.size is not None:
            made["tickfont"] = {"size": axis.size + 3}
        limits = axis.limits
        if limits is not None:
            made["range"] = [math.log10(end) for end in limits] if axis.log else list(limits)
        return made

    def _decades(self, which: str) -> float:
        low, high = self._ends(which)
        return math.log10(high / low) if 0 < low < high < math.inf else 1.0

    def _extent(self, which: str) -> float:
        low, high = self._ends(which)
        return high - low

    def _ends(self, which: str) -> tuple[float, float]:
        """From where to where the marks of the panel reach along an axis."""
        limits = (self._panel.x if which == "x" else self._panel.y).limits
        if limits is not None:
            return min(limits), max(limits)
        low, high = math.inf, -math.inf
        for mark in self._panel.marks:
            values = mark.paths if isinstance(mark, Paths) else [getattr(mark, which, ())]
            for value in values:
                found = np.asarray(value, dtype=float)
                if isinstance(mark, Paths):
                    found = found[:, "xy".index(which)]
                if found.size and np.isfinite(found).any():
                    low, high = min(low, float(np.nanmin(found))), max(high, float(np.nanmax(found)))
        return low, high

    def _add(self, trace: dict[str, Any], label: str = "") -> None:
        wanted = bool(label) and self._panel.legend is not None
        if label:
            trace |= {"name": _text(label), "legendgroup": _text(label)}
        trace["showlegend"] = wanted and label not in self._explained
        self._explained |= {label} if wanted else set()
        self._figure.add_trace(trace, **self._place)

    def _draw(self, mark: Mark) -> None:
        match mark:
            case Line():
                self._line(mark)
            case Paths():
                self._paths(mark)
            case Dots():
                self._dots(mark)
            case Bars():
                self._bars(mark)
            case Rules():
                self._rules(mark)
            case Texts():
                x, y, texts = zip(*mark.texts, strict=True) if mark.texts else ((), (), ())
                look = {"textposition": "middle right", "textfont": {"size": mark.size + 3}, "hoverinfo": "skip"}
                written = [_text(f" {text}") for text in texts]
                self._add({"type": "scatter", "mode": "text", "x": x, "y": y, "text": written, **look})
            case Shading():
                self._shading(mark)
            case Surface():
                self._surface(mark)

    def _hover(self, texts: Hover | None) -> dict[str, Any]:
        if texts is None:
            return {"hoverinfo": "skip"}
        return {"customdata": [_text(text) for text in texts()], "hovertemplate": "%{customdata}<extra></extra>"}

    def _line(self, mark: Line) -> None:
        mode = "+".join([*(["lines"] if mark.dash else []), *(["markers"] if mark.marker else [])])
        y = np.asarray(mark.y, dtype=float)
        if mark.at_bottom:
            y = np.full(len(y), self._bottom())
        trace: dict[str, Any] = {"type": "scattergl" if len(y) > _MANY else "scatter", "mode": mode}
        empty = not len(y) and bool(mark.label)
        trace |= {"x": [None] if empty else _plain(mark.x), "y": [None] if empty else y, "opacity": mark.alpha}
        if mark.dash:
            shape = {"shape": "hv"} if mark.step else {}
            trace["line"] = {"color": mark.colour, "width": mark.width * 1.2, "dash": _DASHES[mark.dash], **shape}
        if mark.marker:
            look: dict[str, Any] = {"color": mark.colour, "symbol": _SYMBOLS[mark.marker]}
            if mark.marker == ".":
                look["size"] = max(0.9 * mark.size, 3)
            else:  # these two consist of their edge
                look |= {"size": 1.2 * mark.size, "line": {"color": mark.colour, "width": 1.5}}
            trace["marker"] = look
        shown = {} if mark.step or (mark.dash and mark.hover is None) else self._hover(mark.hover)
        self._add(trace | shown, mark.label)

    def _bottom(self) -> float:
        """Just above the x axis."""
        limits = self._panel.y.limits
        if limits is not None:
            return min(limits) + 0.02 * (max(limits) - min(limits))
        lines = [np.asarray(m.y, dtype=float) for m in self._panel.marks if isinstance(m, Line) and not m.at_bottom]
        values = np.concatenate(lines) if lines else np.zeros(1)
        low, high = float(np.nanmin(values)), float(np.nanmax(values))
        return low - 0.04 * (high - low or 1.0)

    def _paths(self, mark: Paths) -> None:
        if not len(mark.paths):
            return
        gap = np.full((1, 2), np.nan)
        joined = np.concatenate([part for path in mark.paths for part in (path, gap)])
        trace: dict[str, Any] = {"type": "scattergl" if len(joined) > _MANY else "scatter", "mode": "lines"}
        trace |= {"x": joined[:, 0], "y": joined[:, 1], "opacity": mark.alpha, "connectgaps": False}
        trace["line"] = {"color": mark.colour, "width": mark.width * 1.2}
        texts = zip(mark.paths, mark.hover(), strict=True) if mark.hover is not None else ()
        each = [text for path, text in texts for _ in range(len(path) + 1)]
        self._add(trace | self._hover((lambda: each) if each else None))

    def _dots(self, mark: Dots) -> None:
        marker: dict[str, Any] = {"size": 1.3 * np.sqrt(np.asarray(mark.size, dtype=float)), "opacity": mark.alpha}
        if mark.values is None:
            marker["color"] = mark.colour
        else:
            label, low, high = self._picture.colour_scale or ("", None, None)
            marker |= {"color": mark.values, "colorscale": "Viridis", "cmin": low, "cmax": high}
            marker |= {"showscale": label not in self._explained, "colorbar": {"title": {"text": _text(label)}}}
            self._explained.add(label)
        kind = "scattergl" if len(mark.x) > _MANY else "scatter"
        trace = {"type": kind, "mode": "markers", "x": _plain(mark.x), "y": _plain(mark.y), "marker": marker}
        self._add(trace | self._hover(mark.hover), mark.label)

    def _bars(self, mark: Bars) -> None:
        at, end = np.asarray(mark.at, dtype=float), np.asarray(mark.end, dtype=float)
        start = np.broadcast_to(np.asarray(mark.start, dtype=float), end.shape)
        ways = ("y", "x", "error_x") if mark.across else ("x", "y", "error_y")
        trace: dict[str, Any] = {"type": "bar", "orientation": "h" if mark.across else "v", "width": mark.width}
        trace |= {ways[0]: at, ways[1]: end - start, "base": start}
        edge = {"width": mark.edge, "color": "white"}
        trace["marker"] = {"color": mark.colour, "opacity": mark.alpha, "line": edge}
        if mark.error is not None:
            below, above = np.asarray(mark.error, dtype=float)
            trace[ways[2]] = {"array": above, "arrayminus": below, "symmetric": False, "thickness": 1, "width": 2}
        if mark.texts is not None:
            trace |= {"text": [_text(text) for text in mark.texts], "textposition": "outside", "cliponaxis": False}
        self._add(trace | (self._hover(mark.hover) if mark.hover is not None else {}), mark.label)

    def _rules(self, mark: Rules) -> None:
        for i, at in enumerate(mark.at):
            along = list(mark.span) if mark.span is not None else [0, 1]
            line = {"color": mark.colour, "width": mark.width, "dash": _DASHES[mark.dash]}
            whole = " domain" if mark.span is None else ""
            x, y = self._x, self._y
            if mark.across:
                shape = {"x0": along[0], "x1": along[1], "xref": f"{x}{whole}", "y0": at, "y1": at, "yref": y}
            else:
                shape = {"y0": along[0], "y1": along[1], "yref": f"{y}{whole}", "x0": at, "x1": at, "xref": x}
            self._figure.add_shape(type="line", line=line, **shape)
            if i == 0 and mark.label:
                key = _key(mark.label, mark.colour, "lines")
                self._add(key | {"line": line}, mark.label)

    def _shading(self, mark: Shading) -> None:
        x, y = self._x, self._y
        pixels = np.round(np.asarray(mark.image) * 255).astype(np.uint8)
        place = {"x": mark.left, "y": -0.5, "sizex": mark.right - mark.left, "sizey": len(pixels)}
        source = "data:image/png;base64," + base64.b64encode(_png(pixels)).decode()
        # With a reversed axis the image hangs down from its first row.
        self._figure.add_layout_image(source=source, xref=x, yref=y, sizing="stretch", layer="below", **place)
        for name, colour in mark.legend:
            self._add(_key(name, colour, "markers"), name)

    def _surface(self, mark: Surface) -> None:
        (_, right), (bottom, top) = self._span
        bar = {
            "title": {"text": _text(mark.label), "side": "right"},
            "x": right + 0.005,
            "xanchor": "left",
            "thickness": 12,
        }
        bar |= {"y": (bottom + top) / 2, "len": top - bottom}
        x, y = np.asarray(mark.x, dtype=float), np.asarray(mark.y, dtype=float)
        trace = {"x": x, "y": y, "z": mark.z, "colorscale": "YlGnBu_r", "colorbar": bar, "hoverinfo": "skip"}
        if mark.contours:
            trace |= {"type": "contour", "ncontours": 14, "line": {"color": "white", "width": 0.4}}
        else:
            trace["type"] = "heatmap"
        self._add(trace)


def _plain(values: Any) -> Any:
    return np.asarray(values, dtype=float)


def _png(pixels: NDArray[np.uint8]) -> bytes:
    """Write pixels (rows, columns, 4) as PNG; see the specification of the format, sections 5 and 11."""
    rows, columns, _ = pixels.shape
    lines = b"".join(b"\0" + line.tobytes() for line in pixels)
    made = b"\x89PNG\r\n\x1a\n"
    header = struct.pack(">IIBBBBB", columns, rows, 8, 6, 0, 0, 0)
    for name, data in ((b"IHDR", header), (b"IDAT", zlib.compress(lines)), (b"IEND", b"")):
        made += struct.pack(">I", len(data)) + name + data + struct.pack(">I", zlib.crc32(name + data))
    return made
