"""Events: everything that ever happens, as it stands in journals and travels on wires.

An *event* is a fact that one worker recorded in its own log: "I proposed this configuration", "trial t
reported 0.93 at step 4". Its origin and its number in that log (1, 2, 3, …) are its identity and are not
repeated inside it. Peers send each other (:mod:`aiohpo.mesh.frames`) the very bytes that stand in the journal.

Encoding
--------
An event is a msgpack array ``[kind, lamport, field, …]``. A trial is named by the event that proposed it, ``[worker,
number]``; in the log of its own proposer just by the number.

A field is added at the end of its class, with a default that means what its absence meant: older readers skip it,
newer ones supply it.

Adding an event
---------------
1. A class here, frozen and array_like, with the next free tag, ``lamport`` first, and bounds on every field; then its
   name in :data:`Event`. A tag is never used again for something else.
2. What it means in :meth:`aiohpo.view.reducer.Reducer.apply`, such that the order of arrival cannot matter.
3. The method of :class:`aiohpo.peer.recorder.Recorder` that records it.

The codec (:mod:`aiohpo.events.codec`) follows from the class. Versions that lack it read the new kind as
:class:`Unknown`: they keep its bytes, pass them on and skip its meaning, so a study survives a mixture of versions.
Only a change to what an existing kind means takes a new :data:`aiohpo.mesh.frames.FORMAT`.
"""

from __future__ import annotations

from collections.abc import Iterator
from typing import Annotated, Literal, NamedTuple, final, get_args

import msgspec

from ..errors import AiohpoError

MAX_TEXT = 8_000
MAX_EVENT = 128 << 10  # bytes; the longest error with its detail and MAX_METRIC_BYTES of metrics fit
MAX_METRIC_BYTES = 60 << 10  # for the names and values of one event

MAX_LAMPORT = 1 << 53
MAX_NUMBER = (1 << 31) - 1
MAX_ATTEMPT = 1 << 30
MAX_BRACKET = 1 << 40
MAX_STEPS = 1 << 53
MAX_SLOTS = 1 << 20

TrialId = tuple[str, int]

Count = Annotated[int, msgspec.Meta(ge=0, le=MAX_LAMPORT)]
Number = Annotated[int, msgspec.Meta(ge=1, le=MAX_NUMBER)]
Attempt = Annotated[int, msgspec.Meta(ge=0, le=MAX_ATTEMPT)]
Bracket = Annotated[int, msgspec.Meta(ge=0, le=MAX_BRACKET)]
# Bounds also refuse NaN and the infinities, of which no clock, sum or calendar can make sense.
Time = Annotated[float, msgspec.Meta(ge=0.0, le=1e11)]  # seconds since the epoch
Seconds = Annotated[float, msgspec.Meta(ge=0.0, le=1e11)]
# A name becomes a part of file names: nothing in it may lead elsewhere.
Name = Annotated[str, msgspec.Meta(pattern=r"^[A-Za-z0-9_.-]{1,64}\Z")]
# So do those of a trial's files, which people choose: neither hidden nor in another directory.
FILE_NAME = r"^[A-Za-z0-9_][A-Za-z0-9_. +=-]{0,127}\Z"
FileName = Annotated[str, msgspec.Meta(pattern=FILE_NAME)]
Sha256 = Annotated[str, msgspec.Meta(pattern=r"^[0-9a-f]{64}\Z")]
Address = Annotated[str, msgspec.Meta(max_length=512)]
Text = Annotated[str, msgspec.Meta(max_length=MAX_TEXT)]
Short = Annotated[str, msgspec.Meta(max_length=256)]
Metrics = Annotated[dict[Short, float], msgspec.Meta(max_length=1000)]
Digests = Annotated[dict[Short, Sha256], msgspec.Meta(max_length=1000)]
# msgspec 0.22 crashes in garbage collection where a bounded int shares a union with a tuple: bounds of a plain
# number are checked where it is looked up.
TrialRef = int | tuple[Name, Number]


class Malformed(Exception):
    """Bytes that are not what they should be: the receiver counts and drops them."""


class Unrecordable(AiohpoError):
    """An event that no peer would accept: it is too large, or a field of it is out of range."""


def trial_name(trial: TrialId) -> str:
    """The public id of a trial, as in ``show --json``: ``worker-number``."""
    return f"{trial[0]}-{trial[1]}"


def trial_of(origin: str, ref: TrialRef) -> TrialId:
    """The trial that an event in the log of ``origin`` means."""
    return (origin, ref) if isinstance(ref, int) else ref


def parse_trial(name: str) -> TrialId:
    """Inverse of :func:`trial_name`. Raises ``ValueError``."""
    origin, _, seq = name.rpartition("-")
    if not origin:
        raise ValueError(f"{name!r} is not a trial id (worker-number)")
    return origin, int(seq)


