"""Run directories with known contents, for tests of what reads them."""

from __future__ import annotations

import os
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import numpy as np

import aiohpo
from aiohpo.events.log import Log
from aiohpo.mesh.effects import Persist
from aiohpo.peer.recorder import Recorder
from aiohpo.plugin.objective import Objective
from aiohpo.runtime.assembly.services import new_worker_id
from aiohpo.storage.run_directory import RunDirectory
from aiohpo.view.view import View

# What names, choices and errors may hold: colours, a terminal's commands, lines, changes of direction, markup, an emoji
# code, a formula for TeX, letters that few fonts and encodings have, NUL and half of a surrogate pair.
HOSTILE = "\x1b[31mred\x1b[0m\x1b]52;c;Z\x07\r\n\u202eevil\u200b[/][bold] :smile: $\\frac{$ 漢字 \x9b2J\x00\ud800"
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
    path: Path,
    outcomes: Sequence[float | str | None],
    *,
    mode: str = "min",
    goal: int | None = None,
    left: bool = True,
    slots: int = 1,
) -> Path:
    """Make a run directory in which one worker ran trials of half a second with these outcomes, and is gone.

    A number is a trial's loss, a text the error that it failed with, None a trial that never ended. The worker
    left in good order, or was killed.
    """
    study = aiohpo.Study(None, SPACE, metric="loss", mode=mode, searcher="random", directory=path)
    directory = RunDirectory(path, study._definition.as_dict())
    worker = new_worker_id()
    recorder = Recorder(worker, View(SPACE, Objective("loss", study.mode)), Log(), directory.id)
    recorder.begin(BEGAN, "host", os.getpid(), None, slots)
    if goal is not None:
        recorder.set_goal(goal)
    for i, outcome in enumerate(outcomes):
        segment = recorder.propose(BEGAN + i, SPACE.pack(config(i)))
        if isinstance(outcome, str):
            recorder.end(segment, "failed", step=0, seconds=0.5, error=outcome)
        elif outcome is not None:
            recorder.end(segment, "finished", step=0, seconds=0.5, value=outcome, extra={"size": 1.5})
    if left:
        recorder.record_leaving(BEGAN + len(outcomes), "done")
    journal = directory.journal(worker)
    journal.append([effect.batch for effect in recorder.drain() if isinstance(effect, Persist)])
    journal.close()
    return path


def make_named_run(
    path: Path, space: aiohpo.Space, metric: str, values: Sequence[float | str], mode: str = "min"
) -> Path:
    """Make a run directory with trials of a space and a metric of any names, worth ``values`` (a text: its error) after
    two reports, half of it and all."""
    study = aiohpo.Study(None, space, metric=metric, mode=mode, max_steps=2, searcher="random", directory=path)
    directory = RunDirectory(path, study._definition.as_dict())
    worker = new_worker_id()
    recorder = Recorder(worker, View(space, Objective(metric, mode), 2), Log(), directory.id)
    recorder.begin(BEGAN, "host", os.getpid(), None)
    configs = space.decode(space.sample(np.random.default_rng(0), len(values)))
    for i, (config, value) in enumerate(zip(configs, values, strict=True)):
        segment = recorder.propose(BEGAN + i, space.pack(config))
        if isinstance(value, str):
            recorder.end(segment, "failed", step=0, seconds=0.5, error=value)
            continue
        for step, reported in enumerate((value / 2, value), 1):
            recorder.report(segment, step, reported, {})
        recorder.end(segment, "finished", step=2, seconds=0.5, value=value)
    recorder.record_leaving(BEGAN + len(values), "done")
    journal = directory.journal(worker)
    journal.append([effect.batch for effect in recorder.drain() if isinstance(effect, Persist)])
    journal.close()
    return path


def make_climb(path: Path, tops: Sequence[int], *, first: Sequence[int] | None = None) -> Path:
    """Make a run directory in which two workers trained trials to step 1, 3 and 9 (the end), as ASHA does.

    Trial i got to step ``tops[i]`` and was worth i + step/100 (of a maximised metric) after each step; it first paused
    at ``first[i]`` (1). Whenever it was promoted, the other worker went on with it, a second later.
    """
    study = aiohpo.Study(
        None, SPACE, metric="accuracy", mode="max", max_steps=9, searcher="random", scheduler="asha", directory=path
    )
    directory = RunDirectory(path, study._definition.as_dict())
    view, log = View(SPACE, Objective("accuracy", "max"), 9), Log()
    ledgers = [Recorder(new_worker_id(), view, log, directory.id) for _ in range(2)]
    for rank, recorder in enumerate(ledgers):
        recorder.begin(BEGAN, "host", os.getpid() + rank, rank)
    for i, top in enumerate(tops):
        done = 0
        for attempt, to_step in enumerate(step for step in (1, 3, 9) if (first[i] if first else 1) <= step <= top):
            recorder, wall = ledgers[attempt % 2], BEGAN + i + attempt
            goal = to_step if to_step < 9 else None
            if attempt == 0:
                segment = recorder.propose(wall, SPACE.pack(config(i)), goal)
            else:
                segment = recorder.record_claim(wall, segment.row, goal)
            for step in range(done + 1, to_step + 1):
                recorder.report(segment, step, i + step / 100, {})
            value = None if goal else i + to_step / 100
            recorder.end(segment, "paused" if goal else "finished", step=to_step, seconds=0.5, value=value)
            done = to_step
    for recorder in ledgers:
        recorder.record_leaving(BEGAN + len(tops) + 3, "done")
        journal = directory.journal(recorder.me)
        journal.append([effect.batch for effect in recorder.drain() if isinstance(effect, Persist)])
        journal.close()
    return path
