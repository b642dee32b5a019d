"""Every searcher with every scheduler: production workers in virtual time on a task with everything in it.

The space has a condition, some configurations raise, some report NaN, the metric is to be minimised or maximised,
checkpoints are saved, and the search is interrupted half way and resumed from what was recorded.
"""

from __future__ import annotations

import asyncio
import hashlib
import math
from collections import Counter

import pytest

from aiohpo import Categorical, Float, Int, Space, Study
from aiohpo.events.log import Log
from aiohpo.peer.limits import Limits
from aiohpo.plugin import Identity
from aiohpo.plugin.registry import available
from aiohpo.runtime.peer import Peer
from aiohpo.testing import SimNetwork, run
from aiohpo.view.view import View
from tests.support.peers import make_peer

SPACE = Space(
    x=Float(-1.0, 1.0),
    units=Int(1, 64, log=True),
    kind=Categorical(["plain", "decayed", "odd"]),
    decay=Float(1e-4, 1e-1, log=True, when={"kind": "decayed"}),
)
STEPS, TRIALS, WORKERS = 9, 27, 3
# The Gaussian process costs more than all others together: a fifth of its trials are enough of the model. ``auto``
# changes from it to the forest soon.
OPTIONS = {"gp": "gp:initial=21", "auto": "auto:observations=9", "optuna": "optuna:tpe"}
SEARCHERS = [OPTIONS.get(name, name) for name in sorted(available("searchers"))]
SCHEDULERS = sorted(set(available("schedulers")) - {"replay"})  # replay repeats one given schedule


class Task:
    """An objective that trains, fails, diverges and resumes; counts what it saw."""

    def __init__(self, sign: float) -> None:
        self.sign = sign
        self.seen: Counter[str] = Counter()

    async def __call__(self, trial):
        config = trial.config
        assert ("decay" in config) == (config["kind"] == "decayed")
        loss = (config["x"] - 0.3) ** 2 + abs(math.log2(config["units"]) - 3) / 10 + 0.1 * (config["kind"] == "plain")
        trouble = int(hashlib.sha256(repr(sorted(config.items())).encode()).hexdigest(), 16) % 12
        saved = trial.restore()
        self.seen["resumed"] += saved is not None
        assert (saved or b"\0")[0] == trial.start
        for step in trial.steps():
            await asyncio.sleep(1.0)
            if trouble == 0:
                self.seen["raised"] += 1
                raise RuntimeError("does not train")
            if trouble == 1 and step > 2:
                self.seen["nan"] += 1
                trial.report(float("nan"))
            trial.report(self.sign * (loss + 1.0 / step))
            trial.save(bytes([step]))


def workers(study: Study, network: SimNetwork, seconds: float | None, past: Log | None) -> list[Peer]:
    peers = []
    for rank in range(WORKERS):
        worker = hashlib.blake2b(f"{past is None}/{rank}".encode(), digest_size=6).hexdigest()
        peers.append(
            make_peer(
                study,
                limits=Limits(TRIALS, seconds),
                transport=network.endpoint(worker),
                join=[peers[0].services.transport.address] if peers else [],
                identity=Identity(worker, rank, WORKERS),
            )
        )
        if past is not None:
            merge(past, peers[-1].services.log, peers[-1].view)
    return peers


def merge(source: Log, log: Log, view: View) -> None:
    for batch in source.missing({}, 1 << 62):
        for origin, seq, event in log.merge(batch) or ():
            view.apply(origin, seq, event)


async def search(study: Study, network: SimNetwork, seconds: float | None, past: Log | None) -> list[Peer]:
    peers = workers(study, network, seconds, past)
    for peer in peers:
        await peer.start()
    async with asyncio.TaskGroup() as group:
        for peer in peers:
            group.create_task(peer.run())
    await asyncio.sleep(30.0)
    for peer in peers:
        await peer.aclose()
    return peers


@pytest.mark.parametrize("scheduler", SCHEDULERS)
@pytest.mark.parametrize("searcher", SEARCHERS)
def test_every_searcher_works_with_every_scheduler(searcher: str, scheduler: str) -> None:
    """An interrupted and resumed search meets its budget, loses nothing, resumes checkpoints and knows its best."""
    mode = "max" if (SEARCHERS.index(searcher) + SCHEDULERS.index(scheduler)) % 2 else "min"
    task = Task(1.0 if mode == "min" else -1.0)
    study = Study(task, SPACE, metric="score", mode=mode, max_steps=STEPS, searcher=searcher, scheduler=scheduler)

    async def main() -> tuple[list[Peer], list[Peer]]:
        first = await search(study, SimNetwork(seed=1), 9.5, None)
        return first, await search(study, SimNetwork(seed=2), None, first[0].services.log)

    first, second = run(main, seed=0, timeout=5000.0)
    assert 0 < first[0].view.n_trials < TRIALS
    records = list(second[0].view.records())
    assert [list(peer.view.records()) for peer in second[1:]] == [records] * (WORKERS - 1)
    statuses = Counter(r.status for r in records if r.status != "surplus")
    assert not statuses["running"]
    assert not statuses["lost"]
    if searcher != "grid" and scheduler != "pbt":
        assert statuses.total() == TRIALS
    assert statuses["failed"] == sum(r.error is not None for r in records if r.status == "failed")
    assert statuses["finished"] > 0
    for record in records:
        if record.status == "finished":
            assert record.step == STEPS
            assert record.value is not None
    best = second[0].view.record(second[0].view.best, 0)
    sign = 1.0 if mode == "min" else -1.0
    assert sign * best.value == min(
        sign * r.value for r in records if r.status in ("finished", "surplus") and r.value is not None
    )
    values = {r.id: r.value for r in records}
    assert all(values[r.id] == r.value for r in first[0].view.records() if r.status == "finished")
    if scheduler in ("asha", "hyperband", "sha", "pbt"):
        assert task.seen["resumed"] > 0
