"""Live progress of a search that runs in this process, and a clean end on Ctrl-C."""

from __future__ import annotations

import asyncio
import signal
import threading
import time
from collections.abc import Coroutine, Iterable, Iterator
from functools import cache
from typing import TYPE_CHECKING, Any

from .events import Fresh, Seen, decode_batch
from .rungs import Rungs
from .standing import best_in_words, climb_in_words, n_done, value_in_words

if TYPE_CHECKING:
    from rich.console import Console

    from .log import Log
    from .result import Result
    from .study import Study

_REFRESH = 0.2


def run_with_progress(study: Study, search: Coroutine[Any, Any, Result], *, trials: int | None, show: bool) -> Result:
    """Run ``search`` to its end, showing how it goes; the first Ctrl-C stops it, the second ends it hard."""
    return asyncio.run(_run(study, search, trials, show))


async def _run(study: Study, search: Coroutine[Any, Any, Result], trials: int | None, show: bool) -> Result:
    loop = asyncio.get_running_loop()
    handles_signal = threading.current_thread() is threading.main_thread()

    def on_interrupt() -> None:
        loop.remove_signal_handler(signal.SIGINT)  # a second Ctrl-C is Python's own
        study.stop()

    if handles_signal:
        try:
            loop.add_signal_handler(signal.SIGINT, on_interrupt)
        except NotImplementedError:  # Windows: KeyboardInterrupt cancels the search instead
            handles_signal = False
    task = asyncio.create_task(search)
    try:
        if show:
            await _watch(study, task, trials)
        return await task
    finally:
        if handles_signal:
            loop.remove_signal_handler(signal.SIGINT)


async def _watch(study: Study, task: asyncio.Task[Result], trials: int | None) -> None:
    from rich.console import Console

    console = Console(stderr=True)
    began = time.monotonic()
    said, counts, rungs = 0, dict[str, int](), Rungs(study.max_steps)
    with Bar(console, trials) as bar:
        while not task.done():
            await asyncio.wait([task], timeout=_REFRESH)
            for text in study.notices[said:]:
                bar.say(text)
            said = len(study.notices)
            workers = study.workers
            if workers:
                view = workers[0].view
                if study.max_steps is not None:
                    rungs.take(_news(workers[0].parts.log, counts))
                done = n_done(view, rungs)
                elapsed = max(time.monotonic() - began, 1e-9)
                busy = sum(worker.busy_seconds for worker in workers) / (elapsed * len(workers))
                ensemble = workers[0].ensembling and workers[0].ensembling.state
                climb = climb_in_words(view, rungs, str(ensemble or ""))
                bar.update(done, trials, best_in_words(view), done / elapsed, f"{min(busy, 1.0):.0%} busy", climb)
    if not task.cancelled() and task.exception() is None:
        _last_line(console, study, task.result())


def _news(log: Log, counts: dict[str, int]) -> Iterator[Seen]:
    """The events that were not there when ``counts`` were taken, which are brought up to date."""
    for batch in log.missing(dict(counts), 1 << 62):
        counts[batch.origin] = batch.last
        yield from Fresh(batch.origin, batch.first, decode_batch(batch))


class Bar:
    """A bar that is redrawn, for terminals, with a line below where there is more to say: every live display of
    aiohpo looks like this."""

    def __init__(self, console: Console, total: int | None) -> None:
        from rich.progress import BarColumn, MofNCompleteColumn, SpinnerColumn, TextColumn, TimeElapsedColumn

        self._progress = _with_line_below()(
            SpinnerColumn(),
            MofNCompleteColumn(),
            BarColumn(bar_width=24),
            TextColumn("[bold]{task.fields[best]}[/]"),
            TextColumn("{task.fields[rate]}"),
            TextColumn("{task.fields[busy]}"),
            TimeElapsedColumn(),
            console=console,
            transient=True,
        )
        self._task = self._progress.add_task("search", total=total, rate="", best="starting", busy="")

    def __enter__(self) -> Bar:
        self._progress.start()
        return self

    def __exit__(self, *_: object) -> None:
        self._progress.stop()

    def update(self, done: int, total: int | None, best: str, rate: float, busy: str, below: str) -> None:
        """``best`` is text, ``busy`` markup; ``below`` is text, which may be empty."""
        from rich.markup import escape

        self._progress.below = below
        self._progress.update(
            self._task, completed=done, total=total, best=escape(best), rate=f"{rate:.3g}/s", busy=busy
        )

    def say(self, text: str) -> None:
        """Print a line above."""
        self._progress.console.print(text, style="yellow", highlight=False, markup=False, soft_wrap=True)


@cache
def _with_line_below() -> Any:
    """rich's progress bar with a line of text below; made when it is needed, as rich takes long to import."""
    from rich.progress import Progress
    from rich.text import Text

    class WithLineBelow(Progress):
        below = ""

        def get_renderables(self) -> Iterable[Any]:
            yield from super().get_renderables()
            if self.below:
                yield Text(f"  {self.below}", style="dim", no_wrap=True, overflow="ellipsis")

    return WithLineBelow


def _last_line(console: Console, study: Study, result: Result) -> None:
    best, text = result.best, "no successful trial"
    if best is not None:
        text = f"best {result.metric} {value_in_words(best, result.max_steps)} (trial {best.number})"
    if result.given_up:
        console.print(f"given up: {result.given_up} (for more: Study(max_failures=…))", highlight=False, markup=False)
    verb = "stopped" if result.interrupted or result.given_up else "done"
    console.print(f"{verb}: {text}; {result._summary()}", highlight=False)
    if result.interrupted:
        where = f"in {study.directory}" if study.directory else "in this process (no directory was given)"
        console.print(f"nothing that was reported is lost; run it again to go on {where}", highlight=False)
