"""Tests of the way of a frame to its receiver."""

from __future__ import annotations

import asyncio
from typing import Any

from aiohpo_transports.receiving import hand_on


async def test_a_receiver_that_raises_is_told_to_the_loop() -> None:
    """The error names the transport and the peer, and the caller goes on with the next frame."""
    told: list[dict[str, Any]] = []
    heard: list[tuple[str, bytes]] = []
    loop = asyncio.get_running_loop()
    loop.set_exception_handler(lambda _, context: told.append(context))

    def receive(peer: str, frame: bytes) -> None:
        heard.append((peer, frame))
        if frame == b"bad":
            raise ValueError("choked")

    for frame in (b"bad", b"good"):
        hand_on(frame, "there", receive, loop, "<the transport>")
    assert heard == [("there", b"bad"), ("there", b"good")]
    assert [context["message"] for context in told] == ["'<the transport>' could not hand on a frame from there"]
