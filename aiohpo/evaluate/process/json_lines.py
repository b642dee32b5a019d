"""What a program says in a line of JSON that it prints; :mod:`aiohpo.evaluate.command` tells people how."""

from __future__ import annotations

import json
from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any


@dataclass(frozen=True, slots=True)
class JsonLine:
    """What one line says.

    metrics  what is reported, or the result; what is no number is in it only where it should be one
    step     the step that is reported; None: there is none, so ``metrics`` are the result
    notes    what is noted of the trial
    files    the files that are attached to it, ``{name: path}``
    """

    metrics: dict[str, Any]
    step: Any = None
    notes: Mapping[str, Any] = field(default_factory=dict)
    files: Mapping[str, Any] = field(default_factory=dict)


def parse_line(line: str, metric: str) -> JsonLine | None:
    """Return what ``line`` says to the search, whose objective metric is ``metric``; None if it is just printed."""
    values = _object_in(line)
    numbers = {name: value for name, value in values.items() if _is_number(value)}
    if metric in values:
        # Not a number, or at a step that is none: a mistake to be told about.
        numbers |= {name: values[name] for name in (metric, "step") if name in values}
    if metric not in numbers and ("step" not in numbers or len(numbers) == 1):
        numbers = {}
    step = numbers.pop("step", None)
    notes, files = (found if isinstance(found := values.get(key), dict) else {} for key in ("note", "attach"))
    return JsonLine(numbers, step, notes, files) if numbers or notes or files else None


def _object_in(line: str) -> dict[str, Any]:
    """The object that ``line`` is in JSON, empty if it is none."""
    if line.lstrip().startswith("{"):
        try:
            found = json.loads(line)
        except (ValueError, RecursionError):
            return {}
        if isinstance(found, dict):
            return found
    return {}


def _is_number(value: Any) -> bool:
    return isinstance(value, (int, float)) and not isinstance(value, bool)
