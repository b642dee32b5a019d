"""The page follows a search: what is new appears, and a server that was gone is found again."""

from __future__ import annotations

import re
from pathlib import Path

import pytest
from playwright.sync_api import Page, expect

import aiohpo
from tests.browser.directory_writer import DirectoryWriter
from tests.browser.serving import Served
from tests.browser.watching import Watched

pytestmark = pytest.mark.browser

SPACE = aiohpo.Space(x=aiohpo.Float(0, 1), kind=aiohpo.Categorical(["a", "b"]))
GONE = r"ERR_CONNECTION_REFUSED|ERR_INCOMPLETE_CHUNKED_ENCODING|ERR_CONNECTION_RESET|ERR_EMPTY_RESPONSE"


@pytest.fixture
def writer(tmp_path: Path) -> DirectoryWriter:
    """A search with one trial done and one running."""
    writer = DirectoryWriter(tmp_path / "run", SPACE)
    writer.finish(writer.propose({"x": 0.5, "kind": "a"}), 0.5)
    writer.propose({"x": 0.6, "kind": "b"})
    return writer


def test_what_happens_appears_without_a_reload(
    watch: Watched, served: Served, writer: DirectoryWriter, tmp_path: Path
) -> None:
    """Trials, the best value, the workers' slots and failures follow the journal."""
    page = watch.page
    watch.goto(served.start(tmp_path / "run"), "workers")
    expect(page.locator(".slot")).to_contain_text("Trial #1")
    page.evaluate("window.mark = 'not reloaded'")
    writer.finish(writer.propose({"x": 0.3, "kind": "a"}), 0.125)
    watch.turn_to("overview")
    expect(page.locator(".tiles")).to_contain_text("0.125")
    writer.fail(writer.propose({"x": 0.9, "kind": "b"}), "ValueError: too large", "Traceback …")
    expect(page.get_by_role("link", name=re.compile("^Failures"))).to_contain_text("1")
    watch.turn_to("trials")
    expect(page.locator("tbody tr")).to_have_count(4)
    writer.propose({"x": 0.8, "kind": "b"})
    expect(page.locator("tbody tr")).to_have_count(5)
    assert page.evaluate("window.mark") == "not reloaded"


def test_a_server_that_was_restarted_is_found_again(
    watch: Watched, served: Served, writer: DirectoryWriter, tmp_path: Path
) -> None:
    """The page says that the connection is lost, goes on by itself, and then has what it missed."""
    page = watch.page
    watch.expected.append(GONE)
    watch.goto(served.start(tmp_path / "run"), "trials")
    expect(page.locator("#connection")).to_have_text("Live")
    served.halt()
    expect(page.locator("#connection")).to_contain_text("Connection lost")
    writer.finish(writer.propose({"x": 0.3, "kind": "a"}), 0.125)
    expect(page.locator("tbody tr")).to_have_count(2)
    served.start()
    expect(page.locator("#connection")).to_have_text("Live")
    expect(page.locator("tbody tr")).to_have_count(3)
    expect(page.locator("tbody tr").first).to_contain_text("0.125")


def test_a_restart_with_another_token_is_explained(
    watch: Watched, served: Served, writer: DirectoryWriter, tmp_path: Path
) -> None:
    """The page does not try for ever, but says where the address is found that holds now."""
    watch.expected += [GONE, r"status of 403"]
    watch.goto(served.start(tmp_path / "run"))
    expect(watch.page.locator("#connection")).to_have_text("Live")
    served.halt()
    served.start(token="another")
    expect(watch.page.get_by_role("alert").first).to_contain_text("Open the address that aiohpo dashboard printed last")


@pytest.mark.parametrize("query", ["", "?token=wrong"])
def test_without_the_token_nothing_is_shown(
    query: str, page: Page, served: Served, writer: DirectoryWriter, tmp_path: Path
) -> None:
    """The answer says what to open instead."""
    address = served.start(tmp_path / "run").partition("?")[0]
    response = page.goto(address + query)
    assert response is not None
    assert response.status == 403
    expect(page.locator("body")).to_contain_text("aiohpo dashboard")
    assert "loss" not in page.content()


def test_failed_trials_are_retried_after_a_confirmation(
    watch: Watched, served: Served, writer: DirectoryWriter, tmp_path: Path
) -> None:
    """Cancelling changes nothing; confirming queues a new trial, and the page says so."""
    page = watch.page
    writer.fail(writer.propose({"x": 0.9, "kind": "b"}), "ValueError: too large")
    writer.close()
    watch.goto(served.start(tmp_path / "run"), "failures")
    button = page.get_by_role("button", name=re.compile("Retry all"))
    button.click()
    dialog = page.get_by_role("dialog", name=re.compile("Retry 1 failed trial"))
    expect(dialog.get_by_role("button", name="Cancel")).to_be_focused()
    page.keyboard.press("Escape")
    expect(dialog).to_have_count(0)
    expect(button).to_be_focused()
    button.click()
    with page.expect_response(re.compile("/retry$")) as caught:
        dialog.get_by_role("button", name="Retry", exact=True).click()
    assert caught.value.status == 200
    expect(page.locator("#notices .notice").first).to_be_visible()
    expect(page.locator("details.group")).to_contain_text("1 retried")


def test_ending_the_search_asks_first_and_shows_a_refusal(
    watch: Watched, served: Served, writer: DirectoryWriter, tmp_path: Path
) -> None:
    """The request names the action in a header that no form can send; what the server says against it is shown."""
    page = watch.page
    sent: list[dict[str, str]] = []

    def refuse(route, request) -> None:  # type: ignore[no-untyped-def] # Playwright's own types are not exported
        sent.append(request.headers)
        route.fulfill(status=409, json={"error": "no worker answers"})

    page.route("**/stop", refuse)
    page.route("**/state", lambda route: route.fulfill(json=_with_permission(route.fetch().json())))
    watch.expected.append("status of 409")
    watch.goto(served.start(tmp_path / "run"))
    page.get_by_role("button", name=re.compile("End search")).click()
    dialog = page.get_by_role("dialog", name="End this search?")
    expect(dialog).to_contain_text("1 trial is running now")
    assert sent == []
    dialog.get_by_role("button", name="End the search").click()
    expect(dialog.get_by_role("alert")).to_have_text("no worker answers")
    assert sent[0]["x-aiohpo-confirm"] == "stop"
    assert sent[0]["authorization"].startswith("Bearer ")


def _with_permission(delta):  # type: ignore[no-untyped-def]
    delta["summary"]["can"] = {"stop": True, "retry": True, "why": ""}
    return delta
