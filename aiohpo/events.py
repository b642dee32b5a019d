"""Events and frames: everything that is ever written to a journal or put on a wire.

An *event* is a fact that one worker recorded in its own log: "I proposed this configuration", "trial t
reported 0.93 at step 4". Its origin and its number in that log (1, 2, 3, …) are its identity and are not
repeated inside it. A *frame* is what one peer sends to another; frames carry events as the very bytes that
stand in the journal.

Encoding
--------
An event is one msgpack array ``[kind, lamport, field, …]``; concatenated events need no separator. A trial is
named by the event that proposed it, ``(origin, number)``; inside the origin's own log just by the number.
A frame is ``FORMAT (1 byte) | study tag (4 bytes) | msgpack array [kind, field, …]``.

Decoding trusts nothing: every field is checked, sizes are bounded by what really arrived, and whatever is wrong
raises :class:`Malformed` and nothing else.
"""

from __future__ import annotations

import math
import re
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass
from functools import lru_cache
from typing import Any, ClassVar, NamedTuple

import msgpack

FORMAT = 1
MAX_FRAME = 16 << 20
MAX_TEXT = 8_000
_MAX_INT = 1 << 53
_MAX_ARRAY = 1 << 16  # msgpack allocates an array at its stated length, again for each level of nesting
_NAME = re.compile(r"[A-Za-z0-9_.-]{1,64}")  # safe as a part of a file's name, which it becomes

TrialId = tuple[str, int]


class Malformed(Exception):
    """Bytes that are not what they should be: counted and dropped by whoever received them."""


class Seen(NamedTuple):
    """An event together with its identity."""

    origin: str
    seq: int
    event: Event


def trial_name(trial: TrialId) -> str:
    """The public id of a trial, as in ``show --json``: ``worker-number``."""
    return f"{trial[0]}-{trial[1]}"


def parse_trial(name: str) -> TrialId:
    """Inverse of :func:`trial_name`. Raises ``ValueError``."""
    origin, _, seq = name.rpartition("-")
    if not origin:
        raise ValueError(f"{name!r} is not a trial id (worker-number)")
    return origin, int(seq)


# ------------------------------------------------------------------------------------------------ events
@dataclass(frozen=True, slots=True)
class Started:
    """A worker process began. ``journal`` identifies the directory it writes to."""

    KIND: ClassVar[int] = 1
    lamport: int
    time: float
    host: str
    pid: int
    journal: str
    rank: int | None = None


@dataclass(frozen=True, slots=True)
class Left:
    """A worker ended in good order; it holds nothing any more."""

    KIND: ClassVar[int] = 2
    lamport: int
    time: float
    reason: str


@dataclass(frozen=True, slots=True)
class Goal:
    """The study's global budget; the latest by (lamport, origin) holds."""

    KIND: ClassVar[int] = 3
    lamport: int
    trials: int | None


OWN, QUEUED, EXTERNAL = 0, 1, 2


@dataclass(frozen=True, slots=True)
class Proposed:
    """A new trial. ``values`` is the native row of its configuration (``Space.pack``).

    ``source``: OWN, the proposer runs it at once; QUEUED, anyone may claim it; EXTERNAL, a past result that
    was added and does not count against the budget.
    """

    KIND: ClassVar[int] = 4
    lamport: int
    time: float
    values: tuple[float | int | None, ...]
    source: int = OWN
    to_step: int | None = None


@dataclass(frozen=True, slots=True)
class Claimed:
    """A worker takes segment ``attempt`` of a trial; the smallest (lamport, worker) wins."""

    KIND: ClassVar[int] = 5
    lamport: int
    time: float
    trial: TrialId
    attempt: int
    to_step: int | None = None


@dataclass(frozen=True, slots=True)
class Reported:
    """``value`` of the objective metric (and ``extra`` metrics) after ``step``."""

    KIND: ClassVar[int] = 6
    lamport: int
    trial: TrialId
    attempt: int
    step: int
    value: float | None
    extra: Mapping[str, float] | None = None


