"""Starting and watching processes."""

from __future__ import annotations

import os
import signal
import sys
import time
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest

from aiohpo.errors import UsageError
from aiohpo.evaluate.process.resources import THREADS, available_cores, threads_for
from aiohpo.launch.processes import LocalLauncher
from aiohpo.plugin import Launcher, WorkerExit

WAIT = "import signal, sys; signal.pthread_sigmask(signal.SIG_BLOCK, {2}); print('ready', flush=True); "
WAIT += "signal.sigtimedwait({2}, 60); print('interrupted', flush=True); "
WAIT += "print(signal.sigtimedwait({2}, 0.2), flush=True)"


def until(condition: Callable[[], bool], within: float = 600.0) -> None:
    """Look until the condition holds; fail after ``within`` seconds."""
    end = time.monotonic() + within
    while not condition():
        assert time.monotonic() < end, "waited in vain"
        time.sleep(0.02)


@pytest.fixture
def launch(tmp_path: Path) -> Iterator[Callable[..., LocalLauncher]]:
    """Start processes that run the given Python programs, and end them with the test."""
    started: list[LocalLauncher] = []

    def start(*programs: str) -> LocalLauncher:
        commands = [[sys.executable, "-c", program] for program in programs]
        logs = [tmp_path / f"{i}.log" for i in range(len(programs))]
        started.append(LocalLauncher(commands, logs, os.environ))
        started[-1].start()
        return started[-1]

    yield start
    for launcher in started:
        launcher.kill()


def test_ends_are_told_once_with_their_codes(launch: Callable[..., LocalLauncher]) -> None:
    """Each process that ended is reported once, by rank; the others stay alive."""
    launcher = launch("raise SystemExit(3)", "input()", "import time; time.sleep(60)")
    ends: list[WorkerExit] = []
    until(lambda: bool(ends.extend(launcher.poll()) or len(ends) == 2))
    assert sorted((end.rank, end.code) for end in ends) == [(0, 3), (1, 1)]  # stdin is empty: input() raises
    assert launcher.alive == 1
    assert launcher.poll() == []


def test_lines_arrive_whole_and_only_new_ones(launch: Callable[..., LocalLauncher], tmp_path: Path) -> None:
    """What stood in the log before is not repeated; an unfinished line is waited for."""
    (tmp_path / "0.log").write_text("of an earlier run\n")
    launcher = launch("import sys; print('one'); print('two', file=sys.stderr); print('half', end='', flush=True)")
    until(lambda: bool(launcher.poll()))
    assert sorted(launcher.lines()) == [(0, "one"), (0, "two")]
    with (tmp_path / "0.log").open("a") as log:
        log.write(" and half\n")
    assert launcher.lines() == [(0, "half and half")]


def test_an_interrupt_reaches_each_process_exactly_once(launch: Callable[..., LocalLauncher]) -> None:
    """One signal each, and none from the launcher's own process group."""
    launcher = launch(WAIT, WAIT)
    lines: list[tuple[int, str]] = []
    until(lambda: bool(lines.extend(launcher.lines()) or len(lines) == 2))
    assert {os.getsid(pid) for pid in launcher.pids} == set(launcher.pids)
    launcher.interrupt()
    until(lambda: bool(launcher.poll() is None or launcher.alive == 0))
    assert sorted(launcher.lines()) == [(0, "None"), (0, "interrupted"), (1, "None"), (1, "interrupted")]


def test_kill_ends_everybody(launch: Callable[..., LocalLauncher]) -> None:
    """Also those who ignore an interrupt; it can be called again."""
    launcher = launch(
        "import signal, time; signal.signal(2, signal.SIG_IGN); time.sleep(60)", "import time; time.sleep(60)"
    )
    launcher.kill()
    launcher.kill()
    assert {end.code for end in launcher.poll()} == {-signal.SIGKILL}


def test_a_program_that_cannot_be_started_leaves_none_behind(tmp_path: Path) -> None:
    """The error is one for people, and what had started already is ended."""
    commands = [[sys.executable, "-c", "import time; time.sleep(60)"], [str(tmp_path / "nosuchprogram")]]
    launcher = LocalLauncher(commands, [tmp_path / "a", tmp_path / "b"], os.environ)
    with pytest.raises(UsageError, match="cannot start 2 workers: No such file or directory"):
        launcher.start()
    assert [end.code for end in launcher.poll()] == [-signal.SIGKILL]


def test_a_log_that_is_no_file_is_neither_waited_for_nor_followed(tmp_path: Path) -> None:
    """Others may be able to write to the directory: a FIFO or a link there is an error before anything starts."""
    os.mkfifo(tmp_path / "pipe")
    (tmp_path / "link").symlink_to(tmp_path / "precious")
    for name in ("pipe", "link"):
        with pytest.raises(UsageError, match="cannot start 1 workers: it is not a regular file"):
            LocalLauncher([["true"]], [tmp_path / name], {}).start()
    assert not (tmp_path / "precious").exists()


def test_a_long_log_is_read_in_parts(
    launch: Callable[..., LocalLauncher], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """What is too long for one look arrives with the next ones, also a line that is."""
    monkeypatch.setattr("aiohpo.launch.processes._AT_MOST", 8)
    launcher = launch("pass")
    (log,) = (tail.path for tail in launcher._logs)
    with log.open("a") as file:
        file.write("one\ntwo\n" + "x" * 20 + "\nend\n")
    lines = [line for _ in range(6) for _, line in launcher.lines()]
    assert "".join(lines) == "onetwo" + "x" * 20 + "end"


def test_it_is_a_launcher() -> None:
    """What runs workers on this machine is what any launcher promises to be."""
    assert isinstance(LocalLauncher([], [], {}), Launcher)


def test_cores_are_shared_unless_the_user_decided() -> None:
    """N workers get an equal share of threads, at least one each; variables that are set stay as they are."""
    assert threads_for(1, {}) == dict.fromkeys(THREADS, str(available_cores()))
    assert set(threads_for(10_000, {}).values()) == {"1"}
    assert "OMP_NUM_THREADS" not in threads_for(2, {"OMP_NUM_THREADS": "7"})
