"""One thread of linear algebra while a Gaussian process is fitted.

Its matrices are small: threads cost more to start and to join than they save, and where the processors are busy
with evaluations they wait for each other, spinning. With two threads on two busy cores the conformance check of this
searcher took 27 s of CPU time, with one 1.1 s.

The limit is the process', and must be lifted by the thread that set it before another sets it again: else what is
restored is the other's limit. So fits in one process take turns.
"""

from __future__ import annotations

import threading
from collections.abc import Iterator
from contextlib import contextmanager
from functools import cache

from threadpoolctl import ThreadpoolController

_turn = threading.Lock()


@cache
def _controller() -> ThreadpoolController:
    """Find the libraries, once: that takes milliseconds, and all that matter are loaded by the first fit."""
    return ThreadpoolController()


@contextmanager
def one_thread() -> Iterator[None]:
    """Let numpy and scipy use one thread inside; waits while another thread is inside."""
    with _turn, _controller().limit(limits=1, user_api="blas"):
        yield
