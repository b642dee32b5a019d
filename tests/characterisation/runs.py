"""What ``best``, ``show`` and ``watch`` print with ``--json`` about three run directories.

plain  a worker that left, one that was killed on this machine, one on another machine and one that lives
asha   promotions among four workers, of which one was killed in the middle and one is still at work
pbt    trials that inherit from each other, all done

The directories hold made-up histories; the schedulers in them are the real ones. The clock stands still, two
minutes after the beginning.
"""

from __future__ import annotations

import contextlib
import io
import json
import tempfile
import time
from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path
from typing import Any
from unittest.mock import patch

import msgspec
import numpy as np

from aiohpo import Float, Space, Study
from aiohpo.cli.main import invoke
from aiohpo.events.codec import encode_event
from aiohpo.events.schema import Batch, Claimed, Ended, Event, Goal, Left, Proposed, Reported, Started
from aiohpo.plugin import Config
from aiohpo.plugin.registry import create
from aiohpo.storage.journal import Journal
from aiohpo.storage.run_directory import RunDirectory
from tests.support.run_directories import BEGAN, SPACE, config
from tests.support.training_swarm import Swarm

RATES = Space(lr=Float(1e-3, 1.0, log=True))


def observe() -> dict[str, Any]:
    seen: dict[str, Any] = {}
    for name, make in {"plain": plain, "asha": asha, "pbt": pbt}.items():
        with tempfile.TemporaryDirectory() as place, make(Path(place) / "run") as path:
            commands = [["best"], ["show"], ["show", "--failed"], ["show", "--lineage"], ["watch", "--once"]]
            for command, *options in commands:
                seen[" ".join([name, command, *options])] = _ask(path, [command, str(path), *options, "--json"])
    return seen


def _ask(path: Path, args: Sequence[str]) -> Any:
    with (
        patch.object(time, "time", lambda: BEGAN + 120.0),
        contextlib.redirect_stdout(io.StringIO()) as out,
        contextlib.redirect_stderr(io.StringIO()) as err,
    ):
        code = invoke(args)
    text = out.getvalue().replace(str(path), "DIR")
    return {"exit code": code, "stdout": json.loads(text) if text else None, "stderr": err.getvalue()}


@contextlib.contextmanager
def _directory(
    path: Path, study: Study, histories: Mapping[str, Sequence[Event]], alive: Sequence[str] = ()
) -> Iterator[Path]:
    """A run directory with a journal for each worker; the journals of living workers are open."""
    definition = study._definition.as_dict()
    definition["created"] = "2023-11-14T22:13:20+0000"
    directory = RunDirectory(path, definition)
    opened: list[Journal] = []
    for worker, events in histories.items():
        journal = directory.journal(worker)
        journal.append([Batch(worker, 1, tuple(map(encode_event, events)))])
        opened.append(journal)
        if worker not in alive:
            journal.close()
    try:
        yield path
    finally:
        for journal in opened:
            journal.close()


def _started(worker: int, host: str = "here") -> Started:
    return Started(1 + worker, BEGAN + worker, host, 1000 + worker, "journal", worker)


def plain(path: Path) -> contextlib.AbstractContextManager[Path]:
    study = Study(None, SPACE, metric="loss", searcher="random", directory=path)

    def proposed(lamport: int, i: int) -> Proposed:
        return Proposed(lamport, BEGAN + lamport, SPACE.pack(config(i)))

    left = [_started(0), Goal(5, 12)]
    for i, loss in enumerate([0.5, 0.25, None, 0.75]):
        at = 10 + 10 * i
        left.append(proposed(at, i))
        how = "failed" if loss is None else "finished"
        error = ("ValueError: it diverged", "Traceback …") if loss is None else (None, None)
        left.append(Ended(at + 8, len(left), 0, how, 0, loss, 8.5, {"size": 1.5} if loss else None, *error))
    killed = [_started(1), proposed(11, 4), Ended(21, 2, 0, "finished", 0, 0.125, 10.0), proposed(22, 5)]
    elsewhere = [_started(2, "elsewhere"), proposed(13, 6), Reported(17, 2, 0, 1, 0.3, {"size": 2.0})]
    alive = [_started(3), proposed(14, 7), Ended(44, 2, 0, "finished", 0, 0.625, 30.0), proposed(45, 8)]
    return _directory(
        path,
        study,
        {"w0": [*left, Left(60, BEGAN + 60, "done")], "w1": killed, "w2": elsewhere, "w3": alive},
        alive=["w3"],
    )


def descend(weights: Any, config: Config, step: int) -> tuple[Any, float]:
    """Gradient descent on noisy losses in expectation; too large a step diverges."""
    if config["lr"] > 0.7:
        raise ArithmeticError("it diverged")
    error = 1.0 if weights is None else weights
    error = (1 - config["lr"]) * error + config["lr"] ** 2
    return error, error


def asha(path: Path) -> contextlib.AbstractContextManager[Path]:
    study = Study(None, RATES, metric="loss", max_steps=9, searcher="random", scheduler="asha", directory=path)
    swarm = _swarm("asha", 9)
    swarm._say(swarm.workers[0], Goal(swarm._now(), 100))
    for tick in range(22):
        if tick == 6:
            swarm.kill(swarm.workers[3])
        swarm.tick()
    for tick in range(200):
        if swarm.workers[1].segment is not None and tick > 3:
            break
        swarm.tick()
    return _directory(path, study, _said(swarm, left=["w0", "w2"]), alive=["w1"])


def pbt(path: Path) -> contextlib.AbstractContextManager[Path]:
    scheduler = "pbt:population=4,interval=3"
    study = Study(
        None, RATES, metric="loss", mode="max", max_steps=12, searcher="random", scheduler=scheduler, directory=path
    )
    swarm = _swarm(scheduler, 12, mode="max")
    swarm.run()
    return _directory(path, study, _said(swarm, left=["w0", "w1", "w2", "w3"]))


def _swarm(scheduler: str, steps: int, **more: Any) -> Swarm:
    swarm = Swarm(RATES, steps, lambda: create("schedulers", scheduler), descend, seed=2, **more)
    for i, worker in enumerate(swarm.workers):
        swarm._say(worker, _started(i))
    swarm.spread()
    return swarm


def _said(swarm: Swarm, left: Sequence[str]) -> dict[str, list[Event]]:
    """What each worker said, a second of wall-clock time for each tick of the Lamport clock."""
    said: dict[str, list[Event]] = {}
    for worker in swarm.workers:
        events = said[worker.name] = []
        for event in worker.said:
            if isinstance(event, Proposed | Claimed):
                event = msgspec.structs.replace(event, time=BEGAN + event.lamport)
            events.append(event)
        if worker.name in left:
            last = max(event.lamport for each in swarm.workers for event in each.said)
            events.append(Left(last + 1, BEGAN + last + 1, "done"))
    assert np.all([len(events) > 2 for events in said.values()])
    return said