# ------------------------------------------------------------------------------------------------ events
class Started(msgspec.Struct, frozen=True, array_like=True, tag=1):
    """A worker process began. ``journal`` identifies the directory it writes to, ``max_steps`` is the number of steps
    that a complete trial of its study had, ``slots`` how many trials it runs at a time."""

    lamport: Count
    time: Time
    host: Short
    pid: Count
    journal: Short
    rank: Count | None = None
    max_steps: Count | None = None
    slots: Annotated[int, msgspec.Meta(ge=1, le=MAX_SLOTS)] = 1


class Left(msgspec.Struct, frozen=True, array_like=True, tag=2):
    """A worker ended in good order; it holds nothing any more."""

    lamport: Count
    time: Time
    reason: Text


class Goal(msgspec.Struct, frozen=True, array_like=True, tag=3):
    """The study's global budget; the latest by (lamport, origin) holds.

    ``at_least``: said by a worker that did not know yet what its peers know, so that it raises the budget or changes
    nothing.
    """

    lamport: Count
    trials: Count | None
    at_least: bool = False


OWN, QUEUED, EXTERNAL = 0, 1, 2


class Parent(msgspec.Struct, frozen=True, array_like=True, gc=False):
    """The checkpoint that a trial began with: what ``trial`` had saved after ``step``, on ``worker``."""

    trial: tuple[Name, Number]
    step: Count
    digest: Sha256
    size: Count
    worker: Name


class Proposed(msgspec.Struct, frozen=True, array_like=True, tag=4, gc=False):
    """A new trial. ``values`` is the native row of its configuration (``Space.pack``).

    ``source``: OWN, the proposer runs it at once; QUEUED, anyone may claim it; EXTERNAL, a past result that
    was added and does not count against the budget. ``to_step``: where its first segment is to pause; the last step,
    too, is named, so that it is a pause to those who go on to more. ``bracket`` is the scheduler's. ``retry_of``: the
    failed trial whose configuration this one tries again, and whose place in the budget it may take (only if QUEUED).
    """

    lamport: Count
    time: Time
    values: tuple[float | int | None, ...]
    source: Annotated[int, msgspec.Meta(ge=OWN, le=EXTERNAL)] = OWN
    to_step: Count | None = None
    bracket: Bracket = 0
    parent: Parent | None = None
    retry_of: tuple[Name, Number] | None = None


class Claimed(msgspec.Struct, frozen=True, array_like=True, tag=5):
    """A worker takes segment ``attempt`` of a trial; the smallest (lamport, worker) wins. ``restart``: from
    scratch, what was saved before is of no use any more. ``to_step``: as of a proposal. ``bracket``: of a queued trial,
    which had none."""

    lamport: Count
    time: Time
    trial: TrialRef
    attempt: Attempt
    to_step: Count | None = None
    restart: bool = False
    bracket: Bracket = 0


class Reported(msgspec.Struct, frozen=True, array_like=True, tag=6):
    """``value`` of the objective metric (and ``extra`` metrics) after ``step``."""

    lamport: Count
    trial: TrialRef
    attempt: Attempt
    step: Count
    value: float | None
    extra: Metrics | None = None


class Saved(msgspec.Struct, frozen=True, array_like=True, tag=7):
    """A checkpoint of ``step`` is the blob ``digest``."""

    lamport: Count
    trial: TrialRef
    attempt: Attempt
    step: Count
    digest: Sha256
    size: Count


TARGETS = "targets:"  # what the names of targets begin with, among those of predictions


class Predicted(msgspec.Struct, frozen=True, array_like=True, tag=8):
    """Predictions of a trial's model are blobs, ``{name: digest}``; so are the targets that go with them."""

    lamport: Count
    trial: TrialRef
    attempt: Attempt
    digests: Digests


# How a segment ends. Finished, stopped and failed are final; paused and released segments may be claimed
# again; cancelled withdraws a proposal that fell behind the budget's line.
Ending = Literal["finished", "stopped", "failed", "paused", "released", "cancelled"]
ENDINGS: tuple[str, ...] = get_args(Ending)


class Ended(msgspec.Struct, frozen=True, array_like=True, tag=9, gc=False):
    """A segment ended on its worker after ``seconds``. ``error``/``detail`` only where ``how`` is failed; ``max_steps``
    only where it is finished: the steps that a complete trial had for its worker."""

    lamport: Count
    trial: TrialRef
    attempt: Attempt
    how: Ending
    step: Count
    value: float | None = None
    seconds: Seconds = 0.0
    extra: Metrics | None = None
    error: Text | None = None
    detail: Text | None = None
    max_steps: Count | None = None


class Lost(msgspec.Struct, frozen=True, array_like=True, tag=10):
    """A worker saw the worker of segment ``attempt`` die: the segment is free to be taken over."""

    lamport: Count
    trial: TrialRef
    attempt: Attempt


