"""Reading what programs print."""

from __future__ import annotations

import asyncio
import os
from collections.abc import AsyncIterator

import pytest

from aiohpo.evaluate.process.output import MAX_LINE, TAIL, LineAssembler, Output, bounded


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
    pipe.output.end()
    assert pipe.heard == ["café \ufffd!\n"]
    assert pipe.output.tail == "café \ufffd!"


async def test_it_is_read_by_the_loop(pipe: Pipe) -> None:
    """Nobody has to ask."""
    heard = asyncio.Event()
    pipe.output.begin(lambda text: heard.set())
    pipe.write(b"x\n")
    await asyncio.wait_for(heard.wait(), 120)


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
    pipe.write(b"two\n")
    pipe.output.drain()
    assert pipe.heard == ["one\n"]
    assert second == ["two\n"]


async def test_the_end_is_fine() -> None:
    """A closed pipe ends the reading; draining and closing afterwards do nothing."""
    pipe = Pipe()
    pipe.write(b"last")
    os.close(pipe.write_end)
    pipe.output.drain()
    pipe.output.drain()
    pipe.output.close()
    pipe.output.close()
    assert pipe.heard == ["last\n"]


@pytest.mark.parametrize(
    ("pieces", "lines"),
    [
        (["a", "b\nc", "\n\n", "d"], "ab\nc\n\nd\n"),
        (["x\r\ny\r", "\nz"], "x\ny\nz\n"),
        (["\r0%", "\r50%", "\r100%", "\n"], "100%\n"),
        (["0%\r", "50%\r", "done\r", "\nnext\r1\r2\nafter\n"], "done\n2\nafter\n"),
        (["\r1/9", "\r2/9"], "2/9\n"),
        (["text\n", " \t\r  "], "text\n"),
        (["one\n", "\u2028\x0b\x85\n"], "one\n\u2028\x0b\x85\n"),
    ],
)
def test_pieces_become_lines(pieces: list[str], lines: str) -> None:
    """Only whole lines are passed on, the last one at the end, and a bar that redraws itself is one line."""
    heard: list[str] = []
    made = LineAssembler(heard.append)
    for piece in pieces:
        made.write(piece)
    made.close()
    assert "".join(heard) == lines
    assert all(text.endswith("\n") for text in heard)


def test_nothing_is_passed_on_after_the_end() -> None:
    """A thread that was left behind may print on; closing twice is fine."""
    heard: list[str] = []
    lines = LineAssembler(heard.append)
    lines.write("left")
    lines.close()
    lines.close()
    lines.write("late\n")
    assert heard == ["left\n"]


def test_a_line_without_an_end_is_bounded() -> None:
    """Dots without a newline are passed on when there are many, a bar's states are never many."""
    heard: list[str] = []
    lines = LineAssembler(heard.append)
    for _ in range(3 * MAX_LINE // 1000):
        lines.write("." * 1000)
    assert MAX_LINE < len(heard[0]) <= MAX_LINE + 1001
    assert len(heard) == 2
    lines.write("\n")
    heard.clear()
    for i in range(1000):
        lines.write(f"\r{i}" + " " * 5000)
    lines.close()
    assert [text.rstrip() for text in heard] == ["999"]


def test_lines_may_be_printed_while_lines_are_taken() -> None:
    """What takes them may print, as the garbage collector may warn at any time: no deadlock."""
    heard: list[str] = []

    def take(text: str) -> None:
        heard.append(text)
        if text == "first\n":
            lines.write("second\n")

    lines = LineAssembler(take)
    lines.write("first\n")
    assert heard == ["first\n", "second\n"]


def test_a_bounded_sink_says_once_that_it_stops() -> None:
    """The first characters, a notice, and then silence."""
    heard: list[str] = []
    sink = bounded(heard.append, 10)
    for _ in range(100):
        sink("abcd")
    text = "".join(heard)
    assert text.startswith("abcdabcdab\n[")
    assert text.endswith("]\n")
    assert text.count("dropped") == 1
