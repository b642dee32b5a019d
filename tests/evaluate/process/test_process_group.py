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
# Programs that tell a descendant's number and then wait for ever: one in their group; one in a session of its own,
# without their environment, whose parent is gone.
FAMILIES = {
    "group": ["sh", "-c", "sleep 600 & echo $!; sleep 600"],
    "session": ["sh", "-c", "env -i setsid sh -c 'sleep 600 >/dev/null & echo $!'; sleep 600"],
}


class Started:
    def __init__(self, command: list[str], **options: Any) -> None:
        self.exited: asyncio.Future[int] = asyncio.get_running_loop().create_future()
        self.group = ProcessGroup(command, self.exited.set_result, **options)

    async def exit(self) -> int:
        return await asyncio.wait_for(self.exited, 600)


async def read_number(fd: int) -> int:
    with os.fdopen(fd) as file:
        return int(await asyncio.to_thread(file.readline))


@pytest.mark.parametrize(("command", "code"), [("exit 3", 3), ("exit 0", 0), ("kill -TERM $$", -15)])
async def test_an_exit_is_noticed_with_its_code(command: str, code: int) -> None:
    """Once, on the loop."""
    started = Started(["sh", "-c", command])
    assert await started.exit() == code
    assert started.group.returncode == code
    assert await started.group.wait(0)


@pytest.mark.parametrize("family", FAMILIES)
async def test_a_kill_reaches_the_whole_family(family: str) -> None:
    """The program and what it started, in whatever session."""
    out, theirs = os.pipe()
    started = Started(FAMILIES[family], stdout=theirs)
    os.close(theirs)
    grandchild = await read_number(out)
    assert not await started.group.wait(0.01)
    started.group.kill()
    assert await started.exit() == -signal.SIGKILL
    assert gone(grandchild)
    started.group.kill()


@pytest.mark.parametrize("how", ["", "setsid"])
async def test_what_a_program_leaves_behind_goes_with_it(how: str) -> None:
    """A grandchild that outlives the program is killed when the program has ended."""
    out, theirs = os.pipe()
    started = Started(["sh", "-c", f"{how} sleep 600 >/dev/null 2>&1 & echo $!"], stdout=theirs)
    os.close(theirs)
    grandchild = await read_number(out)
    assert await started.exit() == 0
    assert gone(grandchild)


async def test_termination_is_asked_of_the_program_and_its_group() -> None:
    """SIGTERM, which they may handle in their own time."""
    out, theirs = os.pipe()
    started = Started(["sh", "-c", "trap 'exit 5' TERM; echo 1; while :; do sleep 0.01; done"], stdout=theirs)
    os.close(theirs)
    await read_number(out)
    started.group.terminate()
    assert await started.exit() == 5
    started.group.terminate()


async def test_a_supervisor_that_is_killed_takes_the_program_along() -> None:
    """Nothing is known of the program's end then, and that is said."""
    out, theirs = os.pipe()
    started = Started(FAMILIES["group"], stdout=theirs)
    os.close(theirs)
    grandchild = await read_number(out)
    await asyncio.wait_for(started.group.started, 600)
    os.kill(started.group._process.pid, signal.SIGKILL)
    await started.exit()
    assert started.group.lost
    assert gone(started.group.pid)
    assert gone(grandchild)


async def test_somebody_else_may_reap_it() -> None:
    """A service that waits for all its children does not confuse us."""
    started = Started(["sh", "-c", "exit 3"])
    os.waitpid(started.group._process.pid, 0)  # noqa: ASYNC222 - on the loop, or our own watching would be faster
    assert await started.exit() == 3


async def test_a_program_that_does_not_start_leaves_nothing() -> None:
    """What the system has against it is the error of ``started``, and no descriptor stays open."""
    before = len(os.listdir("/proc/self/fd"))
    started = Started(["/nowhere/program"])
    with pytest.raises(FileNotFoundError):
        await asyncio.wait_for(started.group.started, 600)
    await started.exit()
    assert len(os.listdir("/proc/self/fd")) == before


async def test_a_supervisor_that_does_not_start_is_an_error(monkeypatch: pytest.MonkeyPatch) -> None:
    """It passes through and no descriptor stays open."""
    before = len(os.listdir("/proc/self/fd"))
    monkeypatch.setattr(sys, "executable", "/nowhere/python")
    with pytest.raises(FileNotFoundError):
        Started(["true"])
    assert len(os.listdir("/proc/self/fd")) == before


WORKER = """
import asyncio, sys
from aiohpo.evaluate.process.process_group import ProcessGroup
async def main():
    group = ProcessGroup(sys.argv[1:], print)
    print(f"{await group.started}\\n", end="", flush=True)
    await asyncio.Event().wait()
asyncio.run(main())
"""


@pytest.mark.parametrize("family", FAMILIES)
def test_a_killed_worker_takes_the_family_along(family: str) -> None:
    """Programs that know nothing of us end after their worker's kill -9, and all their descendants with them."""
    worker = subprocess.Popen([sys.executable, "-c", WORKER, *FAMILIES[family]], stdout=subprocess.PIPE, text=True)
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
    assert repr(started.group) == "<ProcessGroup to be: running>"
    pid = await asyncio.wait_for(started.group.started, 600)
    await started.exit()
    assert repr(started.group).startswith(f"<ProcessGroup {pid}: ")
    assert repr(started.group).endswith(": exited with code 3>")


@pytest.mark.parametrize(
    ("code", "words"),
    [(0, "exited with code 0"), (-11, "was killed by SIGSEGV"), (-9, "out of memory"), (-200, "signal 200")],
)
def test_an_exit_in_words(code: int, words: str) -> None:
    """Codes, signals by name, and what SIGKILL usually means."""
    assert words in describe_exit(code)
