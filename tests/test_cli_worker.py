"""``aiohpo worker``, run in this process."""

from __future__ import annotations

import sys
from collections.abc import Iterator
from pathlib import Path

import pytest

from aiohpo.cli import invoke
from aiohpo.evaluate.reimport import MAIN
from aiohpo.inspect import open_run

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
    assert last.startswith("aiohpo: done: <Result best loss ")
    assert last.endswith("5 of them here")
    assert captured.out == ""


def test_quiet_says_nothing_when_nothing_is_wrong(capsys: pytest.CaptureFixture[str]) -> None:
    """With --quiet a search that goes well is silent, and its journal is in the directory."""
    Path("train.py").write_text(STUDY.format(limit=2))
    args = ["worker", "train.py", "--transport", "inproc", "--trials", "5", "--dir", "r", "--quiet"]
    assert invoke([*args, "--rank", "1", "--size", "2"]) == 0
    assert capsys.readouterr() == ("", "")
    run = open_run(Path("r"))
    assert run.n_ended == 5
    assert [worker["rank"] for worker in run.as_workers()] == [1]


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