@dataclass(frozen=True, slots=True)
class Saved:
    """A checkpoint of ``step`` is the blob ``digest``."""

    KIND: ClassVar[int] = 7
    lamport: int
    trial: TrialId
    attempt: int
    step: int
    digest: str
    size: int


@dataclass(frozen=True, slots=True)
class Predicted:
    """Predictions of a trial's model are blobs, ``{name: digest}``."""

    KIND: ClassVar[int] = 8
    lamport: int
    trial: TrialId
    attempt: int
    digests: Mapping[str, str]


# How a segment ends. Finished, stopped and failed are final; paused and released segments may be claimed
# again; cancelled withdraws a proposal that fell behind the budget's line.
ENDINGS = ("finished", "stopped", "failed", "paused", "released", "cancelled")


@dataclass(frozen=True, slots=True)
class Ended:
    """A segment ended on its worker after ``seconds``. ``error``/``detail`` only where ``how`` is failed."""

    KIND: ClassVar[int] = 9
    lamport: int
    trial: TrialId
    attempt: int
    how: str
    step: int
    value: float | None = None
    seconds: float = 0.0
    extra: Mapping[str, float] | None = None
    error: str | None = None
    detail: str | None = None


@dataclass(frozen=True, slots=True)
class Lost:
    """An observer saw the worker of segment ``attempt`` die: the segment is free to be taken over."""

    KIND: ClassVar[int] = 10
    lamport: int
    trial: TrialId
    attempt: int


Event = Started | Left | Goal | Proposed | Claimed | Reported | Saved | Predicted | Ended | Lost


# ------------------------------------------------------------------------------------------------ frames
@dataclass(frozen=True, slots=True)
class Hello:
    """Introduces a worker to a peer; ``reply`` asks for one in return.

    ``greeted`` is the address the greeting was sent to, and comes back in the answer: a worker may be reached
    by other names than the one it advertises.
    """

    KIND: ClassVar[int] = 1
    format: int
    study: str
    worker: str
    incarnation: int
    address: str
    greeted: str
    reply: bool


@dataclass(frozen=True, slots=True)
class Refused:
    """Tells a peer why its hello was not accepted."""

    KIND: ClassVar[int] = 2
    reason: str


@dataclass(frozen=True, slots=True)
class Batch:
    """``count`` consecutive events of ``origin`` from number ``first`` on, as their bytes in the log."""

    origin: str
    first: int
    count: int
    blob: bytes


@dataclass(frozen=True, slots=True)
class Events:
    """Events, flooded when they are new or sent as ``repair`` to whoever asked. ``more`` says that the sender
    has more of them and waits to be asked again."""

    KIND: ClassVar[int] = 3
    batches: tuple[Batch, ...]
    repair: bool = False
    more: bool = False


@dataclass(frozen=True, slots=True)
class Digest:
    """Short hashes of the sender's version vector and member table."""

    KIND: ClassVar[int] = 4
    log: bytes
    members: bytes


@dataclass(frozen=True, slots=True)
class Vector:
    """The sender's version vector: "send me what I lack".

    ``eager`` asks for everything (a joiner, a gap); otherwise the receiver may leave out what is so new that
    it is surely still in flight. ``reply`` asks for the receiver's vector too.
    """

    KIND: ClassVar[int] = 5
    counts: Mapping[str, int]
    eager: bool
    reply: bool


@dataclass(frozen=True, slots=True)
class MemberNews:
    """What the sender believes of a worker. ``by`` is who observed it, for suspicion."""

    worker: str
    address: str
    state: int
    incarnation: int
    by: str


@dataclass(frozen=True, slots=True)
class Members:
    """Changes to (or the whole of) the member table."""

    KIND: ClassVar[int] = 6
    news: tuple[MemberNews, ...]


@dataclass(frozen=True, slots=True)
class Ping:
    """Are you there? ``nonce`` comes back in the answer; it carries the sender's clock."""

    KIND: ClassVar[int] = 7
    nonce: float


@dataclass(frozen=True, slots=True)
class Pong:
    """I am; ``nonce`` is the ping's."""

    KIND: ClassVar[int] = 8
    nonce: float


Frame = Hello | Refused | Events | Digest | Vector | Members | Ping | Pong


