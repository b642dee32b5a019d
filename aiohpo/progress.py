"""Live progress of a search that runs in this process, and a clean end on Ctrl-C."""

from __future__ import annotations

import asyncio
import signal
import threading
import time
from collections.abc import Coroutine
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from rich.console import Console
    from rich.progress import Progress

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
    with progress_bar(console) as progress:
        bar = progress.add_task("search", total=trials, rate="", best="best –", busy="")
        said = 0
        while not task.done():
            await asyncio.wait([task], timeout=_REFRESH)
            for text in study.notices[said:]:
                progress.console.print(text, style="yellow", highlight=False, markup=False)
            said = len(study.notices)
            workers = study.workers
            if workers:
                view = workers[0].view
                elapsed = max(time.monotonic() - began, 1e-9)
                busy = sum(worker.busy_seconds for worker in workers) / (elapsed * len(workers))
                best = "–" if view.best is None else f"{view.record(view.best, 0).value:.5g}"
                progress.update(
                    bar,
                    completed=view.n_ended,
                    best=f"best {view.metric} {best}",
                    rate=f"{view.n_ended / elapsed:.3g}/s",
                    busy=f"{min(busy, 1.0):.0%} busy",
                )
    if not task.cancelled() and task.exception() is None:
        _last_line(console, study, task.result())


def progress_bar(console: Console) -> Progress:
    """The columns that every live display of aiohpo shows."""
    from rich.progress import (
        BarColumn,
        MofNCompleteColumn,
        Progress,
        SpinnerColumn,
        TextColumn,
        TimeElapsedColumn,
    )

    return Progress(
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


def _last_line(console: Console, study: Study, result: Result) -> None:
    best = result.best
    text = "no successful trial" if best is None else f"best {result.metric} {best.value:.6g} (trial {best.number})"
    verb = "stopped" if result.interrupted else "done"
    console.print(f"{verb}: {text}; {result._summary()}", highlight=False)
    if result.interrupted:
        where = f"in {study.directory}" if study.directory else "in this process (no directory was given)"
        console.print(f"nothing that was reported is lost; run it again to go on {where}", highlight=False)
