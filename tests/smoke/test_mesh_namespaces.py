"""A network that is cut in two for a while, with delay and loss, between real processes in network namespaces.

The cut lasts 20 s; ``AIOHPO_PARTITION=60`` makes it 60 s.
"""

from __future__ import annotations

import os
import time
from collections.abc import Iterator
from pathlib import Path

import pytest
from namespaces import NotPermitted, Sites
from processes import call, end_all, ended, finish, shown, start, until

from aiohpo.inspect import Run, open_run

pytestmark = pytest.mark.smoke

PARTITION = float(os.environ.get("AIOHPO_PARTITION", "20"))  # s
AGREED_WITHIN = 10.0  # s after the network healed
STUDY = """
import asyncio, aiohpo

async def objective(trial):
    await asyncio.sleep(0.5)
    return (trial["x"] - 0.3) ** 2

study = aiohpo.Study(objective, aiohpo.Space(x=aiohpo.Float(0, 1)), searcher="random", seed=3)
"""
RATE = 12.0  # trials a second of six workers


@pytest.fixture
def sites() -> Iterator[Sites]:
    """Three machines and three machines, 20 ± 5 ms apart, on a line that loses 1 % of the frames."""
    try:
        made = Sites(3, delay=0.020, jitter=0.005, loss=0.01)
    except NotPermitted as why:
        pytest.skip(f"no network namespaces here: {why}")
    yield made
    end_all()
    made.remove()


def results(run: Run) -> dict[str, float]:
    """The results in a directory: id to value. Those beyond the budget's line are results, too."""
    found = [t for t in run.records() if t.status in ("finished", "surplus")]
    return {t.id: t.value for t in found if t.value is not None}


def test_halves_go_on_and_agree_after_healing(tmp_path: Path, sites: Sites) -> None:
    """Both halves finish trials while they are cut off; after healing every directory soon has all that either half
    did, and in the end all are the same, with exactly the budget."""
    (tmp_path / "train.py").write_text(STUDY)
    assert call(tmp_path, "keygen", "study.key")[0] == 0
    trials = int(RATE * (PARTITION + 15))
    address = [f"tcp://{sites.host(machine)}:5555" for machine in range(6)]
    directories = [f"d{machine}" for machine in range(6)]
    peers = [
        start(
            tmp_path,
            *("worker", "train.py", "--transport", "zmq", "--key", "study.key", "--trials", str(trials)),
            *("--bind", address[machine], "--dir", directories[machine]),
            *(("--join", address[0]) if machine else ()),
            prefix=sites.on(machine),
        )
        for machine in range(6)
    ]

    def runs() -> list[Run]:
        return [open_run(tmp_path / directory) for directory in directories]

    def counts() -> list[dict[str, int]]:
        return [run.log.vector() for run in runs()]

    # All know all, and the trials of all are everywhere.
    until(lambda: all(ended(tmp_path, d) >= 12 for d in directories), within=120)
    until(lambda: all(len(v) == 6 and min(v.values()) >= 6 for v in counts()), within=120)
    by_pid = {worker["pid"]: worker["id"] for worker in shown(tmp_path, "d0")["workers"]}
    names = [by_pid[peer.pid] for peer in peers]

    sites.cut()
    time.sleep(1.0)  # the cut's length is what is tested; what was under way has arrived by now
    at_cut = counts()
    began = [len(results(run)) for run in runs()]
    time.sleep(PARTITION - 1.0)
    at_heal = runs()
    for site, other in (sites.sites, sites.sites[::-1]):
        for machine in site:
            vector = at_heal[machine].log.vector()
            assert all(vector[names[m]] == at_cut[machine][names[m]] for m in other), "the cut leaks"
            done = len(results(at_heal[machine])) - began[machine]
            assert done >= 0.6 * RATE / 2 * (PARTITION - 1), f"half {site} finished only {done} trials"
    reported = {trial: value for run in at_heal for trial, value in results(run).items()}
    assert len(reported) < trials, "the search was over before the network healed"

    sites.mend()
    healed = time.monotonic()
    wanted: dict[str, int] = {}
    for vector in counts():
        wanted = {name: max(wanted.get(name, 0), n) for name, n in {**wanted, **vector}.items()}
    agreed: dict[int, float] = {}

    def all_agree() -> bool:
        for machine, vector in enumerate(counts()):
            if machine not in agreed and all(vector.get(name, 0) >= n for name, n in wanted.items()):
                agreed[machine] = time.monotonic() - healed
        return len(agreed) == 6

    until(all_agree, within=120)
    print(f"cut for {PARTITION:g} s; agreed after {', '.join(f'{agreed[m]:.1f}' for m in range(6))} s")
    assert max(agreed.values()) < AGREED_WITHIN

    for peer in peers:
        code, _, err = finish(peer, within=120)
        assert code == 0, err
        assert "Traceback" not in err
    shows = [shown(tmp_path, directory) for directory in directories]
    for show in shows:
        assert show["trials"] == shows[0]["trials"]
        assert len({trial["id"] for trial in show["trials"]}) == len(show["trials"])
        assert [trial["status"] for trial in show["trials"]].count("finished") == show["study"]["ended"] == trials
        assert {worker["id"] for worker in show["workers"]} == set(names)
    assert reported.items() <= results(open_run(tmp_path / "d5")).items()