# -------------------------------------------------------------------------------------------- validation
def _int(x: Any, low: int = 0, high: int = _MAX_INT) -> int:
    if type(x) is not int or not low <= x <= high:
        raise Malformed(f"expected an integer in [{low}, {high}], got {x!r:.60}")
    return x


def _opt_int(x: Any) -> int | None:
    return None if x is None else _int(x)


def _float(x: Any) -> float:
    if type(x) is float and math.isfinite(x):
        return x
    if type(x) is int and -_MAX_INT <= x <= _MAX_INT:
        return float(x)
    raise Malformed(f"expected a finite number, got {x!r:.60}")


def _any_float(x: Any) -> float:
    """Only the objective metric must be finite; a NaN among the others is somebody's information."""
    return x if type(x) is float else _float(x)


def _opt_float(x: Any) -> float | None:
    return None if x is None else _float(x)


def _text(x: Any, most: int = MAX_TEXT) -> str:
    if type(x) is not str or len(x) > most:
        raise Malformed(f"expected text of at most {most} characters, got {x!r:.60}")
    return x


def _name(x: Any) -> str:
    if type(x) is not str or _NAME.fullmatch(x) is None:
        raise Malformed(f"expected a name, got {x!r:.60}")
    return x


def _opt_text(x: Any) -> str | None:
    return None if x is None else _text(x)


def _bool(x: Any) -> bool:
    if type(x) is not bool:
        raise Malformed(f"expected true or false, got {x!r:.60}")
    return x


def _bytes(x: Any, most: int = MAX_FRAME) -> bytes:
    if type(x) is not bytes or len(x) > most:
        raise Malformed("expected bytes")
    return x


def _array(x: Any) -> list[Any]:
    if type(x) is not list:
        raise Malformed(f"expected an array, got {x!r:.60}")
    return x


def _metrics(x: Any) -> dict[str, float] | None:
    if x is None:
        return None
    if type(x) is not dict or len(x) > 1000:
        raise Malformed("expected a map of metrics")
    return {_text(k, 256): _any_float(v) for k, v in x.items()}


def _digests(x: Any) -> dict[str, str]:
    if type(x) is not dict or len(x) > 1000:
        raise Malformed("expected a map of digests")
    return {_text(k, 256): _name(v) for k, v in x.items()}


def _values(x: Any) -> tuple[float | int | None, ...]:
    for v in _array(x):
        t = type(v)
        if t is float:
            if not math.isfinite(v):
                raise Malformed("a configuration value is not finite")
        elif v is not None and t is not int:
            raise Malformed(f"a configuration value is {v!r:.60}")
    return tuple(x)


def _ref(origin: str, x: Any) -> TrialId:
    if type(x) is int:
        return origin, _int(x, 1)
    if type(x) is list and len(x) == 2:
        return _name(x[0]), _int(x[1], 1)
    raise Malformed(f"expected a trial, got {x!r:.60}")


def _ending(x: Any) -> str:
    return ENDINGS[_int(x, 0, len(ENDINGS) - 1)]


# ----------------------------------------------------------------------------------------- event codec
_DECODE_EVENT: dict[int, tuple[int, Callable[[str, list[Any]], Event]]] = {
    1: (
        7,
        lambda o, f: Started(_int(f[1]), _float(f[2]), _text(f[3]), _int(f[4]), _text(f[5]), _opt_int(f[6])),
    ),
    2: (4, lambda o, f: Left(_int(f[1]), _float(f[2]), _text(f[3]))),
    3: (3, lambda o, f: Goal(_int(f[1]), _opt_int(f[2]))),
    4: (
        6,
        lambda o, f: Proposed(_int(f[1]), _float(f[2]), _values(f[3]), _int(f[4], 0, EXTERNAL), _opt_int(f[5])),
    ),
    5: (6, lambda o, f: Claimed(_int(f[1]), _float(f[2]), _ref(o, f[3]), _int(f[4]), _opt_int(f[5]))),
    6: (
        7,
        lambda o, f: Reported(_int(f[1]), _ref(o, f[2]), _int(f[3]), _int(f[4]), _opt_float(f[5]), _metrics(f[6])),
    ),
    7: (
        7,
        lambda o, f: Saved(_int(f[1]), _ref(o, f[2]), _int(f[3]), _int(f[4]), _name(f[5]), _int(f[6])),
    ),
    8: (5, lambda o, f: Predicted(_int(f[1]), _ref(o, f[2]), _int(f[3]), _digests(f[4]))),
    9: (
        11,
        lambda o, f: Ended(
            _int(f[1]),
            _ref(o, f[2]),
            _int(f[3]),
            _ending(f[4]),
            _int(f[5]),
            _opt_float(f[6]),
            _float(f[7]),
            _metrics(f[8]),
            _opt_text(f[9]),
            _opt_text(f[10]),
        ),
    ),
    10: (4, lambda o, f: Lost(_int(f[1]), _ref(o, f[2]), _int(f[3]))),
}


