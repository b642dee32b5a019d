"""Messages between a worker and its child."""

from __future__ import annotations

import asyncio
import socket
from collections.abc import AsyncIterator
from typing import Any

import pytest

from aiohpo.evaluate.process.wire import BlockingWire, LoopWire


class Ends:
    """A worker's end on the loop and a child's end that blocks, with what the former heard."""

    def __init__(self) -> None:
        ours, self.theirs = socket.socketpair()
        self.heard: asyncio.Queue[Any] = asyncio.Queue()
        self.lost = asyncio.Event()
        self.loop = LoopWire(ours, self.heard.put_nowait, self.lost.set)
        self.child = BlockingWire(self.theirs)


@pytest.fixture
async def ends() -> AsyncIterator[Ends]:
    made = Ends()
    yield made
    made.loop.close()
    made.theirs.close()


async def test_messages_arrive_whole_and_in_order(ends: Ends) -> None:
    """Small and large, many at once, in both directions."""
    messages = [[i, "x" * (10**i)] for i in range(7)]
    sender = asyncio.ensure_future(asyncio.to_thread(lambda: [ends.child.send(m) for m in messages]))
    assert [await asyncio.wait_for(ends.heard.get(), 120) for _ in messages] == messages
    await sender
    for message in messages:
        ends.loop.send(message)
    assert await asyncio.to_thread(lambda: [ends.child.receive() for _ in messages]) == messages


async def test_a_full_socket_does_not_block_the_loop(ends: Ends) -> None:
    """What does not fit is sent when there is room."""
    for i in range(50):
        ends.loop.send([i, "x" * 100_000])
    got = await asyncio.to_thread(lambda: [ends.child.receive()[0] for _ in range(50)])
    assert got == list(range(50))


async def test_bytes_between_messages_are_no_message(ends: Ends) -> None:
    """None of them is lost to the messages around them, however many there are."""
    for size in (0, 10, 3_000_000):
        ends.loop.send([size])
        ends.loop.send_bytes(bytes(range(10)) * (size // 10))
        ends.loop.send(["after"])
        receive = [ends.child.receive, lambda size=size: ends.child.receive_bytes(size), ends.child.receive]
        before, data, after = await asyncio.to_thread(lambda receive=receive: [take() for take in receive])
        assert (before, len(data), after) == ([size], size, ["after"])
        assert data == bytes(range(10)) * (size // 10)


async def test_a_closed_end_is_noticed(ends: Ends) -> None:
    """Once, after what was sent before it."""
    ends.child.send([1])
    ends.theirs.close()
    await asyncio.wait_for(ends.lost.wait(), 120)
    assert ends.heard.get_nowait() == [1]
    assert ends.loop.closed
    ends.loop.send([2])


async def test_the_child_sees_the_end_of_the_worker(ends: Ends) -> None:
    """EOFError, so that the child can leave in order."""
    ends.loop.close()
    with pytest.raises(EOFError):
        await asyncio.to_thread(ends.child.receive)


@pytest.mark.parametrize("junk", [b"\xc1", b"\xc1" * 100_000])
async def test_junk_is_a_lost_connection(ends: Ends, junk: bytes) -> None:
    """Bytes that are no message end the connection instead of raising in the loop."""
    ends.theirs.sendall(junk)
    await asyncio.wait_for(ends.lost.wait(), 120)
    assert ends.loop.closed


async def test_a_message_of_the_wrong_shape_is_a_lost_connection() -> None:
    """Junk may happen to be a message; the receiver's complaint counts like junk."""

    def picky(message: Any) -> None:
        message[0]

    ours, theirs = socket.socketpair()
    lost = asyncio.Event()
    wire = LoopWire(ours, picky, lost.set)
    with theirs:
        theirs.sendall(b"\x05")
        await asyncio.wait_for(lost.wait(), 120)
    assert wire.closed


async def test_nothing_is_heard_after_closing() -> None:
    """A receiver that closes the wire on a message does not get the ones behind it."""
    heard = []

    def receive(message: Any) -> None:
        heard.append(message)
        wire.close()

    ours, theirs = socket.socketpair()
    with theirs:
        wire = LoopWire(ours, receive, lambda: None)
        theirs.sendall(b"\x91\x01\x91\x02")
        wire.read()
    assert heard == [[1]]
