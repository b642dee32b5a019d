"""What trials leave of their process, in one process that runs them all."""

from __future__ import annotations

import asyncio
import gc
import io
import json
import locale
import logging
import os
import resource
import signal
import socket
import sys
import tempfile
import threading
import warnings
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from aiohpo.evaluate.process.evaluator import ProcessEvaluator
from aiohpo.evaluate.program import Program
from aiohpo.evaluate.trial import Trial
from aiohpo.storage.blob_store import DirectoryBlobs
from tests.support.evaluate_objectives import SECRET, Recorder, assignment

pytestmark = pytest.mark.smoke


def _replace_streams() -> None:
    sys.stdout, sys.stderr, sys.stdin = io.StringIO(), None, None  # type: ignore[assignment]


def _close_streams() -> None:
    sys.stdout.close()
    sys.stderr.detach()


def _close_descriptors() -> None:
    for fd in range(3):
        os.close(fd)


def _redirect_descriptors() -> None:
    for fd in range(3):
        os.dup2(os.open(os.devnull, os.O_RDWR), fd)


def _change_signals() -> None:
    for number in (signal.SIGTERM, signal.SIGINT, signal.SIGUSR1, signal.SIGALRM):
        signal.signal(number, signal.SIG_IGN)
    signal.alarm(1000)
    signal.pthread_sigmask(signal.SIG_BLOCK, {signal.SIGTERM})


def _change_environment() -> None:
    os.environ["NEW"] = "1"
    os.environ["HOME"] = "/nowhere"
    del os.environ["PATH"]


def _change_interpreter() -> None:
    sys.setrecursionlimit(5000)
    sys.setswitchinterval(0.5)
    gc.disable()
    gc.set_threshold(1, 1, 1)
    socket.setdefaulttimeout(1.0)
    logging.disable(logging.CRITICAL)
    sys.path.insert(0, "/nowhere")
    sys.argv = ["other"]
    sys.excepthook = threading.excepthook = lambda *args: None  # type: ignore[assignment]
    tempfile.tempdir = "/nowhere"
    locale.setlocale(locale.LC_ALL, "C")


def _use_a_deleted_directory() -> None:
    directory = tempfile.mkdtemp()
    os.chdir(directory)
    os.rmdir(directory)


CHANGES: dict[str, Callable[[], Any]] = {
    "directory": lambda: os.chdir("/"),
    "deleted directory": _use_a_deleted_directory,
    "umask": lambda: os.umask(0o777),
    "environment": _change_environment,
    "streams": _replace_streams,
    "closed streams": _close_streams,
    "descriptors": _redirect_descriptors,
    "closed descriptors": _close_descriptors,
    "signals": _change_signals,
    "warnings": lambda: warnings.simplefilter("error"),
    "warnings reset": warnings.resetwarnings,
    "interpreter": _change_interpreter,
    "limit": lambda: resource.setrlimit(resource.RLIMIT_CORE, (0, resource.getrlimit(resource.RLIMIT_CORE)[1])),
}


def surroundings() -> dict[str, Any]:
    """What a trial finds."""
    os.umask(mask := os.umask(0))
    return {
        "directory": os.getcwd(),
        "umask": mask,
        "environment": dict(os.environ),
        "descriptors": [[os.fstat(fd).st_dev, os.fstat(fd).st_ino] for fd in range(3)],
        "streams": [getattr(sys, name).fileno() for name in ("stdin", "stdout", "stderr")],
        "encodings": [[s.encoding, s.errors, s.line_buffering] for s in (sys.stdin, sys.stdout, sys.stderr)],
        "signals": [str(h) if isinstance(h, int) else type(h).__name__ for h in map(signal.getsignal, range(1, 32))],
        "blocked": sorted(signal.pthread_sigmask(signal.SIG_BLOCK, ())),
        "alarm": signal.getitimer(signal.ITIMER_REAL),
        "filters": str(warnings.filters),
        "interpreter": [sys.getrecursionlimit(), sys.getswitchinterval(), gc.isenabled(), gc.get_threshold()],
        "modules": [socket.getdefaulttimeout(), logging.root.manager.disable, sys.path, sys.argv, tempfile.tempdir],
        "hooks": [str(sys.excepthook), str(threading.excepthook)],
        "locale": locale.setlocale(locale.LC_ALL),
        "limits": [resource.getrlimit(limit) for limit in (resource.RLIMIT_CORE, resource.RLIMIT_NOFILE)],
        "pid": os.getpid(),
    }


def objective(trial: Trial) -> float:
    if trial["do"] == "look":
        print(json.dumps(surroundings()))
    elif trial["do"] == "say":
        print("out")
        print("err", file=sys.stderr)
        os.write(1, b"raw\n")
    elif trial["do"] == "be nice":
        os.setpriority(os.PRIO_PROCESS, 0, 5)
        os.setuid(65534)  # so that it cannot be undone
    else:
        CHANGES[trial["do"]]()
    return 0.0


async def async_objective(trial: Trial) -> float:
    await asyncio.sleep(0)
    return objective(trial)


@pytest.mark.parametrize("function", [objective, async_objective])
async def test_a_trial_finds_its_process_as_the_first_one_did(function: Callable[..., Any], tmp_path: Path) -> None:
    """Whatever earlier trials did to directory, environment, streams, signals, warnings and settings is undone."""
    evaluator = ProcessEvaluator()
    await evaluator.start(Program(function, secret=SECRET), DirectoryBlobs(tmp_path))

    async def text(do: str) -> str:
        channel = Recorder()
        outcome = await asyncio.wait_for(evaluator.run(assignment(do=do), channel), 600)
        assert outcome.kind == "finished", outcome
        return channel.text

    first = json.loads(await text("look"))
    for change in CHANGES:
        await text(change)
        assert json.loads(await text("look")) == first, change
        assert await text("say") == "out\nerr\nraw\n", change
    await evaluator.aclose()


@pytest.mark.skipif(os.name != "posix" or os.getuid() != 0, reason="takes root to become somebody else")
async def test_what_cannot_be_undone_takes_a_new_process(tmp_path: Path) -> None:
    """A process that gave up its rights is not used again."""
    evaluator = ProcessEvaluator()
    await evaluator.start(Program(objective, secret=SECRET), DirectoryBlobs(tmp_path))
    looks: list[dict[str, Any]] = []
    for do in ("look", "be nice", "look"):
        channel = Recorder()
        outcome = await asyncio.wait_for(evaluator.run(assignment(do=do), channel), 600)
        assert outcome.kind == "finished", outcome
        looks += [json.loads(channel.text)] if do == "look" else []
    assert looks[0].pop("pid") != looks[1].pop("pid")
    await evaluator.aclose()
