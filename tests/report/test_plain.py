"""A search on stderr or in a log."""

from __future__ import annotations

import dataclasses
import re
from itertools import pairwise
from pathlib import Path

import pytest

import aiohpo
from aiohpo.events.log import Log
from aiohpo.peer.recorder import Recorder
from aiohpo.plugin.objective import Objective
from aiohpo.report import plain as display
from aiohpo.report.plain import BarDisplay, LogDisplay, QuietDisplay, TrialLines, as_line
from aiohpo.report.sources import FollowedDirectory
from aiohpo.report.tally import Tally
from aiohpo.storage.follower import Follower
from aiohpo.view.view import View
from tests.report.test_screen import busy, slotted
from tests.report.test_tally import NOW, Told
from tests.support.run_directories import BEGAN, make_climb, make_run


def tally_of(directory: Path) -> Tally:
    return Tally(FollowedDirectory(directory))


def test_all_of_it_in_one_line() -> None:
    """What a log gets."""
    line = as_line(busy())
    assert line.startswith("4 trials, best loss 4.25 (trial 3), 2.4/min, ")
    assert "workers: 4 alive, 1 suspect, 1 dead, 1 left, round trip 2 ms" in line
    assert as_line(Tally(Told()).look(NOW)).startswith("0 trials, no result yet, 0/s, workers: none yet")
    assert "2 of 3 workers, round trip" in as_line(busy(), "2 of 3 workers")
    assert "2 of 2 workers, 64 slots, round trip" in as_line(slotted(2, 32, 1), "2 of 2 workers")
    state = {"metric": "log_loss", "size": 3, "score": 0.5, "single": 0.75}
    assert "ensemble of 3: log_loss 0.5" in as_line(dataclasses.replace(busy(), ensemble=state))


def test_rungs_and_promotions_are_seen_where_trials_pause(tmp_path: Path) -> None:
    """How many are complete, how many got how far, who was promoted, and where the best value is from."""
    now = tally_of(make_climb(tmp_path / "r", [1, 3, 1])).look(BEGAN + 10)
    assert as_line(now).startswith(
        "3 trials, 0 complete, rungs 1:3 3:1 9:0, 1 promoted (1 on another worker), "
        "best accuracy 1.03 after 3 of 9 steps (trial 1), "
    )


def test_every_trial_that_ends_or_pauses_from_now_on_has_a_line() -> None:
    """How it ended, its value, how long it took and its configuration, with nothing in it that acts on a terminal."""
    space = aiohpo.Space(x=aiohpo.Float(0, 1))
    view = View(space, Objective("accuracy", "max"), 9)
    recorder = Recorder("a" * 12, view, Log(), "")

    def trial(x: float, how: str, value: float | None = None, error: str | None = None) -> None:
        segment = recorder.propose(BEGAN, (x,))
        if how == "paused" and value is not None:
            recorder.report(segment, 3, value, {})
        elif how != "running":
            recorder.end(segment, how, step=0, seconds=0.5, value=value, error=error)
        if how == "paused":
            recorder.end(segment, "paused", step=3, seconds=0.5)

    trial(0.0, "finished", 0.25)
    lines = TrialLines(view)
    trial(0.125, "finished", 0.125)
    trial(0.25, "finished", 0.5)
    trial(0.375, "failed", error="ValueError: \x1b]0;owned")
    trial(0.5, "paused", 0.75)
    trial(0.625, "running")
    assert lines.new() == [
        "trial 1: accuracy 0.125 in 500 ms; x=0.125",
        "trial 2: accuracy 0.5 in 500 ms, the best so far; x=0.25",
        r"trial 3: failed in 500 ms: ValueError: \x1b]0;owned; x=0.375",
        "trial 4: paused, accuracy 0.75 after 3 of 9 steps in 500 ms; x=0.5",
    ]
    assert lines.new() == []


def test_a_log_has_a_line_for_each_trial_that_ended_since(tmp_path: Path) -> None:
    """Those that ended before are not repeated, nor when the directory is read anew."""
    directory = make_run(tmp_path / "r", [3.0])
    source = FollowedDirectory(directory)
    tally = Tally(source)
    tally.poll()
    said: list[str] = []
    with display.display("lines", said.append, source) as shown:
        shown.update(tally, 1, 1)
        assert said == []
        make_run(directory, [2.0, 4.0])
        tally.poll()
        shown.update(tally, 1, 1)
        # By number, which depends on how the two writers' random ids compare.
        assert [re.sub(r"trial \d: (loss \d) in .*", r"\1", line) for line in said] == ["loss 2", "loss 4"]
        source._follower = Follower(directory)
        shown.update(tally, 1, 1)
        assert len(said) == 2


def test_nothing_but_notices_is_shown_if_that_is_wished(tmp_path: Path) -> None:
    """Progress none."""
    source = FollowedDirectory(make_run(tmp_path / "r", [3.0]))
    said: list[str] = []
    with display.display(None, said.append, source) as shown:
        assert isinstance(shown, QuietDisplay)
        shown.update(Tally(source), 1, 1)
        shown.say("a notice")
    assert said == ["a notice"]


def test_plain_lines_come_ever_more_rarely(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """The first after five seconds, then at growing distances of at most a minute."""
    tally = tally_of(make_run(tmp_path / "r", [1.0]))
    now = 1000.0
    monkeypatch.setattr(display.time, "monotonic", lambda: now)
    said: list[str] = []
    said_at = []
    tally.poll()
    with LogDisplay(said.append, tally._source) as plain:
        for second in range(600):
            now = 1000.0 + second
            plain.update(tally, 1, 2)
            if said:
                assert "1 of 2 workers" in said.pop()
                said_at.append(second)
    assert said_at[0] == 5
    pauses = [b - a for a, b in pairwise(said_at)]
    assert pauses == sorted(pauses)
    assert max(pauses) == 60


def test_the_live_display_takes_any_text(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    """Brackets in messages are text and not markup."""
    tally = tally_of(make_run(tmp_path / "r", [1.0]))
    with BarDisplay() as live:
        live.update(tally, 1, 2)
        live.say("install aiohpo[plot] [/]")
    assert "install aiohpo[plot] [/]" in capsys.readouterr().err
