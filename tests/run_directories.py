"""Run directories with known contents, for tests of what reads them."""

from __future__ import annotations

import os
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import aiohpo
from aiohpo.directory import RunDirectory
from aiohpo.effects import Persist
from aiohpo.ledger import Ledger
from aiohpo.log import Log
from aiohpo.parts import new_worker_id
from aiohpo.view import View

BEGAN = 1_700_000_000.0  # seconds since the epoch
SPACE = aiohpo.Space(
    lr=aiohpo.Float(1e-5, 1e-1, log=True),
    optimizer=aiohpo.Categorical(["sgd", "adam"]),
    momentum=aiohpo.Float(0.0, 0.99, when={"optimizer": "sgd"}),
    layers=aiohpo.Int(1, 4),
    mixed=aiohpo.Categorical([1, "one", True, None]),
    epochs=aiohpo.Constant(10),
)


def config(i: int) -> dict[str, Any]:
    """The i-th of eight different configurations of :data:`SPACE`."""
    optimizer = ["sgd", "adam"][i % 2]
    momentum = {"momentum": 0.1 * i} if optimizer == "sgd" else {}
    mixed = [1, "one", True, None][i % 4]
    return {
        "lr": 10.0 ** -(1 + i % 4),
        "optimizer": optimizer,
        **momentum,
        "layers": 1 + i % 4,
        "mixed": mixed,
        "epochs": 10,
    }


def make_run(
    path: Path, outcomes: Sequence[float | str | None], *, mode: str = "min", goal: int | None = None, left: bool = True
) -> Path:
    """Make a run directory in which one worker ran trials of half a second with these outcomes, and is gone.

    A number is a trial's loss, a text the error that it failed with, None a trial that never ended. The worker
    left in good order, or was killed.
    """
    study = aiohpo.Study(None, SPACE, metric="loss", mode=mode, searcher="random", directory=path)
    directory = RunDirectory(path, study.definition())
    worker = new_worker_id()
    ledger = Ledger(worker, View(SPACE, "loss", study.mode), Log(), directory.id)
    ledger.begin(BEGAN, "host", os.getpid(), None)
    if goal is not None:
        ledger.set_goal(goal)
    for i, outcome in enumerate(outcomes):
        segment = ledger.propose(BEGAN + i, SPACE.pack(config(i)))
        if isinstance(outcome, str):
            ledger.end(0.0, segment, "failed", step=0, seconds=0.5, error=outcome)
        elif outcome is not None:
            ledger.end(0.0, segment, "finished", step=0, seconds=0.5, value=outcome, extra={"size": 1.5})
    if left:
        ledger.left(BEGAN + len(outcomes), "done")
    journal = directory.journal(worker)
    journal.append([effect.batch for effect in ledger.drain() if isinstance(effect, Persist)])
    journal.close()
    return path
