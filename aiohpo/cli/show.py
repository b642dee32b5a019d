"""``aiohpo show``: what a run directory holds."""

from __future__ import annotations

import math
import sys
from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING

import click

from ..errors import UsageError, listing, plural
from ..report.words import (
    best_in_words,
    configuration,
    describe_seconds,
    ensemble_in_words,
    notes_in_words,
    rungs_in_words,
    trials_in_words,
    tries_in_words,
)
from ..storage.printed import tails
from ..text import printable
from .common import DONE, as_json, command, open_directory, print_json, run_directory
from .terminal import plain_console, say

if TYPE_CHECKING:
    from rich.table import Table

    from ..report.snapshot import Snapshot
    from ..storage.run import Run
    from ..view.trials import TrialRecord
    from ..view.view import View

# Characters in a table; --failed and --json have all.
_WIDEST_NAME, _WIDEST_ERROR = 40, 300
_NARROWEST = 14  # columns for a value and for a configuration, whose text wraps


@command(
    "show",
    example="""
aiohpo show runs/digits --sort value --limit 10
aiohpo show runs/digits --failed
aiohpo show runs/digits --trial 17
aiohpo show runs/digits --output 17 | less
aiohpo show runs/digits --file 17 model.pt -o best.pt
""",
)
@run_directory
@click.option("--failed", is_flag=True, help="Show the failed trials with their errors.")
@click.option("--trial", metavar="TRIAL", help="Show everything about one trial, by its number or id.")
@click.option("--output", metavar="TRIAL", help="Show what one trial printed.")
@click.option(
    "--file", "file_", nargs=2, metavar="TRIAL NAME", help="Copy a file that was attached to a trial; see --out."
)
@click.option(
    "--out", "-o", type=click.Path(path_type=Path), metavar="PATH", help="Where --file writes it. Default: NAME, here."
)
@click.option("--lineage", is_flag=True, help="Show which trial inherited from which, and the best one's schedule.")
@click.option(
    "--sort",
    type=click.Choice(["number", "value", "seconds"]),
    default="number",
    show_default=True,
    help="Order of the table (value: best first).",
)
@click.option(
    "--limit",
    type=click.IntRange(min=0),
    default=40,
    show_default=True,
    metavar="N",
    help="Maximum number of rows to show; 0 for all.",
)
@as_json
def show(
    directory: Path,
    failed: bool,
    trial: str | None,
    output: str | None,
    file_: tuple[str, str] | None,
    out: Path | None,
    lineage: bool,
    sort: str,
    limit: int,
    json_: bool,
) -> int:
    """Show the study, the workers and the trials in DIR, or one of the trials."""
    from ..report.tally import run_as_dict, take_snapshot

    ones = {"--trial": trial is not None, "--output": output is not None, "--file": bool(file_)}
    views = ones | {"--lineage": lineage, "--failed": failed}
    if sum(views.values()) > 1:
        raise UsageError(
            f"give one of {listing([name for name, given in views.items() if given])}: each is its own view"
        )
    run = open_directory(directory, tell=lineage)
    if out is not None and not file_:
        raise UsageError("--out says where a trial's file goes: --file TRIAL NAME --out PATH")
    if any(ones.values()):
        from .one_trial import copy_file, show_output, show_trial

        if file_:
            copy_file(run, *file_, out, json_)
        elif trial is not None:
            show_trial(run, trial, json_)
        else:
            show_output(run, output or "", json_)
        return DONE
    if lineage:
        from .lineage import show_lineage

        show_lineage(run, json_)
        return DONE
    summary, view = run.summary, run.view
    trials = [(number, row) for number, row in summary.listed() if not failed or summary.status(row) == "failed"]
    if json_:
        print_json(run_as_dict(run, (summary.record(row, number) for number, row in trials)))
        return DONE
    now = take_snapshot(run)
    # Piped output is for grep and for files: never wrap a row there.
    console = plain_console(None if sys.stdout.isatty() else 10_000)
    say(_headline(run, now))
    for notice in now.notices:
        console.print(printable(notice), style="yellow", soft_wrap=True)
    latest = failed or sort == "number"
    if not latest:
        trials.sort(key=lambda trial: _rank(view, trial[1], sort))
    shown = trials if not limit else trials[-limit:] if latest else trials[:limit]
    records = [summary.record(row, number) for number, row in shown]
    if failed:
        _print_failures(run, records, len(trials))
        return DONE
    console.print(_workers(now))
    if records:
        console.print(_trials(now, records))
        if len(records) < len(trials):
            which = "the latest" if latest else "the first"
            say(f"{which} {len(records)} of {len(trials)} trials; all: --limit 0, or --json")
    return DONE


