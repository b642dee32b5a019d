"""How workers end that a launcher started."""

from __future__ import annotations

import pytest

from aiohpo.plugin import WorkerExit


@pytest.mark.parametrize(
    ("end", "text"),
    [
        (WorkerExit(1, "pid 42", -9), "worker 1 (pid 42) was killed by SIGKILL"),
        (WorkerExit(0, "pid 42", -64), "worker 0 (pid 42) was killed by"),
        (WorkerExit(2, "pid 42", 2), "worker 2 (pid 42) ended with exit code 2"),
    ],
)
def test_an_end_is_described(end: WorkerExit, text: str) -> None:
    """Signals have their names."""
    assert str(end).startswith(text)
