"""Watching real workers over real sockets, and in a real terminal."""

from __future__ import annotations

import json
import os
import pty
import re
import select
import signal
import subprocess
import sys
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from tests.smoke.processes import ENVIRONMENT, GATED, Gate, call, ended, finish, shown, start, until, workers

pytestmark = pytest.mark.smoke


@pytest.fixture
def place(tmp_path: Path) -> Path:
    """A directory with a study whose trials wait at a gate."""
    (tmp_path / "train.py").write_text(GATED)
    return tmp_path


@pytest.fixture
def gate(place: Path) -> Gate:
    """It lets two trials of each worker pass at first."""
    return Gate(place, 2)


@pytest.fixture
def search(place: Path, gate: Gate) -> Iterator[subprocess.Popen[str]]:
    """Three workers that have begun a search without an end."""
    running = start(place, "run", "train.py", "--time", "1h", "--workers", "3", "--dir", "r")
    gate.gather(3)
    yield running
    if running.poll() is None:
        running.send_signal(signal.SIGINT)
        finish(running)


KEY = ("--key", "r/study.key")  # of the search in r


def address(place: Path) -> str:
    """Where some worker is reached."""
    return min((place / "r" / "peers").glob("*.address")).read_text()


def look(place: Path, target: str, *args: str) -> dict[str, Any]:
    """What ``aiohpo watch --once --json`` says."""
    if target.startswith("tcp:") and not args:
        args = KEY
    code, out, err = call(place, "watch", target, "--once", "--json", *args)
    assert code == 0, err
    return dict(json.loads(out))


def test_directory_and_address_show_the_same_search(place: Path, search: subprocess.Popen[str]) -> None:
    """Knowing nothing but an address, a spectator sees what the journals hold."""
    from_files, from_mesh = look(place, "r"), look(place, address(place))
    cards = look(place, (place / "r" / "peers").as_uri())
    assert from_files["mesh"] is None
    for seen in (from_mesh, cards):
        assert seen["mesh"]["links"] == 3
        assert 0 < seen["mesh"]["round_trip"] < 5
        assert seen["study"]["ended"] >= from_files["study"]["ended"] > 0
        assert {w["id"]: w["pid"] for w in seen["workers"]} == {w["id"]: w["pid"] for w in from_files["workers"]}
        assert {w["status"] for w in seen["workers"]} == {"alive"}
    known = {worker["id"] for worker in shown(place, "r")["workers"]}
    assert known == {w["id"] for w in from_files["workers"]}, "a spectator counts as a worker"


def test_a_killed_worker_turns_suspect_and_dead(place: Path, gate: Gate, search: subprocess.Popen[str]) -> None:
    """kill -9 is seen over the mesh, and the spectator's own kill -9 by nobody."""
    reached = address(place)
    watching = start(place, "watch", reached, *KEY, "--json", "--interval", "0.25")
    assert watching.stdout is not None
    end = time.monotonic() + 120
    first = {"workers": []}
    while sum(w["pid"] is not None for w in first["workers"]) < 2:
        assert time.monotonic() < end, first  # the spectator hears of the others by and by
        first = json.loads(watching.stdout.readline())
    by_address = {(place / "r" / "peers" / f"{w['id']}.address").read_text(): w for w in first["workers"]}
    victim = next(w for a, w in by_address.items() if a != reached)
    os.kill(victim["pid"], signal.SIGKILL)
    states: list[str] = []
    end = time.monotonic() + 120
    while "dead" not in states:
        assert time.monotonic() < end, states
        seen = json.loads(watching.stdout.readline())
        (state,) = [w["status"] for w in seen["workers"] if w["id"] == victim["id"]]
        if state not in states:
            states.append(state)
    # Workers that share a directory find the journal's lock free, and need not suspect for long.
    assert states in (["alive", "suspect", "dead"], ["alive", "dead"])
    watching.kill()
    watching.communicate()
    before = ended(place, "r")
    gate.let(4)
    until(lambda: ended(place, "r") >= before + 3)  # both may evaluate the victim's trial, which ends once
    assert len(workers(search)) == 2


