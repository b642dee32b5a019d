"""The last words of a run: what it found, why it ended, and how to go on."""

from __future__ import annotations

import shlex
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import TYPE_CHECKING

from ..text import printable
from ..view.summary import last_error_in_words, value_in_words
from .words import (
    best_in_words,
    describe_seconds,
    ensemble_in_words,
    in_words,
    rungs_in_words,
    trials_in_words,
)

if TYPE_CHECKING:
    from ..result import Result
    from ..view.trials import TrialRecord
    from .snapshot import Snapshot

_WIDEST_NAME = 40  # characters in a column of names


def last_lines(result: Result, directory: Path | None, show: bool) -> Iterator[str]:
    """What ``Study.run`` says at its end. That there was nothing but failures it says without ``show`` as well."""
    best = result.best
    where = "the errors in result.trials" if directory is None else f"aiohpo show {directory} --failed"
    why = last_error_in_words(result.trials, where) if best is None else ""
    if not (show or why):
        return
    if result.given_up:
        yield f"given up: {printable(result.given_up)} (for more: Study(max_failures=…))"
        why = ""  # that was it
    verb = "interrupted" if result.interrupted else "stopped" if result.given_up else "done"
    found = "no successful trial" if best is None else best_in_words(result.metric, best, result.max_steps, 6)
    yield f"{verb}: {found}; {in_words(result.counts) or 'no trials'}{why}"
    if result.interrupted:
        place = "in this process (no directory was given)" if directory is None else f"in {printable(str(directory))}"
        yield f"no reported result is lost; run the interrupted search again to continue {place}"


def interrupted(now: Snapshot, again: str) -> Iterator[str]:
    """What ``aiohpo run`` says after a Ctrl-C. ``again`` is the command that goes on."""
    best = "" if now.best is None else f", {best_in_words(now.metric, now.best, now.max_steps, 6)}"
    yield f"stopped after {now.done} trials{best}; no reported result is lost"
    yield f"to continue: {again}"


def found(now: Snapshot, before: int, seconds: float, plot: Path | None) -> Iterator[str]:
    """What ``aiohpo run`` says of a search with a result. ``before`` trials were done when this run began, ``seconds``
    ago; ``plot`` is the file of the picture, if there is one."""
    new = now.done - before
    took = describe_seconds(seconds)
    when = "" if new <= 0 else f" ({new} of them now, in {took})" if before else f" in {took}"
    yield f"{now.done} trials{when}: {trials_in_words(now.counts, now.retried, now.added)}"
    yield from filter(None, [rungs_in_words(now.rungs, now.promoted, now.moved)])
    if now.best is not None:
        yield from describe_best(now.best, now.metric, now.max_steps, now.name)
    yield from filter(None, [ensemble_in_words(now.ensemble)])
    if plot is not None:
        yield f"plot: {plot}"


def nothing_found(
    now: Snapshot, records: Sequence[TrialRecord], again: str | None, given_up: str | None
) -> Iterator[str]:
    """What ``aiohpo run`` says of a search without a result, or one that was given up."""
    yield nothing_yet(now, records)
    if given_up is not None:
        yield f"the search stopped early: {printable(given_up)} (--max-failures N allows more)"
    if now.counts.get("failed", 0) > now.retried:
        retry = f"aiohpo retry {shlex.quote(now.name)}"
        yield f"to continue: fix the cause, then '{retry}', then '{again or 'aiohpo run …'}'"
        yield "(failed trials that are not retried count towards --trials)"


def nothing_yet(now: Snapshot, records: Sequence[TrialRecord]) -> str:
    """Why there is no best trial."""
    place = printable(now.name)
    text = f"no successful trial in {place}: {trials_in_words(now.counts, now.retried, now.added)}"
    return text + last_error_in_words(records, f"aiohpo show {place} --failed")


def next_commands(now: Snapshot, target: str, chosen: Sequence[str], again: str | None) -> Iterator[str]:
    """What can be done next. ``chosen`` are options that going on needs as well."""
    where, stem = shlex.quote(now.name), shlex.quote(Path(now.name).name)
    options = "".join(f" {shlex.quote(word)}" for word in chosen)
    yield "next:"
    yield f"  aiohpo show {where} --sort value"
    yield f"  aiohpo plot {where} --kind parallel"
    if ensemble_in_words(now.ensemble):
        yield f"  aiohpo ensemble {where}"
    yield f"  aiohpo export {where} --to csv {stem}.csv"
    more = f"aiohpo run {shlex.quote(target)}{options} --dir {where} --trials {2 * now.done}"
    yield f"  {again or more}   # continue"


def describe_best(best: TrialRecord, metric: str, max_steps: int | None, place: str) -> Iterator[str]:
    """The best trial in words: its value, and a line for each parameter."""
    took = "" if not best.seconds else f" in {describe_seconds(best.seconds)}"
    worth = value_in_words(best, max_steps)
    yield f"best {printable(metric)} {worth} (trial {best.number} of {printable(place)}{took})"
    shown = [(printable(name), printable(repr(value))) for name, value in best.config.items()]
    width = min(max((len(name) for name, _ in shown), default=0), _WIDEST_NAME)
    yield from (f"  {name:<{width}}  {value}" for name, value in shown)
    others = {name: value for name, value in best.metrics.items() if name != metric}
    if others:
        yield "also reported: " + ", ".join(f"{printable(name)} {value:.6g}" for name, value in others.items())
