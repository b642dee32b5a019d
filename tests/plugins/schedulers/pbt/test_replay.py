"""Tests of training with a schedule that was found before."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from aiohpo import Float, Space
from aiohpo.errors import UsageError
from aiohpo.plugin import Config, Identity
from aiohpo.testing import check_scheduler
from aiohpo_plugins.schedulers.pbt.replay import ReplayScheduler
from tests.support.training_swarm import Swarm

SPACE = Space(lr=Float(1e-3, 1.0, log=True))
STRETCHES = [{"to": 4, "config": {"lr": 0.5}}, {"to": 6, "config": {"lr": 0.2}}, {"to": 9, "config": {"lr": 0.1}}]


def write(path: Path, content: Any) -> Path:
    path.write_text(content if isinstance(content, str) else json.dumps(content), encoding="utf-8")
    return path


def descend(weights: Any, config: Config, step: int) -> tuple[Any, float]:
    weights = [*(weights or []), config["lr"]]
    return weights, float(np.prod([1 - lr for lr in weights]))


def swarm(path: Path, **given: Any) -> Swarm:
    arguments: dict[str, Any] = {"train": descend, "workers": 1, **given}
    return Swarm(SPACE, 9, lambda: ReplayScheduler(path), **arguments)


@pytest.mark.parametrize("workers", [1, 3])
def test_every_step_is_trained_with_its_rate(workers: int, tmp_path: Path) -> None:
    """The result is that of the schedule, step by step; each stretch is a trial that inherits from the one before."""
    found = swarm(write(tmp_path / "s.json", STRETCHES), workers=workers)
    found.run()
    complete = [r for r in found.view.records() if r.status == "finished"]
    assert complete
    assert complete[0].value == pytest.approx(0.5**4 * 0.8**2 * 0.9**3)
    if workers == 1:
        assert found.statuses() == ["paused", "paused", "finished"]
        assert [r.parent and r.parent[1] for r in found.view.records()] == [None, 4, 6]
        assert found.trained == 9


def test_output_of_show_lineage_is_a_schedule(tmp_path: Path) -> None:
    """An object with the list under "schedule" does as well; where the last stretch ends does not matter."""
    path = write(tmp_path / "s.json", {"best": "a-1", "schedule": [*STRETCHES[:2], {"config": {"lr": 0.1}}]})
    found = swarm(path)
    found.run()
    assert found.best() == pytest.approx(0.5**4 * 0.8**2 * 0.9**3)


def test_death_of_the_worker_is_survived(tmp_path: Path) -> None:
    """Another worker goes on from the last checkpoint that can be had, or from the beginning."""
    found = swarm(write(tmp_path / "s.json", STRETCHES), workers=2)
    for _ in range(9):
        found.tick()
    busy = next(worker for worker in found.workers if worker.segment is not None)
    found.kill(busy)
    found.run()
    values = [r.value for r in found.view.records() if r.status == "finished"]
    assert values[0] == pytest.approx(0.5**4 * 0.8**2 * 0.9**3)


def test_failure_ends_the_replay(tmp_path: Path) -> None:
    """A training that fails is not tried again."""

    def broken(weights: Any, config: Config, step: int) -> tuple[Any, float]:
        raise ArithmeticError("diverged")

    found = swarm(write(tmp_path / "s.json", STRETCHES), train=broken)
    found.run()
    assert found.statuses() == ["failed"]


def test_objective_without_checkpoints_is_refused(tmp_path: Path) -> None:
    """The error says what to add to the objective."""
    with pytest.raises(UsageError, match=r"without a checkpoint.*call trial\.save"):
        swarm(write(tmp_path / "s.json", STRETCHES), saves=False).run()


def test_checkpoint_is_kept_until_the_end(tmp_path: Path) -> None:
    """With everything else deleted at once the training goes through, and leaves nothing behind."""
    found = swarm(write(tmp_path / "s.json", STRETCHES))
    while not found.workers[0].over:
        found.tick()
        found.sweep()
    assert found.trained == 9
    assert not found.workers[0].blobs


def test_keeps_the_contract_of_schedulers(tmp_path: Path) -> None:
    """The conformance check for schedulers passes for a schedule of one stretch, which fits every study."""
    path = write(tmp_path / "s.json", [{"to": 5, "config": {"x": 0.5, "depth": 2}}])
    check_scheduler(lambda: ReplayScheduler(path))


@pytest.mark.parametrize(
    ("content", "complaint"),
    [
        ("{", "is not JSON"),
        ([], "is empty or not a list"),
        ({"trials": []}, "is empty or not a list"),
        ([{"to": 3}], "stretch 0 of .* is no"),
        ([{"to": "end", "config": {}}], "ends at 'end'; give a whole number"),
        ([{"to": 5, "config": {}}, {"to": 5, "config": {}}, {"config": {}}], "each must end after the one before"),
    ],
)
def test_malformed_schedule_is_refused(content: Any, complaint: str, tmp_path: Path) -> None:
    """The complaint names the file and what is wrong in it."""
    with pytest.raises(ValueError, match=complaint):
        ReplayScheduler(write(tmp_path / "s.json", content))


def test_missing_file_is_refused(tmp_path: Path) -> None:
    """The complaint names it."""
    with pytest.raises(UsageError, match=r"cannot read the schedule .*none\.json"):
        ReplayScheduler(tmp_path / "none.json")


@pytest.mark.parametrize("max_steps", [None, 6])
def test_study_that_is_too_short_is_refused(max_steps: int | None, tmp_path: Path) -> None:
    """A change at step 6 needs a study with more steps."""
    scheduler = ReplayScheduler(write(tmp_path / "s.json", STRETCHES))
    with pytest.raises(ValueError, match="changes at step 6, but the study has max_steps"):
        scheduler.setup(max_steps, 0, Identity("somebody"))


def test_repr_is_a_status_line(tmp_path: Path) -> None:
    """The file and how many stretches it has."""
    path = write(tmp_path / "s.json", STRETCHES)
    assert repr(ReplayScheduler(path)) == f"ReplayScheduler({str(path)!r}, 3 stretches)"
