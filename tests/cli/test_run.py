"""``aiohpo run`` as far as it starts no process: what it would start, and when there is nothing to do."""

from __future__ import annotations

import errno
import json
import sys
from collections.abc import Iterator
from pathlib import Path

import pytest

from aiohpo.cli.main import invoke
from aiohpo.cli.run import RunOptions, _Notices, _vanished, why_nothing_to_do
from aiohpo.cli.target import load_study
from aiohpo.evaluate.reimport import MAIN
from aiohpo.plugin import WorkerExit
from aiohpo.report.tally import take_snapshot
from aiohpo.storage.run import open_run
from tests.support.run_directories import make_climb, make_run

STUDY = """
import sys
sys.path.insert(0, {tests!r})
import aiohpo
from tests.support.run_directories import SPACE

def objective(trial):
    return 1.0

study = aiohpo.Study(objective, SPACE, metric="loss", searcher="random")
"""


@pytest.fixture(autouse=True)
def _restored(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> Iterator[None]:
    """Work in an empty directory with a study, and leave the interpreter's modules and path as they were."""
    monkeypatch.setattr(sys, "path", list(sys.path))
    monkeypatch.delitem(sys.modules, MAIN, raising=False)
    monkeypatch.chdir(tmp_path)
    Path("train.py").write_text(STUDY.format(tests=str(Path(__file__).parents[2])))
    yield
    sys.modules.pop(MAIN, None)


def test_a_worker_gets_everything_that_was_given(tmp_path: Path) -> None:
    """Its command says file, directory, meeting place, rank, limits and plugins; what was not given is left out."""
    limits = {"trials": 9, "time": 90.0, "target": -0.5, "trial-timeout": None}
    command = RunOptions("my train.py:best", 4, limits, "adbo:kappa=1", None, 0, shrink=True).command(tmp_path / "r", 2)
    assert command[:5] == [sys.executable, "-P", "-m", "aiohpo", "worker"]
    assert command[5] == "my train.py:best"
    assert command[command.index("--join") + 1] == (tmp_path / "r" / "peers").as_uri()
    assert command[command.index("--rank") + 1 : command.index("--rank") + 4] == ["2", "--size", "4"]
    assert command[-7:] == [
        "--shrink",
        "--grace=10.0",
        "--trials=9",
        "--time=90.0",
        "--target=-0.5",
        "--searcher=adbo:kappa=1",
        "--seed=0",
    ]


def test_workers_of_a_shared_directory_are_told_that_it_is(tmp_path: Path) -> None:
    """What they make there has the same policy, and they trust the same group."""
    options = RunOptions("train.py", 2, {}, None, None, None, share="group")
    assert "--share=group" in options.command(tmp_path / "r", 0)


def test_a_met_budget_is_said_and_the_result_shown(capsys: pytest.CaptureFixture[str]) -> None:
    """Nothing is started; the exit code tells whether there is a success."""
    make_run(Path("runs/train"), [3.0, 1.0], goal=2)
    assert invoke(["run", "train.py", "--trials", "2"]) == 0
    captured = capsys.readouterr()
    assert "runs/train has 2 trials already, and its budget of 2 is met: nothing to do" in captured.err
    assert captured.out.startswith("2 trials: 2 finished\nbest loss 1 (trial 1 of runs/train")
    assert "aiohpo run train.py --dir runs/train --trials 4" in captured.out
    assert Path("runs/train/plot.png").exists()


def test_a_smaller_budget_than_what_is_done_is_refused(capsys: pytest.CaptureFixture[str]) -> None:
    """All trials that the directory has are counted, and none ceases to count unless that is said."""
    make_run(Path("runs/train"), [3.0, 1.0], goal=2)
    assert invoke(["run", "train.py", "--trials", "1"]) == 2
    said = capsys.readouterr().err
    assert "a budget of 1 trials (--trials, trials=) is smaller than the 2 that have results" in said
    assert "--shrink" in said


def test_without_trials_the_earlier_budget_holds(capsys: pytest.CaptureFixture[str]) -> None:
    """A directory's own budget counts when none is given; a target that was reached does too."""
    make_run(Path("runs/train"), [3.0, 1.0], goal=2)
    assert invoke(["run", "train.py"]) == 0
    assert "its budget of 2 is met" in capsys.readouterr().err
    assert invoke(["run", "train.py", "--trials", "5", "--target", "1"]) == 0
    assert "has reached loss 1 already, and --target 1 is met" in capsys.readouterr().err


def test_json_is_one_object_on_stdout(capsys: pytest.CaptureFixture[str]) -> None:
    """With --json nothing but the object goes to stdout."""
    make_run(Path("elsewhere"), [3.0, "boom", 1.0], goal=3)
    assert invoke(["run", "train.py", "--trials", "3", "--dir", "elsewhere", "--json"]) == 0
    found = json.loads(capsys.readouterr().out)
    assert (found["directory"], found["ended"], found["best"]["value"]) == ("elsewhere", 3, 1.0)
    assert found["counts"] == {"finished": 2, "failed": 1}


def test_a_met_budget_without_a_success_exits_with_1(capsys: pytest.CaptureFixture[str]) -> None:
    """The last error is shown."""
    make_run(Path("runs/train"), ["boom"], goal=1)
    assert invoke(["run", "train.py", "--trials", "1"]) == 1
    err = capsys.readouterr().err
    assert "to retry failed ones: aiohpo retry runs/train" in err
    assert "the last error: boom" in err


CLIMB = """
import sys
sys.path.insert(0, {tests!r})
import aiohpo
from tests.support.run_directories import SPACE
study = aiohpo.Study(lambda trial: 1.0, SPACE, metric="accuracy", mode="max", max_steps=9, scheduler="asha:eta=3")
"""


@pytest.mark.parametrize(("tops", "left"), [([1, 1, 9], False), ([1, 1, 3], True), ([1, 1, 1], True)])
def test_a_met_budget_is_not_the_end_while_trials_may_be_promoted(tops: list[int], left: bool) -> None:
    """The study's scheduler is asked whether it would go on with any of those that pause."""
    make_climb(Path("run"), tops)
    Path("climb.py").write_text(CLIMB.format(tests=str(Path(__file__).parents[2])))
    before = open_run(Path("run"))
    now = take_snapshot(before)
    reason = why_nothing_to_do(before, now, load_study("climb.py"), 3, None)
    assert (reason is None) == left
    assert left or "its budget of 3 is met: nothing to do" in reason
    assert why_nothing_to_do(before, now, load_study("climb.py"), 4, None) is None


@pytest.mark.parametrize(
    ("args", "said"),
    [
        (["--searcher", "adbbo"], "there is no searcher named 'adbbo'. Did you mean 'adbo'?"),
        (["--searcher", "random:kappa=1"], "the searcher 'random' has no option 'kappa'"),
        (["--algorithm", "abhob"], "there is no algorithm named 'abhob'. Did you mean 'abohb'?"),
        (
            ["--scheduler", "abohb"],
            "'abohb' is a recipe for a searcher and a scheduler, not a scheduler: --algorithm abohb",
        ),
        (["--scheduler", "nope"], "there is no scheduler named 'nope'. Installed: "),
        (["--dir", "train.py/run"], "cannot use train.py/run as a run directory: Not a directory"),
        (["--dir", "other"], "other holds another study: its metric is 'accuracy'"),
    ],
)
def test_what_cannot_run_is_said_before_anything_starts(
    args: list[str], said: str, capsys: pytest.CaptureFixture[str]
) -> None:
    """Unknown plugins, unusable directories and another study's directory end with exit code 2."""
    directory = make_run(Path("other"), [1.0])
    study = json.loads((directory / "study.json").read_text())
    (directory / "study.json").write_text(json.dumps({**study, "metric": "accuracy", "study": "0" * 16}))
    assert invoke(["run", "train.py", "--trials", "3", *args]) == 2
    assert said in capsys.readouterr().err
    assert not list(Path().glob("**/worker-0.log"))


def test_what_several_workers_say_is_said_once() -> None:
    """Their own words are passed on without repetition; what users' code printed is not."""
    said: list[str] = []
    notices = _Notices(said.append, [])
    notices.of_workers([(0, "aiohpo: the disk is full"), (1, "aiohpo: the disk is full"), (1, "epoch 3")])
    assert said == ["the disk is full"]
    assert notices.reasons == 2


def test_what_was_said_before_the_workers_began_is_not_said_again() -> None:
    """They open the same directory, and find the same things wrong with it."""
    said: list[str] = []
    notices = _Notices(said.append, ["every user may write to run"])
    notices.of_workers([(0, "aiohpo: every user may write to run"), (0, "aiohpo: the disk is full")])
    assert said == ["the disk is full"]


def test_a_directory_that_was_begun_with_fewer_steps_is_told(capsys: pytest.CaptureFixture[str]) -> None:
    """Before the workers begin, as it is the launcher that takes the new number."""
    make_climb(Path("run"), [9, 9, 9])
    Path("climb.py").write_text(
        CLIMB.format(tests=str(Path(__file__).parents[2])).replace("max_steps=9", "max_steps=27")
    )
    assert invoke(["run", "climb.py", "--dir", "run", "--trials", "1"]) == 2  # a budget that is too small
    assert "max_steps is 27 from now on; it was 9" in capsys.readouterr().err


def test_a_full_directory_is_said_for_workers_that_cannot(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """On a full disk the workers' own words have no place; a directory that is gone is said otherwise."""
    said: list[str] = []
    notices = _Notices(said.append, [])
    (tmp_path / "study.json").touch()
    notices.of_directory(tmp_path)
    assert said == []

    def full(**_: object) -> None:
        raise OSError(errno.ENOSPC, "No space left on device")

    monkeypatch.setattr("tempfile.TemporaryFile", full)
    for _ in range(2):
        notices.of_directory(tmp_path)
    assert said == [f"cannot write to {tmp_path}: No space left on device. No trial fails because of it: workers wait"]
    assert not _vanished(tmp_path)
    (tmp_path / "study.json").unlink()
    assert _vanished(tmp_path)
    notices.of_directory(tmp_path)
    assert len(said) == 1


def test_a_workers_end_is_said_as_far_as_it_matters() -> None:
    """A killed worker is named, with how many go on; one that said itself what was wrong is not, at the end."""
    said: list[str] = []
    notices = _Notices(said.append, [])
    notices.of_end(WorkerExit(2, "pid 42", -9), 3)
    notices.of_end(WorkerExit(1, "pid 41", 2), 1)
    notices.of_end(WorkerExit(0, "pid 40", 2), 0)
    notices.of_end(WorkerExit(3, "pid 43", -9), 0)
    assert said == [
        "worker 2 (pid 42) was killed by SIGKILL; the other 3 continue",
        "worker 1 (pid 41) ended with exit code 2; the other continues",
        "worker 3 (pid 43) was killed by SIGKILL",
    ]
