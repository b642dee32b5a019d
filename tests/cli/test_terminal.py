"""The commands' words on any stream."""

from __future__ import annotations

import io
import json
import os
import subprocess
import sys
from pathlib import Path

import pytest

from aiohpo import Categorical, Float, Space
from aiohpo.cli.common import print_json
from aiohpo.cli.main import invoke
from aiohpo.cli.terminal import plain_console, prepare, say
from tests.support.run_directories import HOSTILE, make_named_run

NAME = HOSTILE[:-1]  # an event is UTF-8, which has no surrogates


@pytest.fixture
def hostile(tmp_path: Path) -> str:
    """A run all of whose names, choices and errors are hostile."""
    space = Space({NAME: Float(0.0, 1.0), "[red]": Categorical([HOSTILE, "[/]"])})
    return str(make_named_run(tmp_path / "r", space, NAME, [3.0, NAME, 1.0]))


def test_lines_are_printed_as_what_they_look_like(capsys: pytest.CaptureFixture[str]) -> None:
    """To stdout or stderr, with nothing in them that acts on a terminal."""
    say(HOSTILE)
    say("[b]\x1b[2J", err=True)
    captured = capsys.readouterr()
    assert captured.out.replace("\n", "").isprintable()
    assert captured.err == "[b]\\x1b[2J\n"


def test_a_console_takes_text_for_text(capsys: pytest.CaptureFixture[str]) -> None:
    """Neither markup nor the names of emoji mean anything."""
    plain_console(80).print("[red]x[/] :smile: [/]")
    assert capsys.readouterr().out == "[red]x[/] :smile: [/]\n"


@pytest.mark.parametrize(
    "command", [["show"], ["show", "--failed"], ["show", "--lineage"], ["best"], ["watch", "--once"]]
)
def test_nothing_that_strangers_wrote_acts_on_the_terminal(
    command: list[str], hostile: str, capsys: pytest.CaptureFixture[str]
) -> None:
    """Every line that a command prints about a hostile run is printable, and brackets in it are there."""
    assert invoke([command[0], hostile, *command[1:]]) == 0
    out = capsys.readouterr().out
    assert out.replace("\n", "").isprintable()
    assert "[/][bold] :smile: $" in out or command[0] == "watch"


def test_an_error_that_quotes_strangers_is_printable(capsys: pytest.CaptureFixture[str]) -> None:
    """So is the one line of a wrong command."""
    assert invoke(["show", "x\x1b[2J\udcff"]) == 2
    assert capsys.readouterr().err.rstrip("\n").isprintable()


def test_json_is_exact_on_any_stream(monkeypatch: pytest.MonkeyPatch) -> None:
    """What the stream cannot encode stands there in escapes."""
    for encoding in ("ascii", "cp1252", "utf-8"):
        binary = io.BytesIO()
        monkeypatch.setattr(sys, "stdout", io.TextIOWrapper(binary, encoding=encoding))
        print_json({"name": HOSTILE})
        assert json.loads(binary.getvalue()) == {"name": HOSTILE}


def test_streams_are_prepared_once_and_others_left_alone(monkeypatch: pytest.MonkeyPatch) -> None:
    """A stream that is not of bytes has no encoding to fail."""
    strict, text = io.TextIOWrapper(io.BytesIO(), encoding="ascii"), io.StringIO()
    monkeypatch.setattr(sys, "stdout", strict)
    monkeypatch.setattr(sys, "stderr", text)
    prepare()
    say("–")
    say("–", err=True)
    assert strict.buffer.getvalue() == b"-\n"  # type: ignore[attr-defined]
    assert text.getvalue() == "–\n"


@pytest.mark.smoke
@pytest.mark.parametrize("encoding", ["ascii", "cp1252"])
def test_a_command_ends_well_whatever_the_encoding_of_its_output(encoding: str, hostile: str) -> None:
    """Characters that are not in it are replaced."""
    command = [sys.executable, "-m", "aiohpo", "show", hostile]
    done = subprocess.run(command, env={**os.environ, "PYTHONIOENCODING": encoding}, capture_output=True, timeout=600)
    assert (done.returncode, done.stderr) == (0, b"")
    assert rb"[/][bold] :smile: $\frac{$ \u6f22\u5b57" in done.stdout
