"""A real browser, and searches for it to show.

Every wait is Playwright's, for a condition on the page, and bounded by :data:`PATIENCE`.
"""

from __future__ import annotations

import os
import shutil
from collections.abc import Iterator
from pathlib import Path

import pytest
from playwright.sync_api import Browser, Page, expect, sync_playwright

from tests.browser.serving import Served
from tests.browser.watching import PATIENCE, Watched, watched

ARGUMENTS = (
    "--headless",
    "--no-sandbox",  # as root, which containers run as, there is none
    "--disable-gpu",
    "--disable-quic",
    "--no-first-run",
    "--disable-background-networking",
    "--disable-component-update",
    "--disable-sync",
)


@pytest.fixture(scope="session")
def chromium() -> Iterator[Browser]:
    """Chromium with an empty profile. Where there is none the tests are skipped, and with CI=true they fail."""
    path = next((found for name in ("chromium", "chromium-browser") if (found := shutil.which(name))), None)
    if path is None:
        why = "there is no chromium on the PATH (Debian: apt-get install chromium)"
        if os.environ.get("CI"):
            pytest.fail(why)
        pytest.skip(why)
    expect.set_options(timeout=PATIENCE)
    with sync_playwright() as playwright:
        browser = playwright.chromium.launch(executable_path=path, args=ARGUMENTS)
        yield browser
        browser.close()


@pytest.fixture
def page(chromium: Browser) -> Iterator[Page]:
    """A page of 1280 × 800 pixels in a profile of its own."""
    context = chromium.new_context(viewport={"width": 1280, "height": 800}, color_scheme="light")
    context.set_default_timeout(PATIENCE)
    yield context.new_page()
    context.close()


@pytest.fixture
def watch(page: Page) -> Iterator[Watched]:
    """The page, with everything that it complains about; a complaint that the test does not expect fails it."""
    with watched(page) as found:
        yield found


@pytest.fixture
def served() -> Iterator[Served]:
    """A server of nothing so far: ``served.start(path)`` shows a directory."""
    server = Served()
    yield server
    server.stop()


@pytest.fixture(scope="session")
def killed_run(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A run by four workers with asha, one of which was killed, with failures, output and several metrics."""
    from tests.browser.killed_run import run_with_a_killed_worker

    return run_with_a_killed_worker(tmp_path_factory.mktemp("search"))
