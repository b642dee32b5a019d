"""What a page complains about, and how to find one's way on it."""

from __future__ import annotations

import re
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field

from playwright.sync_api import ConsoleMessage, Page, expect

PATIENCE = 60_000  # milliseconds, which only a failure takes

# {view: heading}; "trial/0" is the page of trial 0
VIEWS = {
    "overview": "Best over time",
    "trials": "Trials",
    "workers": "Workers",
    "timeline": "Timeline",
    "curves": "Curves",
    "failures": "Failures",
    "parallel": "Parallel coordinates",
    "importance": "Importance",
    "ensemble": "Ensemble",
    "mesh": "Mesh",
    "trial/0": "Trial #0",
}


@dataclass
class Watched:
    """A page. ``complaints``: errors and warnings of its console, exceptions, and answers that failed.

    ``expected``: patterns of complaints that the test provokes.
    """

    page: Page
    complaints: list[str] = field(default_factory=list)
    expected: list[str] = field(default_factory=list)

    def goto(self, url: str, view: str = "overview") -> None:
        """Open a view and wait until its heading is there."""
        self.page.goto(f"{url}#/{view}")
        self.see(view)

    def turn_to(self, view: str) -> None:
        """Go to a view on the page that is open."""
        self.page.evaluate("view => { location.hash = '#/' + view }", view)
        self.see(view)

    def see(self, view: str) -> None:
        """Wait until a view's heading is shown, and nothing of it is still being read."""
        heading = self.page.get_by_role("heading", name=VIEWS[view], exact=True).first
        expect(heading).to_be_visible()
        expect(self.page.locator("#view .loading")).to_have_count(0)

    def unexpected(self) -> list[str]:
        """The complaints that no pattern expects."""
        return [text for text in self.complaints if not any(re.search(pattern, text) for pattern in self.expected)]


@contextmanager
def watched(page: Page) -> Iterator[Watched]:
    """Note what a page complains about; fail in the end if the test did not expect it."""
    found = Watched(page)

    def console(message: ConsoleMessage) -> None:
        if message.type in ("error", "warning"):
            found.complaints.append(f"{message.text} ({message.location.get('url', '')})")

    page.on("console", console)
    page.on("pageerror", lambda error: found.complaints.append(f"uncaught: {error}"))
    yield found
    assert found.unexpected() == []
