"""Ctrl-C, a closed terminal, and what the exit codes say."""

from __future__ import annotations

import os
import pty
import signal
import sys
from pathlib import Path

import pytest

from tests.smoke.processes import ENVIRONMENT, GATED, Gate, alive, call, finish, shown, start, workers

pytestmark = pytest.mark.smoke


@pytest.fixture
def place(tmp_path: Path) -> Path:
    """A directory with a study whose trials wait at a gate."""
    (tmp_path / "train.py").write_text(GATED)
    return tmp_path


@pytest.mark.parametrize("number", [signal.SIGINT, signal.SIGHUP])
def test_a_signal_stops_in_good_order_and_the_same_command_goes_on(place: Path, number: signal.Signals) -> None:
    """Ctrl-C or a closed terminal: workers release what they run and leave; the same command meets the budget."""
    args = ("run", "train.py", "--trials", "12", "--workers", "2", "--dir", "r", "--grace", "0")
    gate = Gate(place, 2)
    running = start(place, *args)
    gate.gather(2)
    running.send_signal(number)
    code, out, err = finish(running)
    assert code == 130, err
    assert out == ""
    assert f"to continue: aiohpo {' '.join(args)}" in err
    assert "Traceback" not in err
    show = shown(place, "r")
    assert show["study"]["running"] == 0
    assert [worker["status"] for worker in show["workers"]] == ["left", "left"]
    gate.open()
    assert call(place, *args)[0] == 0
    assert shown(place, "r")["study"]["ended"] == 12


def test_ctrl_c_at_the_terminal_ends_even_trials_that_hang(place: Path) -> None:
    """The whole foreground group gets SIGINT, as from a terminal; each worker gets one, and nobody is left."""
    gate = Gate(place)
    running = start(
        place,
        "run",
        "train.py",
        "--trials",
        "30",
        "--workers",
        "2",
        "--dir",
        "r",
        "--grace",
        "0",
        start_new_session=True,
    )
    gate.gather(2)
    pids = workers(running)
    os.killpg(running.pid, signal.SIGINT)
    code, _, err = finish(running)
    assert code == 130
    assert "stopped after 0 trials" in err
    assert not any(map(alive, pids))
    assert [trial["status"] for trial in shown(place, "r")["trials"]] == ["lost", "lost"]
    assert "Traceback" not in "".join(file.read_text() for file in (place / "r" / "output").iterdir())


def test_a_second_signal_ends_at_once(place: Path) -> None:
    """Workers that do not react (here: they are stopped) are killed."""
    gate = Gate(place, 1)
    running = start(place, "run", "train.py", "--trials", "30", "--workers", "2", "--dir", "r", "--grace", "0")
    gate.gather(2)
    pids = workers(running)
    for pid in pids:
        os.kill(pid, signal.SIGSTOP)
    running.send_signal(signal.SIGINT)
    assert running.stderr is not None
    assert any("stopping: running trials are released" in line for line in iter(running.stderr.readline, ""))
    running.send_signal(signal.SIGINT)
    assert finish(running)[0] == 130
    assert not any(map(alive, pids))


@pytest.mark.parametrize("number", [signal.SIGINT, signal.SIGUSR1])
def test_a_workers_own_signal_releases_its_trial(place: Path, number: signal.Signals) -> None:
    """``aiohpo worker`` leaves in good order on Ctrl-C or a batch system's warning, and says so in its last line."""
    gate = Gate(place)
    running = start(place, "worker", "train.py", "--dir", "r", "--grace", "0")
    gate.gather(1)
    running.send_signal(number)
    code, _, err = finish(running)
    assert code == 130
    assert err.splitlines()[-1].startswith("aiohpo: stopped: <Result no result, 1 lost")
    assert [trial["status"] for trial in shown(place, "r")["trials"]] == ["lost"]
    assert [worker["status"] for worker in shown(place, "r")["workers"]] == ["left"]


def test_a_terminal_that_is_closed_ends_a_run_in_good_order(place: Path) -> None:
    """The hang-up reaches the command, which has nowhere to speak any more, and its exit code is that of Ctrl-C."""
    gate = Gate(place)
    pid, terminal = pty.fork()
    if pid == 0:
        os.chdir(place)
        words = [
            sys.executable,
            "-m",
            "aiohpo",
            "run",
            "train.py",
            "--trials",
            "3",
            "--workers",
            "1",
            "--dir",
            "r",
            "--grace",
            "0",
        ]
        os.execve(sys.executable, words, ENVIRONMENT)
    gate.gather(1)
    os.close(terminal)
    assert os.waitstatus_to_exitcode(os.waitpid(pid, 0)[1]) == 130
    assert [worker["status"] for worker in shown(place, "r")["workers"]] == ["left"]
