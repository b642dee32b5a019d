"""Running the ``aiohpo`` command as a user does, with every wait bounded."""

from __future__ import annotations

import json
import os
import signal
import subprocess
import sys
import time
from collections import Counter
from collections.abc import Callable, Sequence
from contextlib import redirect_stdout, suppress
from io import StringIO
from pathlib import Path
from typing import Any

STUDY = """
import time
import aiohpo

def objective(trial):
    time.sleep({seconds})
    return (trial["x"] - 0.3) ** 2

study = aiohpo.Study(objective, aiohpo.Space(x=aiohpo.Float(0, 1)), searcher="random", seed=3)
"""
GATED = """
import asyncio, os, time
from pathlib import Path
import aiohpo

PLACE = Path(__file__).parent
passed = 0

def objective(trial):
    global passed
    note = PLACE / f"waiting-{os.getpid()}"
    while passed >= int((PLACE / "gate").read_text()):
        if not note.exists():
            note.write_text(str(passed))
        time.sleep(0.005)
    note.unlink(missing_ok=True)
    passed += 1
    return (trial["x"] - 0.3) ** 2

study = aiohpo.Study(objective, aiohpo.Space(x=aiohpo.Float(0, 1)), searcher="random", seed=3)
"""
# ``aiohpo run`` where matplotlib is not installed: importing it and drawing take as long as all else in a short run.
PLOTLESS = "import sys; sys.modules['matplotlib'] = None; from aiohpo.cli.main import main; main()"
_started: list[subprocess.Popen[str]] = []
ENVIRONMENT = {**os.environ, "OMP_NUM_THREADS": "1", "COLUMNS": "120"}


def until(condition: Callable[[], bool], within: float = 600.0) -> None:
    """Look until the condition holds; fail after ``within`` seconds, which only a failure takes."""
    end = time.monotonic() + within
    while not condition():
        assert time.monotonic() < end, f"waited {within} s in vain"
        time.sleep(0.05)


class Gate:
    """Where the trials of ``GATED`` wait until the test lets them pass, so that no search is over too soon.

    ``let(n)`` lets the first n evaluations of each worker pass and holds the others: when W workers wait, each has
    evaluated n trials and runs one more.
    """

    def __init__(self, place: Path, passing: int = 0) -> None:
        self._place = place
        self.let(passing)

    def let(self, passing: int) -> None:
        """Let each worker's first ``passing`` evaluations pass."""
        self._passing = passing
        new = self._place / "gate.new"
        new.write_text(str(passing))
        new.replace(self._place / "gate")

    def open(self) -> None:
        """Let all pass."""
        self.let(1 << 30)

    def waiting(self) -> int:
        """How many processes hold a trial that may not pass."""
        count = 0
        for note in self._place.glob("waiting-*"):
            with suppress(OSError, ValueError):  # it passed while we looked, or is about to write
                count += int(note.read_text()) >= self._passing and alive(int(note.name.rpartition("-")[2]))
        return count

    def gather(self, workers: int) -> None:
        """Wait until so many wait."""
        until(lambda: self.waiting() == workers)


def start(
    directory: Path, *args: str, prefix: Sequence[str] = (), plots: bool = False, **options: Any
) -> subprocess.Popen[str]:
    """Start ``aiohpo ARGS`` in ``directory``, by the command ``prefix`` if there is one; the test's end ends it.

    A run draws no picture in the end unless ``plots``.
    """
    program = ("-c", PLOTLESS) if args[0] == "run" and not plots else ("-m", "aiohpo")
    process = subprocess.Popen(
        [*prefix, sys.executable, *program, *args],
        cwd=directory,
        env=ENVIRONMENT,
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
        **options,
    )
    _started.append(process)
    return process


def end_all() -> None:
    """End what :func:`start` started, and the workers that those started."""
    for process in _started:
        for pid in workers(process):
            with suppress(ProcessLookupError):
                os.kill(pid, signal.SIGKILL)
        if process.poll() is None:
            process.kill()
            process.communicate()
    _started.clear()


def finish(process: subprocess.Popen[str], within: float = 600.0) -> tuple[int, str, str]:
    """Wait for the end; return code, stdout and stderr."""
    try:
        out, err = process.communicate(timeout=within)
    except subprocess.TimeoutExpired:
        process.kill()
        out, err = process.communicate()
        raise AssertionError(f"still running after {within} s:\n{out}\n{err}") from None
    return process.returncode, out, err


def call(directory: Path, *args: str, within: float = 600.0, plots: bool = False) -> tuple[int, str, str]:
    """Run ``aiohpo ARGS`` to its end."""
    return finish(start(directory, *args, plots=plots), within)


def shown(directory: Path, run: str) -> dict[str, Any]:
    """What ``aiohpo show --json`` says about a run, without starting a process."""
    from aiohpo.cli.main import invoke

    with redirect_stdout(StringIO()) as out:
        assert invoke(["show", str(directory / run), "--json"]) == 0
    return dict(json.loads(out.getvalue()))


def statuses(show: dict[str, Any]) -> Counter[str]:
    """How many trials have each status."""
    return Counter(trial["status"] for trial in show["trials"])


def ended(directory: Path, run: str) -> int:
    """How many trials ended so far, read as ``show`` reads it but without starting a process."""
    from aiohpo.storage.run import open_run

    path = directory / run
    return open_run(path).summary.ended if (path / "study.json").exists() else 0


def workers(launcher: subprocess.Popen[str]) -> list[int]:
    """The process ids of a launcher's workers, in the order of their ranks."""
    found = []
    for entry in Path("/proc").iterdir():
        if not entry.name.isdigit():
            continue
        try:
            parent = int((entry / "stat").read_text().rpartition(")")[2].split()[1])
            command = (entry / "cmdline").read_bytes().split(b"\0")
        except (OSError, ValueError):
            continue  # it ended while we looked
        if parent == launcher.pid and b"--rank" in command:
            found.append((int(command[command.index(b"--rank") + 1]), int(entry.name)))
    return [pid for _, pid in sorted(found)]


def alive(pid: int) -> bool:
    """Whether the process exists and is no zombie."""
    try:
        return "\nState:\tZ" not in (Path("/proc") / str(pid) / "status").read_text()
    except OSError:
        return False
