"""The server of the page: who is let in, what is answered, and the stream of what changes."""

from __future__ import annotations

import asyncio
import json
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from pathlib import Path
from typing import Any

import pytest
from aiohttp import ClientResponse
from aiohttp.test_utils import TestClient, TestServer

import aiohpo
from aiohpo.web.access import CONFIRM, Access
from aiohpo.web.actions import Door
from aiohpo.web.runs import DirectoryRuns, MeshRun, Runs
from aiohpo.web.server import Dashboard
from tests.support.growing_runs import GrowingRun
from tests.support.run_directories import make_climb, make_run

AUTHORITY = {"Authorization": "Bearer secret"}


@asynccontextmanager
async def served(runs: Runs) -> AsyncIterator[TestClient[Any, Any]]:
    """A client of a server of these runs, whose token is "secret"."""
    dashboard = Dashboard(runs, Access("127.0.0.1", "secret"), lambda run: Door(run.source.directory))
    async with TestClient(TestServer(dashboard.app())) as client:
        yield client


async def told(response: ClientResponse) -> tuple[str, dict[str, Any]]:
    """The next message of a stream: its id and its data."""
    id = ""
    while True:
        raw = await asyncio.wait_for(response.content.readline(), 20)
        assert raw, "the stream has ended"
        line = raw.decode().rstrip("\n")
        if line.startswith("id: "):
            id = line[4:]
        elif line.startswith("data: "):
            return id, json.loads(line[6:])


@pytest.mark.parametrize(
    "address", ["/?token=wrong", "/", "/index.html?token=", "/api/runs", "/api/runs/r/state?token=x"]
)
async def test_nobody_is_let_in_without_the_token(address: str, tmp_path: Path) -> None:
    """The page and everything about runs take it; the refusal says where it is found."""
    async with served(DirectoryRuns(make_run(tmp_path / "r", [1.0]))) as client:
        response = await client.get(address, headers={"Authorization": "Bearer secre"})
        assert response.status == 403
        assert "the whole address that 'aiohpo dashboard' printed" in await response.text()


async def test_the_page_comes_with_its_files_and_a_strict_policy(tmp_path: Path) -> None:
    """With the token in the address; its files need none, and nothing but the page's files is served."""
    async with served(DirectoryRuns(make_run(tmp_path / "r", [1.0]))) as client:
        page = await client.get("/?token=secret")
        assert page.status == 200
        assert page.content_type == "text/html"
        assert (await client.get("/style.css")).content_type == "text/css"
        policy = page.headers["Content-Security-Policy"]
        assert "default-src 'none'; script-src 'self';" in policy
        assert page.headers["Referrer-Policy"] == "no-referrer"
        assert "Access-Control-Allow-Origin" not in page.headers
        for path in ("/server.py", "/..%2fserver.py", "/%2e%2e/server.py", "/vendor", "/js/", "/.hidden", "/x%00.js"):
            assert (await client.get(path)).status == 404, path


@pytest.mark.parametrize("host", ["evil.example", "evil.example:80", "127.0.0.1.evil.example", "10.0.0.7", ""])
async def test_another_name_for_this_address_is_refused(host: str, tmp_path: Path) -> None:
    """A site that makes its own name stand for loopback gets nothing, with the token either."""
    async with served(DirectoryRuns(make_run(tmp_path / "r", [1.0]))) as client:
        response = await client.get("/api/runs", headers={**AUTHORITY, "Host": host})
        assert response.status == 403
        assert "the server does not answer to this address" in (await response.json())["error"]


