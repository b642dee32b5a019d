"""What ``aiohpo run`` says at the end."""

from __future__ import annotations

import shlex
from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING

from ..errors import UsageError
from ..text import printable
from ..view.summary import best_in_words, best_of
from .common import DONE, INTERRUPTED, UNSUCCESSFUL, describe_seconds, open_directory, print_json
from .show import count, describe_best, in_words, nothing_yet
from .terminal import say

if TYPE_CHECKING:
    from ..storage.run import Run

_WIDEST = 200  # characters of why there is no picture


def interrupted(directory: Path, again: str) -> int:
    """Say what there is after a Ctrl-C, and how to go on; return the exit code."""
    run = open_directory(directory)
    best = "" if run.view.leader() is None else f", {best_in_words(run.view, 6)}"
    say(f"stopped after {run.n_done} trials{best}; nothing that was reported is lost", err=True)
    say(f"to go on: {again}", err=True)
    return INTERRUPTED


def summarise(
    directory: Path,
    target: str,
    json_: bool,
    *,
    before: int,
    seconds: float = 0.0,
    again: str | None = None,
    given_up: str | None = None,
    chosen: Sequence[str] = (),
) -> int:
    """Print what was found and what to try next; return the exit code.

    ``before`` trials were there when this run began, ``seconds`` ago. ``again`` is the command that goes on, if
    the search is not over; ``given_up`` says why it stopped early, if all its trials failed; ``chosen`` are options
    that going on needs as well.
    """
    from ..storage.run_directory import read_ensemble

    run = open_directory(directory)
    best = best_of(run.view)
    counts = count(list(run.records()))
    plot = _draw(run)
    ensemble = read_ensemble(directory)
    done = DONE if best is not None and given_up is None else UNSUCCESSFUL
    if json_:
        print_json(
            {
                "directory": str(directory),
                "best": None if best is None else best.as_dict(),
                "ended": run.n_ended,
                "done": run.n_done,
                "rungs": [[step, n] for step, n in run.rungs().reached().items()],
                "counts": counts,
                "seconds": seconds,
                "plot": None if plot is None else str(plot),
                "ensemble": ensemble or None,
                "given_up": given_up,
            }
        )
        return done
    if best is None or given_up is not None:
        say(nothing_yet(run), err=True)
        if given_up is not None:
            say(f"the search stopped early: {printable(given_up)} (--max-failures N allows more)", err=True)
        if counts.get("failed"):
            retry = f"aiohpo retry {shlex.quote(str(directory))}"
            say(f"to go on: mend the cause, then '{retry}', then '{again or 'aiohpo run …'}'", err=True)
            say("(failed trials that are not retried count towards --trials)", err=True)
        return UNSUCCESSFUL
    new = run.n_done - before
    took = f" ({new} of them now, in {describe_seconds(seconds)})" if before else f" in {describe_seconds(seconds)}"
    say(f"{run.n_done} trials{took if new else ''}: {in_words(counts)}")
    climb = str(run.rungs())
    if climb:
        say(climb)
    say(describe_best(run, best))
    if ensemble:
        say(ensemble)
    if plot is not None:
        say(f"plot: {plot}")
    where, stem = shlex.quote(str(directory)), directory.name
    options = "".join(f" {shlex.quote(word)}" for word in chosen)
    more = f"aiohpo run {shlex.quote(target)}{options} --dir {where} --trials {2 * run.n_done}"
    say(
        "next:\n"
        f"  aiohpo show {where} --sort value\n"
        f"  aiohpo plot {where} --kind parallel\n"
        + (f"  aiohpo ensemble {where}\n" if ensemble else "")
        + f"  aiohpo export {where} --to csv {shlex.quote(stem)}.csv\n"
        f"  {again or more}   # go on"
    )
    return 0


def _draw(run: Run) -> Path | None:
    """Save the overview beside the journal; None, and a line that says why, where it cannot be drawn."""
    from importlib.util import find_spec

    if find_spec("matplotlib") is None or run.view.leader() is None:
        return None
    from ..plots.drawing import save

    path = run.path / "plot.png"
    try:
        save(run, "overview", path)
    except Exception as error:  # whatever it is: the result matters more than its picture
        reason = error.strerror if isinstance(error, OSError) and error.strerror else str(error)
        kind = "" if isinstance(error, OSError | UsageError) else f"{type(error).__name__}: "
        say(f"the picture {path} could not be drawn: {printable(kind + reason, _WIDEST)}", err=True)
        return None
    return path
