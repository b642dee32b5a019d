"""``aiohpo worker``, run in this process."""

from __future__ import annotations

import re
import stat
import sys
from collections.abc import Iterator
from pathlib import Path

import pytest

from aiohpo.cli.main import invoke
from aiohpo.cli.worker import _invitation
from aiohpo.evaluate.reimport import MAIN
from aiohpo.keys import StudyKey, keep_key
from aiohpo.storage.run import open_run

STUDY = """
import aiohpo

async def objective(trial):
    if trial["x"] > {limit}:
        raise RuntimeError("too large")
    return trial["x"]

study = aiohpo.Study(objective, aiohpo.Space(x=aiohpo.Float(0, 1)), searcher="random", seed=1)
"""


@pytest.fixture(autouse=True)
def _restored(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> Iterator[None]:
    """Work in an empty directory, and leave the interpreter's modules and path as they were."""
    monkeypatch.setattr(sys, "path", list(sys.path))
    monkeypatch.delitem(sys.modules, MAIN, raising=False)
    monkeypatch.chdir(tmp_path)
    yield
    sys.modules.pop(MAIN, None)


def test_it_says_where_it_listens_and_what_it_found(capsys: pytest.CaptureFixture[str]) -> None:
    """The first line has the address that others join, the last one the result; stdout stays empty."""
    Path("train.py").write_text(STUDY.format(limit=2))
    assert invoke(["worker", "train.py", "--transport", "inproc", "--trials", "5"]) == 0
    captured = capsys.readouterr()
    first, last = captured.err.splitlines()
    assert first.startswith("aiohpo: worker ")
    assert " listens on inproc://" in first
    assert last.startswith("aiohpo: done (the budget is met): <Result best loss ")
    assert last.endswith("5 of them here")
    assert captured.out == ""


def test_quiet_says_nothing_when_nothing_is_wrong(capsys: pytest.CaptureFixture[str]) -> None:
    """With --quiet a search that goes well is silent, and its journal is in the directory."""
    Path("train.py").write_text(STUDY.format(limit=2))
    args = ["worker", "train.py", "--transport", "inproc", "--trials", "5", "--dir", "r", "--quiet"]
    assert invoke([*args, "--rank", "1", "--size", "2"]) == 0
    assert capsys.readouterr() == ("", "")
    run = open_run(Path("r"))
    assert run.summary.ended == 5
    assert [info.started.rank for info in run.view.workers.values()] == [1]


def test_only_failures_exit_with_1() -> None:
    """A search without a success is done, and says so by its exit code."""
    Path("train.py").write_text(STUDY.format(limit=-1))
    assert invoke(["worker", "train.py", "--transport", "inproc", "--trials", "3", "--quiet"]) == 1


@pytest.mark.parametrize(
    ("args", "said"),
    [
        (["--transport", "pigeon"], "there is no transport named 'pigeon'. Installed: "),
        (["--join", "file://relative/path"], "is not a directory address; write file:///absolute/path"),
        (["--transport", "zmq", "--bind", "nonsense"], "'nonsense' is not an address"),
    ],
)
def test_wrong_addresses_and_transports_are_clear_errors(
    args: list[str], said: str, capsys: pytest.CaptureFixture[str]
) -> None:
    """Each is one line with the remedy, and exit code 2."""
    Path("train.py").write_text(STUDY.format(limit=2))
    assert invoke(["worker", "train.py", "--trials", "3", *args]) == 2
    err = capsys.readouterr().err
    assert said in err
    assert err.count("\n") == 1


# ------------------------------------------------------------------------------------------------------- keys
def test_the_first_worker_makes_a_key_and_says_how_to_join(capsys: pytest.CaptureFixture[str]) -> None:
    """Without a directory it leaves only the key, in runs/NAME, and prints the command of a further worker."""
    Path("train.py").write_text(STUDY.format(limit=2))
    assert invoke(["worker", "train.py", "--trials", "3", "--searcher", "random"]) == 0
    line = capsys.readouterr().err.splitlines()[1]
    command = (
        r"aiohpo worker train.py --trials 3 --searcher random --join tcp://127\.0\.0\.1:\d+ --key runs/train/study.key"
    )
    assert re.fullmatch(f"aiohpo: for one more worker on this machine: {command}", line)
    assert [path.name for path in Path("runs/train").iterdir()] == ["study.key"]
    assert stat.S_IMODE(Path("runs/train").stat().st_mode) == 0o700


def test_the_command_for_another_machine() -> None:
    """It names what to copy, and listens where others can reach it."""
    given = {"trials": None, "seed": 1}
    said = _invitation("a b.py", Path("study.key"), given, "zmq", "tcp://10.0.0.5:5555")
    assert said.startswith("for one more worker on another machine, copy a b.py and study.key to it first, then: ")
    assert said.endswith(
        "aiohpo worker 'a b.py' --seed 1 --bind tcp://0.0.0.0:0 --join tcp://10.0.0.5:5555 --key study.key"
    )


def test_joining_by_address_takes_a_key(capsys: pytest.CaptureFixture[str]) -> None:
    """Without one the refusal says where it is, and nothing is made; there may be one where the first left it."""
    Path("train.py").write_text(STUDY.format(limit=2))
    join = ["worker", "train.py", "--join", "tcp://127.0.0.1:1", "--time", "0.2", "--quiet"]
    assert invoke(join) == 2
    said = capsys.readouterr().err
    assert "copy the key file of the first worker to this machine" in said
    assert said.count("\n") == 1
    assert not Path("runs").exists()
    keep_key(Path("runs/train"), StudyKey.generate())
    assert invoke(join) != 2  # there was nobody, and hardly any time
    assert capsys.readouterr().err == ""


def test_insecure_is_said(capsys: pytest.CaptureFixture[str]) -> None:
    """It makes no key, with a warning; beside a key it is an error."""
    Path("train.py").write_text(STUDY.format(limit=2))
    assert invoke(["worker", "train.py", "--trials", "3", "--insecure"]) == 0
    assert "anyone who can reach this worker's port can join" in capsys.readouterr().err.splitlines()[0]
    assert not Path("runs").exists()
    assert invoke(["worker", "train.py", "--trials", "3", "--insecure", "--key", "k"]) == 2
    assert "leave one of them out" in capsys.readouterr().err


TALK = """
import aiohpo

{kind} objective(trial):
    print("x is", trial["x"])
    return trial["x"]

study = aiohpo.Study(objective, aiohpo.Space(x=aiohpo.Int(0, 1)), searcher="grid", evaluator="{evaluator}")
"""


@pytest.mark.parametrize(("kind", "evaluator"), [("async def", "coroutine"), ("def", "thread")])
def test_what_trials_print_says_which_trial(kind: str, evaluator: str, capsys: pytest.CaptureFixture[str]) -> None:
    """It goes to stderr and to output/ in the directory; with --quiet only there, and without one to stderr."""
    Path("train.py").write_text(TALK.format(kind=kind, evaluator=evaluator))
    args = ["worker", "train.py", "--transport", "inproc"]
    assert invoke([*args, "--dir", "r", "--rank", "0", "--size", "1"]) == 0
    said = [line for line in capsys.readouterr().err.splitlines() if not line.startswith("aiohpo: ")]
    trials = {trial.number: trial for trial in open_run(Path("r")).records()}
    assert said == [f"[{n} {trials[n].id}] x is {trials[n].config['x']}" for n in (0, 1)]
    assert Path("r/output/worker-0.log").read_text().splitlines() == said
    assert invoke([*args, "--dir", "q", "--quiet"]) == 0
    assert capsys.readouterr() == ("", "")
    (kept,) = Path("q/output").iterdir()
    assert kept.read_text().count("x is") == 2
    assert invoke([*args, "--quiet"]) == 0
    assert capsys.readouterr().err.count("x is") == 2
