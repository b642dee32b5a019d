"""One account of progress: whatever shows a directory says the same of it."""

from __future__ import annotations

import json
import re
import time
from collections import Counter
from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path
from typing import Any

import pytest

import aiohpo
from aiohpo.cli.main import invoke
from aiohpo.cli.summary import interrupted, summarise
from aiohpo.events.codec import encode_event
from aiohpo.events.schema import EXTERNAL, QUEUED, Batch, Claimed, Ended, Event, Goal, Left, Proposed, Reported, Started
from aiohpo.plots import drawing
from aiohpo.report.ending import last_lines
from aiohpo.report.plain import as_line
from aiohpo.report.sources import FollowedDirectory, LoadedDirectory
from aiohpo.report.tally import Tally
from aiohpo.storage.journal import Journal
from aiohpo.storage.run import open_run
from aiohpo.storage.run_directory import RunDirectory
from tests.support.run_directories import BEGAN, SPACE, config

NOW = BEGAN + 120.0
STATUSES = {"running", "paused", "finished", "stopped", "failed", "lost", "surplus"}


def started(rank: int, host: str) -> Started:
    return Started(1 + rank, BEGAN + rank, host, 1000 + rank, "journal", rank)


def proposed(lamport: int, i: int, source: int = 0, to_step: int | None = None) -> Proposed:
    return Proposed(lamport, BEGAN + lamport, SPACE.pack(config(i)), source, to_step)


# One worker left; of one what it runs is lost here; one is on another machine; one lives; one queued and added trials.
HISTORIES: Mapping[str, Sequence[Event]] = {
    "left": [
        started(0, "here"),
        Goal(5, 4),
        proposed(10, 0),
        Ended(18, 3, 0, "finished", 9, 0.5, 8.5, {"size": 1.5}),
        proposed(20, 1),
        Ended(28, 5, 0, "failed", 0, None, 8.5, None, "ValueError: it diverged"),
        Left(60, BEGAN + 60, "done"),
    ],
    "killed": [
        started(1, "here"),
        proposed(11, 2, to_step=3),
        Reported(15, 2, 0, 3, 0.75),
        Ended(21, 2, 0, "paused", 3, None, 10.0),
        proposed(22, 3),
        Reported(23, 5, 0, 1, 0.9),
    ],
    "elsewhere": [started(2, "there"), proposed(13, 4), Reported(17, 2, 0, 1, 0.3)],
    "alive": [
        started(3, "here"),
        proposed(44, 5),
        Ended(84, 2, 0, "finished", 9, 0.125, 30.0),
        Claimed(90, BEGAN + 90, ("killed", 2), 1, 9),
    ],
    "hand": [
        started(4, "here"),
        proposed(30, 6, QUEUED),
        proposed(31, 7, EXTERNAL),
        Ended(32, 3, 0, "finished", 0, 2.0, 0.0),
        Left(33, BEGAN + 33, "done"),
    ],
}


@pytest.fixture(params=["here", "there"])
def machine(request: pytest.FixtureRequest, monkeypatch: pytest.MonkeyPatch) -> str:
    """The machine from which the directory is looked at, where the clock stands still."""
    name: str = request.param
    monkeypatch.setattr("platform.node", lambda: name)
    monkeypatch.setattr(time, "time", lambda: NOW)
    return name


@pytest.fixture(params=["live", "finished"])
def directory(request: pytest.FixtureRequest, machine: str, tmp_path: Path) -> Iterator[Path]:
    """A search with trials of every kind; one worker is at work, or everybody has left."""
    path = tmp_path / "run"
    study = aiohpo.Study(None, SPACE, metric="loss", max_steps=9, searcher="random", directory=path)
    run = RunDirectory(path, study._definition.as_dict())
    journals: dict[str, Journal] = {}
    for worker, events in HISTORIES.items():
        if request.param == "finished" and not isinstance(events[-1], Left):
            events = [*events, Left(100, BEGAN + 100, "done")]
        journals[worker] = run.journal(worker)
        journals[worker].append([Batch(worker, 1, tuple(map(encode_event, events)))])
    for worker, journal in journals.items():
        if worker != "alive" or request.param == "finished":
            journal.close()
    (path / "ensemble.json").write_text('{"metric": "log_loss", "size": 3, "score": 0.25, "single": 0.5}')
    yield path
    for journal in journals.values():
        journal.close()


def ask(capsys: pytest.CaptureFixture[str], *args: str) -> Any:
    assert invoke([*args, "--json"]) == 0
    return json.loads(capsys.readouterr().out)


