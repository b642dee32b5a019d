"""Objectives that behave badly in every way we could think of, and a channel that records what it hears.

A module of its own, because the process evaluator's child imports objectives by name.
"""

from __future__ import annotations

import asyncio
import ctypes
import os
import re
import shutil
import signal
import socket
import subprocess
import sys
import tempfile
import threading
import time
import weakref
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass, field
from decimal import Decimal
from pathlib import Path
from typing import Any

import numpy as np

from aiohpo.evaluate.trial import Trial
from aiohpo.plugin import Assignment, Decision


@dataclass
class Recorder:
    """A channel, or a trial's link, that remembers what it hears.

    It answers with ``decide(step)``, and sets ``heard`` whenever there is a report.
    """

    decide: Callable[[int], Decision] = lambda step: Decision.CONTINUE
    reports: list[tuple[int, dict[str, float]]] = field(default_factory=list)
    saves: list[tuple[int, str, int]] = field(default_factory=list)
    stored: dict[str, str] = field(default_factory=dict)
    notes: dict[str, str] = field(default_factory=dict)
    files: dict[str, tuple[str, int]] = field(default_factory=dict)
    logged: list[str] = field(default_factory=list)
    noticed: list[str] = field(default_factory=list)
    timed: bool = True
    aborted: bool = False
    ending: bool = False  # for a trial that has this as its link
    heard: asyncio.Event = field(default_factory=asyncio.Event)

    def listen(self) -> None:
        pass

    def report(self, step: int, metrics: Mapping[str, float]) -> Decision:
        self.reports.append((step, dict(metrics)))
        self.heard.set()
        return self.decide(step)

    def save(self, step: int, digest: str, size: int) -> None:
        self.saves.append((step, digest, size))

    def predictions(self, digests: Mapping[str, str]) -> None:
        self.stored.update(digests)

    def note(self, notes: Mapping[str, str]) -> None:
        self.notes.update(notes)

    def attach(self, name: str, digest: str, size: int) -> None:
        self.files[name] = digest, size

    def log(self, text: str) -> None:
        self.logged.append(text)
        self.heard.set()

    @contextmanager
    def untimed(self) -> Iterator[None]:
        self.timed = False
        try:
            yield
        finally:
            self.timed = True

    def notice(self, text: str) -> None:
        self.noticed.append(text)

    @property
    def text(self) -> str:
        return "".join(self.logged)


def stop_at(step: int, decision: Decision = Decision.STOP) -> Callable[[int], Decision]:
    return lambda at: decision if at >= step else Decision.CONTINUE


def assignment(number: int = 1, /, **options: Any) -> Assignment:
    """An assignment whose configuration is what is not one of its own fields."""
    fields = {"attempt", "start", "to_step", "max_steps", "checkpoint", "reported", "slot"}
    config = {name: value for name, value in options.items() if name not in fields}
    return Assignment(
        f"w.{number}", number, config, **{name: value for name, value in options.items() if name in fields}
    )


def gone(pid: int, within: float = 600.0) -> bool:
    """Wait until process ``pid`` is no more, or only a zombie that nobody has reaped."""
    deadline = time.monotonic() + within
    while time.monotonic() < deadline:
        try:
            state = Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()[0]
        except (FileNotFoundError, ProcessLookupError):
            return True
        if state in "ZX":
            return True
        time.sleep(0.005)
    return False


SECRET = bytes(range(32))


class Alarm:
    """Unpickling it creates a file, and returns ``Alarm.RANG``: to see what is unpickled, in whatever process."""

    RANG = "the alarm rang"

    def __init__(self) -> None:
        self._file = Path(tempfile.mkdtemp(prefix="aiohpo-test-")) / "rang"
        weakref.finalize(self, shutil.rmtree, self._file.parent, ignore_errors=True)

    def __reduce__(self) -> tuple[Callable[[str], str], tuple[str]]:
        return _ring, (str(self._file),)

    def rang(self) -> bool:
        return self._file.exists()


def _ring(file: str) -> str:
    Path(file).touch()
    return Alarm.RANG


# ---------------------------------------------------------------------------------------- well behaved
def double(trial: Trial) -> float:
    return 2.0 * trial["x"]


async def async_double(trial: Trial) -> float:
    await asyncio.sleep(0)
    return 2.0 * trial["x"]


def whoami(trial: Trial) -> dict[str, int]:
    return {"loss": 0, "pid": os.getpid(), "group": os.getpgrp(), "session": os.getsid(0)}


