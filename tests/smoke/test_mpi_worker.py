"""``mpirun aiohpo worker --transport mpi`` with real ranks: one search, and what happens when one of them goes."""

from __future__ import annotations

import os
import re
import signal
import subprocess
import sys
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from pathlib import Path
from typing import Any

import pytest

from aiohpo.report.tally import run_as_dict
from aiohpo.storage.run import open_run
from tests.smoke.mpi_launch import launch, why_not
from tests.smoke.processes import GATED, Gate, alive, until

pytestmark = [
    pytest.mark.smoke,
    pytest.mark.cluster,
    pytest.mark.skipif(bool(why_not()), reason=why_not()),
]

STUDY = GATED.replace("def objective", "async def objective").replace("time.sleep", "await asyncio.sleep")
TRIALS = 40


class Job:
    """Four ranks of one search, their output and what their run directory holds."""

    def __init__(self, process: subprocess.Popen[bytes], place: Path, gate: Gate) -> None:
        self.process = process
        self.gate = gate
        self.log = place / "log"
        self.run = place / "run"

    @property
    def output(self) -> str:
        return self.log.read_text(errors="replace")

    def pid(self, rank: int) -> int:
        found = re.search(rf"\(pid (\d+)\) listens on mpi://{rank}\b", self.output)
        assert found, self.output
        return int(found[1])

    def shown(self) -> dict[str, Any]:
        return run_as_dict(open_run(self.run))

    def ends(self) -> int:
        """The exit code of mpirun."""
        try:
            return self.process.wait(120)
        except subprocess.TimeoutExpired:
            raise AssertionError(f"mpirun does not end:\n{self.output}") from None


@contextmanager
def job(place: Path, *flags: str) -> Iterator[Job]:
    """Start a search on four ranks, and wait until each has finished a trial and holds another at the gate."""
    (place / "train.py").write_text(STUDY)
    gate = Gate(place, 1)
    command = [sys.executable, "-m", "aiohpo", "worker", str(place / "train.py"), "--transport", "mpi"]
    limits = ["--trials", str(TRIALS), "--dir", str(place / "run")]
    process = launch(4, *command, *limits, flags=flags, log=place / "log")
    try:
        gate.gather(4)
        yield Job(process, place, gate)
    finally:
        if process.poll() is None:
            os.killpg(process.pid, signal.SIGKILL)
            process.wait(120)


def check_complete(ran: Job, survivors: int) -> dict[str, Any]:
    """The budget is met exactly, and everybody who stayed knows all of it."""
    shown = ran.shown()
    finished = [trial for trial in shown["trials"] if trial["status"] == "finished"]
    assert len(finished) == TRIALS
    assert {trial["status"] for trial in shown["trials"]} <= {"finished", "lost", "surplus"}
    assert ran.output.count(f"{TRIALS} finished") == survivors, ran.output
    return shown


def test_four_ranks_are_one_search(tmp_path: Path) -> None:
    """Four ranks share one budget, all of them work, and the job ends well."""
    with job(tmp_path) as ran:
        ran.gate.open()
        assert ran.ends() == 0, ran.output
        shown = check_complete(ran, survivors=4)
        assert sorted(worker["rank"] for worker in shown["workers"]) == [0, 1, 2, 3]
        assert len({trial["worker"] for trial in shown["trials"]}) == 4


@pytest.mark.parametrize(
    "flags",
    [("--with-ft", "ulfm"), ("--with-ft", "ulfm", "--mca", "btl", "self,tcp"), ("--enable-recovery",)],
    ids=["ulfm", "ulfm over tcp", "recovery"],
)
def test_a_killed_rank_does_not_stop_the_others(tmp_path: Path, flags: tuple[str, ...]) -> None:
    """After kill -9 of a rank the others meet the budget, nothing the dead one reported is lost, and the job ends."""
    with job(tmp_path, *flags) as ran:
        victim = next(worker for worker in ran.shown()["workers"] if worker["rank"] == 2)
        os.kill(ran.pid(2), signal.SIGKILL)
        before = {t["id"] for t in ran.shown()["trials"] if t["worker"] == victim["id"] and t["status"] == "finished"}
        assert before
        ran.gate.open()
        assert ran.ends() == 0, ran.output
        shown = check_complete(ran, survivors=3)
        assert before <= {trial["id"] for trial in shown["trials"] if trial["status"] == "finished"}


def test_a_rank_that_leaves_early_waits_out_of_the_way(tmp_path: Path) -> None:
    """Without any flag a rank may leave in good order: it stays as an idle process, so mpirun lets the others live."""
    with job(tmp_path) as ran:
        os.kill(ran.pid(2), signal.SIGTERM)
        until(lambda: "stopped: " in ran.output)
        ran.gate.open()
        assert ran.ends() == 130, ran.output
        check_complete(ran, survivors=3)


def test_a_second_signal_ends_the_waiting(tmp_path: Path) -> None:
    """A rank that left early and waits for the others ends at once when it is asked again."""
    with job(tmp_path) as ran:
        os.kill(ran.pid(2), signal.SIGTERM)
        until(lambda: "stopped: " in ran.output)
        victim = ran.pid(2)

        def asked_again() -> bool:
            with suppress(ProcessLookupError):
                os.kill(victim, signal.SIGINT)
            return alive(victim)

        until(lambda: not asked_again())
        assert ran.ends() != 0, ran.output
        assert len(ran.shown()["trials"]) < TRIALS, "mpirun should end the others"
