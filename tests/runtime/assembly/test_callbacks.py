"""Tests of who hears of trials, in virtual time."""

from __future__ import annotations

import asyncio
from collections.abc import Mapping
from typing import Any

import pytest

from aiohpo import Float, Space, Study, Trial, TrialCallback, TrialRecord, UsageError
from aiohpo.peer.limits import Limits
from aiohpo.plugin import Identity
from aiohpo.runtime.assembly import callbacks as module
from aiohpo.runtime.peer import Peer
from aiohpo.testing import SimNetwork, run
from tests.support.draws import Draws
from tests.support.peers import make_peer

Heard = list[tuple[Any, ...]]


class Listener(TrialCallback):
    """Writes down what it hears."""

    def __init__(self) -> None:
        self.heard: Heard = []

    def started(self, trial: TrialRecord) -> None:
        self.heard.append(("started", trial.attempt, dict(trial.curve)))

    def reported(self, trial: str, step: int, metrics: Mapping[str, float]) -> None:
        self.heard.append(("reported", step, dict(metrics)))

    def paused(self, trial: str) -> None:
        self.heard.append(("paused",))

    def ended(self, trial: TrialRecord) -> None:
        self.heard.append(("ended", trial.status, trial.value))

    def close(self) -> None:
        self.heard.append(("close",))


class Broken(TrialCallback):
    """Fails whenever it hears something."""

    def reported(self, trial: str, step: int, metrics: Mapping[str, float]) -> None:
        raise ValueError(f"of {trial}")


async def objective(trial: Trial) -> None:
    for step in trial.steps():
        await asyncio.sleep(1.0)
        trial.report(loss=1.0 / step, size=step)
        trial.save(step)
        if step == 2 and trial.start == 0:
            raise MemoryError


def search(trials: int, *callbacks: Any) -> tuple[Peer, list[str]]:
    """A worker that has searched, and what it said."""
    said: list[str] = []

    async def main() -> Peer:
        study = Study(
            objective, Space(x=Float(0.0, 1.0)), searcher=Draws(), max_steps=3, retries=1, callbacks=callbacks
        )
        peer = make_peer(
            study,
            limits=Limits(trials=trials),
            transport=SimNetwork(seed=0).endpoint("a" * 12),
            identity=Identity("a" * 12),
            notice=lambda text, **_: said.append(text),
        )
        await peer.start()
        await peer.run()
        await peer.aclose()
        return peer

    return run(main, timeout=600.0), said


def test_an_object_hears_of_starts_reports_and_ends_in_order() -> None:
    """Each segment begins with the curves of those before, and is over before the worker leaves."""
    listener = Listener()
    search(1, listener)
    assert listener.heard == [
        ("started", 0, {}),
        ("reported", 1, {"loss": 1.0, "size": 1.0}),
        ("reported", 2, {"loss": 0.5, "size": 2.0}),
        ("paused",),
        ("started", 1, {1: 1.0, 2: 0.5}),
        ("reported", 3, {"loss": 1 / 3, "size": 3.0}),
        ("ended", "finished", 1 / 3),
        ("close",),
    ]


def test_an_exception_in_a_callback_costs_nothing() -> None:
    """It is told once of each kind; the trials, the search and other callbacks go on."""
    heard: list[TrialRecord] = []

    def broken(record: TrialRecord) -> None:
        raise RuntimeError("no")

    listener = Listener()
    peer, said = search(3, Broken(), broken, heard.append, listener)
    assert [r.status for r in peer.view.records()] == ["finished"] * 3
    assert [r.id for r in heard] == [r.id for r in peer.view.records()]
    assert sum(what[0] == "ended" for what in listener.heard) == 3
    failed = [text for text in said if text.startswith("the callback")]
    assert sorted(failed) == [
        f"the callback Broken.reported failed: ValueError: of {heard[0].id}",
        "the callback test_an_exception_in_a_callback_costs_nothing.<locals>.broken failed: RuntimeError: no",
    ]


def test_reports_that_come_too_fast_are_left_out(monkeypatch: pytest.MonkeyPatch) -> None:
    """What is kept for a slow callback is bounded; starts and ends are heard all the same."""
    monkeypatch.setattr(module, "MOST_WAITING", 0)
    listener = Listener()
    search(1, listener)
    assert [what[0] for what in listener.heard] == ["started", "paused", "started", "ended", "close"]


def test_what_is_no_callback_is_refused() -> None:
    """When the study is made."""
    with pytest.raises(UsageError, match="TrialCallback objects, not"):
        Study(objective, Space(x=Float(0.0, 1.0)), callbacks=[3])
