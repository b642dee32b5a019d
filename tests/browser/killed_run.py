"""A search by real workers, one of which is really killed while it holds a trial."""

from __future__ import annotations

import os
import signal
from pathlib import Path

from aiohpo.storage.run import open_run
from tests.smoke.processes import end_all, finish, start, until, workers

STUDY = """
import asyncio
from pathlib import Path
import aiohpo

OPEN = Path(__file__).with_name("open")
begun = 0

async def objective(trial):
    global begun
    begun += 1
    while begun > 4 and not OPEN.exists():  # so that the search is not over before the killed one is missed
        await asyncio.sleep(0.005)
    print(f"it begins with x = {trial['x']:.3f}")
    trial.note(origin="a test")
    trial.attach("study.py", __file__)
    for step in trial.steps():
        await asyncio.sleep(0.002)
        if trial["kind"] == "weak" and trial["x"] > 0.7:
            raise ValueError("the loss is not finite")
        loss = (trial["x"] - 0.3) ** 2 + (trial["kind"] == "weak") / 10 + 1 / step
        trial.report(loss=loss, accuracy=1 - loss / 3)
        trial.save(b"state")

space = aiohpo.Space(x=aiohpo.Float(0, 1), rate=aiohpo.Float(1e-4, 1e-1, log=True), width=aiohpo.Int(8, 64, log=True),
                     kind=aiohpo.Categorical(["strong", "weak"]), extra=aiohpo.Float(0, 1, when={"kind": "weak"}))
study = aiohpo.Study(objective, space, max_steps=9, seed=3)
"""


def _begun(directory: Path) -> int:
    return open_run(directory).view.n_rows if (directory / "study.json").exists() else 0


def _lost(directory: Path) -> bool:
    view = open_run(directory).view
    return any(view.losses(row) for row in range(view.n_rows))


def run_with_a_killed_worker(place: Path) -> Path:
    """Run 60 trials with asha and four workers; kill one, let the others go on once they know; return the directory."""
    (place / "train.py").write_text(STUDY)
    directory = place / "search"
    arguments = ("--algorithm", "asha", "--trials", "60", "--workers", "4", "--dir", "search")
    process = start(place, "run", "train.py", *arguments)
    try:
        until(lambda: len(workers(process)) == 4 and _begun(directory) >= 12)
        os.kill(workers(process)[2], signal.SIGKILL)
        until(lambda: _lost(directory))
        (place / "open").touch()
        code, _, err = finish(process)
        assert code == 0, err
    finally:
        end_all()
    return directory
