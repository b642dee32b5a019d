"""Trials for TensorBoard (the extra ``tensorboard``), live by ``callbacks=[TensorBoardTracker("tb")]`` or afterwards.

A trial is a directory of event files, named by its id. A worker that continues a trial writes only what is not there.
"""

from __future__ import annotations

import math
import re
from collections.abc import Mapping
from importlib.util import find_spec
from pathlib import Path
from typing import Any

from .errors import UsageError
from .plugin import TrialCallback
from .report.words import note_in_words
from .storage.run import open_run
from .view.trials import TrialRecord

_ENDED = "aiohpo-ended"  # a file in the directory of a trial that is complete there
_ODD = re.compile(r"^/|[^\w./-]")  # what no name may hold there


class TensorBoardTracker(TrialCallback):
    """Writes the trials of its worker below ``logdir``, which the workers share: metrics step by step, then the result
    with configuration and notes."""

    def __init__(self, logdir: str | Path) -> None:
        if find_spec("tensorboardX") is None:
            raise UsageError("writing for TensorBoard needs tensorboardX: pip install 'aiohpo[tensorboard]'")
        self._logdir = Path(logdir)
        self._open: dict[str, tuple[Any, set[tuple[str, int]]]] = {}  # trial: its writer, and the points written there

    def started(self, trial: TrialRecord) -> None:
        from tensorboardX import SummaryWriter

        place = self._logdir / trial.id
        known, suffix = _points_in(place), f".{trial.attempt}.{trial.worker}"  # else names repeat within a second
        self._open[trial.id] = SummaryWriter(str(place), filename_suffix=suffix), known

    def reported(self, trial: str, step: int, metrics: Mapping[str, float]) -> None:
        if trial in self._open:  # else what is missing is written at the end
            self._write(trial, {name: {step: value} for name, value in metrics.items()})

    def paused(self, trial: str) -> None:
        if (found := self._open.pop(trial, None)) is not None:
            found[0].close()

    def ended(self, trial: TrialRecord) -> None:
        self.write(trial)

    def write(self, trial: TrialRecord) -> bool:
        """Write what is missing of a trial that has ended; say whether it was not complete there."""
        from tensorboardX.summary import hparams

        ended = self._logdir / trial.id / _ENDED
        if ended.exists():
            return False
        if trial.id not in self._open:
            self.started(trial)
        writer = self._open[trial.id][0]
        last = {name: {trial.step: value} for name, value in trial.metrics.items() if name not in trial.curves}
        self._write(trial.id, {**trial.curves, **last})
        config = {name: v if isinstance(v, bool | int | float | str) else str(v) for name, v in trial.config.items()}
        for summary in hparams(config, {name: v for name, v in trial.metrics.items() if math.isfinite(v)}):
            writer.file_writer.add_summary(summary)
        notes = {"status": trial.status, "error": trial.error or "", **trial.notes}
        writer.add_text("trial", "\n\n".join(f"**{name}**: {note_in_words(note)}" for name, note in notes.items()))
        self.paused(trial.id)
        ended.touch()
        return True

    def _write(self, trial: str, curves: Mapping[str, Mapping[int, float]]) -> None:
        writer, known = self._open[trial]
        points = {(_ODD.sub("_", name), step): value for name, curve in curves.items() for step, value in curve.items()}
        for (name, step), value in sorted(points.items()):
            if (name, step) not in known and math.isfinite(value):
                writer.add_scalar(name, value, step)
        known.update(points)
        writer.flush()


def _points_in(place: Path) -> set[tuple[str, int]]:
    """The points in event files, which are sequences of length, checksum, event, checksum; the last may be torn."""
    from tensorboardX.proto.event_pb2 import Event

    found: set[tuple[str, int]] = set()
    for data, at in [(file.read_bytes(), 0) for file in place.glob("events.*")]:
        while at + 16 + (size := int.from_bytes(data[at : at + 8], "little")) <= len(data):
            event = Event.FromString(data[at + 12 : at + 12 + size])
            found |= {(value.tag, event.step) for value in event.summary.value}
            at += 16 + size
    return found


def import_run(directory: str | Path, logdir: str | Path) -> int:
    """Write the ended trials of a run directory that are not complete below ``logdir``; return how many."""
    tracker = TensorBoardTracker(logdir)
    return sum(tracker.write(record) for record in open_run(Path(directory)).records() if record.ended_as is not None)
