"""Production workers in simulated swarms: seeded scenarios of loss, delay, partition, crash and restart.

``--swarm-seeds N`` says how many; two of three draw whether there is a scheduler, the third always has one.
"""

from __future__ import annotations

from itertools import count, islice

import pytest

from aiohpo.events.log import Log, Read
from aiohpo.events.schema import Fresh
from tests.swarm.harness import SCHEDULED, SLOTTED, TROUBLED, Scenario, play

LONG = 500  # scenarios from which on a run is a long one
LARGE = 20  # workers from which on a swarm takes as long as ten or more others
CHUNK = 5  # scenarios a test, so that they spread over the processes that run tests

pytestmark = pytest.mark.swarm


def pytest_generate_tests(metafunc: pytest.Metafunc) -> None:
    if metafunc.function is test_the_invariants_hold_whatever_happens:
        number = metafunc.config.getoption("--swarm-seeds")
        played = filter(is_in_short_runs, count()), filter(is_in_short_runs, count(SCHEDULED))
        drawn, scheduled = (count(), count(SCHEDULED)) if number >= LONG else played
        every = [*islice(drawn, number - number // 3), *islice(scheduled, number // 3)]
        chunks = [every[at : at + CHUNK] for at in range(0, len(every), CHUNK)]
        metafunc.parametrize("seeds", chunks, ids=[f"{chunk[0]}-{chunk[-1]}" for chunk in chunks])


def is_in_short_runs(seed: int) -> bool:
    """Whether the scenario is small, or one of those large ones (a third) that short runs play as well."""
    return Scenario.draw(seed).workers < LARGE or seed % 3 == 1


def test_the_invariants_hold_whatever_happens(seeds: list[int]) -> None:
    """A healed and quiet swarm agrees, has met its budget, runs nothing and has lost nothing."""
    for seed in seeds:
        play(seed)


def test_a_crash_between_checkpoint_and_report_loses_no_step() -> None:
    """Workers that die after a step was saved and before it is reported leave no gap in any finished trial's curve."""
    resumed = 0
    for seed in range(SCHEDULED, SCHEDULED + 12):
        resumed += play(seed, saves_first=True)[0].resumed
    assert resumed > 20


def test_what_is_nobodys_fault_costs_no_trial() -> None:
    """Evaluators that are unavailable for a while, at some workers or at all: the budget is met and nothing failed."""
    refused = 0
    for seed in range(TROUBLED, TROUBLED + 5):
        refused += sum(evaluator.refused for evaluator in play(seed)[0].troubled)
    assert refused > 10


@pytest.mark.parametrize("seeds", [range(SLOTTED + at, SLOTTED + at + 4) for at in range(0, 12, 4)], ids=str)
def test_workers_of_one_four_and_sixteen_slots_search_together(seeds: range) -> None:
    """The same invariants, whatever happens to workers that run many trials at a time."""
    for seed in seeds:
        play(seed)


@pytest.mark.parametrize("seed", [3, 7, 11])
def test_the_same_seed_plays_the_same_trace(seed: int) -> None:
    """Two runs of one seed exchange the same frames at the same times, bit for bit."""
    assert play(seed, trace=True)[1] == play(seed, trace=True)[1]


def test_a_planted_bug_is_caught(monkeypatch: pytest.MonkeyPatch) -> None:
    """A replica that accepts a gap in an origin's log is found out by the scenarios."""

    def careless_take(self: Log, read: Read) -> Fresh | None:
        batch = read.batch
        if batch.last <= self.count(batch.origin):
            return None
        self._extend(batch.origin, batch.raws)
        return Fresh(batch.origin, batch.first, read.events)

    monkeypatch.setattr(Log, "take", careless_take)
    monkeypatch.setattr("aiohpo.mesh.gossip.Gossip._has_gap", lambda self, batch: False)
    caught = 0
    for seed in (10, 26):  # small swarms, which go on exchanging until the time limit
        try:
            play(seed)
        except Exception:
            caught += 1
    assert caught >= 1
