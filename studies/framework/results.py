"""The results of a study, in a file that it can be resumed from.

A run that has ended is a line of JSON: its parameters, what came of it, the CPU seconds that it took, the day, and the
versions of what it ran with. Lines are only ever appended, so that an interrupted study loses the run that it was in; a
line that was cut off is dropped. To play a run again, delete its line.
"""

from __future__ import annotations

import json
import platform
from collections.abc import Iterator
from dataclasses import dataclass
from importlib.metadata import version
from pathlib import Path
from typing import Any

from .study import Parameters

_PACKAGES = ("aiohpo", "numpy", "scipy", "scikit-learn")


class BrokenResults(Exception):
    """A file of results that cannot be read."""


@dataclass(frozen=True, slots=True)
class RunRecord:
    """One run that was played: ``cpu`` in seconds, ``day`` as 2026-01-31."""

    parameters: dict[str, Any]
    result: dict[str, Any]
    cpu: float
    day: str
    versions: dict[str, str]


class Results:
    """The runs of one study that were played. Raises :class:`BrokenResults` if the file holds something else."""

    def __init__(self, file: Path) -> None:
        self.file = file
        self._records: dict[str, RunRecord] = {}
        for number, line in enumerate(self._whole_lines(), 1):
            try:
                record = RunRecord(**json.loads(line))
                self._records[_key(record.parameters)] = record
            except (TypeError, ValueError) as error:
                raise BrokenResults(
                    f"line {number} of {file} is no result of a run ({error}): delete the line, and the run is played "
                    "again"
                ) from None

    def __contains__(self, parameters: Parameters) -> bool:
        return _key(parameters) in self._records

    def __len__(self) -> int:
        return len(self._records)

    def __iter__(self) -> Iterator[RunRecord]:
        return iter(self._records.values())

    def get(self, parameters: Parameters) -> dict[str, Any] | None:
        """Return what came of a run; None: it was not played."""
        record = self._records.get(_key(parameters))
        return None if record is None else record.result

    def where(self, **wanted: Any) -> list[dict[str, Any]]:
        """Return what came of the runs that have these parameters (among others), in the order of the file."""
        return [
            record.result
            for record in self
            if all(record.parameters.get(name) == value for name, value in wanted.items())
        ]

    def add(self, record: RunRecord) -> None:
        """Append a run to the file."""
        self.file.parent.mkdir(parents=True, exist_ok=True)
        whole = "".join(f"{line}\n" for line in self._whole_lines())
        if self.file.exists() and self.file.read_text(encoding="utf-8") != whole:
            self.file.write_text(whole, encoding="utf-8")  # drop what an interruption left of a line
        with self.file.open("a", encoding="utf-8") as file:
            fields = {name: getattr(record, name) for name in RunRecord.__slots__}
            file.write(json.dumps(fields, allow_nan=False) + "\n")
        self._records[_key(record.parameters)] = record

    def _whole_lines(self) -> list[str]:
        if not self.file.exists():
            return []
        *whole, _ = self.file.read_text(encoding="utf-8").split("\n")
        return whole

    def provenance(self) -> str:
        """Say when the runs were played, with which versions, and what they cost, in a sentence or two for a page."""
        if not self:
            return "Nothing has been played yet."
        days = sorted({record.day for record in self})
        when = days[0] if len(days) == 1 else f"{days[0]} to {days[-1]}"
        with_ = [
            f"{name} {', '.join(found)}"
            for name in ("python", *_PACKAGES)
            if (found := sorted({record.versions[name] for record in self if name in record.versions}))
        ]
        cpu = sum(record.cpu for record in self)
        return f"{len(self)} runs, {when}, {cpu:,.0f} s of CPU time in all; {', '.join(with_)}."


def versions() -> dict[str, str]:
    """Return the versions that a result depends on."""
    return {"python": platform.python_version(), **{name: version(name) for name in _PACKAGES}}


def _key(parameters: Parameters) -> str:
    return json.dumps(parameters, sort_keys=True, allow_nan=False)
