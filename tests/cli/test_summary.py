"""What a run says at the end."""

from __future__ import annotations

import json
from pathlib import Path
from unittest.mock import Mock

import pytest

from aiohpo.cli.summary import interrupted, summarise
from aiohpo.errors import UsageError
from tests.support.run_directories import make_climb, make_run


def test_a_resumed_run_says_how_much_is_new(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    """The time belongs to the new trials only."""
    directory = make_run(tmp_path / "r", [3.0, 2.0, 1.0])
    assert summarise(directory, "train.py", False, before=1, seconds=4.0) == 0
    assert capsys.readouterr().out.startswith("3 trials (2 of them now, in 4 s): 3 finished\n")


def test_a_search_that_is_not_over_is_gone_on_with_as_it_was(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    """The last of the next commands is then the one that was typed."""
    directory = make_run(tmp_path / "r", [3.0])
    again = "aiohpo run train.py --trials 9"
    summarise(directory, "train.py", False, before=0, seconds=1.0, again=again)
    assert capsys.readouterr().out.splitlines()[-1] == f"  {again}   # continue"


def test_going_on_needs_what_was_chosen(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    """The file may name another algorithm than the command line did."""
    directory = make_run(tmp_path / "r", [3.0])
    summarise(directory, "train.py", False, before=0, seconds=1.0, chosen=["--algorithm=bohb", "--searcher=gp:a=b c"])
    assert f"train.py --algorithm=bohb '--searcher=gp:a=b c' --dir {directory} --trials 2 " in capsys.readouterr().out


@pytest.mark.parametrize("json_", [False, True])
def test_a_picture_that_fails_does_not_fail_the_run(
    json_: bool, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    """One line on stderr says that there is none, and why; the results and the exit code are as ever."""
    directory = make_run(tmp_path / "r", [3.0])
    errors = [
        ValueError("bad\n\x1b[2J$" + 500 * "x"),
        MemoryError(),
        OSError(28, "No space left"),
        UsageError("no luck"),
    ]
    for error, said in zip(
        errors, [r"ValueError: bad \x1b[2J$xx", "MemoryError", ": No space left", ": no luck"], strict=True
    ):
        monkeypatch.setattr("aiohpo.plots.drawing.save", Mock(side_effect=error))
        assert summarise(directory, "train.py", json_, before=0) == 0
        out, err = capsys.readouterr()
        assert err.count("\n") == 1
        assert f"the picture {directory / 'plot.png'} could not be drawn: " in err
        assert said in err
        assert json.loads(out)["plot"] is None if json_ else "plot: " not in out


def test_names_with_spaces_are_quoted(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    """What is shown can be pasted into a shell."""
    directory = make_run(tmp_path / "my run", [3.0])
    summarise(directory, "my train.py", False, before=0)
    out = capsys.readouterr().out
    assert f"aiohpo run 'my train.py' --dir '{directory}'" in out


def test_an_interrupted_run_says_how_to_go_on(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    """What was found so far and the command; the exit code is the shell's for Ctrl-C."""
    assert interrupted(make_run(tmp_path / "r", [3.0]), "aiohpo run train.py") == 130
    err = capsys.readouterr().err
    assert "stopped after 1 trials, best loss 3 (trial 0); no reported result is lost" in err
    assert "to continue: aiohpo run train.py" in err


def test_a_search_that_was_given_up_says_why_and_how_to_go_on(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    """The last error, where to see all, and the commands; the exit code is 1."""
    directory = make_run(tmp_path / "r", ["boom"] * 3)
    again = "aiohpo run train.py"
    assert summarise(directory, "train.py", False, before=0, again=again, given_up="3 trials failed") == 1
    err = capsys.readouterr().err
    for words in (
        "the last error: boom",
        "--failed",
        "3 trials failed",
        "--max-failures N",
        f"retry {directory}",
        again,
    ):
        assert words in err


def test_paused_trials_count_and_the_best_of_them_is_a_result(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    """Without a complete trial the exit code is still that of success; the next command doubles what was done."""
    directory = make_climb(tmp_path / "r", [1, 3, 1])
    assert summarise(directory, "train.py", False, before=0, seconds=4.0) == 0
    out = capsys.readouterr().out
    assert out.startswith("3 trials in 4 s: 3 paused\nrungs 1:3 3:1 9:0, 1 promoted (1 on another worker)\n")
    assert "best accuracy 1.03 after 3 of 9 steps (trial 1 of " in out
    assert "--trials 6 " in out
    assert (directory / "plot.png").exists()
    interrupted(directory, "aiohpo run train.py")
    said = "stopped after 3 trials, best accuracy 1.03 after 3 of 9 steps (trial 1); no reported"
    assert said in capsys.readouterr().err
