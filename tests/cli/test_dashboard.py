"""``aiohpo dashboard``: the address that it prints, and what is refused."""

from __future__ import annotations

import asyncio
import os
import signal
import socket
import sys
from contextlib import AsyncExitStack
from functools import partial
from pathlib import Path

import pytest
from aiohttp import ClientSession

from aiohpo.cli.dashboard import _follow, _serve, address_of
from aiohpo.cli.main import invoke
from aiohpo.web.access import Access
from tests.support.run_directories import make_run


async def test_the_printed_address_opens_the_page_until_ctrl_c(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    """It stands at the end of a line; the command ends cleanly though a browser is connected."""
    directory = make_run(tmp_path / "r", [1.0, 2.0])
    serving = asyncio.create_task(_serve(partial(_follow, directory, None), Access("127.0.0.1"), 0, False))
    line = ""
    while not line.endswith("\n"):
        await asyncio.sleep(0)
        assert not serving.done()
        line += capsys.readouterr().out
    said, _, url = line.strip().rpartition(" ")
    assert said == f"dashboard of {directory}:"
    async with ClientSession() as session:
        async with session.get(url) as page:
            assert (page.status, "<title>" in await page.text()) == (200, True)
        stream = url.replace("/?", "/api/runs/r/events?")
        async with session.get(stream) as events:
            assert await events.content.readline()
            os.kill(os.getpid(), signal.SIGINT)
            await serving
    assert capsys.readouterr().err == ""


def test_what_is_no_run_is_refused_with_what_is_nearby(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    """A missing directory, one without runs, and a file, each in a sentence."""
    make_run(tmp_path / "runs" / "svm", [1.0])
    (tmp_path / "empty").mkdir()
    for target, said in (
        (tmp_path / "runs" / "smv", "there is no directory"),
        (tmp_path / "empty", "is not a run directory"),
        (tmp_path / "runs" / "svm" / "study.json", "is a file"),
    ):
        assert invoke(["dashboard", str(target)]) == 2
        error = capsys.readouterr().err
        assert said in error
        assert error.count("\n") == 1


def test_a_port_that_is_taken_is_named(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    """With the remedy; an address that is not this machine's is an error of the same kind."""
    directory = make_run(tmp_path / "r", [1.0])
    with socket.socket() as taken:
        taken.bind(("127.0.0.1", 0))
        taken.listen()
        port = taken.getsockname()[1]
        assert invoke(["dashboard", str(directory), "--port", str(port)]) == 2
    error = capsys.readouterr().err
    assert f"cannot listen on 127.0.0.1 port {port}" in error
    assert "choose another port with --port" in error
    assert invoke(["dashboard", str(directory), "--bind", "203.0.113.1", "--port", "0"]) == 2
    assert "cannot listen on 203.0.113.1 port 0" in capsys.readouterr().err


def test_options_of_an_address_are_refused_for_a_directory(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    """And an address that is not written like one is told how it is written."""
    directory = make_run(tmp_path / "r", [1.0])
    assert invoke(["dashboard", str(directory), "--insecure"]) == 2
    assert "--insecure go with an address" in capsys.readouterr().err
    assert invoke(["dashboard", "node1:5555"]) == 2
    assert "tcp://" in capsys.readouterr().err


def test_without_aiohttp_the_extra_is_named(
    tmp_path: Path, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    """In one line."""
    monkeypatch.setitem(sys.modules, "aiohttp", None)
    assert invoke(["dashboard", str(make_run(tmp_path / "r", [1.0]))]) == 2
    assert "pip install 'aiohpo[dashboard]'" in capsys.readouterr().err


@pytest.mark.parametrize(
    ("host", "shown"),
    [("127.0.0.1", "127.0.0.1"), ("::1", "[::1]"), ("0.0.0.0", socket.gethostname()), ("node1", "node1")],
)
def test_the_address_is_one_that_a_browser_can_open(host: str, shown: str) -> None:
    """Brackets around IPv6; this machine's name where it listens at all of its addresses."""
    assert address_of(Access(host, "secret"), 80) == f"http://{shown}:80/?token=secret"


async def test_a_folder_of_runs_is_followed(tmp_path: Path) -> None:
    """Each run of it can be chosen."""
    make_run(tmp_path / "all" / "one", [1.0])
    async with AsyncExitStack() as stack:
        runs, _ = await _follow(tmp_path / "all", None, stack)
        assert (runs.is_folder, [entry["id"] for entry in await runs.entries()]) == (True, ["one"])