def _fields(origin: str, event: Event) -> list[Any]:
    def ref(trial: TrialId) -> Any:
        return trial[1] if trial[0] == origin else trial

    match event:
        case Proposed(lamport, time, values, source, to_step):
            return [4, lamport, time, values, source, to_step]
        case Ended(lamport, trial, attempt, how, step, value, seconds, extra, error, detail):
            how_code = ENDINGS.index(how)
            return [9, lamport, ref(trial), attempt, how_code, step, value, seconds, extra, error, detail]
        case Reported(lamport, trial, attempt, step, value, extra):
            return [6, lamport, ref(trial), attempt, step, value, extra]
        case Claimed(lamport, time, trial, attempt, to_step):
            return [5, lamport, time, ref(trial), attempt, to_step]
        case Saved(lamport, trial, attempt, step, digest, size):
            return [7, lamport, ref(trial), attempt, step, digest, size]
        case Predicted(lamport, trial, attempt, digests):
            return [8, lamport, ref(trial), attempt, digests]
        case Lost(lamport, trial, attempt):
            return [10, lamport, ref(trial), attempt]
        case Started(lamport, time, host, pid, journal, rank):
            return [1, lamport, time, host, pid, journal, rank]
        case Left(lamport, time, reason):
            return [2, lamport, time, reason]
        case Goal(lamport, trials):
            return [3, lamport, trials]


def encode_event(origin: str, event: Event) -> bytes:
    """The bytes of ``event`` in the log of ``origin``."""
    return bytes(msgpack.packb(_fields(origin, event)))


def _build_event(origin: str, fields: Any) -> Event:
    if type(fields) is not list or not fields:
        raise Malformed("an event is not an array")
    entry = _DECODE_EVENT.get(fields[0]) if type(fields[0]) is int else None
    if entry is None or len(fields) != entry[0]:
        raise Malformed(f"unknown event kind {fields[0]!r:.60} with {len(fields)} fields")
    return entry[1](origin, fields)


def decode_events(origin: str, blob: bytes) -> Iterator[tuple[Event, int]]:
    """Yield the events concatenated in ``blob`` with the offset at which each ends.

    Raises :class:`Malformed` at the first that is not one.
    """
    most = max(len(blob), 1)
    unpacker = msgpack.Unpacker(max_buffer_size=most, max_array_len=min(most, _MAX_ARRAY), strict_map_key=True)
    unpacker.feed(blob)
    end = 0
    while True:
        try:
            fields = unpacker.unpack()
        except msgpack.OutOfData:
            break
        except Exception as error:  # msgpack raises a dozen kinds for bad input
            raise Malformed(f"not msgpack: {error}") from None
        end = unpacker.tell()  # after a cut-off event it would say that it has read that one too
        yield _build_event(origin, fields), end
    if end != len(blob):
        raise Malformed("an event is cut short")


# ----------------------------------------------------------------------------------------- frame codec
def _batch(x: Any) -> Batch:
    f = _array(x)
    if len(f) != 4:
        raise Malformed("a batch has four fields")
    return Batch(_name(f[0]), _int(f[1], 1), _int(f[2], 1), _bytes(f[3]))


