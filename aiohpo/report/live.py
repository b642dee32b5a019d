"""A search that runs in this process, shown while it runs: its progress, what its trials print, and its last lines."""

from __future__ import annotations

import asyncio
import sys
import time
from collections.abc import Callable, Coroutine
from contextlib import nullcontext
from typing import TYPE_CHECKING, Any, TextIO

from ..errors import UsageError
from ..evaluate.capture import captured
from ..evaluate.process.output import LineAssembler
from ..runtime.signals import run_stoppable
from ..storage.printed import Sink, tagged, write_plainly
from .bar import Bar, say
from .ending import last_lines
from .notebook import NotebookBar, in_notebook
from .plain import TrialLines
from .sources import OwnWorker
from .tally import Tally
from .words import stopping_in_words

if TYPE_CHECKING:
    from rich.console import Console

    from ..result import Result
    from ..runtime.peer import Peer
    from ..study import Study

_REFRESH = 0.2
PROGRESS = ("bar", "lines")

# Takes what is to take the lines that trials print, and what is to be called with the peer before it starts.
Search = Callable[[Sink, Callable[["Peer"], None]], Coroutine[Any, Any, "Result"]]


def choose_progress(progress: bool | str | None, notice: Callable[[str], None]) -> str | None:
    """Return how progress is to be shown here, one of :data:`PROGRESS`; None: not at all.

    Args:
        progress: one of them, False, or True: a bar in a terminal or a notebook, else lines. None: a bar in a notebook.
        notice: hears that there can be no bar.

    Raises:
        UsageError: it is something else.
    """
    if progress is None:
        return "bar" if in_notebook() else None
    if not isinstance(progress, bool) and progress not in PROGRESS:
        raise UsageError(f"progress must be True, False, 'bar' or 'lines', not {progress!r}")
    if progress is False:
        return None
    if progress == "lines":
        return "lines"
    if in_notebook() or _is_terminal():
        return "bar"
    if progress == "bar":
        notice("no bar can be shown, as stderr is not a terminal: a line per trial instead")
    return "lines"


def _is_terminal() -> bool:
    from rich.console import Console

    return sys.stderr is not None and sys.stderr.isatty() and Console(file=sys.stderr).is_interactive


def run_with_progress(study: Study, search: Search, *, progress: bool | str, grace: float) -> Result:
    """Run ``search`` to its end, showing how it goes; the first Ctrl-C stops it in good order, see
    :mod:`aiohpo.runtime.signals`.

    Raises:
        UsageError: there is no such ``progress``.
    """
    shown = choose_progress(progress, study._notice)
    again = "interrupt again" if in_notebook() else "Ctrl-C again"
    return run_stoppable(watch(study, search, shown, stopping_in_words(grace, again)), lambda: study.stop(grace))


async def watch(study: Study, search: Search, shown: str | None, stopping: str) -> Result:
    """Run ``search`` to its end, showing how it goes in the way ``shown``. ``stopping`` is said when it is stopped."""
    from rich.console import Console

    # The streams as they are now: later they are stand-ins, whose text comes back here.
    stdout = sys.stdout
    # In a notebook stderr looks like errors.
    stream = stdout if in_notebook() else sys.stderr
    console = Console(file=stream, force_jupyter=False)
    bar = None if shown != "bar" else NotebookBar() if in_notebook() else Bar(console, redirect=False)
    above = bar if isinstance(bar, Bar) else None
    with bar or nullcontext():
        printed = _Printed(stdout, above)
        lines = stream if shown == "lines" else None
        display = _Display(study, console if shown else None, bar, lines, stopping)
        with captured(printed.others):
            task = asyncio.create_task(search(printed.take, display.begin))
            try:
                while not task.done():
                    await asyncio.wait([task], timeout=_REFRESH)
                    display.look()
            finally:
                if not task.done():  # cancelled, by a second Ctrl-C say
                    task.cancel()
                    await asyncio.wait([task])
                printed.close()
    result = await task
    for line in last_lines(result, study.directory, shown is not None):
        say(console, line, style="")
    return result


class _Display:
    """Shows how a search goes, as often as it looks: notices on ``console``, lines of trials on ``lines``."""

    def __init__(
        self,
        study: Study,
        console: Console | None,
        bar: Bar | NotebookBar | None,
        lines: TextIO | None,
        stopping: str,
    ) -> None:
        self._study = study
        self._console = console
        self._bar = bar
        self._stream = lines
        self._stopping = stopping
        self._has_told_of_stop = False
        self._tally: Tally | None = None
        self._lines: TrialLines | None = None

    def begin(self, peer: Peer) -> None:
        """Show what this peer knows from now on."""
        study = self._study
        if self._bar is not None:
            self._tally = Tally(OwnWorker(peer, study._definition.as_dict(), study.directory))
        if self._stream is not None:
            self._lines = TrialLines(peer.view)

    def look(self) -> None:
        """Show what is new."""
        if self._console is None:
            return
        study = self._study
        for text in study.notices[study._notices_shown :]:
            say(self._console, text)
        study._notices_shown = len(study.notices)
        if study._stopping and not self._has_told_of_stop:
            self._has_told_of_stop = True
            say(self._console, self._stopping)
        if self._lines is not None and (lines := self._lines.new()):
            write_plainly("".join(f"{line}\n" for line in lines), self._stream)
        if self._bar is not None and self._tally is not None:
            self._bar.update(self._tally.look(time.time()))


class _Printed:
    """Shows what trials print: above the bar, or on stdout if there is no bar or stdout goes elsewhere."""

    def __init__(self, stdout: TextIO | None, bar: Bar | None) -> None:
        self._stdout = stdout
        self._above = bar if bar is not None and stdout is not None and stdout.isatty() else None
        self._waiting: list[str] = []
        self._others = None if bar is None else LineAssembler(bar.print)

    @property
    def others(self) -> Callable[[str], None] | None:
        """Takes what is printed to the terminal and is no trial's; None where nothing would be torn."""
        return None if self._others is None else self._others.write

    def take(self, trial: str, number: int, text: str) -> None:
        """Show lines of a trial."""
        lines = tagged(text, number)
        if self._above is None:
            write_plainly(lines, self._stdout)
            return
        if not self._waiting:
            # Above a bar each print takes 2 ms: what comes in one turn of the loop is shown together.
            asyncio.get_running_loop().call_soon(self._show_waiting)
        self._waiting.append(lines)

    def close(self) -> None:
        """Show what is left."""
        self._show_waiting()
        if self._others is not None:
            self._others.close()

    def _show_waiting(self) -> None:
        lines = "".join(self._waiting)
        self._waiting.clear()
        if lines and self._above is not None:
            self._above.print(lines)
