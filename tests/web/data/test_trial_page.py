"""What is told of one trial, and of those that failed."""

from __future__ import annotations

from pathlib import Path

from aiohpo.report.sources import FollowedDirectory
from aiohpo.storage.printed import OutputFile
from aiohpo.web.data.feed import Feed
from aiohpo.web.data.trial_page import failures, trial_page, with_output, with_outputs
from tests.support.growing_runs import GrowingRun
from tests.support.run_directories import BEGAN, SPACE, make_climb, make_named_run, make_run


def test_a_trial_page_tells_its_record_its_curves_and_its_segments(tmp_path: Path) -> None:
    """By number or by id; segments in their order, each with its worker."""
    feed = Feed(FollowedDirectory(make_climb(tmp_path / "r", [1, 9])))
    feed.look(BEGAN)
    page = trial_page(feed, feed.row_of("1"))
    assert page == trial_page(feed, feed.row_of(page["id"]))
    assert (page["number"], page["status"], page["value"]) == (1, "finished", 1.09)
    assert [step for step, _ in page["curves"]["accuracy"]] == list(range(1, 10))
    assert [(segment["how"], segment["to_step"]) for segment in page["segments"]] == [
        ("paused", 1),
        ("paused", 3),
        ("finished", 9),
    ]
    assert len({segment["worker"] for segment in page["segments"]}) == 2


def test_failures_are_grouped_by_what_they_say(tmp_path: Path) -> None:
    """The most frequent first, of each the latest trials first; of very many groups as many as a page can show."""
    feed = Feed(FollowedDirectory(make_run(tmp_path / "r", ["b", "a", 1.0, "a"])))
    feed.look(BEGAN)
    found = failures(feed)
    assert found["total"] == 3
    groups = [(g["error"], g["count"], [t["number"] for t in g["trials"]]) for g in found["groups"]]
    assert groups == [("a", 2, [3, 1]), ("b", 1, [0])]
    feed = Feed(FollowedDirectory(make_named_run(tmp_path / "many", SPACE, "loss", [f"error {i}" for i in range(120)])))
    feed.look(BEGAN)
    found = failures(feed)
    assert (found["total"], found["groups_total"], len(found["groups"])) == (120, 120, 100)


def test_the_end_of_what_a_trial_printed_is_told(tmp_path: Path) -> None:
    """On its page, and beside the failures of its kind; where there is no directory there is none."""
    directory = make_run(tmp_path / "r", ["a", 1.0, "a"])
    feed = Feed(FollowedDirectory(directory))
    feed.look(BEGAN)
    page, found = trial_page(feed, feed.row_of("2")), failures(feed)
    assert with_output(page, directory)["output"] is None
    (directory / "output").mkdir(exist_ok=True)
    file = OutputFile(directory / "output" / "worker-0.log", notice=print)
    file.write(page["id"], 2, "loading\nabout to fail\n")
    file.write(trial_page(feed, feed.row_of("0"))["id"], 0, "another one's\n")
    assert with_output(page, directory)["output"] == "loading\nabout to fail"
    assert with_outputs(found, directory)["groups"][0]["output"] == "loading\nabout to fail"
    assert with_outputs(found, None)["groups"][0]["output"] is None


def test_a_retried_trial_and_the_one_that_tries_it_again_name_each_other() -> None:
    """On the pages of both, and among the failures."""
    run = GrowingRun(2)
    for _ in range(200):
        run.step()
    feed = Feed(run)
    feed.look(run.time)
    retried = [row for row in range(run.view.n_rows) if run.view.is_retried(row)]
    assert retried
    for row in retried:
        page = trial_page(feed, row)
        assert [trial_page(feed, feed.row_of(id))["retry_of"] for id in page["retries"]] == [page["id"]] * len(
            page["retries"]
        )
    found = failures(feed)
    assert sum(group["retried"] for group in found["groups"]) == len(retried)