def _headline(run: Run, now: Snapshot) -> str:
    told = {name: printable(str(run.study.get(name))) for name in ("searcher", "scheduler", "seed")}
    goal = "" if now.total is None else f" of {now.total}"
    aim = "minimise" if run.view.objective.direction == "min" else "maximise"
    best = "" if now.best is None else best_in_words(now.metric, now.best, now.max_steps, 6)
    parameters = plural(len(run.view.space), "parameter")
    lines = [
        f"{printable(now.name)}: {aim} {printable(now.metric)} over {parameters}, "
        f"searcher {told['searcher']}, scheduler {told['scheduler']}, seed {told['seed']}",
        f"{now.done}{goal} trials done ({trials_in_words(now.counts, now.retried, now.added)})",
        best,
        rungs_in_words(now.rungs, now.promoted, now.moved),
        ensemble_in_words(now.ensemble),
    ]
    return "\n".join(filter(None, lines))


def _workers(now: Snapshot) -> Table:
    """Who worked on how many trials for how long, its slots together; several may have worked on one."""
    slotted = any(worker.slots > 1 for worker in now.workers)
    table = _table("worker", "rank", "host", "pid", "status", *(["slots"] if slotted else []), "trials", "busy")
    for worker in now.workers:
        table.add_row(
            worker.id,
            "" if worker.rank is None else str(worker.rank),
            printable(worker.host or ""),
            str(worker.pid or ""),
            worker.status,
            *([str(worker.slots)] if slotted else []),
            str(worker.trials),
            describe_seconds(worker.busy_seconds) if worker.busy_seconds else "",
        )
    return table


def _trials(now: Snapshot, records: list[TrialRecord]) -> Table:
    metric = printable(now.metric, _WIDEST_NAME)
    noted = any(record.notes for record in records)
    columns = ("number", "status", metric, "configuration", *(["notes"] if noted else []), "step", "time", "worker")
    table = _table(*columns, wrapping=(metric, "configuration", "notes"))
    best = now.best and now.best.id
    for record in records:
        value = "" if record.value is None else f"{record.value:.6g}"
        table.add_row(
            str(record.number),
            record.status,
            f"{value} *" if record.id == best else value,
            _what(record),
            *([notes_in_words(record.notes)] if noted else []),
            str(record.step or ""),
            "" if record.seconds is None else describe_seconds(record.seconds),
            record.worker[:6],
            style="bold" if record.id == best else "red" if record.status == "failed" else None,
        )
    return table


def _what(record: TrialRecord) -> str:
    """Why a trial failed, else its configuration; and the number of its try, if it has crashed."""
    told = printable(record.error, _WIDEST_ERROR) if record.error else configuration(record.config)
    return f"{told} ({tries})" if (tries := tries_in_words(record)) else told


def _print_failures(run: Run, failures: list[TrialRecord], total: int) -> None:
    """Print the latest of so many failed trials."""
    from .one_trial import LINES, print_tail

    printed = tails(run.path, {record.id for record in failures}, LINES)
    if not failures:
        say("no trial has failed")
    for record in failures:
        tries = f", {tries}" if (tries := tries_in_words(record)) else ""
        say(f"\ntrial {record.number} ({record.id}){tries}: {printable(record.error or 'failed')}")
        say("  " + ", ".join(f"{printable(name)}={printable(repr(v))}" for name, v in record.config.items()))
        if record.detail:
            say("\n".join(f"  | {line}" for line in printable(record.detail.rstrip(), lines=True).split("\n")))
        last = printed.get(record.id, [])
        if last and last[-1].strip() not in (record.detail or ""):  # else it is what the process printed at its end
            say(f"  last output (all of it: --output {record.number}):")
            print_tail(last)
    if len(failures) < total:
        say(f"\nthe latest {len(failures)} of {total} failed trials; all: --limit 0")


def _rank(view: View, row: int, sort: str) -> float:
    """What trials are sorted by: the best value first, or the longest."""
    if sort == "value":
        loss = view.latest(row)
        return math.inf if loss is None else loss
    return -(view.seconds(row) or 0.0)


def _table(*columns: str, wrapping: Sequence[str] = ()) -> Table:
    from rich import box
    from rich.table import Table

    table = Table(box=box.SIMPLE_HEAD, pad_edge=False)
    for name in columns:
        text = name in ("worker", "status", "configuration", "notes", "host")
        wraps = name in wrapping
        table.add_column(
            name,
            justify="left" if text else "right",
            overflow="fold",
            no_wrap=not wraps,
            min_width=_NARROWEST if wraps else None,
        )
    return table
