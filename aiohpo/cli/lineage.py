"""``aiohpo show --lineage``: who inherited from whom, and what the best one's schedule was."""

from __future__ import annotations

from collections.abc import Iterator
from typing import TYPE_CHECKING, Any

from ..report.words import brief, configuration
from ..text import printable
from ..view.lineage import Lineage
from .common import print_json
from .terminal import say

if TYPE_CHECKING:
    from ..storage.run import Run
    from ..view.trials import TrialRecord


def show_lineage(run: Run, json_: bool) -> None:
    """Print the family trees of a run."""
    lineage = Lineage(run.records())
    best = run.summary.best()
    if json_:
        print_json(lineage.as_dict(best))
        return
    line = [] if best is None else [record.id for record in lineage.ancestry(best)]
    for root in lineage.roots:
        for text in _tree(run, lineage, root, line):
            say(text)
    if not lineage.inherited:
        say(f"in {run.path} no trial inherited from another")
    elif best is not None:
        worth = f"{printable(run.view.objective.metric)} {best.value:.6g}"
        say(f"\nschedule of trial {best.number}, {worth} (above: *, its ancestors +)")
        for stretch in lineage.schedule(best):
            say(f"  steps {stretch.first}-{stretch.last}: {_config(run, stretch.config)}")


def _tree(run: Run, lineage: Lineage, root: TrialRecord, line: list[str]) -> Iterator[str]:
    # Not recursive: a line may be longer than Python's stack.
    waiting = [(root, "", "")]
    while waiting:
        record, lead, indent = waiting.pop()
        mark = "" if record.id not in line else " *" if record.id == line[-1] else " +"
        steps = f"steps {lineage.first_step(record) + 1}-{record.step}" if record.step else "no steps"
        value = "" if record.value is None else f" {record.value:.6g}"
        yield f"{lead}{record.number}{mark}  {steps}  {record.status}{value}  {_what(run, lineage, record)}".rstrip()
        children = lineage.children(record)
        for child in reversed(children):
            last = child is children[-1]
            waiting.append((child, f"{indent}{'└─ ' if last else '├─ '}", f"{indent}{'   ' if last else '│  '}"))


def _what(run: Run, lineage: Lineage, record: TrialRecord) -> str:
    """A first ancestor's whole configuration; of all others only what changed."""
    if lineage.parent(record) is None:
        return _config(run, record.config)
    changes = lineage.changes(record)
    return (
        ", ".join(f"{printable(name)} {_brief(old)} → {_brief(new)}" for name, (old, new) in changes.items())
        or "unchanged"
    )


def _config(run: Run, config: dict[str, Any]) -> str:
    return configuration({name: value for name, value in config.items() if name not in run.view.space.constants})


def _brief(value: Any) -> str:
    return "–" if value is None else brief(value)
