"""Reading what programs print."""

from __future__ import annotations

import asyncio
import os
from collections.abc import AsyncIterator

import pytest

from aiohpo.evaluate.output import TAIL, Output, bounded


class Pipe:
    def __init__(self) -> None:
        out, self.write_end = os.pipe()
        self.output = Output(out)
        self.heard: list[str] = []
        self.output.begin(self.heard.append)

    def write(self, data: bytes) -> None:
        os.write(self.write_end, data)


@pytest.fixture
async def pipe() -> AsyncIterator[Pipe]:
    made = Pipe()
    yield made
    made.output.close()
    os.close(made.write_end)


async def test_text_arrives_decoded(pipe: Pipe) -> None:
    """Characters that are split between writes come out whole, what is no UTF-8 as replacement characters."""
    for data in (b"caf\xc3", b"\xa9 ", b"\xff!"):
        pipe.write(data)
        pipe.output.drain()
    assert "".join(pipe.heard) == "café \ufffd!"
    assert pipe.output.tail == "café \ufffd!"


async def test_it_is_read_by_the_loop(pipe: Pipe) -> None:
    """Nobody has to ask."""
    heard = asyncio.Event()
    pipe.output.begin(lambda text: heard.set())
    pipe.write(b"x")
    await asyncio.wait_for(heard.wait(), 5)


async def test_only_the_tail_is_kept(pipe: Pipe) -> None:
    """Memory stays bounded however much is printed."""
    for _ in range(100):
        pipe.write(b"x" * 1000)
        pipe.output.drain()
    pipe.write(b"end")
    pipe.output.drain()
    assert len(pipe.output.tail) == TAIL
    assert pipe.output.tail.endswith("xend")


async def test_segments_are_kept_apart(pipe: Pipe) -> None:
    """What comes between segments belongs to none."""
    pipe.write(b"one")
    pipe.output.drain()
    pipe.output.end()
    pipe.write(b"between")
    pipe.output.drain()
    second: list[str] = []
    pipe.output.begin(second.append)
    assert pipe.output.tail == ""
    pipe.write(b"two")
    pipe.output.drain()
    assert pipe.heard == ["one"]
    assert second == ["two"]


async def test_the_end_is_fine() -> None:
    """A closed pipe ends the reading; draining and closing afterwards do nothing."""
    pipe = Pipe()
    pipe.write(b"last")
    os.close(pipe.write_end)
    pipe.output.drain()
    pipe.output.drain()
    pipe.output.close()
    pipe.output.close()
    assert pipe.heard == ["last"]


def test_a_bounded_sink_says_once_that_it_stops() -> None:
    """The first characters, a notice, and then silence."""
    heard: list[str] = []
    sink = bounded(heard.append, 10)
    for _ in range(100):
        sink("abcd")
    text = "".join(heard)
    assert text.startswith("abcdabcdab\n[")
    assert text.count("dropped") == 1
