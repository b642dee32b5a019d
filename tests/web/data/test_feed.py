"""What readers of a run are told, and when."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import numpy as np
import pytest

import aiohpo
from aiohpo.events.schema import Ended, Proposed
from aiohpo.report.sources import FollowedDirectory
from aiohpo.storage.run_directory import RunDirectory
from aiohpo.view.view import View
from aiohpo.web.data.columns import decode, to_json
from aiohpo.web.data.feed import Feed
from tests.support.growing_runs import GrowingRun
from tests.support.run_directories import HOSTILE, SPACE, config, make_climb, make_named_run


class Reader:
    """Applies what it is told, as the page does."""

    def __init__(self) -> None:
        self.id: str | None = None
        self.columns: dict[str, dict[int, float]] = {}
        self.summary: dict[str, Any] = {}
        self.names: list[str] = []

    def take(self, delta: dict[str, Any]) -> int:
        """Apply it; return how many trials it was about."""
        if delta["complete"]:
            self.columns = {}
        self.id = delta["id"]
        self.summary = delta["summary"] or self.summary
        self.names = delta.get("names", self.names)
        if delta["trials"] is None:
            return 0
        trials = dict(delta["trials"])
        rows = decode(trials.pop("rows")).tolist()
        trials.pop("total")
        for name, column in {**trials, **trials.pop("params")}.items():
            if isinstance(column, str):
                values = decode(column).tolist()
                self.columns.setdefault(name, {}).update(zip(rows, values, strict=True))
        return len(rows)


@pytest.mark.parametrize("seed", range(3))
def test_a_reader_that_took_every_change_knows_what_a_new_one_is_told(seed: int) -> None:
    """Whatever happens to trials, and whenever it looked."""
    run = GrowingRun(seed)
    run.steps_a_poll = seed
    feed, reader, rng = Feed(run), Reader(), np.random.default_rng(seed)
    for _ in range(40):
        for _ in range(int(rng.integers(8))):
            run.step()
        if rng.random() < 0.1:
            run.alive["bbbb"] = "dead" if run.alive["bbbb"] == "alive" else "alive"
        feed.look(run.time)
        if rng.random() < 0.7:
            reader.take(json.loads(to_json(feed.since(reader.id))))
    reader.take(feed.since(reader.id))
    new = Reader()
    new.take(feed.since(None))
    assert reader.names == new.names == ["aaaa", "bbbb"]
    for name, column in new.columns.items():
        np.testing.assert_array_equal(
            [column[row] for row in sorted(column)], [reader.columns[name][row] for row in sorted(column)], name
        )
    told = [run.view.record(row, 0) for row in range(run.view.n_rows)]
    assert [new.columns["step"][row] for row in range(len(told))] == [record.step for record in told]
    values = [float("nan") if record.value is None else record.value for record in told]
    np.testing.assert_array_equal([new.columns["value"][row] for row in range(len(told))], values)
    order = run.view.canonical_rows()
    assert [new.columns["number"][row] for row in order] == list(range(len(order)))


def test_a_reader_gets_what_is_missing_and_nothing_else() -> None:
    """One that was away gets each trial that changed meanwhile once, and nothing twice."""
    run = GrowingRun(1)
    feed = Feed(run)
    for _ in range(40):
        run.step()
    feed.look(run.time)
    feed.look(run.time)  # now the history has been read, too
    before, rows = feed.id, run.view.n_rows
    assert feed.since(before)["trials"] is None
    _, moment = run.view.touched(1 << 60)
    for _ in range(5):
        run.step()
        feed.look(run.time)
    delta = feed.since(before)
    changed = set(decode(delta["trials"]["rows"]).tolist())
    assert set(run.view.touched(moment)[0]) <= changed
    assert len(changed) < rows
    assert not feed.look(run.time)
    assert feed.since(feed.id)["trials"] is feed.since(feed.id)["summary"] is None


@pytest.mark.parametrize("id", [None, "", "x.5", "0.0", "{epoch}.99999", "{epoch}.-1", "{epoch}.", "{epoch}.٣"])
def test_a_position_of_another_reading_means_everything(id: str | None) -> None:
    """Of an earlier server, of the future, or of nothing at all."""
    run = GrowingRun(0)
    run.step()
    feed = Feed(run)
    feed.look(run.time)
    delta = feed.since(id and id.format(epoch=feed.epoch))
    assert delta["complete"]
    assert delta["study"]["parameters"]
    assert delta["trials"]["total"] == run.view.n_rows


def test_a_study_that_goes_on_with_more_steps_is_told_anew(tmp_path: Path) -> None:
    """Positions from before are none of the new reading."""
    directory = make_climb(tmp_path / "r", [1, 3, 9])
    source = FollowedDirectory(directory)
    feed = Feed(source)
    feed.look(1.0)
    before, epoch = feed.id, feed.epoch
    RunDirectory(directory, {**source.study, "max_steps": 27})
    assert feed.look(2.0)
    assert feed.epoch != epoch
    assert feed.since(before)["complete"]
    assert feed.since(before)["study"]["max_steps"] == 27


def test_a_dead_worker_changes_its_trials_without_an_event() -> None:
    """What it ran is lost as soon as it is known to be dead, for readers who were up to date, too."""
    run = GrowingRun(0)
    worker = run.workers[0]
    segment = worker.propose(run.time, SPACE.pack(config(0)))
    feed = Feed(run)
    feed.look(run.time)
    before = feed.id
    run.alive[worker.me] = "dead"
    assert feed.look(run.time)
    trials = feed.since(before)["trials"]
    assert decode(trials["rows"]).tolist() == [segment.row]
    assert feed.status(segment.row) == "lost"


def test_names_of_strangers_leave_as_ascii_json(tmp_path: Path) -> None:
    """Terminal commands, halves of surrogate pairs and tags are text in a string, and come back as they were."""
    space = aiohpo.Space(x=aiohpo.Float(0.0, 1.0), y=aiohpo.Categorical([HOSTILE.replace("\ud800", ""), "b"]))
    directory = make_named_run(tmp_path / "r", space, "loss", [1.0, "<script>alert(1)</script>\u2028"])
    feed = Feed(FollowedDirectory(directory))
    feed.look(1.0)
    told = to_json(feed.since(None))
    assert told.isascii()
    choices = json.loads(told)["study"]["parameters"][1]["choices"]
    assert choices == [HOSTILE.replace("\ud800", ""), "b"]


def test_a_trial_of_ten_parameters_takes_less_than_160_bytes() -> None:
    """Among many, as JSON, so that 100,000 are 16 MB; and a change of one less than two kilobytes."""
    n = 5_000
    space = aiohpo.Space(**{f"x{i}": aiohpo.Float(0.0, 1.0) for i in range(10)})
    run = GrowingRun(0)
    run.replace_view(View(space, run.view.objective))
    view = run.view
    values = np.random.default_rng(0).random((n, 10)).tolist()
    for i, row in enumerate(values):
        view.apply("aaaa", 2 * i + 1, Proposed(2 * i + 1, 1e9 + i, tuple(row)))
        view.apply("aaaa", 2 * i + 2, Ended(2 * i + 2, 2 * i + 1, 0, "finished", 0, row[0], 0.5))
    feed = Feed(run)
    feed.look(1e9 + n)
    assert len(to_json(feed.since(None))) < 160 * n
    before = feed.id
    view.apply("aaaa", 2 * n + 1, Proposed(2 * n + 1, 1e9 + n, tuple(values[0])))
    feed.look(1e9 + n + 0.5)
    delta = feed.since(before)
    assert decode(delta["trials"]["rows"]).tolist() == [n]
    assert len(to_json(delta)) < 2000
