"""Where a search is looked at."""

from __future__ import annotations

import asyncio
import json
import shutil
from pathlib import Path

import aiohpo
from aiohpo.report.sources import FollowedDirectory, LoadedDirectory, News, OwnWorker
from aiohpo.report.tally import Tally
from aiohpo.storage.run import open_run
from aiohpo.storage.run_directory import RunDirectory
from tests.support.run_directories import make_climb, make_run


def test_the_news_of_a_log_are_counted_once(tmp_path: Path) -> None:
    """All that came since the last look, and nothing twice."""
    run = open_run(make_climb(tmp_path / "r", [1, 3, 9]))
    news = News(run.log)
    assert news.poll() == run.log.size
    assert news.poll() == 0


def test_a_directory_tells_of_its_ensemble(tmp_path: Path) -> None:
    """As far as the file is a JSON object; numbers that are none are left out of JSON."""
    directory = make_run(tmp_path / "r", [3.0])
    sources = FollowedDirectory(directory), LoadedDirectory(open_run(directory))
    for text, found in (
        (None, None),
        ("{", None),
        ("[1]", None),
        ('{"score": NaN, "size": 2}', {"score": None, "size": 2}),
    ):
        if text is not None:
            (directory / "ensemble.json").write_text(text)
        for source in sources:
            assert source.ensemble() == found
            json.dumps(Tally(source).look(0.0).as_dict(), allow_nan=False)


def test_a_study_that_goes_on_with_more_steps_is_read_anew(tmp_path: Path) -> None:
    """What had been complete is not any more, for somebody who has been looking all the time, too."""
    directory = make_climb(tmp_path / "r", [1, 3, 9])
    source = FollowedDirectory(directory)
    tally = Tally(source)
    before = tally.look(0.0)
    assert before.counts == {"paused": 2, "finished": 1}
    RunDirectory(directory, {**source.study, "max_steps": 27})
    now = tally.look(1.0)
    assert (now.counts, now.total, now.rungs) == ({"paused": 3}, before.total, before.rungs | {27: 0})
    assert now.study["max_steps"] == 27
    (directory / "study.json").unlink()
    assert tally.look(2.0).counts == {"paused": 3}


def test_a_directory_that_was_made_anew_is_read_anew(tmp_path: Path) -> None:
    """Somebody deletes a run and begins another one of the same name, while it is looked at."""
    directory = make_run(tmp_path / "r", [3.0])
    tally = Tally(FollowedDirectory(directory))
    assert tally.look(0.0).counts == {"finished": 1}
    shutil.rmtree(directory)
    make_run(directory, [1.0, 2.0])
    assert tally.look(1.0).counts == {"finished": 2}


def test_a_worker_of_this_process_knows_itself_and_who_was_here(tmp_path: Path) -> None:
    """It lives; one that wrote to the same directory before and was killed is dead, and what it ran is lost."""
    seen = []

    async def objective(trial: aiohpo.Trial) -> float:
        await asyncio.sleep(0)
        peer = study._peer_here
        assert peer is not None
        seen.append(Tally(OwnWorker(peer, study._definition.as_dict(), study.directory)).look(0.0))
        return float(trial["x"])

    space = aiohpo.Space(x=aiohpo.Float(0.0, 1.0))
    asked = aiohpo.Study(None, space, searcher="random", directory=tmp_path / "r")
    asked.ask()
    assert asked._manual is not None
    asked._manual.close()
    study = aiohpo.Study(objective, space, searcher="random", directory=tmp_path / "r")
    asyncio.run(study.arun(trials=2))
    first = seen[0]
    assert first.states() == {"alive": 1, "dead": 1}
    assert first.counts["running"] == 1
    assert first.total == 2
    assert first.health is None
