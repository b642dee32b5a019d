"""Functions in threads, in virtual time."""

from __future__ import annotations

import asyncio
from typing import Any

import pytest

from aiohpo import Unavailable
from aiohpo.peer.patience import PATIENCE
from aiohpo.runtime.threads import in_thread
from aiohpo.testing import run


def failing_until(moment: float, monkeypatch: pytest.MonkeyPatch) -> None:
    """Let the running loop have no thread to give before ``moment``."""
    loop = asyncio.get_running_loop()
    original = loop.run_in_executor

    def refuse(*args: Any) -> Any:
        if loop.time() < moment:
            raise RuntimeError("can't start new thread")
        return original(*args)

    monkeypatch.setattr(loop, "run_in_executor", refuse)


def test_it_waits_for_a_thread(monkeypatch: pytest.MonkeyPatch) -> None:
    """Where the system has none to give just now, the function runs later."""

    async def main() -> None:
        loop = asyncio.get_running_loop()
        failing_until(loop.time() + 6.0, monkeypatch)
        assert await in_thread(divmod, 7, 2) == (3, 1)

    run(main, seed=0)


def test_it_does_not_wait_for_ever(monkeypatch: pytest.MonkeyPatch) -> None:
    """Nor does it hide why."""

    async def main() -> None:
        loop = asyncio.get_running_loop()
        began = loop.time()
        failing_until(float("inf"), monkeypatch)
        with pytest.raises(Unavailable, match="cannot start a thread: can't start new thread"):
            await in_thread(divmod, 7, 2)
        assert PATIENCE <= loop.time() - began < 2 * PATIENCE

    run(main, seed=0)


def test_what_the_function_raises_passes_through() -> None:
    """A RuntimeError of its own is not taken for a want of threads."""

    def broken() -> None:
        raise RuntimeError("its own")

    async def main() -> None:
        with pytest.raises(RuntimeError, match="its own"):
            await in_thread(broken)

    run(main, seed=0)