def _news(x: Any) -> MemberNews:
    f = _array(x)
    if len(f) != 5:
        raise Malformed("member news has five fields")
    return MemberNews(_name(f[0]), _text(f[1], 512), _int(f[2], 0, 3), _int(f[3]), _name(f[4]))


def _counts(x: Any) -> dict[str, int]:
    if type(x) is not dict:
        raise Malformed("expected a version vector")
    return {_name(k): _int(v) for k, v in x.items()}


_DECODE_FRAME: dict[int, tuple[int, Callable[[list[Any]], Frame]]] = {
    1: (
        8,
        lambda f: Hello(
            _int(f[1]),
            _text(f[2], 64),
            _name(f[3]),
            _int(f[4]),
            _text(f[5], 512),
            _text(f[6], 512),
            _bool(f[7]),
        ),
    ),
    2: (2, lambda f: Refused(_text(f[1]))),
    3: (4, lambda f: Events(tuple(map(_batch, _array(f[1]))), _bool(f[2]), _bool(f[3]))),
    4: (3, lambda f: Digest(_bytes(f[1], 32), _bytes(f[2], 32))),
    5: (4, lambda f: Vector(_counts(f[1]), _bool(f[2]), _bool(f[3]))),
    6: (2, lambda f: Members(tuple(map(_news, _array(f[1]))))),
    7: (2, lambda f: Ping(_float(f[1]))),
    8: (2, lambda f: Pong(_float(f[1]))),
}


def encode_frame(tag: bytes, frame: Frame) -> bytes:
    """Serialise ``frame`` for the study whose 4-byte ``tag`` this is."""
    fields: list[Any]
    match frame:
        case Events(batches, repair, more):
            fields = [3, [(b.origin, b.first, b.count, b.blob) for b in batches], repair, more]
        case Digest(log, members):
            fields = [4, log, members]
        case Vector(counts, eager, reply):
            fields = [5, counts, eager, reply]
        case Members(news):
            fields = [6, [(n.worker, n.address, n.state, n.incarnation, n.by) for n in news]]
        case Ping(nonce):
            fields = [7, nonce]
        case Pong(nonce):
            fields = [8, nonce]
        case Hello(format_, study, worker, incarnation, address, greeted, reply):
            fields = [1, format_, study, worker, incarnation, address, greeted, reply]
        case Refused(reason):
            fields = [2, reason[:MAX_TEXT]]
    return bytes([FORMAT]) + tag + bytes(msgpack.packb(fields))


class Foreign(Malformed):
    """A frame of another format version or another study."""


_SHARED_BYTES = 4 << 10


def decode_frame(tag: bytes, data: bytes) -> Frame:
    """Parse one frame. Raises :class:`Foreign` for another study's, :class:`Malformed` for anything else.

    Hello and Refused are parsed whatever their tag and version, so that both sides can say what is wrong.
    """
    if not 5 < len(data) <= MAX_FRAME:
        raise Malformed(f"a frame of {len(data)} bytes")
    # Workers of one process share what they receive: frames are immutable.
    return _decode_shared(tag, data) if len(data) <= _SHARED_BYTES else _decode_frame(tag, data)


def _decode_frame(tag: bytes, data: bytes) -> Frame:
    foreign = data[0] != FORMAT or data[1:5] != tag
    try:
        fields = msgpack.unpackb(data[5:], max_array_len=min(len(data), _MAX_ARRAY), strict_map_key=True)
    except Exception as error:  # msgpack raises a dozen kinds for bad input
        raise (Foreign if foreign else Malformed)(f"not msgpack: {error}") from None
    if type(fields) is not list or not fields or type(fields[0]) is not int:
        raise (Foreign if foreign else Malformed)("a frame is not an array")
    if foreign and fields[0] not in (Hello.KIND, Refused.KIND):
        raise Foreign("a frame of another study or format version")
    entry = _DECODE_FRAME.get(fields[0])
    if entry is None or len(fields) != entry[0]:
        raise Malformed(f"unknown frame kind {fields[0]!r:.60} with {len(fields)} fields")
    return entry[1](fields)


_decode_shared = lru_cache(maxsize=32)(_decode_frame)
