"""A run as one file of HTML."""

from __future__ import annotations

import base64
import hashlib
import json
import re
from pathlib import Path
from typing import Any

import aiohpo
from aiohpo.storage.run import open_run
from aiohpo.web.report import answers, write_page
from tests.support.run_directories import HOSTILE, make_climb, make_named_run, make_run


def data_in(page: str) -> dict[str, Any]:
    """What a browser finds in the block of data: up to the first end tag."""
    block = page.partition('id="aiohpo-data">')[2].partition("</script")[0]
    return dict(json.loads(block))


def test_a_report_has_every_answer_and_loads_nothing(tmp_path: Path) -> None:
    """Scripts and styles are in it, and the policy admits these scripts by their hashes and nothing else."""
    run = open_run(make_climb(tmp_path / "r", [1, 3, 9, 9]))
    page = write_page(answers(run, "r"), "r", "r: accuracy")
    markup = re.sub(r"(<script[^>]*>).*?(</script>)", r"\1\2", page, flags=re.DOTALL)
    assert not re.search(r"""<(script|link|img)[^>]*\b(src|href)=["'](?!data:)""", markup)
    assert "<title>r: accuracy</title>" in page
    assert page.index('id="aiohpo-data"') < page.index("<script>")
    policy = page.partition('http-equiv="Content-Security-Policy" content="')[2].partition('"')[0]
    scripts = re.findall(r"<script>(.*?)</script>", page, flags=re.DOTALL)
    assert len(scripts) > 10
    hashes = {base64.b64encode(hashlib.sha256(script.encode()).digest()).decode() for script in scripts}
    assert set(re.findall(r"sha256-([\w+/=]+)", policy)) == hashes
    data = data_in(page)
    assert (data["report"], data["run"], data["version"]) == (True, "r", aiohpo.__version__)
    api = data["api"]
    assert api["runs"]["runs"][0]["progress"]["ended"] == 2
    for name in ("state", "curves", "timeline", "activity", "failures", "importance", "ensemble", "trials/0"):
        assert f"runs/r/{name}" in api, name
    assert api["runs/r/state"]["summary"]["can"]["stop"] is False
    assert "at least" in api["runs/r/importance"]["error"]


def test_what_strangers_wrote_cannot_leave_the_data(tmp_path: Path) -> None:
    """Tags, comments, line separators and halves of pairs, in names, choices, errors and the run's own name."""
    bad = "</script><script>alert(1)</script><!--<script>\u2028"
    space = aiohpo.Space(**{bad: aiohpo.Float(0.0, 1.0), "y": aiohpo.Categorical([bad, HOSTILE.replace("\ud800", "")])})
    run = open_run(make_named_run(tmp_path / "r", space, bad, [1.0, bad, 2.0]))
    clean = write_page(answers(open_run(make_run(tmp_path / "clean", [1.0])), "clean"), "clean", "clean")
    page = write_page(answers(run, bad), bad, bad)
    assert page.count("<script") == clean.count("<script")
    assert page.count("<!--") == clean.count("<!--")
    assert "alert(1)" not in page.replace(page.partition('id="aiohpo-data">')[2].partition("</script")[0], "").replace(
        "&lt;script&gt;alert(1)", ""
    )
    data = data_in(page)
    assert data["api"][f"runs/{bad}/failures"]["groups"][0]["error"] == bad
    assert data["api"][f"runs/{bad}/state"]["study"]["metric"] == bad


def test_a_run_without_trials_is_a_report_all_the_same(tmp_path: Path) -> None:
    """With nothing in it."""
    api = data_in(write_page(answers(open_run(make_run(tmp_path / "r", [])), "r"), "r", "r"))["api"]
    assert api["runs/r/state"]["trials"]["total"] == 0
