"""What trials print in the worker's own process, told apart from what everything else there prints.

Objectives that run in threads and coroutines share ``sys.stdout`` with the program around them. A context variable
says whose text it is: the evaluators set it (:func:`printing_to`), and while :func:`captured` is open, stand-ins for
``sys.stdout`` and ``sys.stderr`` look at it. A program that only embeds a worker never opens it and keeps its streams.
"""

from __future__ import annotations

import logging
import sys
import threading
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from contextvars import ContextVar
from typing import Any

Write = Callable[[str], None]

_trial: ContextVar[Write | None] = ContextVar("aiohpo_trial_output", default=None)


@contextmanager
def printing_to(write: Write) -> Iterator[None]:
    """Say that what is printed in this context, and in those made from it, belongs to a trial: to ``write``."""
    token = _trial.set(write)
    try:
        yield
    finally:
        _trial.reset(token)


class _StandIn:
    """In place of a stream: what belongs to a trial goes there, all else to ``elsewhere`` or the stream."""

    def __init__(self, stream: Any, elsewhere: Callable[[], Write | None]) -> None:
        self._stream = stream
        self._elsewhere = elsewhere

    def write(self, text: str) -> int:
        if not isinstance(text, str):
            raise TypeError(f"write() argument must be str, not {type(text).__name__}")
        write = _trial.get()
        if write is not None:
            token = _trial.set(None)  # what taking it has to say is not the trial's
            try:
                write(text)
            finally:
                _trial.reset(token)
        elif (elsewhere := self._elsewhere()) is not None:
            elsewhere(text)
        else:
            self._stream.write(text)
        return len(text)

    def writelines(self, lines: Any) -> None:
        for line in lines:
            self.write(line)

    def flush(self) -> None:
        if _trial.get() is None:
            self._stream.flush()

    def isatty(self) -> bool:
        # What a trial prints is taken line by line: no place for a bar or for colours.
        return _trial.get() is None and bool(self._stream.isatty())

    def __getattr__(self, name: str) -> Any:
        return getattr(self._stream, name)

    def __repr__(self) -> str:
        return f"<{self._stream!r}, where trials' output is set apart>"


class _Capture:
    """The stand-ins of this process: one pair, however many searches run in it at a time."""

    def __init__(self) -> None:
        self._lock = threading.Lock()
        self._users: list[Write | None] = []
        self._standins: dict[str, _StandIn] = {}

    def begin(self, elsewhere: Write | None) -> None:
        with self._lock:
            self._users.append(elsewhere)
            if len(self._users) > 1:
                return
            for name in ("stdout", "stderr"):
                stream = getattr(sys, name)
                if stream is not None:  # as under pythonw
                    self._standins[name] = _StandIn(stream, self._if_terminal(stream))
                    setattr(sys, name, self._standins[name])
            _redirect_handlers([(s._stream, s) for s in self._standins.values()])

    def end(self, elsewhere: Write | None) -> None:
        with self._lock:
            self._users.remove(elsewhere)
            if self._users:
                return
            for name, standin in self._standins.items():
                if getattr(sys, name) is standin:  # else other code replaced it since, and will put it back
                    setattr(sys, name, standin._stream)
            _redirect_handlers([(s, s._stream) for s in self._standins.values()])
            self._standins = {}

    def _if_terminal(self, stream: Any) -> Callable[[], Write | None]:
        """Only what goes to a terminal would tear a bar there."""
        terminal = stream.isatty()
        return lambda: next(filter(None, reversed(self._users)), None) if terminal else None


_capture = _Capture()


@contextmanager
def captured(elsewhere: Write | None = None) -> Iterator[None]:
    """Until it is closed, what trials in this process print goes to their evaluators and not to the terminal.

    ``elsewhere`` takes what others print to a terminal meanwhile; None leaves that alone. Log handlers that hold the
    streams are included: most are made when a program is imported.
    """
    _capture.begin(elsewhere)
    try:
        yield
    finally:
        _capture.end(elsewhere)


def _redirect_handlers(streams: list[tuple[Any, Any]]) -> None:
    loggers = [logging.root, *logging.root.manager.loggerDict.values()]
    for logger in loggers:
        for handler in getattr(logger, "handlers", ()):  # a placeholder has none
            if isinstance(handler, logging.StreamHandler):
                new = next((new for old, new in streams if handler.stream is old), None)
                if new is not None:
                    handler.setStream(new)
