"""Tests of limiting linear algebra to one thread."""

from __future__ import annotations

import threading
from concurrent.futures import ThreadPoolExecutor

from threadpoolctl import threadpool_info

from aiohpo_plugins.searchers.gp.surrogate.likelihood import Likelihood  # noqa: F401  # loads the libraries
from aiohpo_plugins.searchers.gp.surrogate.threads import one_thread


def counts() -> set[int]:
    return {library["num_threads"] for library in threadpool_info() if library["user_api"] == "blas"}


def test_there_is_one_thread_inside_and_as_many_as_before_outside() -> None:
    """The limit is lifted at the end, also after an error, and can be set again."""
    before = counts()
    for _ in range(2):
        try:
            with one_thread():
                assert counts() == {1}
                raise RuntimeError
        except RuntimeError:
            assert counts() == before


def test_fits_that_overlap_leave_nothing_behind() -> None:
    """Of many threads one is inside at a time, and at the end there are as many threads as before."""
    before, inside = counts(), threading.Semaphore(1)

    def fit(_: int) -> bool:
        with one_thread():
            if not inside.acquire(blocking=False):
                return False
            limited = counts() == {1}
            inside.release()
            return limited

    with ThreadPoolExecutor(8) as pool:
        assert all(pool.map(fit, range(50)))
    assert counts() == before
