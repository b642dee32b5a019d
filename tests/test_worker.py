"""Tests of a worker inside somebody's own event loop."""

from __future__ import annotations

import asyncio

import pytest

from aiohpo import Float, Space, Study, UsageError, Worker
from aiohpo.keys import NO_KEY, StudyKey, keep_key, kept_key, write_key
from aiohpo_transports.inproc import InprocTransport

SPACE = Space(x=Float(0.0, 1.0))


async def objective(trial):
    await asyncio.sleep(0.005)
    return trial["x"]


def study(function=objective, **options):
    return Study(function, SPACE, **{"searcher": "random", **options})


async def bounded(awaitable):
    return await asyncio.wait_for(awaitable, 120)


async def test_a_worker_gives_every_trial_of_the_swarm_once():
    """Iterating over one of two workers yields each trial that anybody ended, exactly once, and then ends."""
    ids: list[str] = []

    async def follow() -> None:
        async with Worker(study(), trials=15) as first, Worker(study(), join=[first.address], trials=15) as second:
            async for trial in first:
                ids.append(trial.id)
            result = await second.wait()
            known = {t.id for t in first.result.trials if t.status in ("finished", "surplus")}
            assert len({t.worker for t in result.trials}) == 2
            assert sum(t.status == "finished" for t in result.trials) == 15
            assert set(ids) <= known

    await bounded(follow())
    assert len(ids) == len(set(ids)) >= 15


async def test_a_study_in_memory_knows_what_its_workers_know():
    """``study.result`` has their trials while they run and once they have left, and another worker begins with them."""
    shared = study()

    async def search() -> None:
        async with Worker(shared, trials=3) as worker:
            await worker.wait()
            assert [t.id for t in shared.result.trials] == [t.id for t in worker.result.trials]
        async with Worker(shared, trials=5) as worker:
            result = await worker.wait()
        assert result.counts == {"finished": 5}

    await bounded(search())
    assert shared.result.counts == {"finished": 5}


async def test_iterating_late_starts_with_what_is_there():
    """Trials that ended before the iteration began are given first."""

    async def late() -> list[float | None]:
        async with Worker(study(), trials=5) as worker:
            await worker.wait()
            return [trial.value async for trial in worker]

    values = await bounded(late())
    assert len(values) == 5


async def test_leaving_early_releases_the_running_trial(tmp_path):
    """Leaving the block ends the worker in good order; the next run goes on from there."""
    started = asyncio.Event()

    async def hang(trial):
        started.set()
        await asyncio.sleep(3600)

    async def leave() -> None:
        async with Worker(study(hang, directory=tmp_path / "run"), trials=3) as worker:
            await started.wait()
            assert worker.best is None
            assert repr(worker) == f"<Worker {worker.id} of {worker.study!r}>"

    await bounded(leave())
    result = await bounded(study(directory=tmp_path / "run").arun(trials=3))
    assert result.counts == {"finished": 3}


async def test_what_breaks_the_worker_is_raised_on_leaving():
    """A searcher that raises ends the iteration, and the block raises its error."""

    class Broken:
        def setup(self, space, seed, identity):
            pass

        def ask(self, view, rng, slots):
            raise ZeroDivisionError("in ask")

    async def use() -> None:
        async with Worker(study(searcher=Broken()), trials=3) as worker:
            async for _ in worker:
                pass

    with pytest.raises(ZeroDivisionError, match="in ask"):
        await bounded(use())


async def test_an_error_in_the_block_comes_first():
    """What the user's own code raises inside the block is not hidden."""

    async def use() -> None:
        async with Worker(study(), trials=3):
            raise KeyError("mine")

    with pytest.raises(KeyError, match="mine"):
        await bounded(use())


