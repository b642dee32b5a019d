"""What strangers wrote is shown as it is, in every view, and does nothing."""

from __future__ import annotations

from pathlib import Path

import pytest
from playwright.sync_api import Page, expect

import aiohpo
from tests.browser.directory_writer import DirectoryWriter
from tests.browser.serving import Served
from tests.browser.watching import VIEWS, Watched

pytestmark = pytest.mark.browser

IMAGE = "<img src=x onerror=window.evil=1>"
SCRIPT = "</script><script>window.evil=1</script>"
FORMATTED = "{a|b} {@value} \u202eevil <b>bold</b>"


@pytest.fixture
def run(tmp_path: Path) -> Path:
    """A run whose every name and text is markup."""
    path = tmp_path / IMAGE
    space = aiohpo.Space(
        {
            IMAGE: aiohpo.Float(0, 1),
            FORMATTED: aiohpo.Categorical([IMAGE, SCRIPT.replace("/", "")]),
            "rate": aiohpo.Float(1e-3, 1, log=True),
        }
    )
    writer = DirectoryWriter(path, space, metric=f"loss{IMAGE}"[:60])
    for i in range(12):
        config = {IMAGE: i / 12, FORMATTED: [IMAGE, SCRIPT.replace("/", "")][i % 2], "rate": 0.01 * (i + 1)}
        writer.finish(writer.propose(config), i / 10, **{SCRIPT: 1.0, IMAGE: 2.0})
    writer.fail(writer.propose(config), f"ValueError: {IMAGE}", f"Traceback {SCRIPT} {IMAGE}")
    writer.propose(config)
    return path


def harmless(page: Page) -> None:
    """Nothing that was written in the run has become an element or has run."""
    assert page.evaluate("window.evil") is None
    assert page.locator("img, #view script, #view b:has-text('bold')").count() == 0


def test_markup_in_a_run_stays_text(watch: Watched, served: Served, run: Path) -> None:
    """The name of the run, of parameters, choices and metrics, an error and a traceback; also in tooltips."""
    page = watch.page
    watch.expected.append("status of 409")
    watch.goto(served.start(run))
    for view in VIEWS:
        watch.turn_to(view)
        harmless(page)
    expect(page.locator("#head h1")).to_have_text(IMAGE)
    watch.turn_to("failures")
    expect(page.locator(".message")).to_have_text(f"ValueError: {IMAGE}")
    expect(page.locator("pre.output")).to_contain_text(SCRIPT)
    watch.turn_to("timeline")
    box = page.locator("#view canvas").first.bounding_box()
    assert box is not None
    page.mouse.move(box["x"] + box["width"] - 30, box["y"] + 18)
    page.mouse.move(box["x"] + box["width"] - 28, box["y"] + 19)
    harmless(page)
    watch.turn_to("trials")
    page.get_by_role("searchbox").fill(f'"{IMAGE}"<0.5')
    harmless(page)


def test_markup_in_a_report_stays_text(watch: Watched, run: Path, tmp_path: Path) -> None:
    """Nothing in the data ends the script that holds them."""
    from aiohpo.cli.main import invoke

    out = tmp_path / "report.html"
    assert invoke(["report", str(run), "--out", str(out)]) == 0
    watch.goto(out.as_uri())
    for view in VIEWS:
        watch.turn_to(view)
        harmless(watch.page)
    expect(watch.page.locator("#head h1")).to_have_text(IMAGE)
