"""Which runs a server shows, and how long each is read."""

from __future__ import annotations

import shutil
from pathlib import Path

import pytest

from aiohpo.web import runs as module
from aiohpo.web.runs import DirectoryRuns
from tests.support.run_directories import make_run


async def test_runs_that_nobody_looks_at_are_forgotten(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """The one that was asked for longest ago first, and never one with a reader."""
    monkeypatch.setattr(module, "_MOST_OPEN", 1)
    for name in "abc":
        make_run(tmp_path / "all" / name, [1.0])
    folder = DirectoryRuns(tmp_path / "all")
    first = await folder.open("a")
    first.readers += 1
    second = await folder.open("b")
    await second.ask(lambda feed: None)
    third = await folder.open("c")
    await third.ask(lambda feed: None)
    first.readers -= 1
    assert await folder.open("c") is third
    assert await folder.open("b") is not second
    with pytest.raises(KeyError):
        await folder.open("d")


async def test_a_run_that_could_not_be_read_is_opened_anew(tmp_path: Path) -> None:
    """Once it can be read again; until then each question says what is wrong."""
    directory = make_run(tmp_path / "r", [1.0])
    runs = DirectoryRuns(directory)
    run = await runs.open("r")
    assert await run.ask(lambda feed: feed.view.n_ended) == 1
    run.failure = "it was away"
    again = await runs.open("r")
    assert again is not run
    shutil.rmtree(directory)
    make_run(directory, [1.0, 2.0])
    assert await again.ask(lambda feed: feed.view.n_ended) == 2
