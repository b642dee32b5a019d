"""A worker's callbacks: functions are called on the loop, methods of :class:`~aiohpo.plugin.TrialCallback` objects in a
thread, so that a slow tracker delays neither trials nor peers."""

from __future__ import annotations

import asyncio
from collections import deque
from collections.abc import Callable, Mapping, Sequence
from typing import TYPE_CHECKING, Any

from ...plugin import TrialCallback
from ..threads import in_thread

if TYPE_CHECKING:
    from ...view.trials import TrialRecord
    from ..notices import Notify

MOST_WAITING = 10_000  # calls; beyond that reports are left out
CLOSED_WITHIN = 30.0  # seconds


class Callbacks:
    """The callbacks of one worker."""

    def __init__(self, callbacks: Sequence[Callable[[TrialRecord], Any] | TrialCallback], notice: Notify) -> None:
        self._functions = [callback for callback in callbacks if not isinstance(callback, TrialCallback)]
        self._listeners = [callback for callback in callbacks if isinstance(callback, TrialCallback)]
        self._notice = notice
        self._waiting: deque[tuple[Callable[..., None], tuple[Any, ...]]] = deque()
        self._task: asyncio.Task[None] | None = None
        self._told: set[str] = set()

    def started(self, record: Callable[[], TrialRecord]) -> None:
        """A segment starts. ``record`` returns the trial's record; it is called only if it is needed."""
        if self._listeners:
            self._tell("started", record())

    def reported(self, trial: str, step: int, metrics: Mapping[str, float]) -> None:
        """A trial reported something."""
        if self._listeners and len(self._waiting) < MOST_WAITING:
            self._tell("reported", trial, step, dict(metrics))

    def paused(self, trial: str) -> None:
        """A segment ended, and its trial did not."""
        self._tell("paused", trial)

    def ended(self, record: Callable[[], TrialRecord]) -> None:
        """A trial ended."""
        if not (self._functions or self._listeners):
            return
        trial = record()
        for function in self._functions:
            self._call(function, trial)
        self._tell("ended", trial)

    async def aclose(self) -> None:
        """Wait until everything has been heard, for a while, and close the objects."""
        self._tell("close")
        if self._task is not None:
            await asyncio.wait([self._task], timeout=CLOSED_WITHIN)
            if self._waiting or not self._task.done():
                self._notice(
                    f"callbacks were still running {CLOSED_WITHIN:.0f} s after the end; the remaining calls are dropped"
                )
                self._task.cancel()

    def _tell(self, method: str, *args: Any) -> None:
        self._waiting += [(getattr(listener, method), args) for listener in self._listeners]
        if self._waiting and (self._task is None or self._task.done()):
            self._task = asyncio.get_running_loop().create_task(self._work())

    async def _work(self) -> None:
        while self._waiting:
            calls = list(self._waiting)
            self._waiting.clear()
            for kind, text in await in_thread(_call_all, calls):
                self._complain(kind, text)

    def _call(self, function: Callable[..., Any], trial: TrialRecord) -> None:
        for kind, text in _call_all([(function, (trial,))]):
            self._complain(kind, text)

    def _complain(self, kind: str, text: str) -> None:
        """Say what went wrong, once of each kind."""
        if kind not in self._told:
            self._told.add(kind)
            self._notice(text)

    def __repr__(self) -> str:
        return f"<Callbacks: {len(self._functions)} functions, {len(self._listeners)} objects>"


def _call_all(calls: Sequence[tuple[Callable[..., Any], tuple[Any, ...]]]) -> list[tuple[str, str]]:
    """Make the calls; return what went wrong, and of which kind it is."""
    wrong = []
    for function, args in calls:
        try:
            function(*args)
        except Exception as error:
            name = getattr(function, "__qualname__", repr(function))
            kind = f"the callback {name} failed: {type(error).__name__}"
            wrong.append((kind, f"{kind}: {error}"[:500]))
    return wrong
