"""Options and values that commands share."""

from __future__ import annotations

from importlib import metadata
from pathlib import Path

import pytest

from aiohpo.cli.common import Settings, open_directory, parse_duration
from aiohpo.cli.main import invoke
from aiohpo.errors import UsageError
from aiohpo.plugin import registry
from tests.support.run_directories import make_run


@pytest.mark.parametrize(
    ("text", "seconds"),
    [
        ("90", 90),
        ("1.5", 1.5),
        ("10m", 600),
        ("10min", 600),
        ("1h30m", 5400),
        ("1 h 30 m", 5400),
        ("250ms", 0.25),
        ("2d", 172_800),
        ("0.5H", 1800),
        (".5s", 0.5),
    ],
)
def test_lengths_of_time_are_written_in_several_ways(text: str, seconds: float) -> None:
    """Plain numbers are seconds; units may be combined."""
    assert parse_duration(text) == pytest.approx(seconds)


@pytest.mark.parametrize("text", ["", "soon", "10x", "m", "10m5", "1h-3m", "h1"])
def test_what_is_no_length_of_time_is_refused(text: str) -> None:
    """Anything else raises, also where only a part of it is wrong."""
    with pytest.raises(ValueError, match=r"^$|.*"):
        parse_duration(text)


def test_the_command_line_can_be_typed_again() -> None:
    """What was typed is quoted so that a shell reads it back as it was."""
    assert Settings(("run", "my train.py", "--trials", "3")).again() == "aiohpo run 'my train.py' --trials 3"


def test_a_wrong_directory_is_answered_with_those_nearby(tmp_path: Path) -> None:
    """Who names the directory above the runs is told where the runs are."""
    make_run(tmp_path / "runs" / "first", [1.0])
    with pytest.raises(UsageError, match=r"no study\.json; runs are in .*first"):
        open_directory(tmp_path / "runs")
    with pytest.raises(UsageError, match=r"there is no directory .*frist'; runs are in .*first"):
        open_directory(tmp_path / "runs" / "frist")
    with pytest.raises(UsageError, match="is a file"):
        open_directory(tmp_path / "runs" / "first" / "study.json")
    assert open_directory(tmp_path / "runs" / "first").summary.ended == 1


def test_help_names_the_recipes_that_are_installed(
    capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    """Anyone's, and what is said where there are none."""
    point = metadata.EntryPoint("mine", "nowhere:MINE", "aiohpo.algorithms")
    for known, said in (({"mine": point}, "together: mine."), ({}, "together: none is installed.")):
        monkeypatch.setattr(registry, "available", lambda kind, known=known: known)
        assert invoke(["run", "--help"]) == 0
        assert said in " ".join(capsys.readouterr().out.split())
