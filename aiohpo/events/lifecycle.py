"""A trial's life: which status may follow which, and how a status follows from facts that arrive in any order.

Two views of one thing. :data:`TRANSITIONS` is what a worker may record about a trial *now*; a worker that
tries anything else has a bug, so :func:`advance` raises and nothing changes. But replicas hear the events of
different workers in different orders, so the status that all agree on must not depend on order:
:func:`settle` computes it from the *set* of facts alone, by maxima and minima.

A trial runs in segments, its *attempts* 0, 1, 2, …. Each has one owner: the smallest (lamport, worker) among
those who claimed it. A new attempt may be claimed once the last one paused, was released or was lost.
"""

from __future__ import annotations

import enum
import math
from array import array
from typing import NamedTuple

import msgspec

from .schema import Ended

Stamp = tuple[int, str]  # (lamport, worker): the order in which everything happened


class Status(enum.IntEnum):
    """What a trial is doing. The names, in lower case, are those of ``show --json``."""

    QUEUED = 0
    RUNNING = 1
    PAUSED = 2
    LOST = 3
    FINISHED = 4
    STOPPED = 5
    FAILED = 6
    CANCELLED = 7


ENDED_STATUS = {
    "finished": Status.FINISHED,
    "stopped": Status.STOPPED,
    "failed": Status.FAILED,
    "paused": Status.PAUSED,
    "released": Status.LOST,
    "cancelled": Status.CANCELLED,
}

MOST_LOSSES = 4  # a trial that took more workers with it than this is given up
_FRACTION_BITS = 50
MOST_IDLE_PAUSES = 10  # a trial that paused so many times in a row without a new step would never end

FINAL = frozenset({Status.FINISHED, Status.STOPPED, Status.FAILED})
COMPLETING = frozenset(how for how, status in ENDED_STATUS.items() if status in FINAL)
CLAIMABLE = frozenset({Status.QUEUED, Status.PAUSED, Status.LOST})

# What a worker may record, by the trial's status as it knows it. Late results are always accepted: a worker
# that was declared dead while it evaluated still ends its segment.
TRANSITIONS: dict[Status, dict[str, Status]] = {
    Status.QUEUED: {"claim": Status.RUNNING},
    Status.RUNNING: {"report": Status.RUNNING, "lose": Status.LOST, **ENDED_STATUS},
    Status.PAUSED: {"claim": Status.RUNNING},
    Status.LOST: {"claim": Status.RUNNING, "report": Status.LOST, **ENDED_STATUS},
    Status.FINISHED: {},
    Status.STOPPED: {},
    Status.FAILED: {},
    Status.CANCELLED: {},
}


def earlier_end(event: Ended, max_steps: int | None) -> int:
    """The last step of a trial that was complete when the study had fewer than ``max_steps`` steps; 0 for any other.

    It is not complete any more. It paused at that step, and may be gone on with.
    """
    steps = event.max_steps
    return steps if steps and max_steps and steps < max_steps and event.how == "finished" else 0


class IllegalTransition(Exception):
    """A worker tried to record something that a trial's status does not allow."""


def advance(status: Status, action: str) -> Status:
    """The status after ``action``. Raises :class:`IllegalTransition` naming what is allowed."""
    try:
        return TRANSITIONS[status][action]
    except KeyError:
        allowed = ", ".join(TRANSITIONS[status]) or "nothing"
        raise IllegalTransition(f"cannot {action} a {status.name.lower()} trial (allowed: {allowed})") from None


class Claim(NamedTuple):
    """Who took an attempt, how far it is to run (0: to its end), whether from scratch, and in which bracket."""

    stamp: Stamp
    to_step: int = 0
    restart: bool = False
    bracket: int = 0


