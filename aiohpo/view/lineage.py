"""Family trees: which trial began with whose checkpoint, and the schedule that led to a trial's result.

A trial has one constant configuration. Where a scheduler lets a trial inherit another one's checkpoint (population
based training does), what was trained is a *line* of trials, each with the steps from where it began to where the
next one took over; the configurations along it are a *schedule*.

Parents come from the log, so they may be wrong: a trial that names itself, a descendant or an unknown trial as parent
is taken to have none.
"""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass
from typing import Any

from ..plugin import Config
from .trials import TrialRecord


@dataclass(frozen=True, slots=True)
class Stretch:
    """Steps ``first`` to ``last``, both included, of a line: those that ``trial`` trained."""

    trial: TrialRecord
    first: int
    last: int

    @property
    def config(self) -> Config:
        """What they were trained with."""
        return self.trial.config

    def as_dict(self) -> dict[str, Any]:
        """The JSON form, which the scheduler ``replay`` reads."""
        return {"from": self.first, "to": self.last, "config": self.config}


class Lineage:
    """The families of some trials, given in canonical order.

    roots     the trials that inherited nothing
    inherited whether any trial inherited anything
    """

    def __init__(self, records: Iterable[TrialRecord]) -> None:
        self._records = {record.id: record for record in records}
        self._children: dict[str, list[TrialRecord]] = {}
        self.roots: list[TrialRecord] = []
        for record in self._records.values():
            parent = self.parent(record)
            if parent is None:
                self.roots.append(record)
            else:
                self._children.setdefault(parent.id, []).append(record)
        self.inherited = bool(self._children)

    def parent(self, record: TrialRecord) -> TrialRecord | None:
        """The trial with whose checkpoint this one began."""
        parent = None if record.parent is None else self._records.get(record.parent[0])
        if parent is None or parent.number >= record.number:  # no trial inherits from a later one
            return None
        return parent

    def children(self, record: TrialRecord) -> list[TrialRecord]:
        """The trials that began with a checkpoint of this one."""
        return self._children.get(record.id, [])

    def first_step(self, record: TrialRecord) -> int:
        """The step of the checkpoint that a trial began with; 0 without one."""
        return 0 if record.parent is None or self.parent(record) is None else record.parent[1]

    def ancestry(self, record: TrialRecord) -> list[TrialRecord]:
        """A trial and its ancestors, the eldest first."""
        found = [record]
        while (parent := self.parent(found[-1])) is not None:
            found.append(parent)
        return found[::-1]

    def schedule(self, record: TrialRecord) -> list[Stretch]:
        """What led to a trial's last step, stretch by stretch."""
        line = self.ancestry(record)
        ends = [self.first_step(heir) for heir in line[1:]] + [record.step]
        return [Stretch(trial, self.first_step(trial) + 1, end) for trial, end in zip(line, ends, strict=True)]

    def values_by_step(self, record: TrialRecord) -> list[tuple[int, float]]:
        """The values that were reported along a trial's line, by step."""
        return [
            (step, value)
            for stretch in self.schedule(record)
            for step, value in sorted(stretch.trial.curve.items())
            if stretch.first <= step <= stretch.last
        ]

    def changes(self, record: TrialRecord) -> dict[str, tuple[Any, Any]]:
        """What is different from the parent: {name: (its value, the own one)}, None where a parameter is inactive."""
        parent = self.parent(record)
        if parent is None:
            return {}
        names = dict.fromkeys([*parent.config, *record.config])
        pairs = {name: (parent.config.get(name), record.config.get(name)) for name in names}
        return {name: (old, new) for name, (old, new) in pairs.items() if old != new or type(old) is not type(new)}

    def as_dict(self, best: TrialRecord | None) -> dict[str, Any]:
        """The JSON form of ``aiohpo show --lineage --json``."""
        return {
            "best": None if best is None else best.id,
            "schedule": [] if best is None else [stretch.as_dict() for stretch in self.schedule(best)],
            "trials": [self._trial(record) for record in self._records.values()],
        }

    def _trial(self, record: TrialRecord) -> dict[str, Any]:
        parent = self.parent(record)
        return {
            "id": record.id,
            "number": record.number,
            "parent": None if parent is None else parent.id,
            "from": self.first_step(record) + 1,
            "to": record.step,
            "status": record.status,
            "value": record.value,
            "config": record.config,
            "changed": {name: list(pair) for name, pair in self.changes(record).items()},
        }

    def __repr__(self) -> str:
        return f"<Lineage of {len(self._records)} trials in {len(self.roots)} families>"
