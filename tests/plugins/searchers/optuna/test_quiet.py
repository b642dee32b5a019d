"""Tests of silencing a library."""

from __future__ import annotations

import logging
import threading
import warnings

from aiohpo_plugins.searchers.optuna.quiet import Quiet


def test_silence_ends_with_the_last_thread() -> None:
    """Two threads whose silences overlap leave warnings and the logger as they were."""
    quiet, logger = Quiet("aiohpo-test"), logging.getLogger("aiohpo-test")
    logger.setLevel(logging.INFO)
    filters = list(warnings.filters)
    entered, leave = threading.Event(), threading.Event()

    def other() -> None:
        with quiet:
            entered.set()
            leave.wait(120)

    thread = threading.Thread(target=other)
    with quiet:
        thread.start()
        assert entered.wait(120)
    assert logger.level == logging.ERROR
    warnings.warn("not heard", stacklevel=1)
    leave.set()
    thread.join(10)
    assert (logger.level, list(warnings.filters)) == (logging.INFO, filters)


def test_it_is_a_decorator_too() -> None:
    """A decorated function is silent while it runs, and its errors pass."""
    quiet = Quiet("aiohpo-test")

    @quiet
    def noisy() -> int:
        warnings.warn("not heard", stacklevel=1)
        return 3

    assert noisy() == 3
