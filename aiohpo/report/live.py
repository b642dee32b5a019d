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
from .sources import OwnWorker
from .tally import Tally
from .words import stopping_in_words

if TYPE_CHECKING:
    from rich.console import Console

    from ..result import Result
    from ..study import Study

_REFRESH = 0.2


Search = Callable[[Sink], Coroutine[Any, Any, "Result"]]


def run_with_progress(study: Study, search: Search, *, show: bool, grace: float) -> Result:
    """Run ``search`` to its end, showing how it goes; the first Ctrl-C stops it in good order, see
    :mod:`aiohpo.runtime.signals`.

    ``search`` is given what takes the lines that trials print.

    Raises:
        UsageError: an event loop runs in this thread already.
    """
    try:
        asyncio.get_running_loop()
    except RuntimeError:
        pass
    else:
        raise UsageError("Study.run() inside a running event loop: use 'await study.arun(...)' there")
    return run_stoppable(_watch(study, search, show, grace), lambda: study.stop(grace))


async def _watch(study: Study, search: Search, show: bool, grace: float) -> Result:
    from rich.console import Console

    # The stream as it is now: later sys.stderr is a stand-in, whose text comes back here.
    console = Console(file=sys.stderr)
    screen = show and console.is_interactive and sys.stderr is not None and sys.stderr.isatty()
    with Bar(console, redirect=False) if screen else nullcontext() as bar:
        printed = _Printed(sys.stdout, bar)
        with captured(printed.others):
            task = asyncio.create_task(search(printed.take))
            try:
                await _look(study, task, bar, console if show else None, grace)
            finally:
                if not task.done():  # cancelled by a second Ctrl-C
                    task.cancel()
                    await asyncio.wait([task])
                printed.close()
    result = await task
    for line in last_lines(result, study.directory, show):
        say(console, line, style="")
    return result


async def _look(
    study: Study,
    task: asyncio.Task[Result],
    bar: Bar | None,
    console: Console | None,
    grace: float,
) -> None:
    """Show how it goes until ``task`` is done. ``console`` is for notices."""
    said, tally, stopping = 0, None, False
    while not task.done():
        await asyncio.wait([task], timeout=_REFRESH)
        if console is not None:
            for text in study.notices[said:]:
                say(console, text)
            said = len(study.notices)
            if study._stopping and not stopping:
                stopping = True
                say(console, stopping_in_words(grace))
        if bar is not None and (peer := study._peer_here) is not None:
            tally = tally or Tally(OwnWorker(peer, study._definition.as_dict(), study.directory))
            bar.update(tally.look(time.time()))


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
