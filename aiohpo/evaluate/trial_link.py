"""Where what a trial says goes, whatever lies between it and the worker.

A link is synchronous: :class:`~aiohpo.evaluate.link.LoopLink` carries words from a thread to the event loop,
:class:`~aiohpo.evaluate.process.child.PipeLink` from another process.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Protocol

from ..plugin import Decision


class TrialEnded(BaseException):
    """Unwinds an objective whose trial is over: paused, stopped, failed or cancelled."""


class TrialLink(Protocol):
    """Where a trial's words go, as to a :class:`~aiohpo.plugin.Channel`.

    aborted  whether the segment is no longer wanted; its calls then raise :class:`TrialEnded`
    ending   whether the worker is about to end: the objective should save what it has and return
    """

    @property
    def aborted(self) -> bool: ...

    @property
    def ending(self) -> bool: ...

    def listen(self) -> None:
        """Take note that the objective asks whether to end."""
        ...

    def report(self, step: int, metrics: Mapping[str, float]) -> Decision: ...

    def save(self, step: int, digest: str, size: int) -> None: ...

    def predictions(self, digests: Mapping[str, str]) -> None: ...

    def note(self, notes: Mapping[str, str]) -> None: ...

    def attach(self, name: str, digest: str, size: int) -> None: ...


class _Closed:
    """The link of a segment that is over, for code that still holds its trial."""

    aborted = True
    ending = True

    def listen(self) -> None:
        pass

    def report(self, step: int, metrics: Mapping[str, float]) -> Decision:
        raise TrialEnded

    def save(self, step: int, digest: str, size: int) -> None:
        raise TrialEnded

    def predictions(self, digests: Mapping[str, str]) -> None:
        raise TrialEnded

    def note(self, notes: Mapping[str, str]) -> None:
        raise TrialEnded

    def attach(self, name: str, digest: str, size: int) -> None:
        raise TrialEnded


CLOSED = _Closed()
