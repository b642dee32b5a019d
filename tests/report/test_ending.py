"""The last words of a run."""

from __future__ import annotations

from pathlib import Path

import pytest

from aiohpo.peer.ending import EndReason, SearchEnd
from aiohpo.report.ending import describe_best, found, interrupted, last_lines, next_commands, nothing_found
from aiohpo.report.snapshot import Snapshot
from aiohpo.report.tally import take_snapshot
from aiohpo.result import Result
from aiohpo.storage.run import open_run
from tests.support.run_directories import make_climb, make_run


def snapshot(directory: Path) -> Snapshot:
    return take_snapshot(open_run(directory))


@pytest.mark.parametrize(
    ("before", "said"),
    [(0, "3 trials in 4 s: "), (1, "3 trials (2 of them now, in 4 s): "), (3, "3 trials: ")],
)
def test_the_time_belongs_to_the_new_trials(before: int, said: str, tmp_path: Path) -> None:
    """A resumed run says how much of it is new; one with nothing to do took no time."""
    first = next(found(snapshot(make_run(tmp_path / "r", [3.0, "boom", 1.0])), before, 4.0, None))
    assert first == f"{said}2 finished, 1 failed"


def test_a_result_is_told_with_the_climb_and_the_picture(tmp_path: Path) -> None:
    """The best trial follows with its configuration."""
    lines = list(found(snapshot(make_climb(tmp_path / "r", [1, 3, 1])), 0, 1.0, tmp_path / "plot.png"))
    assert lines[1] == "rungs 1:3 3:1 9:0, 1 promoted (1 on another worker)"
    assert lines[2].startswith(f"best accuracy 1.03 after 3 of 9 steps (trial 1 of {tmp_path / 'r'}")
    assert lines[-1] == f"plot: {tmp_path / 'plot.png'}"


def test_an_interrupted_run_says_how_to_go_on(tmp_path: Path) -> None:
    """With what was found, if anything was."""
    lines = interrupted(snapshot(make_run(tmp_path / "r", [3.0])), "aiohpo run x.py")
    assert list(lines) == [
        "stopped after 1 trials, best loss 3 (trial 0); no reported result is lost",
        "to continue: aiohpo run x.py",
    ]
    said = next(interrupted(snapshot(make_run(tmp_path / "s", [])), ""))
    assert said.startswith("stopped after 0 trials; no reported")


def test_a_search_without_a_result_says_why_and_what_to_do(tmp_path: Path) -> None:
    """The last error, why the search was given up, and how failed trials are tried again."""
    run = open_run(make_run(tmp_path / "r", ["boom"] * 2))
    lines = list(nothing_found(take_snapshot(run), list(run.records()), "aiohpo run x.py", "2 trials failed"))
    assert "2 failed; the last error: boom (see all: aiohpo show" in lines[0]
    assert lines[1] == "the search stopped early: 2 trials failed (--max-failures N allows more)"
    assert f"'aiohpo retry {run.path}', then 'aiohpo run x.py'" in lines[2]


def test_what_can_be_done_next_can_be_pasted(tmp_path: Path) -> None:
    """Names with spaces are quoted; what was chosen is chosen again."""
    now = snapshot(make_run(tmp_path / "my run", [3.0]))
    *_, last = next_commands(now, "my train.py", ["--searcher=gp:a=b c"], None)
    run = "aiohpo run 'my train.py' '--searcher=gp:a=b c'"
    assert last == f"  {run} --dir '{tmp_path / 'my run'}' --trials 2   # continue"


def test_the_best_trial_has_a_line_for_each_parameter(tmp_path: Path) -> None:
    """And one for the other metrics."""
    now = snapshot(make_run(tmp_path / "r", [3.0]))
    assert now.best is not None
    lines = list(describe_best(now.best, "loss", None, "here"))
    assert lines[0] == "best loss 3 (trial 0 of here in 500 ms)"
    assert "  optimizer  'sgd'" in lines
    assert lines[-1] == "also reported: size 1.5"


def test_study_run_ends_with_one_line_or_says_more(tmp_path: Path) -> None:
    """Where to go on after a Ctrl-C, why it was given up; without progress nothing but failures is told."""
    view = open_run(make_run(tmp_path / "r", [3.0, "boom"])).view
    assert list(last_lines(Result(view), None, True)) == ["done: best loss 3 (trial 0); 1 finished, 1 failed"]
    assert list(last_lines(Result(view), None, False)) == []
    stopped = list(last_lines(Result(view, interrupted=True), tmp_path, True))
    assert stopped[0].startswith("interrupted: best loss 3 (trial 0)")
    assert stopped[1] == f"no reported result is lost; run the interrupted search again to continue in {tmp_path}"
    end = SearchEnd(EndReason.GIVEN_UP, "1 trial failed", 1)
    failed = Result(open_run(make_run(tmp_path / "s", ["boom"])).view, end=end)
    assert list(last_lines(failed, None, False)) == [
        "given up: 1 trial failed (for more: Study(max_failures=…))",
        "stopped: no successful trial; 1 failed",
    ]