async def test_a_folder_offers_its_runs_and_nothing_outside(tmp_path: Path) -> None:
    """A run that cannot be read is listed with the reason; an id that is none is an error, also if it is a path."""
    make_run(tmp_path / "all" / "one", [1.0, 2.0])
    make_climb(tmp_path / "all" / "two", [1, 3, 9])
    make_run(tmp_path / "outside", [1.0])
    (tmp_path / "all" / "bad").mkdir()
    (tmp_path / "all" / "bad" / "study.json").write_text("{")
    async with served(DirectoryRuns(tmp_path / "all")) as client:
        listed = await (await client.get("/api/runs", headers=AUTHORITY)).json()
        entries = {run["id"]: run for run in listed["runs"]}
        assert listed["folder"] is True
        assert set(entries) == {"one", "two", "bad"}
        assert entries["two"]["max_steps"] == 9
        assert "study.json" in entries["bad"]["error"]
        state = await (await client.get("/api/runs/one/state", headers=AUTHORITY)).json()
        assert state["summary"]["study"]["counts"] == {"finished": 2}
        listed = await (await client.get("/api/runs", headers=AUTHORITY)).json()
        assert [run["progress"]["ended"] for run in listed["runs"] if run["id"] == "one"] == [2]
        assert (await client.get("/api/runs/bad/state", headers=AUTHORITY)).status == 409
        for id in ("three", "..%2foutside", "%2e%2e", "."):
            response = await client.get(f"/api/runs/{id}/state", headers=AUTHORITY)
            assert response.status == 404, id


async def test_every_question_has_an_answer(tmp_path: Path) -> None:
    """About a run of ASHA; what cannot be told is an error in a sentence."""
    async with served(DirectoryRuns(make_climb(tmp_path / "r", [1, 1, 3, 9, 9]))) as client:

        async def ask(path: str) -> Any:
            return await (await client.get(f"/api/runs/r/{path}", headers=AUTHORITY)).json()

        assert len((await ask("curves"))["curves"]) == 5
        assert (await ask("timeline"))["total"] == 10
        assert sum((await ask("activity"))["rate"]) > 0
        assert (await ask("failures")) == {"total": 0, "groups_total": 0, "groups": []}
        briefly = await ask("state?summary=1")
        assert (briefly["trials"], briefly["summary"]["study"]["ended"]) == (None, 2)
        assert (await ask("trials/4"))["step"] == 9
        assert (await ask("trials/99"))["error"] == "no trial '99'"
        assert "predictions" in (await ask("ensemble"))["error"]
        assert "importances need at least" in (await ask("importance"))["error"]
        assert "not a number of seconds" in (await ask("timeline?from=nan"))["error"]
        assert (await ask("nothing"))["error"] == "Not Found"


async def test_a_file_of_a_trial_is_to_be_saved_and_never_shown(tmp_path: Path) -> None:
    """Whatever is in it; what is not attached, and what is only like a file's name, is not there."""

    def objective(trial: aiohpo.Trial) -> float:
        page = tmp_path / "page.html"
        page.write_text("<script>alert(1)</script>")
        trial.attach("page.html", page)
        trial.note(why="a test")
        return 1.0

    study = aiohpo.Study(
        objective,
        aiohpo.Space(x=aiohpo.Float(0.0, 1.0)),
        searcher="random",
        evaluator="thread",
        directory=tmp_path / "r",
    )
    await study.arun(trials=1)
    async with served(DirectoryRuns(tmp_path / "r")) as client:
        page = await (await client.get("/api/runs/r/trials/0", headers=AUTHORITY)).json()
        assert [file["name"] for file in page["files"]] == ["page.html"]
        assert page["notes"] == {"why": "a test"}
        file = await client.get("/api/runs/r/trials/0/files/page.html?token=secret")
        assert await file.text() == "<script>alert(1)</script>"
        assert file.content_type == "application/octet-stream"
        assert file.headers["Content-Disposition"] == 'attachment; filename="page.html"'
        assert file.headers["X-Content-Type-Options"] == "nosniff"
        assert (await client.get("/api/runs/r/trials/0/files/page.html")).status == 403
        for name in ("other", "..%2f..%2fstudy.key"):
            response = await client.get(f"/api/runs/r/trials/0/files/{name}", headers=AUTHORITY)
            assert (response.status, "has no file" in await response.text()) == (409, True)


