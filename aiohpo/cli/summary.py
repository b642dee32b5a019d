"""What ``aiohpo run`` prints at its end, and the picture that it draws."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING

from ..errors import UsageError
from ..text import printable
from .common import DONE, INTERRUPTED, UNSUCCESSFUL, open_directory, print_json
from .terminal import say

if TYPE_CHECKING:
    from ..storage.run import Run

_WIDEST = 200  # characters of why there is no picture


def interrupted(directory: Path, again: str) -> int:
    """Say what there is after a Ctrl-C, and how to go on; return the exit code."""
    from ..report import ending
    from ..report.tally import take_snapshot

    for line in ending.interrupted(take_snapshot(open_directory(directory, tell=False)), again):
        say(line, err=True)
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
    from ..report import ending
    from ..report.tally import take_snapshot

    run = open_directory(directory, tell=False)
    now = take_snapshot(run)
    plot = _draw(run)
    code = DONE if now.best is not None and given_up is None else UNSUCCESSFUL
    if json_:
        print_json(
            {
                "directory": str(directory),
                **now.progress(),
                "seconds": seconds,
                "plot": None if plot is None else str(plot),
                "given_up": given_up,
            }
        )
    elif code == DONE:
        for line in ending.found(now, before, seconds, plot):
            say(line)
        for line in ending.next_commands(now, target, chosen, again):
            say(line)
    else:
        for line in ending.nothing_found(now, list(run.records()), again, given_up):
            say(line, err=True)
    return code


def _draw(run: Run) -> Path | None:
    """Save the overview beside the journal; None, and a line that says why, where it cannot be drawn."""
    from importlib.util import find_spec

    if find_spec("matplotlib") is None or run.view.leader() is None:
        return None
    from ..plots.drawing import compute, save
    from ..plots.subject import Subject

    path = run.path / "plot.png"
    try:
        save(compute(Subject.of_run(run), "overview"), path, shared=True)
    except Exception as error:  # whatever it is: the result matters more than its picture
        reason = error.strerror if isinstance(error, OSError) and error.strerror else str(error)
        kind = "" if isinstance(error, OSError | UsageError) else f"{type(error).__name__}: "
        say(f"the picture {path} could not be drawn: {printable(kind + reason, _WIDEST)}", err=True)
        return None
    return path
