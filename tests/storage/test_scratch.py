"""Scratch directories, and what becomes of them when their process is killed."""

from __future__ import annotations

import errno
import fcntl
import os
import subprocess
import sys
from pathlib import Path

import pytest

from aiohpo.storage.scratch import Scratch, sweep


@pytest.fixture(autouse=True)
def temporary(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """The system's temporary directory, for these tests alone."""
    monkeypatch.setattr("tempfile.tempdir", str(tmp_path))
    return tmp_path


def test_a_scratch_directory_is_its_owners_and_goes_when_it_is_removed(temporary: Path) -> None:
    """Nothing of it stays, whatever is in it, and removing it again does nothing."""
    scratch = Scratch()
    assert scratch.path.stat().st_mode & 0o777 == scratch.path.parent.stat().st_mode & 0o777 == 0o700
    (scratch.path / "a").mkdir()
    (scratch.path / "a" / "b").touch()
    assert repr(scratch) == f"<Scratch {scratch.path}>"
    scratch.remove()
    scratch.remove()
    assert repr(scratch) == f"<Scratch {scratch.path}, removed>"
    assert list(temporary.iterdir()) == []


def test_only_those_of_the_dead_are_swept(temporary: Path) -> None:
    """What a process that was killed has left goes with the next sweep; what is in use stays."""
    code = (
        "import sys, tempfile; tempfile.tempdir = sys.argv[1]; from aiohpo.storage.scratch import Scratch; "
        "print(Scratch().path, flush=True); sys.stdin.read()"
    )
    mine = Scratch()
    with subprocess.Popen(
        [sys.executable, "-c", code, str(temporary)], stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True
    ) as process:
        assert process.stdout is not None
        theirs = Path(process.stdout.readline().strip())
        (theirs / "weights").touch()
        sweep()
        assert theirs.exists()
        process.kill()
        process.wait(120)
    sweep()
    assert not theirs.exists()
    assert mine.path.exists()
    mine.remove()


def test_what_is_not_a_scratch_directory_of_this_machine_stays(temporary: Path) -> None:
    """Where machines share a temporary directory, a lock of another one may look free; links are not followed."""
    scratch = Scratch()
    there = scratch.path.parent / "elsewhere-12345678"
    there.mkdir()
    (temporary / "precious").mkdir()
    link = scratch.path.with_name(scratch.path.name + "x")
    link.symlink_to(temporary / "precious")
    sweep()
    assert there.exists()
    assert (temporary / "precious").exists()
    scratch.remove()


def test_a_directory_that_is_swept_before_it_is_locked_is_made_again(
    temporary: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Another process may look just then: this one notices, and takes another."""
    real, lost = fcntl.flock, []

    def lock(descriptor: int, how: int) -> None:
        if len(lost) < 2:
            (found,) = (path for path in (temporary / f"aiohpo-{os.geteuid()}").iterdir() if path not in lost)
            lost.append(found)
            if len(lost) == 1:
                raise BlockingIOError  # the other one has it
            found.rmdir()  # the other one is done with it
        real(descriptor, how)

    monkeypatch.setattr(fcntl, "flock", lock)
    scratch = Scratch()
    assert scratch.path.exists()
    assert scratch.path not in lost
    scratch.remove()


def test_without_locks_nothing_is_swept(temporary: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Nobody can tell then whether a directory is in use."""

    def no_locks(*_: object) -> None:
        raise OSError(errno.ENOSYS, os.strerror(errno.ENOSYS))

    monkeypatch.setattr(fcntl, "flock", no_locks)
    scratch = Scratch()
    sweep()
    assert scratch.path.exists()
    scratch.remove()


@pytest.mark.parametrize("how", ["link", "file", "open"])
def test_a_place_that_another_user_may_have_made_is_not_used(temporary: Path, how: str) -> None:
    """Its name is known to everybody, and the system's temporary directory is open to all; so it lies there then."""
    place = temporary / f"aiohpo-{os.geteuid()}"
    (temporary / "theirs").mkdir()
    if how == "link":
        place.symlink_to(temporary / "theirs")
    elif how == "file":
        place.touch()
    else:
        place.mkdir()
        place.chmod(0o777)
    scratch = Scratch()
    innocent = temporary / "theirs" / scratch.path.name
    innocent.mkdir()
    sweep()
    assert scratch.path.parent == temporary
    scratch.remove()
    assert not scratch.path.exists()
    assert innocent.exists()
