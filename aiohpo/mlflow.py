"""Trials as runs of MLflow (the extra ``mlflow``), live by ``callbacks=[MLflowTracker("digits")]`` or afterwards.

A trial is one run, found by its tag ``aiohpo.trial`` whichever worker goes on with it, so nothing is written twice.
"""

from __future__ import annotations

import re
import time
from collections.abc import Mapping
from importlib.util import find_spec
from pathlib import Path
from typing import Any

from .errors import UsageError
from .plugin import TrialCallback
from .report.words import note_in_words
from .storage.run import open_run
from .view.trials import TrialRecord

_TAG = "aiohpo.trial"
_LONGEST, _AT_ONCE = 500, 1000  # characters of a parameter or tag, and metrics in a call, that any MLflow takes
_ODD = re.compile(r"[^\w./: -]")  # what no name may hold there


class MLflowTracker(TrialCallback):
    """Writes the trials of its worker as runs of an experiment: configuration, metrics step by step, notes as tags.
    ``tracking_uri`` says where; None: as MLflow is configured (``MLFLOW_TRACKING_URI``)."""

    def __init__(self, experiment: str, *, tracking_uri: str | None = None) -> None:
        if find_spec("mlflow") is None:
            raise UsageError("tracking with MLflow needs it: pip install 'aiohpo[mlflow]'")
        self._experiment, self._uri = experiment, tracking_uri
        self._client: Any = None
        self._runs: dict[str, tuple[str, set[tuple[str, int]]]] = {}  # trial: its run, and the points written there

    def started(self, trial: TrialRecord) -> None:
        self._open(trial)

    def reported(self, trial: str, step: int, metrics: Mapping[str, float]) -> None:
        if trial in self._runs:  # else what is missing is written at the end
            self._log(trial, {name: {step: value} for name, value in metrics.items()})

    def paused(self, trial: str) -> None:
        self._runs.pop(trial, None)

    def ended(self, trial: TrialRecord) -> None:
        self.write(trial)

    def write(self, trial: TrialRecord) -> bool:
        """Write what is missing of a trial that has ended; say whether anything was, so that its run was not over."""
        run = self._open(trial)
        if missing := bool(self._client.get_run(run).info.status == "RUNNING"):
            last = {name: {trial.step: value} for name, value in trial.metrics.items() if name not in trial.curves}
            self._log(trial.id, {**trial.curves, **last})
            notes = {f"note.{name}": note_in_words(note) for name, note in trial.notes.items()}
            for name, text in {"aiohpo.status": trial.status, "aiohpo.error": trial.error, **notes}.items():
                if text:
                    self._client.set_tag(run, _ODD.sub("_", name), text[:_LONGEST])
            self._client.set_terminated(run, "FAILED" if trial.ended_as == "failed" else "FINISHED")
        self.paused(trial.id)
        return missing

    def _open(self, trial: TrialRecord) -> str:
        if trial.id not in self._runs:
            client, known = self._connect(), set()
            experiment = client.get_experiment_by_name(self._experiment)
            place = experiment.experiment_id if experiment else client.create_experiment(self._experiment)
            if found := client.search_runs([place], f"tags.`{_TAG}` = '{trial.id}'", max_results=1):
                run = found[0].info.run_id
                known = {(n, point.step) for n in found[0].data.metrics for point in client.get_metric_history(run, n)}
            else:
                tags = {_TAG: trial.id, "aiohpo.worker": trial.worker}
                run = client.create_run(place, int(1000 * trial.started), tags, f"trial {trial.number}").info.run_id
                for name, value in trial.config.items():
                    client.log_param(run, _ODD.sub("_", name), str(value)[:_LONGEST])
            self._runs[trial.id] = run, known
        return self._runs[trial.id][0]

    def _connect(self) -> Any:
        from mlflow import MlflowClient

        self._client = self._client or MlflowClient(self._uri)
        return self._client

    def _log(self, trial: str, curves: Mapping[str, Mapping[int, float]]) -> None:
        from mlflow.entities import Metric

        (run, known), now = self._runs[trial], int(1000 * time.time())
        points = {(_ODD.sub("_", name), step): value for name, curve in curves.items() for step, value in curve.items()}
        new = [Metric(name, value, now, step) for (name, step), value in points.items() if (name, step) not in known]
        for at in range(0, len(new), _AT_ONCE):
            self._client.log_batch(run, metrics=new[at : at + _AT_ONCE])
        known.update(points)


def import_run(directory: str | Path, experiment: str | None = None, *, tracking_uri: str | None = None) -> int:
    """Write the ended trials of a run directory that are not in the experiment (named as it is) yet; say how many."""
    tracker = MLflowTracker(experiment or Path(directory).resolve().name, tracking_uri=tracking_uri)
    return sum(tracker.write(record) for record in open_run(Path(directory)).records() if record.ended_as is not None)
