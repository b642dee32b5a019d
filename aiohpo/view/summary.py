"""How a search stands, in the words that the progress bar, the dashboard and the last line share."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from typing import TYPE_CHECKING, Any

from ..events.lifecycle import FINAL, Status
from ..text import printable

if TYPE_CHECKING:
    from .promotions import Rungs
    from .trials import TrialRecord
    from .view import View

_WIDEST = 60  # characters of a metric's name


def n_done(view: View, rungs: Rungs | None = None) -> int:
    """Trials of the budget that ran as far as they were meant to at first: they ended, or they pause, or (as far as
    ``rungs`` knows) go on after a pause. What is beyond the budget's line does not count."""
    going_on = 0 if rungs is None else sum(rungs.was_paused(view.id(row)) for row in view.running)
    beyond = sum(view.status(row) in (*FINAL, Status.PAUSED) for row in view.beyond_line())
    return view.n_ended + view.counts[Status.PAUSED] + going_on - beyond


def climb_in_words(view: View, rungs: Rungs, ensemble: str = "") -> str:
    """``5 complete, rungs 1:37 3:12 9:5, 16 promoted``, then what ``ensemble`` says; empty where nothing pauses and
    there is no ensemble."""
    climb = str(rungs)
    return ", ".join(filter(None, (f"{view.counts[Status.FINISHED]} complete, {climb}" if climb else "", ensemble)))


def best_of(view: View, number: int | None = None) -> TrialRecord | None:
    """The best trial so far: the best complete one, or, while there is none, the best of those that got farthest.
    Its ``number`` costs a scan unless it is given."""
    row = view.leader()
    return None if row is None else view.record(row, number)


def best_in_words(view: View, digits: int = 5) -> str:
    """``best loss 0.0312``; ``best accuracy 0.91 after 9 of 27 steps`` while no trial is complete."""
    record = best_of(view, 0)
    return f"best {printable(view.metric, _WIDEST)} {value_in_words(record, view.max_steps, digits)}"


def value_in_words(record: TrialRecord | None, max_steps: int | None, digits: int = 6) -> str:
    """What a trial is worth, and after how many steps where it is not complete; a dash for none."""
    if record is None or record.value is None:
        return "–"
    return f"{record.value:.{digits}g}{after(record, max_steps)}"


def after(record: TrialRecord, max_steps: int | None) -> str:
    """`` after 9 of 27 steps`` for a trial that is not complete, else nothing."""
    step = max(record.curve, default=0)
    whole = record.status == "finished" or (record.status == "surplus" and step >= (max_steps or 0))
    if whole or not step:
        return ""
    return f" after {step} steps" if max_steps is None else f" after {step} of {max_steps} steps"


def last_error_in_words(records: Iterable[TrialRecord], where: str) -> str:
    """``; the last error: ValueError: … (see all: WHERE)``; empty if no trial has an error."""
    errors = [record.error for record in records if record.error]
    return f"; the last error: {printable(errors[-1])} (see all: {where})" if errors else ""


def ensemble_in_words(state: Mapping[str, Any]) -> str:
    """One line about :meth:`aiohpo.runtime.live_ensemble.EnsembleState.as_dict`."""
    size, metric = (printable(str(state[name]), _WIDEST) for name in ("size", "metric"))
    return f"ensemble of {size}: {metric} {state['score']:.5g} (best single {state['single']:.5g})"
