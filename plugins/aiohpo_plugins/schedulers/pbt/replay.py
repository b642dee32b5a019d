"""Train from scratch with a schedule that was found before.

The schedule is a JSON file: a list of ``{"to": step, "config": {...}}`` in order of the steps, or an object that has
one under "schedule", such as ``aiohpo show DIR --lineage --json`` prints. Each stretch is a trial: one with the first
configuration, which pauses where the second one takes over with its checkpoint, and so on; the last runs to the end.
"""

from __future__ import annotations

import json
from collections.abc import Collection
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np

from aiohpo.errors import UsageError
from aiohpo.plugin import Claims, Config, Decision, Identity, Idle, Inherit, NewTrial, Options, StudyView, TrialState


@dataclass(frozen=True, slots=True)
class ScheduleEntry:
    """``config`` holds until ``to``; the last stretch of a schedule goes on to the end."""

    to: int
    config: Config


def read_schedule(path: str | Path) -> list[ScheduleEntry]:
    """Read a schedule. Raises ``UsageError`` that says what is wrong with it."""
    try:
        found = json.loads(Path(path).read_text(encoding="utf-8"))
    except (OSError, UnicodeDecodeError) as error:
        raise UsageError(f"cannot read the schedule {str(path)!r}: {error}") from None
    except (ValueError, RecursionError) as error:
        raise UsageError(f"the schedule {str(path)!r} is not JSON: {error}") from None
    entries = found.get("schedule") if isinstance(found, dict) else found
    if not isinstance(entries, list) or not entries:
        raise UsageError(f'the schedule {str(path)!r} is empty or not a list of {{"to": step, "config": {{...}}}}')
    return [_schedule_entry(entry, i, path) for i, entry in enumerate(entries)]


def _schedule_entry(entry: Any, i: int, path: str | Path) -> ScheduleEntry:
    if not isinstance(entry, dict) or not isinstance(entry.get("config"), dict):
        raise UsageError(f'stretch {i} of {str(path)!r} is not {{"to": step, "config": {{...}}}}: {entry!r:.200}')
    to = entry.get("to", 0)
    if not isinstance(to, int) or isinstance(to, bool):
        raise UsageError(f"stretch {i} of {str(path)!r} ends at {to!r}; give a whole number of steps")
    return ScheduleEntry(to, entry["config"])


class ReplayScheduler:
    """Train one model with the schedule in the file ``path``.

    path  a JSON file: a list of {"to": step, "config": {...}}, or what ``aiohpo show DIR --lineage --json`` prints
    """

    finite = True

    def __init__(self, path: str | Path) -> None:
        options = Options("replay")
        self.path = options.path("path", path)
        self.schedule = read_schedule(self.path)
        steps = [stretch.to for stretch in self.schedule[:-1]]
        if any(after <= before for before, after in zip([0, *steps], steps, strict=False)):
            options.refuse(f"the stretches of {self.path!r} end at {steps}: each must end after the one before")

    def setup(self, max_steps: int | None, seed: int, identity: Identity) -> None:
        """Bind to a study. Raises ``ValueError`` if the schedule does not fit into its steps."""
        changes = [stretch.to for stretch in self.schedule[:-1]]
        if changes and (max_steps is None or changes[-1] >= max_steps):
            raise ValueError(
                f"the schedule in {self.path!r} changes at step {changes[-1]}, but the study has "
                f"max_steps={max_steps}; it must have more"
            )
        self._ends: list[int | None] = [*changes, None]
        self._view: StudyView | None = None

    def next(self, view: StudyView, claims: Claims, rng: np.random.Generator) -> NewTrial | Idle:
        """Begin the first stretch, or the one after the latest that pauses at its end."""
        trials = self._read(view)
        latest = max(trials, default=-1)
        if latest < 0:
            return self._begin(0, None)
        trial = trials[latest]
        if trial.status != "paused" or not claims.may_claim(trial.id):
            return Idle()
        if not trial.checkpoints:
            raise UsageError(
                f"trial {trial.id} paused at step {trial.step} without a checkpoint, so its training cannot continue "
                "with another configuration: call trial.save(...) in the objective, at the latest when trial.ended"
            )
        for at in range(latest, -1, -1):  # if no worker has the latest checkpoint any longer, from an earlier one
            for step in trials[at].checkpoints[:1] if at in trials else ():
                if claims.obtainable(trials[at].id, step):
                    return self._begin(at + 1, Inherit(trials[at].id, step))
        return self._begin(0, None)

    def on_report(self, view: StudyView, trial: str, step: int) -> Decision:
        """Go on; pauses come by themselves."""
        return Decision.CONTINUE

    def keeps(self, view: StudyView, trial: TrialState) -> Collection[int]:
        """The newest checkpoint, until the last stretch is complete."""
        trials = self._read(view)
        over = trials and max(trials) == len(self._ends) - 1 and trials[max(trials)].status == "finished"
        return () if over else trial.checkpoints[:1]

    def _begin(self, at: int, parent: Inherit | None) -> NewTrial:
        return NewTrial(self._ends[at], at + 1, dict(self.schedule[at].config), parent)

    def _read(self, view: StudyView) -> dict[int, TrialState]:
        """The trial of each stretch that was begun, the latest if there are several."""
        if view is not self._view:
            self._view, self._moment, self._trials = view, 0, dict[str, TrialState]()
        changed, self._moment = view.changed(self._moment)
        self._trials.update((name, view.trial(name)) for name in changed)
        counted = [
            trial
            for trial in self._trials.values()
            if 1 <= trial.bracket <= len(self._ends) and trial.status != "cancelled"
        ]
        return {trial.bracket - 1: trial for trial in sorted(counted, key=lambda trial: trial.order)}

    def __repr__(self) -> str:
        return f"ReplayScheduler({self.path!r}, {len(self.schedule)} stretches)"
