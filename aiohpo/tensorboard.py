"""Trials for TensorBoard (the extra ``tensorboard``): live, by ``Study(callbacks=[TensorBoardTracker("runs/tb")])``, or
afterwards.

A trial is one directory of event files, named by its id. The log of the study says which steps an earlier segment has
reported, whose worker wrote them, so a worker that goes on with a trial writes only what is new.
"""

from __future__ import annotations

import math
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from .errors import UsageError
from .plugin import TrialCallback
from .report.words import note_in_words
from .storage.run import open_run
from .view.trials import TrialRecord

_ENDED = "aiohpo-ended"  # a file in the directory of a trial that is complete there


class TensorBoardTracker(TrialCallback):
    """Writes the trials of its worker below ``logdir``: metrics step by step, and configuration, notes and result for
    the HPARAMS tab. Workers on several machines need a shared ``logdir``, or have the trials that they ran each."""

    def __init__(self, logdir: str | Path) -> None:
        self._logdir = Path(logdir)
        self._open: dict[str, tuple[Any, set[tuple[str, int]]]] = {}  # trial: its writer, and the points written there

    def started(self, trial: TrialRecord) -> None:
        known = {(name, step) for name, curve in trial.curves.items() for step in curve}
        self._open[trial.id] = self._writer(trial), known

    def reported(self, trial: str, step: int, metrics: Mapping[str, float]) -> None:
        if trial in self._open:  # else what is missing is written at the end
            self._write(trial, {name: {step: value} for name, value in metrics.items()})

    def paused(self, trial: str) -> None:
        if (found := self._open.pop(trial, None)) is not None:
            found[0].close()

    def ended(self, trial: TrialRecord) -> None:
        self.write(trial)

    def close(self) -> None:
        for writer, _ in self._open.values():
            writer.close()
        self._open.clear()

    def write(self, trial: TrialRecord) -> bool:
        """Write what is missing of a trial that has ended; say whether anything was."""
        place = self._logdir / trial.id
        if (place / _ENDED).exists():
            return False
        if trial.id not in self._open:
            self._open[trial.id] = self._writer(trial), set()
        from tensorboardX.summary import hparams

        writer = self._open[trial.id][0]
        last = {name: {trial.step: value} for name, value in trial.metrics.items() if name not in trial.curves}
        self._write(trial.id, {**trial.curves, **last})
        config = {name: v if isinstance(v, bool | int | float | str) else str(v) for name, v in trial.config.items()}
        for summary in hparams(config, {name: v for name, v in trial.metrics.items() if math.isfinite(v)}):
            writer.file_writer.add_summary(summary)
        notes = {"status": trial.status, **({"error": trial.error} if trial.error else {}), **trial.notes}
        writer.add_text("trial", "\n\n".join(f"**{name}**: {note_in_words(note)}" for name, note in notes.items()))
        writer.close()
        del self._open[trial.id]
        (place / _ENDED).touch()
        return True

    def _write(self, trial: str, curves: Mapping[str, Mapping[int, float]]) -> None:
        writer, known = self._open[trial]
        for name, curve in curves.items():
            for step, value in sorted(curve.items()):
                if (name, step) not in known and math.isfinite(value):
                    writer.add_scalar(name, value, step)
                known.add((name, step))
        writer.flush()  # another worker goes by what this one has reported, should it die

    def _writer(self, trial: TrialRecord) -> Any:
        try:
            from tensorboardX import SummaryWriter
        except ImportError:
            raise UsageError("writing for TensorBoard needs tensorboardX: pip install 'aiohpo[tensorboard]'") from None
        # Without a name of its own, a file that is begun within the same second would replace another segment's.
        return SummaryWriter(str(self._logdir / trial.id), filename_suffix=f".{trial.attempt}.{trial.worker}")


def import_run(directory: str | Path, logdir: str | Path) -> int:
    """Write the trials of a run directory that have ended and are not below ``logdir`` yet; return how many."""
    tracker, path = TensorBoardTracker(logdir), Path(directory)
    return sum(tracker.write(record) for record in open_run(path).records() if record.ended_as is not None)
