"""How things are said, the same way in every display and in every last line.

Text that others wrote (names, choices, errors) is made printable here, see :mod:`aiohpo.text`.
"""

from __future__ import annotations

import json
import math
from collections.abc import Mapping
from typing import TYPE_CHECKING, Any

from ..text import printable
from ..view.summary import value_in_words
from .snapshot import HERE

if TYPE_CHECKING:
    from ..view.trials import TrialRecord
    from .snapshot import Snapshot

# Characters; --json has all.
_WIDEST_NAME, _WIDEST_VALUE, _WIDEST = 40, 60, 60
_LONGEST = 1e10  # seconds, 300 years: anything longer is not a duration that was measured


def stopping_in_words(grace: float, again: str = "Ctrl-C again") -> str:
    """What is said at the first Ctrl-C. ``again`` is what ends it at once."""
    within = f" within {describe_seconds(grace)}" if grace else ""
    return f"stopping: running trials are released{within} ({again} to end immediately)"


def describe_seconds(seconds: float) -> str:
    """A length of time for people: ``850 ms``, ``12.3 s``, ``4 min 05 s``, ``2 h 03 min``; a dash for what is none."""
    if not math.isfinite(seconds):
        return "–"
    if abs(seconds) > _LONGEST:
        return f"{seconds:.3g} s"
    if seconds < 0.9995:  # beyond, it would be 1e+03 ms
        return f"{seconds * 1000:.3g} ms"
    if seconds < 100:
        return f"{seconds:.3g} s"
    minutes, rest = divmod(round(seconds), 60)
    if minutes < 60:
        return f"{minutes} min {rest:02} s"
    hours, minutes = divmod(minutes, 60)
    return f"{hours} h {minutes:02} min"


def describe_bytes(count: float) -> str:
    """A number of bytes for people: ``812 B``, ``3.4 KB``."""
    for unit in ("B", "KB", "MB"):
        if count < 1000:
            return f"{count:.3g} {unit}"
        count /= 1000
    return f"{count:.3g} GB"


def describe_rate(per_second: float) -> str:
    """Trials per second, or per minute where that is easier to read: ``2.5/s``, ``3/min``."""
    return f"{per_second:.3g}/s" if per_second >= 0.1 or per_second == 0 else f"{per_second * 60:.3g}/min"


def in_words(counts: Mapping[str, int]) -> str:
    """``40 finished, 2 failed``, the most frequent first."""
    return ", ".join(f"{n} {status}" for status, n in sorted(counts.items(), key=lambda count: -count[1]))


def trials_in_words(counts: Mapping[str, int], retried: int = 0, added: int = 0) -> str:
    """``40 finished, 2 failed, 1 retried, 8 of them added``: of the failed ones those that are tried again have left
    the budget and are told apart, and added ones were never in it."""
    told = {**counts, "failed": counts.get("failed", 0) - retried, "retried": retried}
    text = in_words({status: n for status, n in told.items() if n}) or "no trials yet"
    return text + (f", {added} of them added" if added else "")


def best_in_words(
    metric: str, best: TrialRecord | None, max_steps: int | None, digits: int = 5, *, numbered: bool = True
) -> str:
    """``best loss 0.0312 (trial 7)``; ``best accuracy 0.91 after 9 of 27 steps (trial 3)`` while no trial is complete;
    ``no result yet``. Not ``numbered``: without the trial, for where there is little room."""
    if best is None or best.value is None:
        return "no result yet"
    trial = f" (trial {best.number})" if numbered else ""
    return f"best {printable(metric, _WIDEST)} {value_in_words(best, max_steps, digits)}{trial}"


def busy_in_words(now: Snapshot) -> str:
    """``97% busy``; empty if there is no worker."""
    return "" if now.utilisation is None else f"{now.utilisation:.0%} busy"


def slots_in_words(now: Snapshot) -> str:
    """``64 slots``, where the workers who are here have more than one each."""
    here = sum(worker.status in HERE for worker in now.workers)
    return f"{now.slots} slots" if now.slots > here else ""


def rungs_in_words(rungs: Mapping[int, int], promoted: int, moved: int) -> str:
    """``rungs 1:37 3:12 9:4 27:1, 12 promoted (7 on another worker)``; empty where nothing was to pause."""
    if not rungs:
        return ""
    reached = " ".join(f"{step}:{n}" for step, n in rungs.items())
    text = f"rungs {reached}, {promoted} promoted"
    return f"{text} ({moved} on another worker)" if moved else text


def ensemble_in_words(state: Mapping[str, Any] | None) -> str:
    """One line about what ``ensemble.json`` says of an ensemble; empty if there is none, or the file is of no use."""
    try:
        if state is None:
            return ""
        size, metric = (printable(str(state[name]), _WIDEST) for name in ("size", "metric"))
        return f"ensemble of {size}: {metric} {state['score']:.5g} (best single {state['single']:.5g})"
    except (ValueError, KeyError, TypeError, OverflowError):
        return ""


def tries_in_words(record: TrialRecord) -> str:
    """``try 2 of 3`` for a trial whose process crashed and that may be tried again, or was; else empty."""
    if not record.crashes or not record.retries:
        return ""
    return f"try {min(len(record.crashes), record.retries) + 1} of {record.retries + 1}"


def notes_in_words(notes: Mapping[str, Any]) -> str:
    """Notes in one line: ``layers=[64, 32], data=v3``."""
    return ", ".join(
        f"{printable(name, _WIDEST_NAME)}={note_in_words(note, _WIDEST_VALUE)}" for name, note in notes.items()
    )


def note_in_words(note: Any, most: int | None = None) -> str:
    """The value of a note: text as it is, anything else as JSON."""
    return printable(note if isinstance(note, str) else json.dumps(note, ensure_ascii=False), most)


def configuration(config: Mapping[str, Any]) -> str:
    """A configuration in one line: ``lr=0.01, optimizer=adam``."""
    return ", ".join(f"{printable(name, _WIDEST_NAME)}={brief(value)}" for name, value in config.items())


def brief(value: Any) -> str:
    """A parameter's value in few characters."""
    return f"{value:.4g}" if isinstance(value, float) else printable(str(value), _WIDEST_VALUE)
