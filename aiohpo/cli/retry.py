"""``aiohpo retry``: failed trials are tried again, and leave the budget."""

from __future__ import annotations

import shlex
from pathlib import Path

import click

from .common import DONE, as_json, command, open_directory, print_json, run_directory
from .terminal import say


@command("retry", example="aiohpo retry runs/digits\naiohpo retry runs/digits 3 17\naiohpo run digits.py")
@run_directory
@click.argument("trials", metavar="[TRIAL]...", nargs=-1)
@as_json
def retry(directory: Path, trials: tuple[str, ...], json_: bool) -> int:
    """Try failed trials of DIR again: those named by number or id, or all.

    Each becomes a new trial with the same configuration, which the next "aiohpo run" (or worker) takes up; the
    failed one stays on record and leaves the budget. Mend what made them fail first.
    """
    from ..runtime.ask_tell import retry_in_directory

    run = open_directory(directory)
    pairs = retry_in_directory(run, trials, str(directory))
    failed, retries = [run.view.number(row) for row, _ in pairs], [run.view.record(new) for _, new in pairs]
    if json_:
        found = [
            {"id": new.id, "number": new.number, "retry_of": new.retry_of, "config": new.config} for new in retries
        ]
        print_json({"directory": str(directory), "retried": found})
        return DONE
    for number, new in zip(failed, retries, strict=True):
        say(f"trial {number} is tried again as trial {new.number}")
    if "alive" in run.loaded.states.values():
        say("workers that are running do not notice this; those started later do", err=True)
    say(f"next, run the command that started the search, such as: aiohpo run FILE --dir {shlex.quote(str(directory))}")
    return DONE
