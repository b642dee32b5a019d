"""What only some trials have, beside the columns: what was reported, saved, paused, claimed, lost or failed of them.

As objects this takes some 3 kB a trial, and nearly all trials of a long search are over. So only those of which
something was heard lately are objects; the others are kept as bytes, in about 150, until something is asked of them.
"""

from __future__ import annotations

import struct
from collections.abc import Mapping

import msgspec

from ..events.lifecycle import Facts, Stamp
from ..events.schema import Attached, Died, Noted, Parent, TrialEvent, TrialId

MOST_OBJECTS = 2048
_REPORT = struct.Struct("<qiq")  # step, attempt, lamport


class Details(msgspec.Struct, array_like=True):
    """What only some trials have. ``curve`` says where in the view's columns the report of each step is,
    ``checkpoints`` is {step: (attempt, digest, size, worker)}, ``notes`` is {name: (stamp, JSON)},
    ``crashes`` is {attempt: (stamp, error, retries)}, ``files`` is {name: (stamp, digest, size)}.

    ``reports`` has the named metrics, a table of bytes for each set of names that was reported together: 20 bytes for a
    report and 8 for each number in it. Objects would take ten times as much.
    """

    facts: Facts | None = None
    curve: dict[int, int] = {}
    extra: dict[str, float] | None = None
    extra_at: tuple[int, Stamp] | None = None  # the step and stamp of the report that ``extra`` is from
    checkpoints: dict[int, tuple[int, str, int, str]] = {}
    bracket: int = 0
    parent: Parent | None = None
    retry_of: TrialId | None = None
    predictions: dict[str, tuple[Stamp, str]] = {}  # the newest of each name
    superseded: set[str] = set()  # the digests of older ones, and of files
    error: str | None = None
    detail: str | None = None
    notes: dict[str, tuple[Stamp, str]] = {}
    reports: dict[tuple[str, ...], bytearray] = {}
    crashes: dict[int, tuple[Stamp, str, int]] = {}
    files: dict[str, tuple[Stamp, str, int]] = {}

    def predict(self, stamp: Stamp, digests: Mapping[str, str]) -> None:
        """Take predictions; of each name the latest ones count."""
        for name, digest in digests.items():
            new = stamp, digest
            known = self.predictions.get(name, new)
            self.predictions[name] = max(new, known)
            if known != new:
                self.superseded.add(min(new, known)[1])

    def take(self, stamp: Stamp, event: TrialEvent) -> None:
        """Take what was noted, attached, or is known of a crash. Of each name the latest note or file counts, of two
        sides of a race that both crashed the first."""
        if isinstance(event, Noted):
            for name, text in event.notes.items():
                note = stamp, text
                self.notes[name] = max(note, self.notes.get(name, note))
        elif isinstance(event, Attached):
            file = stamp, event.digest, event.size
            known = self.files.get(event.name, file)
            self.files[event.name] = max(file, known)
            if known[1] != event.digest:
                self.superseded.add(min(file, known)[1])
        elif isinstance(event, Died):
            crash = stamp, event.error, event.retries
            self.crashes[event.attempt] = min(crash, self.crashes.get(event.attempt, crash))

    def report(self, step: int, attempt: int, lamport: int, metrics: Mapping[str, float]) -> None:
        """Take the named metrics of one report."""
        names = tuple(sorted(metrics))
        table = self.reports.setdefault(names, bytearray())
        size = _REPORT.size + 8 * len(names)
        if table:  # several reports of a step are one, which is told again with all that it has
            last, before, clock = _REPORT.unpack_from(table, len(table) - size)
            if (last, before) == (step, attempt) and clock < lamport:
                del table[-size:]
        table += _REPORT.pack(step, attempt, lamport)
        table += struct.pack(f"<{len(names)}d", *[metrics[name] for name in names])

    def curves(self) -> dict[str, dict[int, float]]:
        """{name: {step: value}} of the named metrics, by step. Of a step that was reported again by a restart, the
        first attempt's report stands, as in the objective metric's curve; within an attempt the latest."""
        found: dict[str, dict[int, tuple[int, int, bytes, float]]] = {}
        for names, table in sorted(self.reports.items()):
            row = struct.Struct(f"<qiq{8 * len(names)}s")
            for step, attempt, lamport, numbers in row.iter_unpack(table):
                for name, value in zip(names, struct.unpack(f"<{len(names)}d", numbers), strict=True):
                    curve = found.setdefault(name, {})
                    # The bytes decide between two workers of a race that reported at the same lamport time.
                    new = -attempt, lamport, struct.pack("<d", value), value
                    if step not in curve or new[:3] > curve[step][:3]:
                        curve[step] = new
        return {name: {step: kept[3] for step, kept in sorted(curve.items())} for name, curve in sorted(found.items())}


_encode = msgspec.msgpack.Encoder().encode
_decode = msgspec.msgpack.Decoder(Details).decode


class DetailStore:
    """The details of trials, by row.

    What :meth:`get` returns is for reading only. What :meth:`edit` returns may be changed until something is asked of
    ``MOST_OBJECTS`` / 2 other trials.
    """

    __slots__ = ("_objects", "_packed", "_unpacked")

    def __init__(self) -> None:
        self._objects: dict[int, Details] = {}  # the one that was changed last comes last
        self._packed: list[bytes | None] = []  # by row; None where there are none, or an object
        self._unpacked: tuple[int, Details] | None = None  # the latest: several things are asked of a trial at a time

    def get(self, row: int) -> Details | None:
        """Return what there is of a trial, None if there is nothing."""
        found = self._objects.get(row)
        if found is None and row < len(self._packed) and (packed := self._packed[row]) is not None:
            if self._unpacked is None or self._unpacked[0] != row:
                self._unpacked = row, _decode(packed)
            return self._unpacked[1]
        return found

    def __contains__(self, row: int) -> bool:
        return row in self._objects or (row < len(self._packed) and self._packed[row] is not None)

    def edit(self, row: int) -> Details:
        """Return what there is of a trial, to be changed."""
        found = self._objects.pop(row, None)
        if found is None:
            found = self.get(row) or Details()
            self._unpacked = None
            if row < len(self._packed):
                self._packed[row] = None
            if len(self._objects) >= MOST_OBJECTS:
                self._pack(MOST_OBJECTS // 2)
        self._objects[row] = found
        return found

    def packed(self) -> list[bytes | None]:
        """Return all of it as bytes, by row."""
        rows = [*self._packed, *([None] * (max(self._objects, default=-1) + 1 - len(self._packed)))]
        for row, details in self._objects.items():
            rows[row] = _encode(details)
        return rows

    def load(self, packed: list[bytes | None]) -> None:
        """Hold what :meth:`packed` returned, and nothing else."""
        self._objects, self._packed, self._unpacked = {}, packed, None

    def _pack(self, n: int) -> None:
        for row in list(self._objects)[:n]:
            missing = row + 1 - len(self._packed)
            if missing > 0:
                self._packed += [None] * missing
            self._packed[row] = _encode(self._objects.pop(row))

    def __repr__(self) -> str:
        return f"<DetailStore: {len(self._objects)} as objects, {sum(p is not None for p in self._packed)} packed>"
