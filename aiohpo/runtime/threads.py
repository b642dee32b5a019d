"""Running a function in a thread, also where the system has none to give just now."""

from __future__ import annotations

import asyncio
from collections.abc import Callable
from typing import TypeVar

from ..peer.patience import Patience

T = TypeVar("T")


async def in_thread(function: Callable[..., T], *args: object) -> T:
    """Return what ``function`` returns in a thread of the loop's executor. Raises what it raises.

    Where no thread can be started (too many processes) this waits. Raises :class:`~aiohpo.Unavailable` if that does
    not pass.
    """
    loop, patience = asyncio.get_running_loop(), Patience()
    while True:
        try:
            future = loop.run_in_executor(None, function, *args)
        except RuntimeError as error:
            await asyncio.sleep(patience.suffer(loop.time(), f"cannot start a thread: {error}"))
        else:
            return await future
