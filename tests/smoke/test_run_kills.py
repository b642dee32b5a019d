"""Real workers, really killed: each holds a trial at a gate when it happens."""

from __future__ import annotations

import os
import signal
from pathlib import Path

import pytest

from aiohpo.events.schema import parse_trial
from aiohpo.storage.run import open_run
from aiohpo.view.trials import TrialRecord
from tests.smoke.processes import GATED, Gate, alive, call, finish, shown, start, statuses, until, workers

pytestmark = pytest.mark.smoke


@pytest.fixture
def place(tmp_path: Path) -> Path:
    """A directory with a study whose trials wait at a gate."""
    (tmp_path / "train.py").write_text(GATED)
    return tmp_path


def declared_lost(directory: Path) -> list[str]:
    """The trials whose worker the others declared dead. (A reader of the directory may know it before them.)"""
    view = open_run(directory).view
    return [trial.id for trial in view.records() if view.losses(view.row(parse_trial(trial.id)))]


def record(directory: Path, trial: str) -> TrialRecord:
    """What is known of a trial."""
    return next(found for found in open_run(directory).records() if found.id == trial)


def test_one_killed_worker_leaves_the_others_finishing_the_exact_budget(place: Path) -> None:
    """kill -9 of one of four workers: all trials are done, its running one by another worker, nothing is lost."""
    gate = Gate(place, 3)
    running = start(place, "run", "train.py", "--trials", "100", "--workers", "4", "--dir", "r")
    gate.gather(4)
    before = {trial["id"] for trial in shown(place, "r")["trials"] if trial["status"] == "finished"}
    assert len(before) == 12
    os.kill(workers(running)[2], signal.SIGKILL)
    until(lambda: declared_lost(place / "r") != [])
    (lost,) = declared_lost(place / "r")
    for passing in range(4, 30):  # who is free takes it over, but not all race for it: it may take a few turns
        gate.let(passing)
        gate.gather(3)
        if record(place / "r", lost).attempt > 0:
            break
    gate.open()
    code, out, err = finish(running)
    assert code == 0, err
    assert "worker 2 (pid " in err
    assert "was killed by SIGKILL; the other 3 continue" in err
    show = shown(place, "r")
    finished = [trial for trial in show["trials"] if trial["status"] == "finished"]
    assert len(finished) == show["study"]["ended"] == 100
    assert statuses(show) - statuses({"trials": finished}) in ({}, {"surplus": statuses(show)["surplus"]})
    assert before | {lost} <= {t["id"] for t in show["trials"] if t["status"] in ("finished", "surplus")}
    dead = next(worker["id"] for worker in show["workers"] if worker["status"] == "dead")
    assert lost.startswith(dead)
    assert record(place / "r", lost).worker != dead
    assert sorted(worker["status"] for worker in show["workers"]) == ["dead", "left", "left", "left"]
    assert out.startswith("100 trials in ")


def test_all_killed_and_run_again_finishes_the_budget(place: Path) -> None:
    """kill -9 of all workers: the parent says how to go on, and the same command does."""
    args = ("run", "train.py", "--trials", "20", "--workers", "3", "--dir", "r")
    gate = Gate(place, 3)
    running = start(place, *args)
    gate.gather(3)
    for pid in workers(running):
        os.kill(pid, signal.SIGKILL)
    code, out, err = finish(running)
    assert code == 1
    assert "all workers ended before the search was over" in err
    assert out.splitlines()[-1].strip() == f"aiohpo {' '.join(args)}   # continue"
    before = {trial["id"]: trial["value"] for trial in shown(place, "r")["trials"] if trial["status"] == "finished"}
    assert len(before) == 9
    gate.open()
    code, out, err = call(place, *args)
    assert code == 0, err
    assert "trials already: continuing from there" in err
    show = shown(place, "r")
    assert show["study"]["ended"] == 20
    assert before.items() <= {trial["id"]: trial["value"] for trial in show["trials"]}.items()


def test_a_killed_parent_takes_nobody_with_it(place: Path) -> None:
    """kill -9 of the launcher: its workers finish the search and leave in good order."""
    gate = Gate(place, 2)
    running = start(place, "run", "train.py", "--trials", "20", "--workers", "3", "--dir", "r")
    gate.gather(3)
    pids = workers(running)
    running.kill()
    running.communicate()
    gate.open()
    until(lambda: not any(map(alive, pids)))
    show = shown(place, "r")
    assert show["study"]["ended"] == 20
    assert [worker["status"] for worker in show["workers"]] == ["left"] * 3
    assert list((place / "r" / "peers").iterdir()) == []


def test_a_worker_joins_a_running_search_by_its_directory(place: Path) -> None:
    """A worker started by hand with the same directory takes part in the same budget."""
    gate = Gate(place, 2)
    running = start(place, "run", "train.py", "--trials", "20", "--workers", "2", "--dir", "r")
    gate.gather(2)
    late = start(place, "worker", "train.py", "--dir", "r", "--trials", "20")
    gate.gather(3)
    gate.open()
    for process in (late, running):
        code, _, err = finish(process)
        assert code == 0, err
    show = shown(place, "r")
    assert show["study"]["ended"] == 20
    joined = next(worker["id"] for worker in show["workers"] if worker["rank"] is None)
    assert sum(trial["worker"] == joined for trial in show["trials"]) > 2