def stepping(trial: Trial) -> float:
    total = trial.restore() or 0
    for step in trial.steps():
        total += step
        trial.report(total)
        trial.save(total)
    trial.predictions(valid=np.arange(3.0))
    return total


def restoring(trial: Trial) -> float:
    return 1.0 if trial.restore() == Alarm.RANG else 0.0


def until_told(trial: Trial) -> float:
    """Reports once, and saves its work when it is told that its worker ends; asks only ``trial.ended``."""
    trial.report(0.5)
    while not trial.ended:
        time.sleep(0.001)
    trial.save("saved at the end")
    return 1.0


def showing(trial: Trial) -> float:
    """Print what others can see of this process."""
    print(dict(os.environ), sys.orig_argv, sys.argv, trial, trial._program)
    return 0.0


# ----------------------------------------------------------------------------------------- badly behaved
def _endless_regex() -> None:
    re.match(r"(a+)+$", "a" * 64 + "b")


def _grandchild(trial: Trial) -> None:
    child = subprocess.Popen([sys.executable, "-c", "import time; time.sleep(600)"])
    trial.report(0.5, pid=child.pid)
    time.sleep(600)


def _leave_grandchild(trial: Trial) -> None:
    """Fork a process that holds on to every descriptor, then crash."""
    pid = os.fork()
    if pid == 0:
        time.sleep(600)
    trial.report(0.5, pid=pid)
    os._exit(7)


def _fork_and_both_return(trial: Trial) -> float:
    pid = os.fork()
    if pid:
        os.waitpid(pid, 0)
        return 1.0
    return 2.0


def _report_from_fork(trial: Trial) -> float:
    pid = os.fork()
    if pid == 0:
        try:
            trial.report(0.1)
        except Exception as error:
            os._exit(42 if "in a fork" in str(error) else 1)
        os._exit(0)
    return float(os.waitstatus_to_exitcode(os.waitpid(pid, 0)[1]))


LEFT: list[threading.Thread] = []


def _report_after_the_end(trial: Trial) -> float:
    def late() -> None:
        while True:
            try:
                trial.report(0.0, step=1)
            except BaseException:
                return

    LEFT.append(threading.Thread(target=late, daemon=True))
    LEFT[-1].start()
    return 1.0


def _swallow_everything(trial: Trial) -> float:
    for _ in range(20):
        try:
            trial.report(0.5)
        except BaseException:
            pass
    return 0.25


def _close_everything(trial: Trial) -> float:
    os.closerange(0, 64)
    while True:
        pass


def _write_junk_to_all(trial: Trial) -> None:
    for fd in range(3, 64):
        try:
            os.write(fd, b"\xc1junk")
        except OSError:
            pass
    time.sleep(600)


class Unprintable(Exception):
    def __str__(self) -> str:
        raise RuntimeError("no")

    __repr__ = __str__


class OddNumber:
    def __float__(self) -> float:
        raise RuntimeError("no number after all")

    def item(self) -> float:
        raise RuntimeError("no item either")


def _hang(trial: Trial) -> None:
    trial.report(0.5)
    while True:
        pass


def _wait(trial: Trial) -> None:
    trial.report(0.5)
    reading, _writing = socket.socketpair()  # both stay open: else there is nothing to wait for
    reading.recv(1)


def _raise(error: BaseException) -> None:
    raise error


def _crash_soon(trial: Trial) -> float:
    threading.Timer(0.0, os._exit, [9]).start()
    return 1.0


def _listen(trial: Trial, wait: Callable[[], Any]) -> None:
    trial.report(0.5)
    wait()


def _report_again_and_again(trial: Trial) -> None:
    while True:
        trial.report(0.5, step=1)


def _save_again_and_again(trial: Trial) -> None:
    while True:
        trial.save(b"")


def _look_whether_it_ended(trial: Trial) -> None:
    while not trial.ended:
        pass


def _signals(trial: Trial) -> float:
    """What a batch system sends to all processes of a job; then the status of a forked child that gets the same."""
    for number in (signal.SIGTERM, signal.SIGINT, signal.SIGHUP, signal.SIGUSR1, signal.SIGUSR2, signal.SIGXCPU):
        os.kill(os.getpid(), number)
    child = os.fork()
    if not child:
        os.kill(os.getpid(), signal.SIGTERM)
        os._exit(0)
    return float(os.waitstatus_to_exitcode(os.waitpid(child, 0)[1]))