def test_every_json_says_the_same(
    directory: Path, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    """show, watch, run, best and the exported document, field by field."""
    monkeypatch.setattr(drawing, "save", lambda *_, **__: None)
    show = ask(capsys, "show", str(directory))
    watch = ask(capsys, "watch", str(directory), "--once")
    assert set(show) == {"study", "workers", "trials"}
    assert show["study"] == watch["study"]
    assert show["workers"] == watch["workers"]
    assert ask(capsys, "best", str(directory)) == show["study"]["best"]
    summarise(directory, "train.py", True, before=0)
    run = json.loads(capsys.readouterr().out)
    assert {**show["study"], **run, "directory": ""} == {
        **show["study"],
        "directory": "",
        "seconds": 0.0,
        "plot": str(directory / "plot.png"),
        "given_up": None,
    }
    assert set(run) - set(show["study"]) == {"seconds", "plot", "given_up"}
    assert invoke(["export", str(directory), "--to", "json"]) == 0
    assert json.loads(capsys.readouterr().out) == show


def test_the_counts_are_those_of_the_trials(directory: Path, capsys: pytest.CaptureFixture[str]) -> None:
    """Queued ones are counted and not listed; what a worker runs is what runs; the best one is among the trials."""
    show = ask(capsys, "show", str(directory))
    statuses = Counter(trial["status"] for trial in show["trials"])
    assert set(statuses) <= STATUSES
    study = show["study"]
    assert study["counts"] == {**statuses, "queued": 1}
    assert study["running"] == statuses["running"]
    running = {trial["id"]: trial["worker"] for trial in show["trials"] if trial["status"] == "running"}
    assert {t["id"]: w["id"] for w in show["workers"] for t in w["running"]} == running
    assert study["best"] in show["trials"]
    assert study["added"] == 1


def test_statuses_are_those_of_the_glossary(
    request: pytest.FixtureRequest, machine: str, directory: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    """A worker that was killed on this machine is dead and its trial is lost; of one on another machine nothing is
    known and its trial runs, unless the log says otherwise."""
    show = ask(capsys, "show", str(directory))
    workers = {worker["id"]: worker["status"] for worker in show["workers"]}
    trials = {trial["id"]: trial["status"] for trial in show["trials"]}
    if "finished" in request.node.callspec.id:
        assert set(workers.values()) == {"left"}
        assert (trials["killed-5"], trials["elsewhere-2"], trials["killed-2"]) == ("lost", "lost", "lost")
        return
    mine, theirs = ("killed", "elsewhere") if machine == "here" else ("elsewhere", "killed")
    assert workers == {"left": "left", "hand": "left", "alive": "alive", mine: "dead", theirs: "unknown"}
    of = {"killed": "killed-5", "elsewhere": "elsewhere-2"}
    assert (trials[of[mine]], trials[of[theirs]]) == ("lost", "running")
    assert trials["killed-2"] == "running"


def test_every_text_says_the_same(
    directory: Path, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    """show, watch, one line for logs and the last lines of a run have the numbers of the JSON."""
    monkeypatch.setattr(drawing, "save", lambda *_, **__: None)
    study = ask(capsys, "show", str(directory))["study"]
    texts = []
    for args in (["show"], ["watch", "--once"]):
        assert invoke([args[0], str(directory), *args[1:]]) == 0
        texts.append(capsys.readouterr().out)
    assert summarise(directory, "train.py", False, before=0) == 0
    texts.append(capsys.readouterr().out)
    for text in texts:
        for status, n in study["counts"].items():
            assert f"{n} {status}" in text
        assert "1 of them added" in text
        assert f"{study['done']} of 4 trials" in text or text.startswith(f"{study['done']} trials")
        assert f"best loss {study['best']['value']:.6g} " in text
        assert f"(trial {study['best']['number']}" in text
        assert "rungs " + " ".join(f"{step}:{n}" for step, n in study["rungs"]) in text
        assert "ensemble of 3: log_loss 0.25 (best single 0.5)" in text
    line = as_line(Tally(FollowedDirectory(directory)).look(NOW))
    assert line.startswith(f"{study['done']}/4 trials, ")
    assert f"best loss {study['best']['value']:.6g} (trial {study['best']['number']})" in line
    interrupted(directory, "aiohpo run")
    assert f"stopped after {study['done']} trials, best loss 0.125 " in capsys.readouterr().err


def test_a_followed_directory_is_a_loaded_one(directory: Path) -> None:
    """Also where it is damaged: in the middle of a journal, and at the end of one whose writer has certainly ended."""
    for worker in ("left", "elsewhere"):
        with (directory / "journal" / f"{worker}.log").open("ab") as file:
            file.write(b"half a record")
    journal = directory / "journal" / "hand.log"
    data = journal.read_bytes()
    journal.write_bytes(data + b"garbage" + data[data.index(b"\n") + 1 :])
    followed = Tally(FollowedDirectory(directory)).look(NOW)
    loaded = Tally(LoadedDirectory(open_run(directory))).look(NOW)
    assert followed == loaded
    assert sum("corrupt" in place for place in followed.damage) == 1
    assert sum("interrupted" in place for place in followed.damage) == 1


async def objective(trial: aiohpo.Trial) -> float:
    if trial["layers"] == 1:
        raise ValueError("too few layers")
    return float(trial["layers"])


def test_study_run_says_at_its_end_what_show_says(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    """The last line, the result and the directory agree."""
    path = tmp_path / "run"
    study = aiohpo.Study(objective, SPACE, searcher="random", directory=path)
    result = study.run(trials=8)
    said = capsys.readouterr().err.splitlines()
    shown = ask(capsys, "show", str(path))
    assert result.counts == shown["study"]["counts"]
    assert [(t.id, t.status, t.value) for t in result.trials] == [
        (t["id"], t["status"], t["value"]) for t in shown["trials"]
    ]
    assert re.fullmatch(
        rf"done: best loss {result.best.value:.6g} \(trial {result.best.number}\); "
        rf"{result.counts['finished']} finished, {result.counts['failed']} failed",
        said[-1],
    )
    assert list(last_lines(result, path, True)) == said[-1:]


def test_the_result_of_a_directory_knows_who_is_dead(directory: Path, capsys: pytest.CaptureFixture[str]) -> None:
    """A trial that is lost to show is lost to Study.result."""
    study = aiohpo.Study(None, SPACE, metric="loss", max_steps=9, searcher="random", directory=directory)
    shown = ask(capsys, "show", str(directory))
    assert {t.id: t.status for t in study.result.trials} == {t["id"]: t["status"] for t in shown["trials"]}
    assert study.result.best is not None
    assert study.result.best.as_dict() == shown["study"]["best"]
