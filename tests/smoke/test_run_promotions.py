"""Trials that pause in one process and go on in another, while one of the processes is killed."""

from __future__ import annotations

import json
import os
import signal
from pathlib import Path

import pytest

from aiohpo.storage.run import Run, open_run
from tests.smoke.processes import finish, start, until, workers

pytestmark = [pytest.mark.smoke, pytest.mark.cluster]

STUDY = """
import asyncio
import json
from pathlib import Path
import aiohpo

OPEN = Path(__file__).with_name("open")
resumed = 0

async def objective(trial):
    global resumed
    while resumed >= 2 and not OPEN.exists():  # few of the promotions of 40 trials, so that the search is not over
        await asyncio.sleep(0.005)
    resumed += trial.start > 0
    done = json.loads(trial.restore() or b"[]")
    assert len(done) == trial.start, f"the checkpoint has {len(done)} steps, not {trial.start}"
    for step in trial.steps():
        await asyncio.sleep(0.01)
        done.append(step)
        trial.report(loss=(trial["x"] - 0.3) ** 2 + 1 / len(done), steps=len(done))
        trial.save(json.dumps(done).encode())

study = aiohpo.Study(objective, aiohpo.Space(x=aiohpo.Float(0, 1)), max_steps=27, seed=3)
"""


def opened(place: Path) -> Run | None:
    return open_run(place / "r") if (place / "r" / "study.json").exists() else None


@pytest.mark.parametrize("algorithm", ["asha", "bohb"])
def test_promotions_survive_a_killed_worker(algorithm: str, tmp_path: Path) -> None:
    """Every segment begins with just the steps of those before it, whoever ran them; the budget is met exactly, and
    the end tells how far trials got."""
    (tmp_path / "train.py").write_text(STUDY)
    process = start(
        tmp_path,
        "run",
        "train.py",
        "--algorithm",
        algorithm,
        "--trials",
        "40",
        "--workers",
        "3",
        "--dir",
        "r",
        "--json",
    )
    until(lambda: (run := opened(tmp_path)) is not None and run.rungs().promoted >= 2)
    os.kill(workers(process)[1], signal.SIGKILL)
    (tmp_path / "open").touch()
    code, out, err = finish(process)
    assert code == 0, err
    found = json.loads(out)
    assert found["done"] == 40
    assert [step for step, _ in found["rungs"]] == [1, 3, 9, 27]
    assert found["best"]["metrics"]["steps"] == found["best"]["step"]
    run = opened(tmp_path)
    assert run is not None
    assert not [record.error for record in run.records() if record.error]
    assert run.rungs().moved_segments[1] > 0
    assert all(sorted(record.curve) == list(range(1, record.step + 1)) for record in run.records())
