"""``aiohpo best``: the best configuration that a run directory holds."""

from __future__ import annotations

from pathlib import Path

from .common import DONE, UNSUCCESSFUL, as_json, command, open_directory, print_json, run_directory
from .terminal import say


@command("best", example="aiohpo best runs/digits\naiohpo best runs/digits --json")
@run_directory
@as_json
def best(directory: Path, json_: bool) -> int:
    """Print the best configuration found in DIR: that of the best complete trial, or, while there is none, of the best
    of those that got farthest.

    The exit code is 1 if no trial has a value (yet).
    """
    from ..report.ending import describe_best, nothing_yet
    from ..report.tally import take_snapshot

    run = open_directory(directory)
    found = run.summary.best()
    if json_:
        print_json(None if found is None else found.as_dict())
    elif found is None:
        say(nothing_yet(take_snapshot(run), list(run.records())), err=True)
    else:
        say("\n".join(describe_best(found, run.view.objective.metric, run.view.max_steps, str(directory))))
    return DONE if found is not None else UNSUCCESSFUL
