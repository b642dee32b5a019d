"""One search by workers that were started one by one, each with a directory of its own, and what becomes of it when
they are killed or stopped.

What is certain of the dead: a worker writes a result to its journal and publishes it at most 20 ms later; what it
gave to the operating system arrives although it is killed. So only results of its very last moment can be missing
elsewhere, and not even those where another worker shares its directory. Here trials wait at a gate when a worker is
killed, and all that had ended before is known to all.
"""

from __future__ import annotations

import json
import os
import signal
import socket
import subprocess
import time
from pathlib import Path
from typing import Any

import pytest

from aiohpo.events.schema import parse_trial
from aiohpo.storage.run import open_run
from tests.smoke.processes import GATED, Gate, call, ended, finish, shown, start, until

pytestmark = [pytest.mark.smoke, pytest.mark.cluster]


@pytest.fixture
def place(tmp_path: Path) -> Path:
    """A directory with a study and its key."""
    (tmp_path / "train.py").write_text(GATED)
    assert call(tmp_path, "keygen", "study.key")[0] == 0
    return tmp_path


def free_port() -> int:
    """A port that nobody listens at."""
    with socket.create_server(("127.0.0.1", 0)) as server:
        return int(server.getsockname()[1])


class Peer:
    """A worker at a terminal of its own."""

    def __init__(self, place: Path, directory: str, trials: int, join: Peer | None = None) -> None:
        self.directory = directory
        self.address = f"tcp://127.0.0.1:{free_port()}"
        self.process: subprocess.Popen[str] = start(
            place,
            *("worker", "train.py", "--transport", "zmq", "--bind", self.address, "--key", "study.key"),
            *("--dir", directory, "--trials", str(trials)),
            *(("--join", join.address) if join else ()),
        )

    @property
    def pid(self) -> int:
        return self.process.pid

    def kill(self) -> None:
        """kill -9."""
        self.process.kill()
        self.process.communicate()

    def finish(self) -> None:
        code, _, err = finish(self.process)
        assert code == 0, err
        assert "Traceback" not in err


def names(show: dict[str, Any]) -> dict[int, str]:
    """The workers' names by their process ids."""
    return {worker["pid"]: worker["id"] for worker in show["workers"]}


def results(show: dict[str, Any]) -> dict[str, tuple[str, float | None]]:
    """All trials: id to status and value."""
    found = {trial["id"]: (trial["status"], trial["value"]) for trial in show["trials"]}
    assert len(found) == len(show["trials"]), "a trial is listed twice"
    return found


def values(show: dict[str, Any]) -> dict[str, float]:
    """The results that were reported: id to value."""
    return {t["id"]: t["value"] for t in show["trials"] if t["status"] in ("finished", "surplus")}


def check_all(place: Path, survivors: list[Peer], trials: int) -> dict[str, Any]:
    """See that all survivors' directories hold the same trials, and exactly the budget; return what they show."""
    shows = [shown(place, peer.directory) for peer in survivors]
    for show in shows:
        assert results(show) == results(shows[0])
        assert [status for status, _ in results(show).values()].count("finished") == trials
        assert show["study"]["ended"] == trials
        assert show["study"]["running"] == 0
    return shows[0]


