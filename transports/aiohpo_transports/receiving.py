"""What the transports share: the way of a frame to its receiver."""

from __future__ import annotations

import asyncio
from typing import Any

from aiohpo.plugin.transport import OnFrame


def hand_on(frame: bytes, peer: str, to: OnFrame, loop: asyncio.AbstractEventLoop, transport: Any) -> None:
    """Call ``to(peer, frame)``.

    An exception there goes to the exception handler of ``loop``, in the name of ``transport``, and no further: the
    frames that follow must not wait for ever because the receiver choked on this one.
    """
    try:
        to(peer, frame)
    except Exception as error:
        loop.call_exception_handler(
            {"message": f"{transport!r} could not hand on a frame from {peer}", "exception": error}
        )
