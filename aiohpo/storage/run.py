"""Reading a run directory without the program that made it: what ``best``, ``show``, ``plot`` and ``export`` use."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from ..errors import UsageError
from ..events.log import Log
from ..events.schema import trial_name
from ..view.promotions import Promotions
from ..view.summary import Summary
from ..view.trials import TrialRecord
from ..view.view import View
from .loading import Loaded, load_journals
from .run_directory import read_study


@dataclass(frozen=True, slots=True)
class Run:
    """A run directory's contents."""

    path: Path
    study: dict[str, Any]
    log: Log
    view: View
    loaded: Loaded

    @property
    def summary(self) -> Summary:
        """How the search stood when it was loaded."""
        return Summary(self.view, self.loaded.states)

    def records(self) -> Iterator[TrialRecord]:
        """All trials in order, but for cancelled and queued ones."""
        return self.summary.records()

    def find(self, name: str) -> TrialRecord:
        """The trial of this number or id. Raises ``UsageError`` if there is none."""
        summary = self.summary
        for number, row in summary.listed():
            if name in (str(number), trial_name(self.view.id(row))):
                return summary.record(row, number)
        raise UsageError(
            f"there is no trial {name!r} in {self.path}: give a number or an id, as 'aiohpo show' lists them"
        )

    def rungs(self) -> Promotions:
        """How far its trials got."""
        return Promotions(self.view)


def open_run(path: Path) -> Run:
    """Load a run directory. Raises ``UsageError`` if it is not one."""
    study = read_study(path)
    log, view = Log(), View.of_study(study)
    return Run(path, study, log, view, load_journals(path, log, view))
