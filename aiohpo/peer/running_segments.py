"""The segments that a worker runs, found by their trial, by its row and by its configuration.

A worker of a thousand slots hears of thousands of events a second; what an event means for its own segments is looked
up, not searched for.
"""

from __future__ import annotations

from collections.abc import Collection, Iterator, Mapping
from dataclasses import dataclass

from ..events.schema import TrialId


@dataclass(slots=True)
class Segment:
    """A segment that this worker runs now."""

    trial: TrialId
    row: int
    attempt: int
    to_step: int | None = None  # pause there; None: run to the end
    claimed_by: int = 0  # the number of the event that claimed it; 0: no other worker can have claimed this attempt
    doomed: bool = False  # an Abort was issued
    repeats: bool = False  # because another worker was first to try the same configuration


class RunningSegments(Mapping[TrialId, Segment]):
    """What runs here, by trial. Segments come in the order in which they began."""

    def __init__(self) -> None:
        self._by_trial: dict[TrialId, Segment] = {}
        self._by_row: dict[int, Segment] = {}
        self._by_config: dict[bytes, list[Segment]] = {}
        self._config_of: dict[TrialId, bytes] = {}
        self._doomed: dict[TrialId, Segment] = {}

    def add(self, segment: Segment, config: bytes) -> None:
        """Add a segment of a trial whose packed configuration has the bytes ``config``."""
        self.discard(segment)
        self._by_trial[segment.trial] = self._by_row[segment.row] = segment
        self._by_config.setdefault(config, []).append(segment)
        self._config_of[segment.trial] = config

    def discard(self, segment: Segment) -> None:
        """Remove the segment of this trial, if there is one."""
        found = self._by_trial.pop(segment.trial, None)
        if found is None:
            return
        del self._by_row[found.row]
        self._doomed.pop(found.trial, None)
        config = self._config_of.pop(found.trial)
        same = self._by_config[config]
        same.remove(found)
        if not same:
            del self._by_config[config]

    def doom(self, segment: Segment) -> None:
        """Take note that an Abort of a segment was issued."""
        segment.doomed = True
        if self._by_trial.get(segment.trial) is segment:
            self._doomed[segment.trial] = segment

    @property
    def doomed(self) -> Collection[Segment]:
        """Those of which an Abort was issued."""
        return self._doomed.values()

    def of_config(self, config: bytes) -> list[Segment]:
        """Those of trials whose packed configuration has these bytes."""
        return list(self._by_config.get(config, ()))

    def in_rows(self, rows: Collection[int]) -> list[Segment]:
        """Those of the trials in ``rows``."""
        return [segment for row, segment in self._by_row.items() if row in rows]

    def __getitem__(self, trial: TrialId) -> Segment:
        return self._by_trial[trial]

    def __iter__(self) -> Iterator[TrialId]:
        return iter(self._by_trial)

    def __len__(self) -> int:
        return len(self._by_trial)

    def __contains__(self, trial: object) -> bool:
        return trial in self._by_trial

    def __eq__(self, other: object) -> bool:
        return self._by_trial == other

    __hash__ = None  # type: ignore[assignment]  # it changes

    def __repr__(self) -> str:
        return f"<RunningSegments: {len(self)}, {len(self._doomed)} of them doomed>"
