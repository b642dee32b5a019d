"""Progress figures and how they are shown."""

from __future__ import annotations

import os
import time
from itertools import pairwise
from pathlib import Path

import pytest

from aiohpo.report import plain as display
from aiohpo.report.plain import Live, Plain, Progress
from aiohpo.storage.follower import Follower
from tests.support.run_directories import BEGAN, make_climb, make_run


def progress_of(directory: Path, began: float, pids: frozenset[int], total: int | None = None) -> Progress:
    follower = Follower(directory)
    progress = Progress(follower.view, pids, size=2, total=total, began=began, alive=2)
    progress.look(2, follower.poll())
    return progress


def test_figures_come_from_the_journal(tmp_path: Path) -> None:
    """Done of total, the best value, and the workers alive."""
    progress = progress_of(make_run(tmp_path / "r", [3.0, "boom", 1.0]), time.time() - 10, frozenset(), 20)
    assert progress.as_text().startswith("3/20 trials, best loss 1, 0.")
    assert progress.as_text().endswith("2 of 2 workers")


def test_rungs_and_promotions_are_seen_where_trials_pause(tmp_path: Path) -> None:
    """How many are complete, how many got how far, who was promoted, and where the best value is from."""
    progress = progress_of(make_climb(tmp_path / "r", [1, 3, 1]), time.time() - 10, frozenset(), 20)
    assert progress.as_text().startswith(
        "3/20 trials, 0 complete, rungs 1:3 3:1 9:0, 1 promoted (1 on another worker), "
        "best accuracy 1.03 after 3 of 9 steps, 0."
    )


def test_what_goes_beyond_the_budget_is_no_progress(tmp_path: Path) -> None:
    """The bar ends at its total."""
    assert progress_of(make_run(tmp_path / "r", [3.0, 2.0, 1.0], goal=2), 0.0, frozenset(), 2).done == 2


def test_only_this_launchs_workers_count_as_busy(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """A running trial of somebody else's worker does not make ours busy; one of ours does."""
    directory = make_run(tmp_path / "r", [None], left=False)
    monkeypatch.setattr(display.time, "time", lambda: BEGAN + 10)
    assert progress_of(directory, BEGAN, frozenset([os.getpid()])).utilisation == pytest.approx(0.5)
    assert progress_of(directory, BEGAN, frozenset([os.getpid() + 1])).utilisation == 0.0


def test_a_worker_that_died_is_not_idle(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Time is counted while a worker lives."""
    progress = progress_of(make_run(tmp_path / "r", []), time.time(), frozenset())
    monkeypatch.setattr(display.time, "time", lambda: progress._looked + 10)
    before = progress.alive_seconds
    progress.look(1, [])
    assert progress.alive_seconds - before == pytest.approx(20)
    monkeypatch.setattr(display.time, "time", lambda seen=progress._looked: seen + 10)
    progress.look(1, [])
    assert progress.alive_seconds - before == pytest.approx(30)


def test_plain_lines_come_ever_more_rarely(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    """The first after five seconds, then at growing distances of at most a minute."""
    progress = progress_of(make_run(tmp_path / "r", [1.0]), time.time(), frozenset())
    now = 1000.0
    monkeypatch.setattr(display.time, "monotonic", lambda: now)
    said_at = []
    with Plain() as plain:
        for second in range(600):
            now = 1000.0 + second
            plain.update(progress)
            if capsys.readouterr().err:
                said_at.append(second)
    assert said_at[0] == 5
    pauses = [b - a for a, b in pairwise(said_at)]
    assert pauses == sorted(pauses)
    assert max(pauses) == 60


def test_the_live_display_takes_any_text(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    """Brackets in messages are text and not markup."""
    progress = progress_of(make_run(tmp_path / "r", [1.0]), time.time(), frozenset(), 3)
    with Live() as live:
        live.update(progress)
        live.say("install aiohpo[plot] [/]")
    assert "install aiohpo[plot] [/]" in capsys.readouterr().err
