"""Ending a search and retrying failed trials, from a run directory and from addresses."""

from __future__ import annotations

import asyncio
from pathlib import Path

import pytest

import aiohpo
from aiohpo.errors import UsageError
from aiohpo.keys import find_key
from aiohpo.storage.run import open_run
from aiohpo.web.actions import ENDED_BY_HAND, Door, end_search, retry_failed
from tests.support.run_directories import make_run


async def wait(trial: aiohpo.Trial) -> float:
    """Fail the first time, and then until the search is over wait."""
    if trial.number == 0:
        raise ValueError("the first one")
    await asyncio.Event().wait()
    return 0.0


async def test_a_search_that_runs_hears_of_a_retry_and_of_its_end(tmp_path: Path) -> None:
    """Over its encrypted sockets: found by its directory, where the visitor keeps its own events, or at an address with
    its key, where the workers keep them."""
    directory = tmp_path / "r"
    space = aiohpo.Space(x=aiohpo.Float(0.0, 1.0))
    study = aiohpo.Study(wait, space, searcher="random", directory=directory, max_failures=0)
    async with aiohpo.Worker(study, transport="zmq", join=[directory.absolute().as_uri()], slots=2) as worker:
        while not study.result.counts.get("failed"):
            await asyncio.sleep(0.01)
        retried = await retry_failed(Door(directory), ["0"], "r")
        assert [trial["of"] for trial in retried["retried"]] == [study.result.trials[0].id]
        assert "the running workers will pick them up" in retried["message"]
        with pytest.raises(UsageError, match="queued again already"):
            await retry_failed(Door(directory), ["0"], "r")
        ended = await end_search(Door(addresses=[worker.address], key=find_key(directory / "study.key")))
        assert ended["stopped"] == 1
        result = await worker.wait()
    assert result.counts["failed"] == 1
    run = open_run(directory)
    assert ENDED_BY_HAND in {over.reason for _, over in run.view.called_off.values()}
    assert run.view.n_retried == 1
    with pytest.raises(UsageError, match="no worker of this search can be reached"):
        await end_search(Door(directory))


async def test_a_retry_without_workers_is_written_into_the_directory(tmp_path: Path) -> None:
    """For the next run; what cannot be retried is an error, and leaves no journal."""
    directory = make_run(tmp_path / "r", ["ValueError: no", 1.0])
    with pytest.raises(UsageError, match="there is no trial '7'"):
        await retry_failed(Door(directory), ["7"], "r")
    assert len(list((directory / "journal").iterdir())) == 1
    done = await retry_failed(Door(directory), [], "r")
    assert [trial["number"] for trial in done["retried"]] == [2]
    assert open_run(directory).view.n_retried == 1
