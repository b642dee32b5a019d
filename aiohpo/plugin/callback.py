"""What hears of trials while a worker runs them: a tracker, a message to people."""

from __future__ import annotations

from collections.abc import Mapping
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from ..view.trials import TrialRecord


class TrialCallback:
    """Hears of the trials that its worker runs; derive from it and override what is of interest.

    ``Study(callbacks=[…])`` takes instances of it, and functions, which are called with each trial's record when it has
    ended, on the worker's event loop. Methods of an instance are called in a thread instead, one at a time and in
    order, so they may wait for a network. Each worker has its own: what another worker runs is heard of there.

    An exception costs nothing but the call: it is told once, and the trial and the search go on.
    """

    def started(self, trial: TrialRecord) -> None:
        """A segment of a trial begins here. What earlier segments reported, on whatever worker, is in its curves."""

    def reported(self, trial: str, step: int, metrics: Mapping[str, float]) -> None:
        """The trial of this id reported metrics after ``step``. Where reports come faster than they are taken, some are
        left out; all are in the curves of the record at the end."""

    def paused(self, trial: str) -> None:
        """The trial of this id leaves this worker without having ended; another may go on with it, or this one."""

    def ended(self, trial: TrialRecord) -> None:
        """A trial came to its end here: finished, stopped or failed."""

    def close(self) -> None:
        """The worker leaves."""
