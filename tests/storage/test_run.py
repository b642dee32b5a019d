"""Tests of reading a run directory without the program that made it."""

from __future__ import annotations

import asyncio
import json

import pytest

from aiohpo import Float, Space, Study, UsageError
from aiohpo.report.tally import run_as_dict
from aiohpo.storage.run import open_run

SPACE = Space(x=Float(0.0, 1.0))


async def objective(trial):
    await asyncio.sleep(0)
    return trial["x"]


def run(path, trials=4, **options):
    study = Study(objective, SPACE, **{"searcher": "random", "directory": path, **options})
    return asyncio.run(study.arun(trials=trials))


def test_a_run_is_read_as_it_was(tmp_path):
    """Records, best and budget are those of the run itself."""
    result = run(tmp_path / "run", mode="max", metric="score")
    opened = open_run(tmp_path / "run")
    assert list(opened.records()) == result.trials
    assert opened.view.goal is not None
    assert opened.view.goal[1] == 4
    plain = run_as_dict(opened)
    assert json.loads(json.dumps(plain, allow_nan=False)) == plain
    assert plain["study"]["metric"] == "score"
    assert plain["study"]["best"]["value"] == result.best.value
    assert (plain["study"]["trials"], plain["study"]["ended"], plain["study"]["running"]) == (4, 4, 0)
    assert [t["status"] for t in plain["trials"]] == ["finished"] * 4
    assert {"id", "number", "status", "config", "value", "metrics", "step", "worker", "started", "seconds"} <= set(
        plain["trials"][0]
    )
    assert [w["status"] for w in plain["workers"]] == ["left"]


def test_what_a_vanished_worker_left_running_is_shown_as_lost(tmp_path):
    """A trial that never ended and whose worker is dead is lost; while the worker lives it is running."""
    study = Study(None, SPACE, searcher="random", directory=tmp_path / "run")
    study.ask()
    assert [r.status for r in open_run(tmp_path / "run").records()] == ["running"]
    assert study._manual is not None
    study._manual.close()
    opened = open_run(tmp_path / "run")
    assert [r.status for r in opened.records()] == ["lost"]
    assert list(opened.loaded.states.values()) == ["dead"]


def test_reading_changes_nothing(tmp_path):
    """A torn end is reported and left for the next run to cut."""
    run(tmp_path / "run")
    [journal] = (tmp_path / "run" / "journal").glob("*.log")
    with journal.open("ab") as file:
        file.write(b"half a rec")
    before = journal.read_bytes()
    assert len(open_run(tmp_path / "run").loaded.damage) == 1
    assert journal.read_bytes() == before


def test_no_run_is_a_usage_error(tmp_path):
    """Anything but a run directory is refused."""
    with pytest.raises(UsageError, match="not a run directory"):
        open_run(tmp_path)
    with pytest.raises(UsageError, match="not a run directory"):
        open_run(tmp_path / "nowhere")
