"""Real workers, really killed."""

from __future__ import annotations

import os
import signal
from pathlib import Path

import pytest
from processes import STUDY, alive, call, ended, finish, shown, start, statuses, until, workers

pytestmark = pytest.mark.smoke


@pytest.fixture
def place(tmp_path: Path) -> Path:
    """A directory with a study whose trials take a tenth of a second."""
    (tmp_path / "train.py").write_text(STUDY.format(seconds=0.1))
    return tmp_path


def test_one_killed_worker_leaves_the_others_finishing_the_exact_budget(place: Path) -> None:
    """kill -9 of one of four workers: all trials are done, its running one by another worker, nothing is lost."""
    running = start(place, "run", "train.py", "--trials", "60", "--workers", "4", "--dir", "r")
    until(lambda: ended(place, "r") >= 12)
    before = {trial["id"] for trial in shown(place, "r")["trials"] if trial["status"] == "finished"}
    os.kill(workers(running)[2], signal.SIGKILL)
    code, out, err = finish(running)
    assert code == 0, err
    assert "worker 2 (pid " in err
    assert "was killed by SIGKILL; the other 3 go on" in err
    show = shown(place, "r")
    finished = [trial for trial in show["trials"] if trial["status"] == "finished"]
    assert len(finished) == show["study"]["ended"] == 60
    assert statuses(show) - statuses({"trials": finished}) in ({}, {"surplus": statuses(show)["surplus"]})
    assert before <= {trial["id"] for trial in show["trials"] if trial["status"] in ("finished", "surplus")}
    assert sorted(worker["status"] for worker in show["workers"]) == ["gone", "left", "left", "left"]
    assert out.startswith("60 trials in ")


def test_all_killed_and_run_again_finishes_the_budget(place: Path) -> None:
    """kill -9 of all workers: the parent says how to go on, and the same command does."""
    args = ("run", "train.py", "--trials", "40", "--workers", "3", "--dir", "r")
    running = start(place, *args)
    until(lambda: ended(place, "r") >= 10)
    for pid in workers(running):
        os.kill(pid, signal.SIGKILL)
    code, out, err = finish(running)
    assert code == 1
    assert "all workers ended before the search was over" in err
    assert out.splitlines()[-1].strip() == f"aiohpo {' '.join(args)}   # go on"
    before = {trial["id"]: trial["value"] for trial in shown(place, "r")["trials"] if trial["status"] == "finished"}
    code, out, err = call(place, *args)
    assert code == 0, err
    assert "trials already: going on from there" in err
    show = shown(place, "r")
    assert show["study"]["ended"] == 40
    assert before.items() <= {trial["id"]: trial["value"] for trial in show["trials"]}.items()


def test_a_killed_parent_takes_nobody_with_it(place: Path) -> None:
    """kill -9 of the launcher: its workers finish the search and leave in good order."""
    running = start(place, "run", "train.py", "--trials", "30", "--workers", "3", "--dir", "r")
    until(lambda: ended(place, "r") >= 5)
    pids = workers(running)
    running.kill()
    running.communicate()
    until(lambda: not any(map(alive, pids)))
    show = shown(place, "r")
    assert show["study"]["ended"] == 30
    assert [worker["status"] for worker in show["workers"]] == ["left"] * 3
    assert list((place / "r" / "peers").iterdir()) == []


def test_a_worker_joins_a_running_search_by_its_directory(place: Path) -> None:
    """A worker started by hand with the same directory takes part in the same budget."""
    running = start(place, "run", "train.py", "--trials", "60", "--workers", "2", "--dir", "r")
    until(lambda: ended(place, "r") >= 3)
    code, _, err = call(place, "worker", "train.py", "--dir", "r", "--trials", "60")
    assert code == 0, err
    assert finish(running)[0] == 0
    show = shown(place, "r")
    assert show["study"]["ended"] == 60
    joined = next(worker["id"] for worker in show["workers"] if worker["rank"] is None)
    assert sum(trial["worker"] == joined for trial in show["trials"]) > 3
