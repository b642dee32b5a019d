"""The bar that shows how a search goes."""

from __future__ import annotations

import dataclasses
import io
import re
from pathlib import Path

import pytest
from rich.console import Console

from aiohpo.report.bar import Bar
from aiohpo.report.tally import take_snapshot
from aiohpo.storage.run import open_run
from tests.report.test_screen import busy, slotted
from tests.support.run_directories import make_climb


def test_rungs_stand_in_a_line_below_the_bar(tmp_path: Path) -> None:
    """They would not fit beside it."""
    out = io.StringIO()
    now = dataclasses.replace(take_snapshot(open_run(make_climb(tmp_path / "r", [1, 3, 1]))), total=20)
    with Bar(Console(file=out, force_terminal=True, width=120)) as bar:
        bar.update(now)
    lines = [line.strip() for line in out.getvalue().splitlines()]
    assert any("3/20" in line and "best accuracy 1.03 after 3 of 9 steps" in line for line in lines)
    assert any("rungs 1:3 3:1 9:0, 1 promoted" in line and "3/20" not in line for line in lines)


@pytest.mark.parametrize(
    ("width", "shown", "hidden"),
    [
        (120, ["3/20", "best accuracy 1.03 after 3 of 9 steps", "━", "0:00:0", "2.5/s"], []),
        (80, ["3/20", "best accuracy 1.03 after 3 of 9 steps", "0:00:0", "2.5/s"], ["━"]),
        (50, ["3/20", "best accuracy 1.03 after 3 of 9 steps"], ["━", "0:00:0", "2.5/s"]),
        (40, ["3/20", "best 1.03 ", "2.5/s", "0:00:0"], ["━", "…", "accuracy"]),
        (16, ["3/20", "best 1.03"], ["━", "0:00:0", "2.5/s", "…"]),
        (12, ["3/20", "best", "…"], ["━", "0:00:0", "2.5/s"]),
    ],
)
def test_the_count_and_the_best_are_last_to_go(width: int, shown: list[str], hidden: list[str], tmp_path: Path) -> None:
    """A narrow terminal loses the bar first, then other columns; where that does not help, the metric's name."""
    out = io.StringIO()
    now = dataclasses.replace(take_snapshot(open_run(make_climb(tmp_path / "r", [1, 3, 1]))), total=20, rate=2.5)
    with Bar(Console(file=out, force_terminal=True, width=width)) as bar:
        bar.update(now)
    lines = re.split(r"[\r\n]+", re.sub(r"\x1b\[[0-9;?]*[A-Za-z]", "", out.getvalue()))
    line = next(line for line in reversed(lines) if "3/20" in line)
    assert all(text in line for text in shown), line
    assert not any(text in line for text in hidden), line
    assert len(line.rstrip()) <= width


def test_the_bar_counts_slots_where_there_are_more_than_workers() -> None:
    """Beside the workers, or by themselves for a search in this process."""
    for now, workers, said in (
        (slotted(2, 32, 32), "2 workers", "28% busy, 2 workers, 64 slots"),
        (slotted(1, 64, 64), "", "54% busy, 64 slots"),
        (slotted(2, 1, 1), "2 workers", "2% busy, 2 workers "),
    ):
        out = io.StringIO()
        with Bar(Console(file=out, force_terminal=True, width=160)) as bar:
            bar.update(now, workers)
        assert said in re.sub(r"\x1b\[[0-9;?]*[A-Za-z]", "", out.getvalue())


def test_what_strangers_wrote_is_text_in_the_bar_and_above_it() -> None:
    """Markup, emoji codes and control characters are shown as what they are."""
    out = io.StringIO()
    state = {"size": 3, "metric": "\x1b]2;y [a]", "score": 1.0, "single": 1.0}
    now = dataclasses.replace(busy(), study={"metric": "[/]\x9b :x:"}, ensemble=state)
    with Bar(Console(file=out, force_terminal=True, width=200)) as bar:
        bar.say("worker [/] :smile: \x1b]0;owned\x07")
        bar.update(now)
    assert r"worker [/] :smile: \x1b]0;owned\x07" in out.getvalue()
    assert r"best [/]\x9b :x: 4.25" in out.getvalue()
    assert r"ensemble of 3: \x1b]2;y [a]" in out.getvalue()