async def test_stop_ends_it_and_marks_the_result():
    """stop() makes the worker finish; its result says that it was interrupted."""

    async def hang(trial):
        await asyncio.sleep(3600)

    async def use() -> None:
        async with Worker(study(hang), trials=3) as worker:
            worker.stop()
            result = await worker.wait()
            assert result.interrupted
            assert worker.result.interrupted

    await bounded(use())


async def test_a_worker_that_has_not_begun_knows_what_the_study_knows():
    """It can be asked and stopped before its block is entered, as by a request to a service while libraries load."""
    shared = study()
    worker = Worker(shared, trials=3)
    assert worker.best is None
    assert worker.result.trials == []
    shared.add([({"x": 0.5}, 7.0)])
    assert worker.best.value == 7.0
    worker.stop()

    async def use() -> None:
        async with worker:
            assert (await worker.wait()).interrupted

    await bounded(use())
    assert [t.value for t in worker.result.trials] == [7.0]


async def test_stop_does_nothing_once_the_search_is_over():
    """A signal that arrives while the worker is about to leave makes no interrupted search of a complete one."""

    async def use() -> None:
        async with Worker(study(), trials=3) as worker:
            await worker.wait()
            worker.stop()
            assert not worker.result.interrupted
            assert str(worker.result.end) == "the budget is met"

    await bounded(use())


async def test_workers_meet_by_directory(tmp_path):
    """Workers that name the same directory find each other, and take their cards away when they leave."""

    async def use() -> None:
        meet = [f"file://{tmp_path}/peers"]
        async with Worker(study(), join=meet, trials=30) as a, Worker(study(), join=meet, trials=30) as b:
            await asyncio.gather(a.wait(), b.wait())
            assert len({t.worker for t in a.result.trials}) == 2
        assert list((tmp_path / "peers").glob("*.address")) == []

    await bounded(use())


@pytest.mark.parametrize(
    ("options", "message"),
    [
        ({"join": "inproc://x"}, "join is a list of addresses"),
        ({"trials": 0}, "trials must be"),
        ({"transport": "tcp"}, "no transport named 'tcp'"),
        ({"join": ["file:relative"]}, "file:///absolute/path"),
    ],
)
def test_bad_arguments(options, message):
    """Each wrong argument is one clear error before anything starts."""
    with pytest.raises(UsageError, match=message):
        Worker(study(), **options)


async def test_a_place_that_cannot_be_met_in_closes_everything(tmp_path):
    """When no card can be left the error is raised and the worker is closed again."""
    (tmp_path / "file").write_text("")
    with pytest.raises(UsageError, match="cannot leave an address"):
        await bounded(Worker(study(), join=[f"file://{tmp_path}/file"], trials=1).__aenter__())


# ------------------------------------------------------------------------------------------------------- keys
def key_of(worker):
    return worker.study._replica.key


def test_a_directory_keeps_the_key_of_its_workers(tmp_path):
    """The first worker of a run directory makes its key, the next ones have it; so has who meets them there."""
    one, two = (Worker(study(directory=tmp_path / "r"), transport="zmq") for _ in range(2))
    assert key_of(one) == key_of(two) == kept_key(tmp_path / "r")
    for place in ("r", "r/peers"):
        assert key_of(Worker(study(), transport="zmq", join=[f"file://{tmp_path}/{place}"])) == key_of(one)
    meet = [f"file://{tmp_path}/meet"]
    three, four = (Worker(study(directory=tmp_path / name), transport="zmq", join=meet) for name in ("a", "b"))
    assert key_of(three) == key_of(four) == kept_key(tmp_path / "meet") == kept_key(tmp_path / "b")
    assert key_of(three) != key_of(one)


