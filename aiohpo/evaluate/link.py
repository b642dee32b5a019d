"""A trial's link to the event loop, from whatever thread the objective speaks.

An ``async def`` objective may well do its work in ``asyncio.to_thread``, and a thread evaluator always does.
The channel's methods belong on the loop's thread, so words from elsewhere are carried there and waited for.
"""

from __future__ import annotations

import asyncio
import threading
from collections.abc import Callable, Mapping
from concurrent.futures import Future
from typing import Any, TypeVar

from ..plugin import Channel, Decision
from .trial_link import TrialEnded

T = TypeVar("T")
# How often a waiting thread looks whether its loop is still there to answer.
_LOOK = 1.0


class LoopLink:
    """Carries a trial's words to ``channel`` on the running loop until :meth:`close`."""

    __slots__ = ("_channel", "_loop", "_thread", "closed", "ending", "listening")

    def __init__(self, channel: Channel, loop: asyncio.AbstractEventLoop) -> None:
        self._channel = channel
        self._loop = loop
        self._thread = threading.get_ident()
        self.closed = False
        self.ending = False
        self.listening = False  # whether the objective has said anything, or has asked whether to end

    def listen(self) -> None:
        self.listening = True

    @property
    def aborted(self) -> bool:
        return self.closed

    def close(self) -> None:
        """Answer everything from now on, also what is on its way, with TrialEnded."""
        self.closed = True

    def _call(self, method: Callable[..., T], *args: Any) -> T:
        self.listening = True
        if self.closed:
            raise TrialEnded
        if threading.get_ident() == self._thread:
            return method(*args)
        answer: Future[T] = Future()
        try:
            self._loop.call_soon_threadsafe(self._answer, answer, method, args)
        except RuntimeError:  # the loop is closed
            raise TrialEnded from None
        while True:
            try:
                return answer.result(_LOOK)
            except TimeoutError:
                if self._loop.is_closed():
                    raise TrialEnded from None

    def _answer(self, answer: Future[T], method: Callable[..., T], args: tuple[Any, ...]) -> None:
        try:
            if self.closed:
                raise TrialEnded
            answer.set_result(method(*args))
        except BaseException as error:
            answer.set_exception(error)

    def report(self, step: int, metrics: Mapping[str, float]) -> Decision:
        return self._call(self._channel.report, step, metrics)

    def save(self, step: int, digest: str, size: int) -> None:
        self._call(self._channel.save, step, digest, size)

    def predictions(self, digests: Mapping[str, str]) -> None:
        self._call(self._channel.predictions, digests)

    def note(self, notes: Mapping[str, str]) -> None:
        self._call(self._channel.note, notes)

    def attach(self, name: str, digest: str, size: int) -> None:
        self._call(self._channel.attach, name, digest, size)

    def log(self, text: str) -> None:
        """Pass on what was printed, without waiting and without an error: printing has none."""
        if threading.get_ident() == self._thread:
            self._channel.log(text)
            return
        try:
            self._loop.call_soon_threadsafe(self._channel.log, text)
        except RuntimeError:
            pass  # the loop is closed