class Facts(msgspec.Struct, array_like=True):
    """All that is known about one trial's segments; order-independent by construction.

    ``claims[a]`` is the claim of attempt a with the smallest stamp, ``ends[a][w]`` how worker w first ended it,
    ``lost`` the attempts that were declared lost. Of a race's two sides only the owner can give an attempt up,
    but if the loser was done with it before it heard that it had lost, then it is done: like results, segments that
    were run are never thrown away.
    """

    claims: dict[int, Claim] = {}
    ends: dict[int, dict[str, tuple[Stamp, Ended]]] = {}
    lost: set[int] = set()
    result: tuple[Stamp, Ended] | None = None
    cancelled: bool = False
    attempt: int = -1  # the latest that was claimed; -1 for none
    ended_seconds: bytes = b""  # of all in ``ends``, as a whole number: their sum is exact, so the same in any order

    def claim(self, attempt: int, claim: Claim) -> None:
        if attempt not in self.claims or claim < self.claims[attempt]:
            self.claims[attempt] = claim
            if attempt > self.attempt:
                self.attempt = attempt

    def end(self, event: Ended, stamp: Stamp) -> None:
        """Record an ending. Among several final ones the smallest stamp is the trial's result."""
        status = ENDED_STATUS[event.how]
        if status in FINAL:
            if self.result is None or _comes_before(stamp, event, self.result):
                self.result = stamp, event
        elif status is Status.CANCELLED:
            self.cancelled = True
        else:
            ends = self.ends.setdefault(event.attempt, {})
            known = ends.get(stamp[1])
            if known is None or _comes_before(stamp, event, known):
                ends[stamp[1]] = stamp, event
                more = _fixed_seconds(event) - (0 if known is None else _fixed_seconds(known[1]))
                total = int.from_bytes(self.ended_seconds) + more
                self.ended_seconds = total.to_bytes((total.bit_length() + 7) // 8)

    @property
    def owner(self) -> str | None:
        """Who holds the latest attempt."""
        attempt = self.attempt
        return self.claims[attempt].stamp[1] if attempt >= 0 else None

    @property
    def to_step(self) -> int:
        """Where the latest attempt pauses; 0: at its end."""
        attempt = self.attempt
        return self.claims[attempt].to_step if attempt >= 0 else 0

    @property
    def seconds(self) -> float:
        """What all segments that ended took together, those that were in vain included."""
        last = 0 if self.result is None else _fixed_seconds(self.result[1])
        return math.ldexp(int.from_bytes(self.ended_seconds) + last, -_FRACTION_BITS)

    @property
    def idle_pauses(self) -> int:
        """How many of the latest pauses in a row came no further than the trial had come before."""
        farthest, idle = -1, 0
        ended = (event for _, ends in sorted(self.ends.items()) for _, (_, event) in sorted(ends.items()))
        for event in ended:
            if event.step > farthest:
                farthest, idle = event.step, 0
            elif event.how == "paused":
                idle += 1
        return idle

    @property
    def paused_by(self) -> set[str]:
        """The workers that paused it, in any attempt."""
        return {worker for ends in self.ends.values() for worker, (_, end) in ends.items() if end.how == "paused"}

    @property
    def restarted(self) -> int:
        """The latest attempt that began from scratch: what earlier ones saved does not count. -1 if none did."""
        return max((attempt for attempt, claim in self.claims.items() if claim.restart), default=-1)


def _comes_before(stamp: Stamp, event: Ended, known: tuple[Stamp, Ended]) -> bool:
    """Whether an ending counts rather than the one that is known. Only forks have equal stamps."""
    return stamp < known[0] or (stamp == known[0] and _sort_key(event) < _sort_key(known[1]))


def _sort_key(event: Ended) -> tuple[object, ...]:
    """Of what the view's columns keep of an ending, as they keep it."""
    value = event.value if event.value is not None and math.isfinite(event.value) else math.inf
    text = repr((sorted((event.extra or {}).items()), event.error or None, event.detail or None))
    return event.how, event.attempt, event.step, value, array("f", [event.seconds])[0], text


def _fixed_seconds(event: Ended) -> int:
    """Its seconds in units of 2^-50 s."""
    return int(math.ldexp(event.seconds, _FRACTION_BITS))


def settle(facts: Facts) -> Status:
    """The status that every replica with these facts agrees on."""
    if facts.result is not None:
        return ENDED_STATUS[facts.result[1].how]
    if facts.cancelled:
        return Status.CANCELLED
    attempt, owner = facts.attempt, facts.owner
    if owner is None:
        return Status.QUEUED
    ends = facts.ends.get(attempt, {})
    if any(end.how == "paused" for _, end in ends.values()):
        return Status.PAUSED
    if owner in ends:
        return ENDED_STATUS[ends[owner][1].how]
    if attempt in facts.lost:
        return Status.LOST
    return Status.RUNNING
