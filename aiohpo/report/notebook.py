"""The progress of a search in a notebook: a bar of ipywidgets where they are installed, else one of HTML.

Either is shown by one output of the cell, which is replaced as the search goes on and emptied at its end, so that a
notebook that is saved afterwards keeps the last lines and no half of a bar.
"""

from __future__ import annotations

import sys
from html import escape
from types import TracebackType
from typing import TYPE_CHECKING, Any, Protocol

from ..text import printable
from .plain import climb_in_words
from .words import best_in_words, busy_in_words, describe_rate, describe_seconds, slots_in_words

if TYPE_CHECKING:
    from .snapshot import Snapshot

_WIDTH = "16em"


def in_notebook() -> bool:
    """Whether this is a kernel of IPython, such as Jupyter's, whose frontend shows more than text."""
    ipython = sys.modules.get("IPython")
    shell = None if ipython is None else ipython.get_ipython()
    return getattr(shell, "kernel", None) is not None


class NotebookBar:
    """A bar, and in a line beside it what a terminal's bar says; see :class:`~aiohpo.report.bar.Bar`."""

    def __init__(self) -> None:
        self._drawing: _Drawing | None = None

    def __enter__(self) -> NotebookBar:
        try:
            self._drawing = _Widgets()
        except ImportError:
            self._drawing = _Html()
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        if self._drawing is not None:
            self._drawing.close()

    def update(self, now: Snapshot) -> None:
        """Show a snapshot."""
        if self._drawing is not None:
            self._drawing.show(now.done, now.total, in_words(now))


def in_words(now: Snapshot) -> str:
    """What stands beside the bar."""
    of = "" if now.total is None else f"/{now.total}"
    parts = [f"{now.done}{of} trials", climb_in_words(now), best_in_words(now.metric, now.best, now.max_steps)]
    parts += [describe_rate(now.rate), busy_in_words(now), slots_in_words(now)]
    parts += [describe_seconds(round(now.elapsed))] if now.elapsed >= 1 else []
    return printable(", ".join(filter(None, parts)))


class _Drawing(Protocol):
    def show(self, done: int, total: int | None, text: str) -> None: ...
    def close(self) -> None: ...


class _Widgets:
    """Raises ``ImportError`` where ipywidgets are not installed."""

    def __init__(self) -> None:
        import ipywidgets

        self._bar = ipywidgets.IntProgress(min=0, max=1, layout=ipywidgets.Layout(width=_WIDTH))
        self._text = ipywidgets.HTML("starting")
        self._box = ipywidgets.HBox([self._bar, self._text])
        self._output = _display(self._box)

    def show(self, done: int, total: int | None, text: str) -> None:
        self._bar.layout.display = None if total else "none"
        self._bar.max, self._bar.value = max(total or 1, 1), done
        self._text.value = escape(text)

    def close(self) -> None:
        for widget in (self._box, self._bar, self._text):
            widget.close()
        self._output.update({"text/plain": ""}, raw=True)


class _Html:
    def __init__(self) -> None:
        self._shown = _bundle(0, None, "starting")
        self._output = _display(self._shown, raw=True)

    def show(self, done: int, total: int | None, text: str) -> None:
        new = _bundle(done, total, text)
        if new != self._shown:
            self._shown = new
            self._output.update(new, raw=True)

    def close(self) -> None:
        self._output.update({"text/plain": ""}, raw=True)


def _display(shown: Any, **options: Any) -> Any:
    """Add an output to the cell; return what replaces it."""
    from IPython import display

    show: Any = display.display  # which has no types
    return show(shown, display_id=True, **options)


def _bundle(done: int, total: int | None, text: str) -> dict[str, str]:
    """What is shown, in the two forms of which a frontend chooses one."""
    bar = f'<progress style="width:{_WIDTH}" max="{total}" value="{done}"></progress> ' if total else ""
    return {"text/html": f"<div>{bar}{escape(text)}</div>", "text/plain": text}
