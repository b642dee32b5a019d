"""Trials for TensorBoard."""

from __future__ import annotations

import struct
from pathlib import Path

import pytest

from aiohpo.tensorboard import TensorBoardTracker, import_run
from tests.support.records import record
from tests.support.run_directories import make_climb

pytest.importorskip("tensorboardX", reason="tensorboardX is not installed: pip install 'aiohpo[tensorboard]'")
pytestmark = pytest.mark.filterwarnings("default")


def scalars(logdir: Path, trial: str) -> list[tuple[str, int, float]]:
    """What TensorBoard would read of a trial: (metric, step, value)."""
    from tensorboardX.proto.event_pb2 import Event

    found = []
    for file in sorted((logdir / trial).glob("events.*")):
        data, at = file.read_bytes(), 0
        while at < len(data):
            (length,) = struct.unpack_from("<Q", data, at)
            event = Event.FromString(data[at + 12 : at + 12 + length])
            found += [(v.tag, event.step, v.simple_value) for v in event.summary.value if v.HasField("simple_value")]
            at += length + 16
    return sorted(found)


def test_a_trial_that_goes_from_worker_to_worker_is_written_once(tmp_path: Path) -> None:
    """Each step once, also what the first worker could no longer write; result, configuration and notes by the last."""
    first, second = TensorBoardTracker(tmp_path), TensorBoardTracker(tmp_path)
    first.started(record())
    first.reported("w-1", 1, {"loss": 0.5, "grad*": float("nan")})
    first.paused("w-1")
    first.reported("w-1", 2, {"loss": 9.0})  # of a trial that is not here
    second.started(record(attempt=1))
    second.reported("w-1", 1, {"loss": 0.5})
    second.reported("w-1", 3, {"loss": 0.25, "odd*": 1.0})
    ended = record(
        status="finished", ended_as="finished", attempt=1, step=3, curves={"loss": {1: 0.5, 2: 0.375, 3: 0.25}},
        metrics={"loss": 0.25, "size": 3.0}, notes={"layers": [1]},
    )  # fmt: skip
    second.ended(ended)
    points = [("loss", 1, 0.5), ("loss", 2, 0.375), ("loss", 3, 0.25), ("odd_", 3, 1.0), ("size", 3, 3.0)]
    assert [point for point in scalars(tmp_path, "w-1") if not point[0].startswith("_")] == points
    assert not TensorBoardTracker(tmp_path).write(ended)


def test_a_run_is_imported_once(tmp_path: Path) -> None:
    """The trials that have ended; another time nothing is left to do."""
    run = make_climb(tmp_path / "run", [9, 3, 9])
    assert import_run(run, tmp_path / "tb") == 2
    assert import_run(run, tmp_path / "tb") == 0
    (trial, *_) = sorted((tmp_path / "tb").iterdir())
    assert [step for _, step, _ in scalars(tmp_path / "tb", trial.name)][:9] == list(range(1, 10))


def test_a_torn_file_is_read_up_to_its_end(tmp_path: Path) -> None:
    """As a worker leaves it that is killed while it writes."""
    tracker = TensorBoardTracker(tmp_path)
    tracker.started(record())
    tracker.reported("w-1", 1, {"loss": 0.5})
    tracker.paused("w-1")
    (file,) = (tmp_path / "w-1").glob("events.*")
    file.write_bytes(file.read_bytes()[:-3])
    tracker.started(record(attempt=1))
    tracker.reported("w-1", 1, {"loss": 0.5})
    tracker.paused("w-1")
    file.unlink()
    assert scalars(tmp_path, "w-1") == [("loss", 1, 0.5)]
