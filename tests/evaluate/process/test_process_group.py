"""Programs in groups of their own."""

from __future__ import annotations

import asyncio
import os
import signal
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest

from aiohpo.evaluate.process.process_group import ProcessGroup, describe_exit
from tests.support.evaluate_objectives import gone

pytestmark = pytest.mark.smoke
# A program that tells its grandchild's number and then waits for ever.
FAMILY = ["sh", "-c", "sleep 600 & echo $!; sleep 600"]


class Started:
    def __init__(self, command: list[str], **options: Any) -> None:
        self.exited: asyncio.Future[int] = asyncio.get_running_loop().create_future()
        self.group = ProcessGroup(command, self.exited.set_result, **options)

    async def exit(self) -> int:
        return await asyncio.wait_for(self.exited, 120)


@pytest.fixture(params=["pidfd", "polling"])
def watching(request: pytest.FixtureRequest, monkeypatch: pytest.MonkeyPatch) -> None:
    """Watch processes with and without the descriptors that Linux has for it."""
    if request.param == "polling":
        monkeypatch.delattr(os, "pidfd_open")


async def read_number(fd: int) -> int:
    with os.fdopen(fd) as file:
        return int(await asyncio.to_thread(file.readline))


@pytest.mark.usefixtures("watching")
@pytest.mark.parametrize(("command", "code"), [("exit 3", 3), ("exit 0", 0), ("kill -TERM $$", -15)])
async def test_an_exit_is_noticed_with_its_code(command: str, code: int) -> None:
    """Once, on the loop."""
    started = Started(["sh", "-c", command])
    assert await started.exit() == code
    assert started.group.returncode == code
    assert await started.group.wait(0)


@pytest.mark.usefixtures("watching")
async def test_a_kill_reaches_the_whole_family() -> None:
    """The program and what it started."""
    out, theirs = os.pipe()
    started = Started(FAMILY, stdout=theirs)
    os.close(theirs)
    grandchild = await read_number(out)
    assert not await started.group.wait(0.01)
    started.group.kill()
    assert await started.exit() == -signal.SIGKILL
    assert gone(grandchild)
    started.group.kill()


@pytest.mark.usefixtures("watching")
async def test_what_a_program_leaves_behind_goes_with_it() -> None:
    """A grandchild that outlives the program is killed when the program has ended."""
    out, theirs = os.pipe()
    started = Started(["sh", "-c", "sleep 600 >/dev/null 2>&1 & echo $!"], stdout=theirs)
    os.close(theirs)
    grandchild = await read_number(out)
    assert await started.exit() == 0
    assert gone(grandchild)


async def test_a_platform_without_waitid_works(monkeypatch: pytest.MonkeyPatch) -> None:
    """Polling alone is enough."""
    monkeypatch.delattr(os, "pidfd_open")
    monkeypatch.delattr(os, "waitid")
    assert await Started(["sh", "-c", "exit 3"]).exit() == 3


async def test_somebody_else_may_reap_it() -> None:
    """A service that waits for all its children does not confuse us; only the exit code is lost."""
    started = Started(["sleep", "600"])
    os.kill(started.group.pid, signal.SIGKILL)
    os.waitpid(started.group.pid, 0)  # noqa: ASYNC222 - on the loop, or our own watching would be faster
    await started.exit()
    assert started.group.returncode is not None


async def test_a_program_that_does_not_start_leaves_nothing() -> None:
    """The error passes through and no descriptor stays open."""
    before = len(os.listdir("/proc/self/fd"))
    with pytest.raises(FileNotFoundError):
        Started(["/nowhere/program"])
    assert len(os.listdir("/proc/self/fd")) == before


async def test_it_is_told_its_lifeline() -> None:
    """The read end's number is the last argument where that is asked for."""
    out, theirs = os.pipe()
    started = Started(
        [sys.executable, "-c", "import os, sys; os.fstat(int(sys.argv[1])); print(sys.argv[1])"],
        append_lifeline=True,
        stdout=theirs,
    )
    os.close(theirs)
    assert await read_number(out) > 2
    assert await started.exit() == 0


WORKER = """
import asyncio, sys
from aiohpo.evaluate.process.process_group import ProcessGroup
async def main():
    group = ProcessGroup(sys.argv[1:], print)
    print(f"{group.pid}\\n", end="", flush=True)
    await asyncio.Event().wait()
asyncio.run(main())
"""


def test_a_killed_worker_takes_the_family_along() -> None:
    """Programs that know nothing of us end after their worker's kill -9, grandchildren too."""
    worker = subprocess.Popen([sys.executable, "-c", WORKER, *FAMILY], stdout=subprocess.PIPE, text=True)
    with worker:
        assert worker.stdout is not None
        pids = [int(worker.stdout.readline()) for _ in range(2)]
        there = [Path(f"/proc/{pid}").exists() for pid in pids]
        worker.kill()
        assert there == [True, True]
        assert all(gone(pid) for pid in pids)


async def test_its_state_shows() -> None:
    """The repr names the process and how it ended."""
    started = Started(["sh", "-c", "exit 3"])
    assert repr(started.group) == f"<ProcessGroup {started.group.pid}: running>"
    await started.exit()
    assert repr(started.group).endswith(": exited with code 3>")


@pytest.mark.parametrize(
    ("code", "words"),
    [(0, "exited with code 0"), (-11, "was killed by SIGSEGV"), (-9, "out of memory"), (-200, "signal 200")],
)
def test_an_exit_in_words(code: int, words: str) -> None:
    """Codes, signals by name, and what SIGKILL usually means."""
    assert words in describe_exit(code)