BEHAVIOURS: dict[str, Callable[[Trial], Any]] = {
    "signals": _signals,
    "listen at steps": lambda trial: _listen(trial, lambda: all(trial.steps())),
    "listen at reports": lambda trial: _listen(trial, lambda: _report_again_and_again(trial)),
    "listen at saves": lambda trial: _listen(trial, lambda: _save_again_and_again(trial)),
    "listen at ended": lambda trial: _listen(trial, lambda: _look_whether_it_ended(trial)),
    "kill supervisor": lambda trial: (os.kill(os.getppid(), signal.SIGKILL), time.sleep(600)),
    "config": lambda trial: (print(repr(trial.config)), 1.0)[1],
    "fine": lambda trial: 1.0,
    "pid": lambda trial: {"loss": 0.0, "pid": os.getpid()},
    "raise": lambda trial: _raise(ValueError("bad luck")),
    "raise huge": lambda trial: _raise(ValueError("x" * 50_000_000)),
    "raise unprintable": lambda trial: _raise(Unprintable()),
    "raise surrogate": lambda trial: _raise(ValueError("file \udcff")),
    "raise interrupt": lambda trial: _raise(KeyboardInterrupt()),
    "raise generator exit": lambda trial: _raise(GeneratorExit()),
    "recursion": lambda trial: BEHAVIOURS["recursion"](trial),
    "memory error": lambda trial: _raise(MemoryError()),
    "exit": lambda trial: sys.exit(3),
    "os exit": lambda trial: os._exit(3),
    "os exit 0": lambda trial: os._exit(0),
    "segfault": lambda trial: ctypes.string_at(0),
    "kill": lambda trial: os.kill(os.getpid(), signal.SIGKILL),
    "abort": lambda trial: os.abort(),
    "nan": lambda trial: float("nan"),
    "inf": lambda trial: float("inf"),
    "none": lambda trial: None,
    "string": lambda trial: "0.5",
    "list": lambda trial: [0.5],
    "dict of strings": lambda trial: {"loss": "low"},
    "dict without": lambda trial: {"accuracy": 0.5},
    "dict odd names": lambda trial: {1: 0.5},
    "odd number": lambda trial: OddNumber(),
    "complex": lambda trial: 1j,
    "coroutine": lambda trial: async_double(trial),
    "float32": lambda trial: np.float32(0.5),
    "int64": lambda trial: {"loss": np.int64(3), "flag": np.bool_(True)},
    "array of one": lambda trial: np.array([0.5]),
    "array of two": lambda trial: np.array([0.5, 0.6]),
    "decimal": lambda trial: Decimal("0.5"),
    "big int": lambda trial: 10**400,
    "report nan": lambda trial: trial.report(float("nan")),
    "report string": lambda trial: trial.report("0.5"),
    "spam": lambda trial: sys.stderr.write("spam spam\n" * 5_000_000) and 1.0,
    "spam and crash": lambda trial: (sys.stderr.write("spam spam\n" * 5_000_000), os._exit(1)),
    "print": lambda trial: (print("hello from", trial.id), print("and stderr", file=sys.stderr), 1.0)[2],
    "print raw": lambda trial: (os.write(1, b"raw \xff bytes\n"), 1.0)[1],
    "close stdout": lambda trial: (os.close(1), os.close(2), 1.0)[2],
    "close sys.stdout": lambda trial: (sys.stdout.close(), 1.0)[1],
    "close everything": _close_everything,
    "junk": _write_junk_to_all,
    "stdin": lambda trial: float(len(sys.stdin.read())),
    "busy": _hang,
    "regex": lambda trial: (trial.report(0.5), _endless_regex()),
    "sleep": lambda trial: (trial.report(0.5), time.sleep(600)),
    "wait": _wait,
    "grandchild": _grandchild,
    "leave grandchild": _leave_grandchild,
    "fork": _fork_and_both_return,
    "fork report": _report_from_fork,
    "late report": _report_after_the_end,
    "swallow": _swallow_everything,
    "crash soon": _crash_soon,
    "flag": lambda trial: True,
}


def environment(trial: Trial) -> Any:
    """The number of the slot, and where its device stands among those that the test made visible."""
    device = ("4", "GPU-8f", "2").index(os.environ["CUDA_VISIBLE_DEVICES"])
    return {"loss": 0.0, "slot": float(os.environ["AIOHPO_SLOT"]), "device": float(device)}


def behave(trial: Trial) -> Any:
    return BEHAVIOURS[trial["do"]](trial)


async def behave_async(trial: Trial) -> Any:
    await asyncio.sleep(0)
    return BEHAVIOURS[trial["do"]](trial)
