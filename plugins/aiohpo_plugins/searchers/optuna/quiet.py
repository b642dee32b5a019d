"""Silence for a library that logs and warns, only while it is at work and whichever threads it works in."""

from __future__ import annotations

import logging
import threading
import warnings
from contextlib import ContextDecorator
from typing import Any


class Quiet(ContextDecorator):
    """Silence a logger and all warnings while at least one thread is inside.

    Both are settings of the process. With a save and restore per thread, two threads that overlap would restore
    what the other one had set; so the first to enter saves them and the last to leave restores them.
    """

    def __init__(self, logger: str) -> None:
        self._logger = logging.getLogger(logger)
        self._lock = threading.Lock()
        self._inside = 0
        self._level = logging.NOTSET
        self._warnings: Any = None

    def __enter__(self) -> Quiet:
        with self._lock:
            if self._inside == 0:
                self._level = self._logger.level
                self._logger.setLevel(logging.ERROR)
                self._warnings = warnings.catch_warnings()
                self._warnings.__enter__()
                warnings.simplefilter("ignore")
            self._inside += 1
        return self

    def __exit__(self, *error: object) -> None:
        with self._lock:
            self._inside -= 1
            if self._inside == 0:
                self._warnings.__exit__(None, None, None)
                self._logger.setLevel(self._level)
