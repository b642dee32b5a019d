"""Trials as runs of MLflow, on a client that keeps them in memory."""

from __future__ import annotations

from pathlib import Path
from types import SimpleNamespace
from typing import Any

import pytest

from aiohpo.mlflow import MLflowTracker, import_run
from tests.support.records import record
from tests.support.run_directories import make_climb

pytestmark = pytest.mark.filterwarnings("default")
pytest.importorskip("mlflow", reason="MLflow is not installed: pip install 'aiohpo[mlflow]'")


class Server:
    """The calls of ``MlflowClient`` that the tracker makes."""

    def __init__(self, uri: str | None = None) -> None:
        self.runs: list[Any] = []
        self.experiments: dict[str, str] = {}

    def get_experiment_by_name(self, name: str) -> Any:
        found = self.experiments.get(name)
        return None if found is None else SimpleNamespace(experiment_id=found)

    def create_experiment(self, name: str) -> str:
        return self.experiments.setdefault(name, str(len(self.experiments)))

    def create_run(self, experiment: str, start: int, tags: dict[str, str], name: str) -> Any:
        run = SimpleNamespace(
            info=SimpleNamespace(run_id=str(len(self.runs)), status="RUNNING"),
            data=SimpleNamespace(metrics={}, params={}, tags=dict(tags)),
            points=[],
            experiment=experiment,
        )
        self.runs.append(run)
        return run

    def search_runs(self, experiments: list[str], query: str, max_results: int) -> list[Any]:
        trial = query.split("'")[1]
        return [r for r in self.runs if r.experiment in experiments and r.data.tags["aiohpo.trial"] == trial]

    def get_run(self, run: str) -> Any:
        return self.runs[int(run)]

    def get_metric_history(self, run: str, name: str) -> list[Any]:
        return [point for point in self.runs[int(run)].points if point.key == name]

    def log_param(self, run: str, name: str, value: str) -> None:
        self.runs[int(run)].data.params[name] = value

    def log_batch(self, run: str, metrics: list[Any]) -> None:
        assert len(metrics) <= 1000
        self.runs[int(run)].points += metrics
        self.runs[int(run)].data.metrics.update({m.key: m.value for m in metrics})

    def set_tag(self, run: str, name: str, value: str) -> None:
        assert len(value) <= 500
        self.runs[int(run)].data.tags[name] = value

    def set_terminated(self, run: str, status: str) -> None:
        self.runs[int(run)].info.status = status


@pytest.fixture
def server(monkeypatch: pytest.MonkeyPatch) -> Server:
    """What every client talks to."""
    server = Server()
    monkeypatch.setattr("mlflow.MlflowClient", lambda uri: server)
    return server


def test_a_trial_that_goes_from_worker_to_worker_is_one_run(server: Server) -> None:
    """Each step stands there once, also what the first worker could not say any more, and the run is closed once."""
    first, second = MLflowTracker("e"), MLflowTracker("e")
    first.started(record())
    first.reported("w-1", 1, {"loss": 0.5, "odd*": 1.0})
    first.paused("w-1")
    first.reported("w-1", 2, {"loss": 9.0})  # of a trial that is not here
    second.started(record(attempt=1))
    second.reported("w-1", 1, {"loss": 0.5})
    second.reported("w-1", 3, {"loss": 0.25})
    ended = record(
        status="failed", ended_as="failed", error="x" * 900, step=3, curves={"loss": {1: 0.5, 2: 0.4, 3: 0.25}},
        metrics={"loss": 0.25, "size": 3.0}, notes={"layers": [1]},
    )  # fmt: skip
    second.ended(ended)
    (run,) = server.runs
    points = [("loss", 1, 0.5), ("loss", 2, 0.4), ("loss", 3, 0.25), ("odd_", 1, 1.0), ("size", 3, 3.0)]
    assert sorted((point.key, point.step, point.value) for point in run.points) == points
    assert (run.info.status, run.data.params) == ("FAILED", {"lr": "0.1", "kind": "None"})
    assert (run.data.tags["note.layers"], run.data.tags["aiohpo.status"]) == ("[1]", "failed")
    assert not first.write(ended)


def test_a_run_is_imported_once(server: Server, tmp_path: Path) -> None:
    """The trials that have ended, in an experiment that is called like the directory."""
    directory = make_climb(tmp_path / "climb", [9, 3, 9])
    assert import_run(directory) == 2
    assert import_run(directory) == 0
    assert server.experiments == {"climb": "0"}
    assert [run.info.status for run in server.runs] == ["FINISHED", "FINISHED"]
    assert len(server.runs[0].points) == 9
