"""Whether a journal's writer is gone."""

from __future__ import annotations

import fcntl
import os
import subprocess
import sys
from pathlib import Path

import pytest

from aiohpo.events.schema import Left, Started
from aiohpo.plugin.objective import Objective
from aiohpo.storage import liveness
from aiohpo.storage.journal import Journal
from aiohpo.storage.liveness import Writers, has_ended, lock_is_held
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


def test_a_lock_tells_only_about_this_machine(view: View, tmp_path: Path) -> None:
    """Free, it tells of a dead worker here and of nothing elsewhere; held, of a living one anywhere."""
    (tmp_path / "journal").mkdir()
    journals = {name: Journal(tmp_path / "journal" / f"{name}.log") for name in view.workers}
    writers = Writers(tmp_path, view)
    left = {"here-left": "left", "there-left": "left"}
    assert writers.states() == {"here-quiet": "alive", "there-quiet": "alive", **left}
    assert not writers.is_gone("here-quiet")
    for journal in journals.values():
        journal.close()
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


def test_a_file_system_without_locks_tells_nothing(view: View, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Then a worker is not taken for dead."""

    def refuse(*_: object) -> None:
        raise OSError(95, os.strerror(95))

    path = tmp_path / "ann.log"
    path.touch()
    monkeypatch.setattr(fcntl, "flock", refuse)
    assert lock_is_held(path) is None
    assert not has_ended(None, "here")
    assert liveness.writer_state("here-quiet", None, view) == "unknown"


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
        assert lock_is_held(path)
        writer.kill()
        writer.wait(120)
    assert lock_is_held(path) is False
