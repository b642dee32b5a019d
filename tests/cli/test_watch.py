"""``aiohpo watch`` on directories with known contents; the mesh and the terminal are in the smoke tests."""

from __future__ import annotations

import itertools
import json
import platform
import time
from pathlib import Path

import pytest

from aiohpo.cli.main import invoke
from aiohpo.cli.watch import JsonLines, LogLines, Screen
from aiohpo.events.codec import encode_event
from aiohpo.events.schema import Batch, Proposed, Started
from aiohpo.report.sources import FollowedDirectory
from aiohpo.report.tally import Tally
from aiohpo.storage.journal import Journal
from aiohpo.storage.run_directory import RunDirectory
from tests.support.histories import remark
from tests.support.run_directories import make_run


def test_one_look_at_a_directory(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    """--once prints everything and ends with 0."""
    directory = make_run(tmp_path / "r", [3.0, "boom", 1.0], goal=9)
    assert invoke(["watch", str(directory), "--once"]) == 0
    out = capsys.readouterr().out
    assert "3 of 9 trials" in out
    assert "2 finished, 1 failed; workers: 1 left" in out
    assert "best loss 1 (trial 2)" in out


def test_one_look_as_json(tmp_path: Path, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch) -> None:
    """One document on one line, without a mesh."""
    monkeypatch.setattr("platform.node", lambda: "host")
    directory = make_run(tmp_path / "r", [3.0, None], left=False)
    assert invoke(["watch", str(directory), "--once", "--json"]) == 0
    (line,) = capsys.readouterr().out.splitlines()
    shown = json.loads(line)
    assert (shown["study"]["ended"], shown["study"]["counts"]) == (1, {"finished": 1, "lost": 1})
    assert [(w["status"], w["running"]) for w in shown["workers"]] == [("dead", [])]
    assert shown["mesh"] is None


def test_it_ends_when_nobody_is_left(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    """A finished search is shown for a moment; lines go to stdout and the reason to stderr."""
    directory = make_run(tmp_path / "r", [3.0])
    assert invoke(["watch", str(directory), "--interval", "0.5"]) == 0
    captured = capsys.readouterr()
    assert len(captured.out.splitlines()) >= 2
    assert set(captured.out.splitlines()) == {captured.out.splitlines()[0]}
    assert captured.err == "aiohpo: no worker is left\n"


def test_json_lines_come_at_the_interval(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    """Each line is a document of its own, later than the one before."""
    directory = make_run(tmp_path / "r", [3.0])
    assert invoke(["watch", str(directory), "--json", "--interval", "0.5"]) == 0
    times = [json.loads(line)["time"] for line in capsys.readouterr().out.splitlines()]
    assert len(times) >= 2
    assert all(b - a > 0.3 for a, b in itertools.pairwise(times))


@pytest.mark.parametrize(
    ("args", "why"),
    [
        (["nowhere"], "there is no directory 'nowhere'"),
        (
            ["node1:5555"],
            "there is no directory 'node1:5555'; if it is a worker's address, write it as tcp://host:port",
        ),
        (["r", "--join", "tcp://a:1"], "--join, --key and --insecure go with an address; 'r' is a directory"),
        (["tcp://a:1"], "watching tcp://a:1 needs its study's key: copy the key file of the first worker"),
        (["tcp://a:1", "--key", "k", "--insecure"], "give either --insecure or --key"),
        (["tcp://a:x", "--insecure"], "'tcp://a:x' is not an address"),
        (["tcp://a:1", "--transport", "carrier-pigeon"], "there is no transport named 'carrier-pigeon'"),
        (["r", "--interval", "0"], "'--interval': 0.0 is not in the range"),
        (["file://else/where"], "is not a directory address"),
    ],
)
def test_wrong_usage_is_one_line(
    args: list[str], why: str, tmp_path: Path, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    """The error names the value and the remedy, and the code is 2."""
    monkeypatch.chdir(tmp_path)
    make_run(tmp_path / "r", [1.0])
    assert invoke(["watch", *args]) == 2
    captured = capsys.readouterr()
    assert captured.out == ""
    assert captured.err.count("\n") == 1
    assert why in captured.err


def test_a_directory_is_followed(tmp_path: Path) -> None:
    """New workers and trials are seen at the next look; locks tell who lives, Left who went."""
    directory = make_run(tmp_path / "r", [3.0])
    source = FollowedDirectory(directory)
    tally = Tally(source)
    (gone,) = tally.look(time.time()).workers
    assert gone.status == "left"
    run = RunDirectory(directory, dict(source.study))
    started = {"here": platform.node(), "there": "another-host"}
    journals = {}
    for name, host in started.items():
        journals[name] = run.journal(name)
        events = (Started(1, time.time() - 5, host, 1, ""), Proposed(2, time.time() - 2, _row(source)))
        journals[name].append([Batch(name, 1, tuple(map(encode_event, events)))])
    now = tally.look(time.time())
    assert {w.id: w.status for w in now.workers} == {"here": "alive", "there": "alive", gone.id: "left"}
    assert [len(w.running) for w in now.workers] == [1, 1, 0]
    for journal in journals.values():
        journal.close()
    states = {w.id: w.status for w in tally.look(time.time()).workers}
    assert (states["here"], states["there"]) == ("dead", "unknown")
    assert source.health() is None


def _row(source: FollowedDirectory) -> tuple[float | int | None, ...]:
    return tuple(source.view.space.pack(source.view.record(0).config))


def test_what_a_later_version_recorded_is_said_once(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    """Events of an unknown kind in a journal are skipped with one line, however often it is looked at."""
    directory = make_run(tmp_path / "r", [3.0])
    journal = Journal(directory / "journal" / "new.log")
    journal.append([Batch("new", 1, (remark(1), remark(2)))])
    journal.close()
    assert invoke(["watch", str(directory), "--json", "--interval", "0.5"]) == 0
    told = capsys.readouterr()
    assert {json.loads(line)["study"]["ended"] for line in told.out.splitlines()} == {1}
    [line] = [line for line in told.err.splitlines() if "events of kind" in line]
    assert line.startswith(f"aiohpo: {directory}: events of kind 99 are kept")
    assert invoke(["show", str(directory)]) == 0
    assert capsys.readouterr().out.count("events of kind 99 are kept") == 1


def test_the_screen_keeps_what_was_last_seen(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    """When the live screen is closed, its last picture is printed below the prompt."""
    screen = Screen()
    with screen:
        screen.say("worker x is dead")
        screen.update(Tally(FollowedDirectory(make_run(tmp_path / "r", [3.0]))).look(time.time()))
    out = capsys.readouterr().out
    assert "best loss 3 (trial 0)" in out
    assert "worker x is dead" in out


def test_what_is_said_before_the_screen_opens_goes_to_stderr(capsys: pytest.CaptureFixture[str]) -> None:
    """Whoever waits for an answer may read meanwhile why there is none."""
    for show in (Screen(), LogLines(), JsonLines()):
        show.say("a peer\nrefused us")
        assert capsys.readouterr().err == "aiohpo: a peer refused us\n"
