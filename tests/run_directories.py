"""Run directories with known contents, for tests of what reads them."""

from __future__ import annotations

import time
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import aiohpo
from aiohpo.directory import RunDirectory
from aiohpo.log import Log
from aiohpo.manual import Manual
from aiohpo.parts import new_worker_id
from aiohpo.view import View

SPACE = aiohpo.Space(
    lr=aiohpo.Float(1e-5, 1e-1, log=True),
    optimizer=aiohpo.Categorical(["sgd", "adam"]),
    momentum=aiohpo.Float(0.0, 0.99, when={"optimizer": "sgd"}),
    layers=aiohpo.Int(1, 4),
    mixed=aiohpo.Categorical([1, "one", True, None]),
    epochs=aiohpo.Constant(10),
)


class Listed:
    """A searcher that suggests the given configurations in order."""

    def __init__(self, configs: Sequence[dict[str, Any]]) -> None:
        self.configs = list(configs)

    def setup(self, space: aiohpo.Space, seed: int, identity: object) -> None:
        """Nothing to prepare."""

    def ask(self, view: object, rng: object, n: int = 1) -> list[dict[str, Any]]:
        taken, self.configs = self.configs[:n], self.configs[n:]
        return taken


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
    """Make a run directory in which one worker ran trials with these outcomes, and is gone.

    A number is a trial's loss, a text the error that it failed with, None a trial that never ended. The worker
    left in good order, or was killed.
    """
    study = aiohpo.Study(None, SPACE, metric="loss", mode=mode, searcher="random", directory=path)
    directory = RunDirectory(path, study.definition())
    log, view = Log(), View(SPACE, "loss", study.mode)
    worker = new_worker_id()
    manual = Manual(worker, view, log, 0, directory.journal(worker), directory.id)
    if goal is not None:
        manual.state.set_goal(goal)
    searcher = Listed([config(i) for i in range(len(outcomes))])
    for outcome in outcomes:
        asked = manual.ask(searcher)
        assert asked is not None
        if outcome is not None:
            error = outcome if isinstance(outcome, str) else None
            manual.tell(asked, None if error else float(outcome), {"seconds": 1.5}, error)
    if left:
        manual.state.leave(time.time(), "done", 0.0)
    manual._persist()
    manual.close()
    return path
