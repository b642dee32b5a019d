"""Tests of what the pages of the studies are made of."""

from __future__ import annotations

from pathlib import Path

import pytest

from studies.framework import pages
from studies.framework.study import Comparison, Report


def test_the_index_has_what_was_lost_first() -> None:
    """Then what was not measured, what is level, and what was won."""
    lines = [
        Comparison("won", 1.0, 2.0, "more"),
        Comparison("level", 1.0, 0.995, "more"),
        Comparison("gap", 1.0, None, "more"),
        Comparison("a little lost", 1.0, 1.1, "less"),
        Comparison("much lost", 1.0, 5.0, "less", "a reason"),
    ]
    text = pages.index({"x": ("Title", "Somebody", Report("", lines))})
    places = [text.index(f"| {what} |") for what in ("much lost", "a little lost", "gap", "level", "won")]
    assert places == sorted(places)
    assert "- [Title](x.md): Somebody" in text
    assert "| [x](x.md) | much lost | 1 | 5 | lost | a reason |" in text
    assert "| [x](x.md) | gap | 1 | – | not measured |  |" in text


def test_a_table_shows_gaps() -> None:
    """None is a dash."""
    assert pages.table(("a", "b"), [(1, None)]) == "| a | b |\n| --- | --- |\n| 1 | – |"


def test_several_seeds_are_shown_with_their_spread() -> None:
    """The median, the smallest and the largest; one seed is a number, none a gap."""
    assert pages.spread([3.0, 1.0, 2.0]) == "2 (1 to 3)"
    assert pages.spread([1.0, 2.0]) == "1.5 (1 to 2)"
    assert pages.spread([0.00012]) == "0.00012"
    assert pages.spread([]) is None


def test_numbers_are_readable() -> None:
    """Significant digits, thousands separated, a part of one without its zero."""
    assert pages.number(119407.0) == "119,407"
    assert pages.number(4.18) == "4.18"
    assert pages.share(0.9988) == ".999"
    assert pages.share(0.99999, 4) == ".9999"
    assert pages.share(1.0) == "1.000"
    assert pages.number(0.99997, 4) == "0.9999"


def test_a_name_in_a_template_without_a_value_is_an_error(tmp_path: Path) -> None:
    """A page is never written with a hole that nobody saw."""
    template = tmp_path / "page.md"
    template.write_text("$there and $missing")
    with pytest.raises(KeyError, match="missing"):
        pages.fill(template, there="x")