async def test_a_stream_goes_on_where_its_reader_was() -> None:
    """With Last-Event-ID a reader gets exactly what is missing, once; without, everything."""
    run = GrowingRun(1)
    for _ in range(30):
        run.step()
    async with served(MeshRun(run, "here")) as client:
        async with client.get("/api/runs/mesh/events", headers=AUTHORITY) as first:
            assert first.headers["Content-Type"].startswith("text/event-stream")
            assert first.headers["Content-Security-Policy"]
            id, delta = await told(first)
            assert delta["complete"]
            assert delta["id"] == id
            run.step()
            later, delta = await told(first)
            assert not delta["complete"]
        _, moment = run.view.touched(1 << 60)
        for _ in range(10):
            run.step()
        rows = set(run.view.touched(moment)[0])
        async with client.get("/api/runs/mesh/events", headers={**AUTHORITY, "Last-Event-ID": later}) as again:
            found: set[int] = set()
            while not rows <= found:
                _, delta = await told(again)
                assert not delta["complete"]
                found |= rows_of(delta)
        async with client.get("/api/runs/mesh/events?after=other.7", headers=AUTHORITY) as new:
            assert (await told(new))[1]["complete"]


def rows_of(delta: dict[str, Any]) -> set[int]:
    from aiohpo.web.data.columns import decode

    return set() if delta["trials"] is None else set(decode(delta["trials"]["rows"]).tolist())


async def test_a_stream_says_that_a_run_cannot_be_read_any_more() -> None:
    """And ends, instead of standing still."""
    run = GrowingRun(1)
    async with served(MeshRun(run, "here")) as client, client.get("/api/runs/mesh/events", headers=AUTHORITY) as stream:
        await told(stream)
        run.poll = lambda: 1 // 0  # type: ignore[method-assign]  # whatever breaks the reading
        assert (await told(stream))[1]["error"].startswith("can no longer read a growing run: ")
        assert (await stream.content.read()).strip() == b""


async def test_what_changes_something_takes_a_confirmation(tmp_path: Path) -> None:
    """A POST without the header does nothing, and a GET is none."""
    directory = make_run(tmp_path / "r", [1.0, "ValueError: no"])
    async with served(DirectoryRuns(directory)) as client:
        for what in ("stop", "retry"):
            response = await client.post(f"/api/runs/r/{what}", headers=AUTHORITY)
            assert (response.status, CONFIRM in (await response.json())["error"]) == (428, True)
            assert (await client.get(f"/api/runs/r/{what}", headers=AUTHORITY)).status in (404, 405)
            assert (await client.post(f"/api/runs/r/{what}", headers={CONFIRM: what})).status == 403
        assert len(list((directory / "journal").iterdir())) == 1


async def test_a_failed_trial_is_tried_again(tmp_path: Path) -> None:
    """It is queued in the directory, and the page hears of it; a second time there is nothing to retry."""
    async with served(DirectoryRuns(make_run(tmp_path / "r", [1.0, "ValueError: no"]))) as client:
        headers = {**AUTHORITY, CONFIRM: "retry"}
        wrong = await client.post("/api/runs/r/retry", headers=headers, json={"trials": 7})
        assert "names its trials as" in (await wrong.json())["error"]
        response = await client.post("/api/runs/r/retry", headers=headers, json={"trials": ["1"]})
        done = await response.json()
        assert response.status == 200
        assert [trial["number"] for trial in done["retried"]] == [2]
        assert "1 trial is queued to be tried again" in done["message"]
        failures = await (await client.get("/api/runs/r/failures", headers=AUTHORITY)).json()
        assert [(group["count"], group["retried"]) for group in failures["groups"]] == [(1, 1)]
        again = await client.post("/api/runs/r/retry", headers=headers, json={})
        assert (again.status, "queued again already" in (await again.json())["error"]) == (409, True)


async def test_a_search_without_workers_cannot_be_ended(tmp_path: Path) -> None:
    """The answer says why."""
    async with served(DirectoryRuns(make_run(tmp_path / "r", [1.0]))) as client:
        response = await client.post("/api/runs/r/stop", headers={**AUTHORITY, CONFIRM: "stop"})
        assert (response.status, "no worker of this search can be reached" in await response.text()) == (409, True)