MAX_NAMED = 1000


class Over(msgspec.Struct, frozen=True, array_like=True, tag=11):
    """The search is over for these ``workers``, which are those that its recorder knew to be there: the target is
    reached or, where ``failures`` is not 0, so many trials failed and none succeeded. A worker that joins later, for
    another run of the study, begins all the same."""

    lamport: Count
    reason: Text
    failures: Count = 0
    workers: Annotated[tuple[Name, ...], msgspec.Meta(max_length=MAX_NAMED)] = ()


class Unanswered(msgspec.Struct, frozen=True, array_like=True, tag=12):
    """These addresses, which its recorder was told to join, have not answered so far; empty once one has at
    all of them."""

    lamport: Count
    addresses: Annotated[tuple[Address, ...], msgspec.Meta(max_length=100)]


MAX_NOTE_BYTES = 60 << 10  # for the names and values of one event


class Noted(msgspec.Struct, frozen=True, array_like=True, tag=13):
    """Notes on a trial, ``{name: JSON}``. Of each name the latest by (lamport, worker) holds."""

    lamport: Count
    trial: TrialRef
    notes: Annotated[dict[Short, Annotated[str, msgspec.Meta(max_length=MAX_EVENT)]], msgspec.Meta(max_length=1000)]


class Died(msgspec.Struct, frozen=True, array_like=True, tag=14):
    """The process of segment ``attempt`` died, or ran out of memory: why, in ``error``. Its worker tries a trial again
    after so many ``retries`` of such crashes; then its :class:`Ended` says that the segment is released, so that it may
    be claimed again, and else that it failed."""

    lamport: Count
    trial: TrialRef
    attempt: Attempt
    error: Text
    retries: Count = 0


MAX_FILE = 1 << 30  # bytes


class Attached(msgspec.Struct, frozen=True, array_like=True, tag=15):
    """File ``name`` of a trial is the blob ``digest``. Of each name the latest by (lamport, worker) holds."""

    lamport: Count
    trial: TrialRef
    name: FileName
    digest: Sha256
    size: Count


TrialEvent = Claimed | Reported | Saved | Predicted | Ended | Lost | Noted | Died | Attached
Event = Started | Left | Goal | Proposed | Over | Unanswered | TrialEvent


@final
class Unknown(msgspec.Struct, frozen=True):
    """An event of a kind that this version of aiohpo does not know, which a later one recorded.

    All that is known of any event, of any version, is that it is an array which begins with its ``kind`` and its
    ``lamport`` time. Its bytes stay in the log.
    """

    kind: int
    lamport: int


class Batch(msgspec.Struct, frozen=True, array_like=True):
    """Consecutive events of ``origin`` from number ``first`` on, each as its bytes in the log."""

    origin: Name
    first: Number
    raws: tuple[bytes, ...]

    @property
    def last(self) -> int:
        """The number of its last event."""
        return self.first + len(self.raws) - 1

    @property
    def size(self) -> int:
        """Bytes of its events."""
        return sum(map(len, self.raws))

    @property
    def wire_size(self) -> int:
        """About how many bytes it takes in a frame, its origin and the lengths included."""
        return self.size + len(self.origin) + 3 * len(self.raws) + 16

    def cut(self, most_bytes: int, most_events: int) -> Iterator[Batch]:
        """Yield it in parts of at most so many bytes (or one event) and events."""
        if len(self.raws) <= most_events and self.size <= most_bytes:
            yield self
            return
        begin = size = 0
        for end, raw in enumerate(self.raws):
            if end > begin and (size + len(raw) > most_bytes or end - begin == most_events):
                yield Batch(self.origin, self.first + begin, self.raws[begin:end])
                begin, size = end, 0
            size += len(raw)
        if begin < len(self.raws):
            yield Batch(self.origin, self.first + begin, self.raws[begin:])

    def join(self, other: Batch) -> Batch | None:
        """This batch and ``other`` as one, if ``other`` continues it."""
        if self.origin != other.origin or self.last + 1 != other.first:
            return None
        return Batch(self.origin, self.first, self.raws + other.raws)


class Seen(NamedTuple):
    """An event together with its identity."""

    origin: str
    seq: int
    event: Event


class Fresh(msgspec.Struct, frozen=True):
    """Events that a replica had not seen before, numbered ``first``, ``first + 1``, …; ``again`` where others bear
    these numbers, too.

    Iterating yields those that this version understands.
    """

    origin: str
    first: int
    events: list[Event | Unknown]
    again: bool = False

    def __iter__(self) -> Iterator[Seen]:
        return (
            Seen(self.origin, seq, event)
            for seq, event in enumerate(self.events, self.first)
            if not isinstance(event, Unknown)
        )

    def __len__(self) -> int:
        return len(self.events)
