"""The live display of a search."""

from __future__ import annotations

import io
from pathlib import Path

from rich.console import Console
from run_directories import make_climb

from aiohpo.inspect import open_run
from aiohpo.progress import Bar, _news
from aiohpo.rungs import Rungs


def test_rungs_stand_in_a_line_below_the_bar() -> None:
    """They would not fit beside it; what metrics are called is text and not markup."""
    out = io.StringIO()
    with Bar(Console(file=out, force_terminal=True, width=100), 20) as bar:
        bar.update(3, 20, "best [acc] 0.91 after 9 of 27 steps", 1.5, "90% busy", "rungs 1:3 3:1, 1 promoted")
    lines = [line.strip() for line in out.getvalue().splitlines()]
    assert any("3/20" in line and "best [acc] 0.91 after 9 of 27 steps" in line for line in lines)
    assert any("rungs 1:3 3:1, 1 promoted" in line and "3/20" not in line for line in lines)


def test_the_news_of_a_log_come_once(tmp_path: Path) -> None:
    """Whatever came since the last look, and nothing twice."""
    run = open_run(make_climb(tmp_path / "r", [1, 3, 9]))
    counts: dict[str, int] = {}
    rungs = Rungs(9)
    rungs.take(_news(run.log, counts))
    assert str(rungs) == str(run.rungs())
    assert counts == run.log.vector()
    assert list(_news(run.log, counts)) == []
