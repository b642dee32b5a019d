"""Whether a journal's writer is gone."""

from __future__ import annotations

import errno
import fcntl
import os
import subprocess
import sys
import time
from pathlib import Path

import pytest

from aiohpo.events.schema import Left, Started
from aiohpo.plugin.objective import Objective
from aiohpo.storage.journal import Journal
from aiohpo.storage.liveness import SILENCE, Sign, Writers, is_running, sign_of
from aiohpo.view.view import View
from tests.support.histories import SPACE


@pytest.fixture
def view(monkeypatch: pytest.MonkeyPatch) -> View:
    """Four workers on this machine and on another; of each pair one left."""
    monkeypatch.setattr("platform.node", lambda: "here")
    view = View(SPACE, Objective("loss", "min"))
    for host in ("here", "there"):
        for end in ("quiet", "left"):
            name = f"{host}-{end}"
            view.apply(name, 1, Started(1, 0.0, host, 1, ""))
            if end == "left":
                view.apply(name, 2, Left(2, 1.0, "done"))
    return view


def no_locks(*_: object) -> None:
    raise OSError(errno.ENOSYS, os.strerror(errno.ENOSYS))


def no_process() -> None:
    raise ProcessLookupError


def test_a_lock_tells_only_about_this_machine(view: View, tmp_path: Path) -> None:
    """Free, it tells of a dead worker here and of nothing elsewhere; held, of a living one anywhere."""
    (tmp_path / "journal").mkdir()
    journals = {name: Journal(tmp_path / "journal" / f"{name}.log") for name in view.workers}
    writers = Writers(tmp_path, view)
    assert writers.states() == dict.fromkeys(view.workers, "alive")  # whoever wrote in their names that they left
    assert not writers.is_gone("here-quiet")
    for journal in journals.values():
        journal.close()
    left = {"here-left": "left", "there-left": "left"}
    assert writers.states() == {"here-quiet": "dead", "there-quiet": "unknown", **left}
    assert [writers.is_gone(name) for name in ("here-quiet", "there-quiet", "there-left")] == [True, False, True]


def test_without_a_journal_nothing_is_known(view: View, tmp_path: Path) -> None:
    """The worker may write elsewhere; one that nobody heard of may be anything."""
    writers = Writers(tmp_path, view)
    assert writers.states()["here-quiet"] == "unknown"
    assert not writers.is_gone("here-quiet")
    assert not writers.is_gone("nobody")
    (tmp_path / "journal").mkdir()
    Journal(tmp_path / "journal" / "nobody.log").close()
    assert not writers.is_gone("nobody")
    assert "nobody" not in writers.states()


@pytest.mark.parametrize(
    ("host", "lives", "silent", "state"),
    [
        ("here", True, False, "alive"),
        ("here", True, True, "unknown"),
        ("here", False, False, "unknown"),
        ("here", False, True, "dead"),
        ("there", True, False, "unknown"),
        ("there", False, True, "unknown"),
    ],
)
def test_without_locks_a_process_and_its_signs_of_life_tell(
    view: View, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, host: str, lives: bool, silent: bool, state: str
) -> None:
    """On a file system that has none, a worker of this machine is dead if no such process is there and its journal has
    not been touched for a time, and of one elsewhere nothing is known."""
    monkeypatch.setattr(fcntl, "flock", no_locks)
    (tmp_path / "journal").mkdir()
    path = tmp_path / "journal" / f"{host}-quiet.log"
    path.touch()
    if silent:
        os.utime(path, (0.0, time.time() - SILENCE - 1))
    monkeypatch.setattr(os, "kill", lambda pid, number: None if lives else no_process())
    assert Writers(tmp_path, view).states()[f"{host}-quiet"] == state


def test_a_worker_without_locks_gives_signs_of_life(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """It says why it has no lock, and touches its journal whenever that is made durable."""
    monkeypatch.setattr(fcntl, "flock", no_locks)
    journal = Journal(tmp_path / "ann.log")
    assert journal.without_lock == "Function not implemented"
    os.utime(tmp_path / "ann.log", (0.0, 0.0))
    journal.sync()
    assert sign_of(tmp_path / "ann.log").held is None
    assert time.time() - os.stat(tmp_path / "ann.log").st_mtime < SILENCE
    journal.close()


def test_what_is_no_file_has_no_sign_of_life(view: View, tmp_path: Path) -> None:
    """A FIFO or a directory in the place of a journal is not waited for."""
    (tmp_path / "journal").mkdir()
    os.mkfifo(tmp_path / "journal" / "here-quiet.log")
    (tmp_path / "journal" / "there-quiet.log").mkdir()
    assert {Writers(tmp_path, view).states()[name] for name in ("here-quiet", "there-quiet")} == {"unknown"}


@pytest.mark.parametrize("pid", [0, 1 << 70])
def test_a_process_number_that_cannot_be_one_is_nobodys(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, pid: int
) -> None:
    """What a journal says may be anything."""
    monkeypatch.setattr("platform.node", lambda: "here")
    assert is_running(Sign(None, SILENCE + 1), Started(1, 0.0, "here", pid, "")) is False


def test_the_lock_of_a_process_is_free_when_it_dies(tmp_path: Path) -> None:
    """Also by kill -9."""
    path = tmp_path / "ann.log"
    code = (
        "import pathlib, sys; from aiohpo.storage.journal import Journal; "
        "journal = Journal(pathlib.Path(sys.argv[1])); print('up', flush=True); sys.stdin.read()"
    )
    with subprocess.Popen(
        [sys.executable, "-c", code, str(path)], stdin=subprocess.PIPE, stdout=subprocess.PIPE
    ) as writer:
        assert writer.stdout is not None
        assert writer.stdout.readline() == b"up\n"
        assert sign_of(path).held
        writer.kill()
        writer.wait(120)
    assert sign_of(path).held is False
