"""Callbacks that follow trials while a worker runs them, such as experiment trackers."""

from __future__ import annotations

from collections.abc import Mapping
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from ..view.trials import TrialRecord


class TrialCallback:
    """Follows the trials that a worker runs. Derive from it and override the methods that you need.

    ``Study(callbacks=[…])`` takes instances. It also takes functions, which are called on the worker's event loop with
    the record of each trial that ended. The methods of an instance are called in a thread, one at a time and in order,
    so they can wait for a network. Each worker calls its own callbacks, for the trials that it runs.

    An exception is shown once and has no other consequence: the trial and the search continue.
    """

    def started(self, trial: TrialRecord) -> None:
        """A segment of a trial starts. The curves of ``trial`` have what earlier segments reported, on any worker."""

    def reported(self, trial: str, step: int, metrics: Mapping[str, float]) -> None:
        """The trial with this id reported metrics after ``step``. If callbacks cannot keep up, reports are dropped; the
        record that :meth:`ended` receives has all of them in its curves."""

    def paused(self, trial: str) -> None:
        """The trial with this id leaves this worker but has not ended: this or another worker may continue it."""

    def ended(self, trial: TrialRecord) -> None:
        """A trial ended: it finished, was stopped or failed."""

    def close(self) -> None:
        """The worker ends."""
