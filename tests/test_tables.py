"""Tables for notebooks."""

from __future__ import annotations

from html.parser import HTMLParser

from aiohpo.tables import html_table
from tests.support.run_directories import HOSTILE


class Parsed(HTMLParser):
    """The elements and the text of a piece of HTML."""

    def __init__(self, html: str) -> None:
        super().__init__()
        self.tags: set[str] = set()
        self.text = ""
        self.feed(html)

    def handle_starttag(self, tag: str, attrs: object) -> None:
        self.tags.add(tag)

    def handle_data(self, data: str) -> None:
        self.text += data


def test_whatever_strangers_wrote_is_text() -> None:
    """In a title, a header, a cell and a note: no element, no control character, nothing endless."""
    evil = f"<script>alert(1)</script>&{HOSTILE}" + "x" * 1000
    parsed = Parsed(html_table(evil, [evil], [[evil]], evil))
    assert parsed.tags == {"div", "table", "thead", "tbody", "tr", "th", "td"}
    assert parsed.text.count("<script>alert(1)</script>&") == 4
    assert parsed.text.isprintable()
    assert len(parsed.text) < 1000


def test_numbers_are_short_and_nothing_is_empty() -> None:
    """A float has six digits, a missing value none, and without columns there is no header."""
    html = html_table("title", (), [(0.123456789, None, True, 3)])
    assert "thead" not in html
    assert Parsed(html).text == "title0.123457True3"
