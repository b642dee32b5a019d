"""Who ran what when: the segments of trials, paired up from a worker's events.

A segment begins with the proposal or the claim of its worker, at the wall clock of that worker, and lasts the
seconds that its end says (measured by a monotonic clock). One that never ended has no length: its worker runs
it still, or died.

What they add up to is kept by :class:`Activity`: what each worker did, when trials became done, and when the best value
became better.
"""

from __future__ import annotations

import math
from array import array
from bisect import bisect_right
from collections.abc import Collection, Iterator
from dataclasses import dataclass

import msgspec

from ..events.lifecycle import earlier_end
from ..events.log import Log
from ..events.schema import OWN, Claimed, Ended, Event, Left, Proposed, Started, TrialId, trial_of

_Begin = tuple[float, int, int | None]  # when, which attempt, where it is to pause
RECENT = 60.0  # seconds over which a worker's segments are kept
_FEWEST_RECENT = 256


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
        self.opened: dict[str, dict[TrialId, _Begin]] = {}

    def account_for(self, origin: str, seq: int, event: Event) -> Span | None:
        """Take one event; return the segment that it ends, if it ends one."""
        if isinstance(event, Proposed):
            if event.source == OWN:
                self.opened.setdefault(origin, {})[(origin, seq)] = event.time, 0, event.to_step
        elif isinstance(event, Claimed):
            trials, trial = self.opened.setdefault(origin, {}), trial_of(origin, event.trial)
            # A worker that was given up for lost claims what it runs already, and names no time.
            time = event.time or (trials[trial][0] if trial in trials else 0.0)
            trials[trial] = time, event.attempt, event.to_step
        elif isinstance(event, Ended):
            trial = trial_of(origin, event.trial)
            begin = self.opened.get(origin, {}).pop(trial, None)
            if begin is not None:
                return Span(origin, trial, begin[0], event.seconds, event.how, *begin[1:])
        elif isinstance(event, Left):
            self.opened.pop(origin, None)
        return None

    def running(self) -> Iterator[Span]:
        """The segments that have begun and not ended."""
        for worker, trials in self.opened.items():
            for trial, (began, attempt, to_step) in trials.items():
                yield Span(worker, trial, began, None, "open", attempt, to_step)


class Work:
    """What one worker did: trials of which it ended a segment, seconds of all its segments, its latest segments (those
    of the last minute are among them), and the first and the last time that it is known to have lived."""

    __slots__ = ("_full", "first", "last", "recent", "seconds", "trials")

    def __init__(self) -> None:
        self.trials = 0
        self.seconds = 0.0
        self.recent = array("d")  # when a segment began and ended: alternating
        self._full = _FEWEST_RECENT  # how many numbers there may be before it is looked which are old
        self.first = math.inf
        self.last = -math.inf

    def lived(self, time: float) -> None:
        self.first, self.last = min(self.first, time), max(self.last, time)

    def ran(self, began: float, end: float) -> None:
        self.lived(end)
        self.seconds += end - began
        self.recent.extend((began, end))
        if len(self.recent) >= self._full:
            pairs = zip(self.recent[::2], self.recent[1::2], strict=True)
            self.recent = array("d", [at for pair in pairs if pair[1] > end - RECENT for at in pair])
            self._full = max(2 * len(self.recent), _FEWEST_RECENT)


class ActivityImage(msgspec.Struct, array_like=True):
    """An activity as plain data; arrays are their bytes."""

    open: list[tuple[str, list[tuple[TrialId, _Begin]]]]
    work: dict[str, tuple[int, float, bytes, float, float]]
    last_end: float
    ends: bytes
    improvements: list[tuple[float, float]]


class Activity:
    """What the segments of a search add up to.

    work          what each worker did
    last_end      when the last segment ended that did
    ends          when trials became done (a trial that pauses is done when it first does), in order of arrival
    improvements  when the best value became better, and how good, in order of time
    """

    def __init__(self, sign: float, max_steps: int | None) -> None:
        self._sign = sign  # -1.0 where a greater value is better
        self._max_steps = max_steps
        self._segments = Segments()
        self.work: dict[str, Work] = {}
        self.last_end = -math.inf
        self.ends = array("d")
        self.improvements: list[tuple[float, float]] = []

    def account_for(self, origin: str, seq: int, event: Event, paused_by: Collection[str] = ()) -> None:
        """Take one event. ``paused_by``: the workers that had paused the trial before."""
        span = self._segments.account_for(origin, seq, event)
        if isinstance(event, Started | Left | Proposed | Claimed):
            if event.time and math.isfinite(event.time):  # a worker that claims what it runs already names no time
                self._work_of(origin).lived(event.time)
        elif span is not None and isinstance(event, Ended) and math.isfinite(span.began + event.seconds):
            self._end(span, event, paused_by)

    def running(self) -> Iterator[Span]:
        """The segments that have begun and not ended."""
        return self._segments.running()

    def _work_of(self, worker: str) -> Work:
        work = self.work.get(worker)
        if work is None:
            work = self.work[worker] = Work()
        return work

    def _end(self, span: Span, event: Ended, paused_by: Collection[str]) -> None:
        work, end = self._work_of(span.worker), span.began + event.seconds
        self.last_end = max(self.last_end, end)
        work.ran(span.began, end)
        if event.how in ("finished", "stopped", "failed", "paused"):
            work.trials += span.worker not in paused_by
            if not paused_by:
                self.ends.append(end)
        complete = event.how == "finished" and not earlier_end(event, self._max_steps)
        if complete and event.value is not None and math.isfinite(event.value):
            self._improve(end, event.value)

    def _improve(self, end: float, value: float) -> None:
        known, loss = self.improvements, self._sign * value
        at = bisect_right(known, end, key=lambda each: each[0])
        if at and self._sign * known[at - 1][1] <= loss:
            return
        upto = at
        while upto < len(known) and self._sign * known[upto][1] >= loss:
            upto += 1
        known[at - (at > 0 and known[at - 1][0] == end) : upto] = [(end, value)]

    def forget_ends_before(self, time: float) -> None:
        """Leave out of ``ends`` what will not be asked about again."""
        self.ends = array("d", [end for end in self.ends if end >= time])

    def image(self) -> ActivityImage:
        """Return all of it as plain data."""
        work = {name: (w.trials, w.seconds, w.recent.tobytes(), w.first, w.last) for name, w in self.work.items()}
        opened = [(worker, list(trials.items())) for worker, trials in self._segments.opened.items()]
        return ActivityImage(opened, work, self.last_end, self.ends.tobytes(), list(self.improvements))

    def restore(self, image: ActivityImage) -> None:
        """Become, from an empty one, what ``image`` was made of."""
        self._segments.opened = {worker: dict(trials) for worker, trials in image.open}
        for name, (trials, seconds, recent, first, last) in image.work.items():
            work = self._work_of(name)
            work.trials, work.seconds, work.first, work.last = trials, seconds, first, last
            work.recent.frombytes(recent)
        self.last_end, self.improvements = image.last_end, image.improvements
        self.ends.frombytes(image.ends)

    def __repr__(self) -> str:
        return f"<Activity of {len(self.work)} workers, {len(self.improvements)} improvements>"


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