def test_a_given_key_is_the_studys(tmp_path, monkeypatch):
    """A key of the worker, of the study or of the environment's file is that of the whole study, in this order."""
    keys = {name: StudyKey.generate() for name in ("worker", "study", "environment")}
    for name, key in keys.items():
        write_key(tmp_path / name, key)
    monkeypatch.setenv("AIOHPO_KEY", str(tmp_path / "environment"))
    assert key_of(Worker(study(), transport="zmq")) == keys["environment"]
    assert study()._replica.key == keys["environment"]
    assert key_of(Worker(study(key=tmp_path / "study"), transport="zmq")) == keys["study"]
    given = Worker(study(key=tmp_path / "study"), transport="zmq", key=str(tmp_path / "worker"))
    assert key_of(given) == keys["worker"]
    with pytest.raises(UsageError, match="key must be the name of a key file"):
        study(key=7)


def test_a_study_in_memory_needs_no_key(tmp_path):
    """Workers of one process have one in common that is never written down."""
    meet = [f"file://{tmp_path}"]
    assert key_of(Worker(study(), join=meet)) == key_of(Worker(study())) == study()._replica.key
    assert list(tmp_path.iterdir()) == []


def test_a_socket_without_a_key_is_refused(tmp_path):
    """Who listens needs a key, and who joins the others'; the error says where it comes from, and makes nothing."""
    with pytest.raises(UsageError, match=r"no key and no directory to keep one in: key='study.key'"):
        Worker(study(), transport="zmq")
    with pytest.raises(UsageError, match=r"joining tcp://127.0.0.1:5555 needs .* copy the key file .* --key FILE"):
        Worker(study(directory=tmp_path / "r"), transport="zmq", join=["tcp://127.0.0.1:5555"])
    assert list(tmp_path.iterdir()) == []
    keep_key(tmp_path / "r", StudyKey.generate())
    Worker(study(directory=tmp_path / "r"), transport="zmq", join=["tcp://127.0.0.1:5555"])
    with pytest.raises(UsageError, match="to the transport itself and to the study"):
        Worker(study(), transport=InprocTransport(), key=StudyKey.generate())


def test_insecure_is_said(tmp_path, monkeypatch):
    """Without a key everything is open, with a warning; a key beside it is a contradiction."""
    worker = Worker(study(directory=tmp_path / "r"), transport="zmq", insecure=True)
    assert key_of(worker) == NO_KEY
    assert kept_key(tmp_path / "r") is None
    assert "encrypted" not in repr(worker._transport)
    assert "anyone who can reach this worker's port can join" in worker.study.notices[0]
    for options in ({"key": StudyKey.generate()}, {}):
        with pytest.raises(UsageError, match="means that there is no key, and one was given"):
            Worker(study(key=None if options else tmp_path / "k"), transport="zmq", insecure=True, **options)
    monkeypatch.setenv("AIOHPO_KEY", "k")
    with pytest.raises(UsageError, match="means that there is no key, and one was given"):
        Worker(study(), transport="zmq", insecure=True)


async def test_a_file_of_another_worker_is_fetched(tmp_path):
    """From the directory of the one whose trial attached it; it stays where it is, and comes back as it was."""
    source = tmp_path / "model.bin"
    source.write_bytes(bytes(range(256)) * 1000)

    async def attaching(trial):
        trial.attach("model.bin", source)
        return trial["x"]

    async def fetch() -> None:
        first, second = (study(attaching, directory=tmp_path / name) for name in "ab")
        async with Worker(first, trials=1) as one:
            await one.wait()
            async with Worker(second, join=[one.address], trials=1) as two:
                result = await two.wait()
                (trial,) = result.trials
                with pytest.raises(UsageError, match=f"'model.bin' of trial 0 is not here: .* worker {one.id}"):
                    result.file(trial, "model.bin")
                path = await two.file(trial.id, "model.bin")
                assert path == result.file(0, "model.bin")
                assert path.read_bytes() == source.read_bytes()
                with pytest.raises(UsageError, match=r"no file 'other': it has model\.bin"):
                    await two.file(trial.id, "other")
                with pytest.raises(UsageError, match="no trial 'x-1'"):
                    await two.file("x-1", "model.bin")

    await bounded(fetch())
