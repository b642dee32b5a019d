"""What a node measures of its mesh: for people, never to decide by."""

from __future__ import annotations

from dataclasses import dataclass


@dataclass(slots=True)
class Counters:
    """What came over the wire and what was wrong with it."""

    malformed: int = 0
    foreign: int = 0
    faults: int = 0  # frames that could not be handled though nothing was wrong with them: bugs
    frames: int = 0
    bytes: int = 0


@dataclass(frozen=True, slots=True)
class Health:
    """The mesh as seen from here.

    links       workers that frames come from directly
    round_trip  seconds from a ping to its answer, smoothed; None before the first answer
    silent      seconds since anything arrived
    repairs     rounds in which a peer had something that was missing here
    duplicates  events that arrived once more
    dropped     frames that were malformed or of another study
    """

    links: int
    round_trip: float | None
    silent: float
    repairs: int
    duplicates: int
    dropped: int
    frames_in: int
    bytes_in: int
    frames_out: int
    bytes_out: int