def test_three_commands_one_search(place: Path) -> None:
    """Three workers with one --join, a fourth that joins late, and a spectator; kill -9 of the one that all joined by
    and of another: the budget is met exactly, and both survivors have every result, those of the dead included."""
    trials, gate = 60, Gate(place, 4)
    first = Peer(place, "one", trials)
    peers = [first, Peer(place, "two", trials, first), Peer(place, "three", trials, first)]
    gate.gather(3)
    until(lambda: ended(place, "three") == 12)
    peers.append(Peer(place, "four", trials, peers[1]))
    survivors = peers[2:]
    watching = start(
        place, "watch", survivors[0].address, "--key", "study.key", "--join", survivors[1].address, "--json"
    )
    gate.gather(4)
    gate.let(6)
    gate.gather(4)
    until(lambda: all(ended(place, peer.directory) == 24 for peer in peers))
    code, out, err = call(place, "watch", first.address, "--once", "--json", "--key", "study.key")
    assert code == 0, err
    seen = json.loads(out)
    assert {worker["pid"]: worker["status"] for worker in seen["workers"]} == {peer.pid: "alive" for peer in peers}
    known = names(seen)

    killed = peers[:2]
    for peer in killed:
        peer.kill()
    gate.open()
    for peer in survivors:
        peer.finish()
    final = check_all(place, survivors, trials)
    everything = values(final)
    for peer in killed:
        left_behind = values(shown(place, peer.directory))
        assert sum(trial.startswith(known[peer.pid]) for trial in left_behind) == 6
        assert left_behind.items() <= everything.items()
    assert {t["worker"] for t in final["trials"]} == set(known.values())
    code, out, err = finish(watching)
    assert code == 0, err
    last = json.loads(out.splitlines()[-1])
    assert last["study"]["ended"] == trials
    assert {w["pid"]: w["status"] for w in last["workers"]} == {
        **{peer.pid: "dead" for peer in killed},
        **{peer.pid: "left" for peer in survivors},
    }


def test_a_shared_directory_saves_the_last_result(place: Path) -> None:
    """kill -9 right after a result was written: a worker that shares the directory finds it there, and those
    elsewhere hear of it; nothing at all is lost."""
    trials, gate = 30, Gate(place, 4)
    victim = Peer(place, "shared", trials)
    survivors = [Peer(place, "shared", trials, victim), Peer(place, "elsewhere", trials, victim)]
    gate.gather(3)
    until(lambda: ended(place, "elsewhere") == 12)
    name = names(shown(place, "shared"))[victim.pid]
    journal = place / "shared" / "journal" / f"{name}.log"
    before, end = journal.stat().st_size, time.monotonic() + 120
    gate.let(5)
    while journal.stat().st_size == before:
        assert time.monotonic() < end
    victim.kill()
    gate.open()
    log = open_run(place / "shared").log
    written = log.count(name)
    for peer in survivors:
        peer.finish()
    check_all(place, survivors, trials)
    for directory in ("shared", "elsewhere"):
        assert open_run(place / directory).log.count(name) == written


def test_a_stopped_worker_comes_back(place: Path) -> None:
    """kill -STOP until the others declare its trial lost and take it over; after kill -CONT it learns so and goes on,
    and the budget is exact."""
    trials, gate = 130, Gate(place, 4)
    first = Peer(place, "one", trials)
    stopped = Peer(place, "two", trials, first)
    peers = [first, stopped, Peer(place, "three", trials, first)]
    gate.gather(3)
    until(lambda: all(ended(place, peer.directory) == 12 for peer in peers))
    name = names(shown(place, "one"))[stopped.pid]

    os.kill(stopped.pid, signal.SIGSTOP)
    reported = values(shown(place, "two"))
    (held,) = (t.id for t in open_run(place / "two").records() if t.worker == name and t.id not in reported)

    def declared_lost() -> bool:
        view = open_run(place / "one").view
        return view.losses(view.row(parse_trial(held))) > 0

    until(declared_lost)
    for passing in range(5, 50):  # who is free takes it over, but not all race for it: it may take a few turns
        gate.let(passing)
        gate.gather(2)
        if any(t.id == held and t.attempt > 0 for t in open_run(place / "one").records()):
            break
    meanwhile = {t.id for t in open_run(place / "one").records() if t.worker == name}
    os.kill(stopped.pid, signal.SIGCONT)
    gate.gather(3)
    gate.open()
    for peer in peers:
        peer.finish()
    final = check_all(place, peers, trials)
    assert reported.items() <= values(final).items()
    assert results(final)[held][0] in ("finished", "surplus")
    assert any(t["worker"] == name and t["id"] not in meanwhile for t in final["trials"])
    assert not any(worker["status"] == "gone" for worker in final["workers"])
