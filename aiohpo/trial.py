"""A trial's life: which status may follow which, and how a status follows from facts that arrive in any order.

Two views of one thing. :data:`TRANSITIONS` is what a worker may record about a trial *now*; a worker that
tries anything else has a bug, so :func:`advance` raises and nothing changes. But replicas hear the events of
different workers in different orders, so the status that everybody agrees on must not depend on order:
:func:`settle` computes it from the *set* of facts alone, by maxima and minima.

A trial runs in segments, its *attempts* 0, 1, 2, …. Each has one owner: the smallest (lamport, worker) among
those who claimed it. A new attempt may be claimed once the last one paused, was released or was lost.
"""

from __future__ import annotations

import enum
from dataclasses import dataclass, field

from .events import Ended

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

FINAL = frozenset({Status.FINISHED, Status.STOPPED, Status.FAILED})
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


class IllegalTransition(Exception):
    """A worker tried to record something that a trial's status does not allow."""


def advance(status: Status, action: str) -> Status:
    """The status after ``action``. Raises :class:`IllegalTransition` naming what is allowed."""
    try:
        return TRANSITIONS[status][action]
    except KeyError:
        allowed = ", ".join(TRANSITIONS[status]) or "nothing"
        raise IllegalTransition(f"cannot {action} a {status.name.lower()} trial (allowed: {allowed})") from None


@dataclass(slots=True)
class Facts:
    """All that is known about one trial's segments; order-independent by construction.

    ``claims[a]`` is the smallest stamp that claimed attempt a, ``ends[a, w]`` how worker w first ended it (only its
    owner's word counts: the loser of a race may give it up while the winner runs), ``lost`` the attempts that
    somebody declared lost.
    """

    claims: dict[int, Stamp] = field(default_factory=dict)
    ends: dict[tuple[int, str], tuple[Stamp, Ended]] = field(default_factory=dict)
    lost: set[int] = field(default_factory=set)
    result: tuple[Stamp, Ended] | None = None
    cancelled: bool = False

    def claim(self, attempt: int, stamp: Stamp) -> None:
        if attempt not in self.claims or stamp < self.claims[attempt]:
            self.claims[attempt] = stamp

    def end(self, event: Ended, stamp: Stamp) -> None:
        """Record an ending. Among several final ones the smallest stamp is the trial's result."""
        status = ENDED_STATUS[event.how]
        if status in FINAL:
            if self.result is None or stamp < self.result[0]:
                self.result = stamp, event
        elif status is Status.CANCELLED:
            self.cancelled = True
        else:
            key = event.attempt, stamp[1]
            if key not in self.ends or stamp < self.ends[key][0]:
                self.ends[key] = stamp, event

    @property
    def attempt(self) -> int:
        """The latest attempt that anybody claimed; -1 for none."""
        return max(self.claims, default=-1)

    @property
    def owner(self) -> str | None:
        """Who holds the latest attempt."""
        attempt = self.attempt
        return self.claims[attempt][1] if attempt >= 0 else None


def settle(facts: Facts) -> Status:
    """The status that every replica with these facts agrees on."""
    if facts.result is not None:
        return ENDED_STATUS[facts.result[1].how]
    if facts.cancelled:
        return Status.CANCELLED
    attempt, owner = facts.attempt, facts.owner
    if owner is None:
        return Status.QUEUED
    if (attempt, owner) in facts.ends:
        return ENDED_STATUS[facts.ends[attempt, owner][1].how]
    if attempt in facts.lost:
        return Status.LOST
    return Status.RUNNING
