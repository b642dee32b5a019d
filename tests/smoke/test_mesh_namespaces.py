"""A network that is cut in two for a while, with delay and loss, between real processes in network namespaces."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import pytest

from aiohpo.events.schema import parse_trial
from aiohpo.storage.run import Run, open_run
from tests.smoke.namespaces import NotPermitted, Sites
from tests.smoke.processes import GATED, Gate, call, end_all, ended, finish, shown, start, statuses, until

pytestmark = [pytest.mark.smoke, pytest.mark.cluster]


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


def lost(run: Run) -> int:
    """How many trials' workers were declared dead."""
    return sum(run.view.losses(run.view.row(parse_trial(trial.id))) > 0 for trial in run.records())


def test_halves_go_on_and_agree_after_healing(tmp_path: Path, sites: Sites) -> None:
    """Both halves finish trials while they are cut off; after healing every directory has all that either half did,
    and in the end all are the same, with exactly the budget."""
    (tmp_path / "train.py").write_text(GATED.replace("passed += 1", "passed += 1; time.sleep(0.3)"))
    assert call(tmp_path, "keygen", "study.key")[0] == 0
    trials, gate = 90, Gate(tmp_path, 2)
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

    gate.gather(6)
    until(lambda: all(ended(tmp_path, d) == 12 for d in directories))
    by_pid = {worker["pid"]: worker["id"] for worker in shown(tmp_path, "d0")["workers"]}
    names = [by_pid[peer.pid] for peer in peers]

    until(lambda: all(vector == counts()[0] for vector in counts()))  # nothing is on its way
    sites.cut()
    at_cut, began = counts(), [len(results(run)) for run in runs()]
    until(lambda: all(lost(run) >= 3 for run in runs()))  # of the other half, which is given up for dead
    gate.let(5)
    gate.gather(6)
    at_heal = runs()
    for site, other in (sites.sites, sites.sites[::-1]):
        for machine in site:
            vector = at_heal[machine].log.vector()
            assert all(vector[names[m]] == at_cut[machine][names[m]] for m in other), "the cut leaks"
    reported = {trial: value for run in at_heal for trial, value in results(run).items()}
    for run, had in zip(at_heal, began, strict=True):
        assert len(results(run)) >= had + 3, "a half has done nothing"
    assert len(reported) < trials, "the search was over before the network healed"

    sites.mend()
    wanted: dict[str, int] = {}
    for vector in counts():
        wanted = {name: max(wanted.get(name, 0), n) for name, n in {**wanted, **vector}.items()}
    until(lambda: all(vector.get(name, 0) >= n for vector in counts() for name, n in wanted.items()))
    gate.open()

    for peer in peers:
        code, _, err = finish(peer)
        assert code == 0, err
        assert "Traceback" not in err
    shows = [shown(tmp_path, directory) for directory in directories]
    for show in shows:
        assert show["trials"] == shows[0]["trials"]
        assert len({trial["id"] for trial in show["trials"]}) == len(show["trials"])
        assert show["study"]["ended"] == trials
        assert statuses(show)["finished"] == trials, [
            t for t in show["trials"] if t["status"] not in ("finished", "surplus")
        ]
        assert {worker["id"] for worker in show["workers"]} == set(names)
    assert reported.items() <= results(open_run(tmp_path / "d5")).items()
