"""Every view, from a search by four workers of which one was killed, as a server and as a report show it."""

from __future__ import annotations

import json
import re
import subprocess
import sys
from pathlib import Path

import pytest
from playwright.sync_api import Page, expect

from tests.browser.serving import Served
from tests.browser.watching import VIEWS, Watched

pytestmark = pytest.mark.browser

# What a view says about this run, besides its heading: pattern by view.
SAYS = {
    "overview": r"complete trials?; the best loss is 0\.\d+",
    "trials": r"1–(\d+) of \1",
    "workers": r"dead",
    "timeline": r"promotions?, \d+ of them by another worker; [1-9]\d* takeovers?",
    "curves": r"learning curves of loss",
    "failures": r"ValueError: the loss is not finite",
    "parallel": r"trials over 5 parameters",
    "importance": r"the best is at",
    "ensemble": r"There is no ensemble",
    "mesh": r"These data come from a directory",
    "trial/0": r"reports?; [\d.]+ at step \d+[\s\S]*it begins with x = 0\.\d+[\s\S]*Notes[\s\S]*a test[\s\S]*study\.py",
}
# A question that has no answer for this run is answered by 409, which Chromium's console mentions.
NO_ANSWER = r"status of 409 .*(importance|ensemble)"


@pytest.fixture(scope="module")
def report(killed_run: Path) -> Path:
    """The report of the run."""
    out = killed_run.parent / "report.html"
    subprocess.run([sys.executable, "-m", "aiohpo", "report", str(killed_run), "--out", str(out)], check=True)
    return out


@pytest.mark.parametrize("view", VIEWS)
def test_a_view_shows_the_run(view: str, watch: Watched, served: Served, killed_run: Path) -> None:
    """Its heading, its charts and what it says in words are there, and the console has nothing to complain about."""
    watch.expected.append(NO_ANSWER)
    watch.goto(served.start(killed_run), view)
    expect(watch.page.locator("#view")).to_contain_text(re.compile(SAYS[view]))
    if view in ("overview", "timeline", "curves", "parallel", "importance", "trial/0"):
        expect(watch.page.locator("#view canvas").first).to_be_visible()
    expect(watch.page.locator("#connection")).to_have_text("Live")
    expect(watch.page.locator("#head")).to_contain_text("60 of 60 trials")


def test_a_report_shows_every_view_from_one_file_without_a_network(page: Page, watch: Watched, report: Path) -> None:
    """Opened by file://, it asks nobody for anything and offers no action."""
    asked: list[str] = []
    page.on("request", lambda request: asked.append(request.url))
    page.context.set_offline(True)
    for view, says in SAYS.items():
        if view == "overview":
            watch.goto(report.as_uri(), view)
        else:
            watch.turn_to(view)
        expect(page.locator("#view")).to_contain_text(re.compile(says))
    expect(page.locator("#connection")).to_contain_text("Report of")
    assert page.get_by_role("button", name=re.compile("Retry|End search")).count() == 0
    assert [url for url in asked if not url.startswith(("file:", "data:", "blob:"))] == []


def test_the_table_of_trials_sorts_and_filters(watch: Watched, served: Served, killed_run: Path) -> None:
    """By a click on a head, and by conditions; a condition that is not understood is explained."""
    page = watch.page
    watch.goto(served.start(killed_run), "trials")
    page.get_by_role("button", name="loss", exact=True).click()
    expect(page.locator("th[aria-sort=ascending]")).to_have_text("loss")
    values = [float(text) for text in page.locator("tbody td:nth-child(3)").all_inner_texts() if text != "–"]
    assert values == sorted(values)
    search = page.get_by_role("searchbox", name="Filter")
    search.fill("status=failed kind=weak x>0.7")
    expect(page.locator(".view-head")).to_contain_text(re.compile(r"\d+ of \d+ trials"))
    assert set(page.locator("tbody td:nth-child(2)").all_inner_texts()) == {"failed"}
    search.fill("depth>3")
    expect(page.get_by_role("alert").filter(has_text="There is no parameter or column depth.")).to_be_visible()
    search.fill("status=failed status=finished")
    expect(page.locator("#view")).to_contain_text("No trial matches this filter")


def test_a_file_of_a_trial_is_saved(watch: Watched, served: Served, killed_run: Path) -> None:
    """By its link on the trial's page, under its name."""
    watch.goto(served.start(killed_run), "trial/0")
    with watch.page.expect_download() as caught:
        watch.page.get_by_role("link", name="study.py").click()
    assert caught.value.suggested_filename == "study.py"
    assert caught.value.path().read_text() == (killed_run.parent / "train.py").read_text()


def test_brushing_an_axis_keeps_the_trials_within_the_range(watch: Watched, served: Served, killed_run: Path) -> None:
    """The table below the parallel coordinates then lists the best of those."""
    page = watch.page
    watch.goto(served.start(killed_run), "parallel")
    box = page.locator("#view canvas").first.bounding_box()
    assert box is not None
    x = box["x"] + 50  # the first axis, from 40 pixels below the top to 22 above the bottom
    page.mouse.move(x, box["y"] + 60)
    page.mouse.down()
    page.mouse.move(x, box["y"] + box["height"] / 2, steps=5)
    page.mouse.up()
    expect(page.locator(".view-head")).to_contain_text(re.compile(r"trials? in the brushed ranges, of \d+"))


def test_a_folder_lists_its_runs_and_overlays_them(
    watch: Watched, served: Served, killed_run: Path, tmp_path: Path
) -> None:
    """Each run opens by its link; a run that cannot be read says why."""
    page = watch.page
    for name in ("first", "second"):
        (tmp_path / name).symlink_to(killed_run)
    (tmp_path / "broken").mkdir()
    (tmp_path / "broken" / "study.json").write_text(json.dumps({"format": 1}))
    page.goto(served.start(tmp_path))
    expect(page.get_by_role("heading", name="Runs", exact=True)).to_be_visible()
    expect(page.locator("figcaption")).to_contain_text(re.compile(r"first 0\.\d+, second 0\.\d+"))
    expect(page.locator(".field-error").first).to_contain_text("study.json")
    page.get_by_role("link", name="second", exact=True).click()
    watch.see("overview")
    expect(page.locator("#head h1")).to_have_text("second")
    assert "run=" in page.url