def test_it_ends_with_the_search(place: Path, gate: Gate) -> None:
    """When the last worker left, the last picture has every trial, and the code is 0."""
    running = start(place, "run", "train.py", "--trials", "12", "--workers", "2", "--dir", "r")
    gate.gather(2)
    watching = start(place, "watch", address(place), *KEY, "--json", "--interval", "0.5")
    assert watching.stdout is not None
    assert json.loads(watching.stdout.readline())["study"]["ended"] <= 4  # it is there, and hears of them by and by
    gate.open()
    assert finish(running)[0] == 0
    code, out, err = finish(watching)
    assert code == 0, err
    assert "no worker is left" in err
    last = json.loads(out.splitlines()[-1])
    assert (last["study"]["ended"], last["study"]["trials"]) == (12, 12)
    assert {w["status"] for w in last["workers"]} == {"left"}


def test_ctrl_c_ends_it_in_good_order(place: Path, search: subprocess.Popen[str]) -> None:
    """It is how one leaves: no traceback, no error, and the search goes on."""
    for target in (["r"], [address(place), *KEY]):
        watching = start(place, "watch", *target, "--interval", "0.2")
        assert watching.stdout is not None
        watching.stdout.readline()
        watching.send_signal(signal.SIGINT)
        code, _, err = finish(watching)
        assert (code, err) == (0, "")
    assert search.poll() is None


def test_nobody_there_is_an_error_within_seconds(place: Path) -> None:
    """A port that nobody listens at: the address and the likely causes in one line."""
    code, out, err = call(place, "watch", "tcp://127.0.0.1:1", "--insecure")
    assert (code, out) == (2, "")
    assert "no answer from tcp://127.0.0.1:1" in err


def test_a_key_is_needed_where_the_study_has_one(place: Path, gate: Gate) -> None:
    """With the key it is shown; without it the error says so."""
    assert call(place, "keygen", "study.key")[0] == 0
    running = start(place, "worker", "train.py", "--key", "study.key", "--time", "1h", "--dir", "r")
    try:
        gate.gather(1)
        assert look(place, address(place), "--key", "study.key")["study"]["ended"] == 2
        for insecure, said in (((), "needs its study's key"), (("--insecure",), "no answer from .* requires a key")):
            code, out, err = call(place, "watch", address(place), *insecure)
            assert (code, out) == (2, "")
            assert re.search(said, err)
    finally:
        running.send_signal(signal.SIGINT)
        finish(running)


@pytest.mark.parametrize(("columns", "lines"), [(80, 24), (200, 50)])
def test_in_a_terminal_it_has_a_screen_of_its_own(
    place: Path, search: subprocess.Popen[str], columns: int, lines: int
) -> None:
    """The alternate screen is opened, drawn, and closed again by Ctrl-C; the last picture stays."""
    main, side = pty.openpty()
    environment = {**ENVIRONMENT, "COLUMNS": str(columns), "LINES": str(lines), "TERM": "xterm-256color"}
    watching = subprocess.Popen(
        [sys.executable, "-m", "aiohpo", "watch", address(place), *KEY],
        cwd=place,
        env=environment,
        stdin=side,
        stdout=side,
        stderr=side,
    )
    os.close(side)
    read = b""
    end = time.monotonic() + 120
    interrupted = False
    while True:
        assert time.monotonic() < end, read
        if not select.select([main], [], [], 1.0)[0]:
            continue
        try:
            read += os.read(main, 65536)
        except OSError:  # the other side was closed
            break
        if read.count(b"links") >= 3 and not interrupted:
            interrupted = True
            watching.send_signal(signal.SIGINT)
    os.close(main)
    assert watching.wait(120) == 0
    text = read.decode()
    opened, closed = text.index("\x1b[?1049h"), text.index("\x1b[?1049l")
    assert opened < text.index("3 alive") < closed < text.rindex("3 alive")
