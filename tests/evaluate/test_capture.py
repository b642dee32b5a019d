"""What trials print in the worker's own process."""

from __future__ import annotations

import asyncio
import io
import logging
import sys
import threading
from collections.abc import Iterator
from contextlib import contextmanager, redirect_stderr, redirect_stdout

import pytest

from aiohpo.evaluate.capture import captured, printing_to


class Terminal(io.StringIO):
    def isatty(self) -> bool:
        return True


@contextmanager
def streams() -> Iterator[tuple[Terminal, io.StringIO]]:
    """stdout is a terminal, stderr is not. (No fixture: pytest replaces the streams between fixture and test.)"""
    out, err = Terminal(), io.StringIO()
    with redirect_stdout(out), redirect_stderr(err):
        yield out, err


def test_a_trials_text_is_told_apart() -> None:
    """What is written in a trial's context goes to the trial, all else where it always went."""
    with streams() as (out, err):
        heard: list[str] = []
        with captured():
            print("before")
            with printing_to(heard.append):
                print("out", end="")
                sys.stdout.writelines(["l", "m"])
                sys.stderr.write("err")
                assert not sys.stdout.isatty()
                with pytest.raises(TypeError, match="must be str"):
                    sys.stdout.write(b"bytes")  # type: ignore[arg-type]
                sys.stdout.flush()
            print("after")
            assert sys.stdout.isatty()
        assert "".join(heard) == "outlmerr"
        assert [stream.getvalue() for stream in (out, err)] == ["before\nafter\n", ""]


def test_nothing_is_touched_unless_asked() -> None:
    """Without captured() a trial's context changes nothing; afterwards the streams are the old ones."""
    with streams() as (out, err):
        heard: list[str] = []
        with printing_to(heard.append):
            print("plain")
        with captured():
            assert sys.stdout is not out
        assert (sys.stdout, sys.stderr) == (out, err)
        assert (out.getvalue(), heard) == ("plain\n", [])


def test_log_handlers_that_hold_the_stream_are_included() -> None:
    """Most are made when a program is imported; those made by a trial meanwhile do not keep the stand-in."""
    with streams() as (_, err):
        logger, heard = logging.getLogger("aiohpo.test.capture"), []  # type: ignore[var-annotated]
        old, late = logging.StreamHandler(sys.stderr), None
        logger.addHandler(old)
        try:
            with captured(), printing_to(heard.append):
                late = logging.StreamHandler(sys.stderr)
                logger.addHandler(late)
                logger.warning("said")
            assert "".join(heard) == "said\nsaid\n"
            assert old.stream is late.stream is err
            assert err.getvalue() == ""
        finally:
            logger.handlers.clear()


def test_what_others_print_to_a_terminal_goes_elsewhere() -> None:
    """A bar there would be torn; what does not go to a terminal is left alone."""
    with streams() as (out, err):
        elsewhere: list[str] = []
        with captured(elsewhere.append):
            print("to the terminal")
            print("to a file", file=sys.stderr)
        assert "".join(elsewhere) == "to the terminal\n"
        assert [stream.getvalue() for stream in (out, err)] == ["", "to a file\n"]


def test_taking_text_may_print() -> None:
    """That is not the trial's text: it does not come back."""
    with streams() as (out, _):
        with captured(), printing_to(lambda text: print(f"<{text}>", end="")):
            sys.stdout.write("x")
        assert out.getvalue() == "<x>"


def test_searches_in_several_threads_share_the_stand_ins() -> None:
    """Whichever ends first, the other's trials are still told apart, and the last one restores the streams."""
    with streams() as (out, err):
        heard: list[str] = []
        first, second = captured(), captured()
        first.__enter__()
        second.__enter__()
        first.__exit__(None, None, None)
        thread = threading.Thread(target=print, args=("another thread's",))
        with printing_to(heard.append):
            print("trial's")
            thread.start()
            thread.join()
        second.__exit__(None, None, None)
        assert "".join(heard) == "trial's\n"
        assert out.getvalue() == "another thread's\n"
        assert (sys.stdout, sys.stderr) == (out, err)


async def test_tasks_and_their_threads_keep_the_context() -> None:
    """Two tasks print to their own trial, also by asyncio.to_thread."""
    with streams():
        heard: dict[int, list[str]] = {0: [], 1: []}

        async def objective(number: int) -> None:
            print(number)
            await asyncio.sleep(0)
            await asyncio.to_thread(print, number)

        with captured():
            tasks = []
            for number, texts in heard.items():
                with printing_to(texts.append):
                    tasks.append(asyncio.create_task(objective(number)))
            await asyncio.gather(*tasks)
        assert {number: "".join(texts) for number, texts in heard.items()} == {0: "0\n0\n", 1: "1\n1\n"}
