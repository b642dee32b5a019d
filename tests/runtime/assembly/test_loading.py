"""Tests of importing the parts of a search in a thread."""

from __future__ import annotations

import asyncio
import subprocess
import sys
import threading

import pytest

from aiohpo import Float, Space, Study, UsageError
from aiohpo.runtime.assembly.loading import load_parts
from aiohpo.storage.run_directory import RunDirectory

SPACE = Space(x=Float(0, 1))


async def objective(trial):
    return trial["x"]


async def test_plugins_are_imported_in_another_thread(monkeypatch):
    """Those that are named, with their options left out; an instance is there already."""
    loaded = []

    def load_plugin(kind, name):
        loaded.append((kind, name, threading.current_thread() is threading.main_thread()))

    monkeypatch.setattr("aiohpo.runtime.assembly.loading.load_plugin", load_plugin)
    study = Study(objective, SPACE, searcher="adbo:kappa=1", scheduler=object(), ensemble="topk")
    await load_parts(study._definition, "inproc", study._replica)
    assert loaded == [("transports", "inproc", False), ("searchers", "adbo", False), ("ensembles", "topk", False)]


async def test_a_plugin_that_is_not_there_is_one_error():
    """As where it is made."""
    study = Study(objective, SPACE, searcher="abdo")
    with pytest.raises(UsageError, match=r"there is no searcher named 'abdo'\. Did you mean 'adbo'\?"):
        await load_parts(study._definition, "inproc", study._replica)


async def test_a_directory_is_read_in_another_thread_and_once(tmp_path, monkeypatch):
    """What the thread has read is what the worker begins with, and what the study knows in the end."""
    await Study(objective, SPACE, searcher="random", directory=tmp_path / "r").arun(3)
    read = []

    def load(self, log, view):
        read.append(threading.current_thread() is threading.main_thread())
        return real(self, log, view)

    real = RunDirectory.load
    monkeypatch.setattr(RunDirectory, "load", load)
    result = await Study(objective, SPACE, searcher="random", directory=tmp_path / "r").arun(5)
    assert (len(result.trials), read) == (5, [False])


ALL_IN_A_THREAD = """
import asyncio, builtins, sys, threading
import aiohpo
aiohpo.Study, aiohpo.Worker
here, heavy = threading.get_ident(), []
real = builtins.__import__
def noting(name, *rest, **more):
    if threading.get_ident() == here and name.partition(".")[0] in ("scipy", "sklearn") and name not in sys.modules:
        heavy.append(name)
    return real(name, *rest, **more)
builtins.__import__ = noting
async def objective(trial):
    return trial["x"]
async def main():
    await aiohpo.Study(objective, aiohpo.Space(x=aiohpo.Float(0, 1))).arun(30, slots=4)
asyncio.run(main())
assert "scipy.optimize" in sys.modules
print(heavy)
"""


def test_a_search_imports_no_numerical_library_in_the_thread_of_its_loop():
    """From the first question to the searcher to the last, with models fitted in between."""
    done = subprocess.run([sys.executable, "-c", ALL_IN_A_THREAD], capture_output=True, text=True, timeout=120)
    assert (done.returncode, done.stdout.strip()) == (0, "[]"), done.stderr


async def test_a_study_that_is_about_to_run_runs_no_second_time():
    """Not even while its parts are being imported; when that fails it can be run again."""
    study = Study(objective, SPACE, searcher="random")
    first = asyncio.create_task(study.arun(3))
    await asyncio.sleep(0)
    with pytest.raises(UsageError, match="this study is running already"):
        await study.arun(3)
    await first
    study.searcher = "abdo"
    for _ in range(2):
        with pytest.raises(UsageError, match="there is no searcher"):
            await study.arun(4)
