"""Tests of the place that notices go through."""

from __future__ import annotations

import logging

from aiohpo import Float, Space, Study, Worker
from aiohpo.runtime.notices import Logged


def test_a_notice_reaches_people_and_the_log(caplog):
    """Under a logger of the library's, at the level that was said."""
    said: list[str] = []
    with caplog.at_level(logging.INFO, "aiohpo"):
        Logged(said.append)("100 % gone")
        Logged(said.append)("all is well", level=logging.INFO)
    assert said == ["100 % gone", "all is well"]
    assert [(r.levelname, r.getMessage()) for r in caplog.records] == [
        ("WARNING", "100 % gone"),
        ("INFO", "all is well"),
    ]
    assert all(record.name.startswith("aiohpo.") for record in caplog.records)


def test_without_logging_set_up_nothing_is_printed(capfd):
    """The library's logger has a handler, so that Python does not print warnings on its own."""
    assert any(isinstance(handler, logging.NullHandler) for handler in logging.getLogger("aiohpo").handlers)
    Logged(lambda text: None)("not on stderr")
    assert capfd.readouterr() == ("", "")


async def objective(trial):
    return trial["x"]


async def test_what_a_worker_says_goes_where_it_was_told(caplog):
    """Worker(notice=…) hears it while it runs; the log has it as well."""
    said: list[str] = []
    study = Study(objective, Space(x=Float(0, 1)), searcher="random")
    async with Worker(study, trials=2, notice=said.append) as worker:
        worker._peer.say("a line")
        await worker.wait()
    assert said == ["a line"]
    assert study.notices == []
    assert "a line" in caplog.text
