"""Who ran what when: the segments of trials, paired up from a worker's events.

A segment begins with the proposal or the claim of its worker, at the wall clock of that worker, and lasts the
seconds that its end says (measured by a monotonic clock). One that never ended has no length: its worker runs
it still, or died.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass

from ..events.log import Log
from ..events.schema import OWN, Claimed, Ended, Event, Left, Proposed, TrialId, trial_of

_Begin = tuple[float, int, int | None]  # when, which attempt, where it is to pause


@dataclass(frozen=True, slots=True)
class Span:
    """A segment: ``worker`` ran ``trial`` from ``began`` (seconds since the epoch) for ``seconds``.

    ``how`` is one of :data:`aiohpo.events.schema.ENDINGS`, or "open". ``to_step`` is where it was to pause, None:
    nowhere.
    """

    worker: str
    trial: TrialId
    began: float
    seconds: float | None
    how: str
    attempt: int = 0
    to_step: int | None = None


class Segments:
    """Takes events in the order of each worker's log and tells what is being run and what was."""

    def __init__(self) -> None:
        self._open: dict[str, dict[TrialId, _Begin]] = {}

    def account_for(self, origin: str, seq: int, event: Event) -> Span | None:
        """Take one event; return the segment that it ends, if it ends one."""
        if isinstance(event, Proposed):
            if event.source == OWN:
                self._open.setdefault(origin, {})[(origin, seq)] = event.time, 0, event.to_step
        elif isinstance(event, Claimed):
            trials, trial = self._open.setdefault(origin, {}), trial_of(origin, event.trial)
            # A worker that was given up for lost claims what it runs already, and names no time.
            time = event.time or (trials[trial][0] if trial in trials else 0.0)
            trials[trial] = time, event.attempt, event.to_step
        elif isinstance(event, Ended):
            trial = trial_of(origin, event.trial)
            begin = self._open.get(origin, {}).pop(trial, None)
            if begin is not None:
                return Span(origin, trial, begin[0], event.seconds, event.how, *begin[1:])
        elif isinstance(event, Left):
            self._open.pop(origin, None)
        return None

    def running(self) -> Iterator[Span]:
        """The segments that have begun and not ended."""
        for worker, trials in self._open.items():
            for trial, (began, attempt, to_step) in trials.items():
                yield Span(worker, trial, began, None, "open", attempt, to_step)


def all_segments(log: Log) -> list[Span]:
    """All segments of a log, by their beginning."""
    activity = Segments()
    found = [
        span
        for origin in log.origins
        for seen in log.events(origin)
        if (span := activity.account_for(origin, seen.seq, seen.event)) is not None
    ]
    return sorted([*found, *activity.running()], key=lambda span: span.began)
