"""``aiohpo best`` and ``aiohpo show``: what a run directory holds."""

from __future__ import annotations

import sys
from collections.abc import Callable, Mapping, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any

import click

from ..errors import UsageError
from ..text import printable
from ..view.segments import spans
from ..view.summary import best_in_words, best_of, last_error_in_words, value_in_words
from .common import DONE, UNSUCCESSFUL, as_json, command, describe_seconds, open_directory, print_json, run_directory
from .terminal import plain_console, say

if TYPE_CHECKING:
    from rich.table import Table

    from ..events.schema import TrialId
    from ..storage.run import Run
    from ..view.trials import TrialRecord

# Characters in a table; --failed and --json have all.
_WIDEST_NAME, _WIDEST_VALUE, _WIDEST_ERROR = 40, 60, 300
_NARROWEST = 14  # columns for a value and for a configuration, whose text wraps


@command("best", example="aiohpo best runs/digits\naiohpo best runs/digits --json")
@run_directory
@as_json
def best(directory: Path, json_: bool) -> int:
    """Print the best configuration found in DIR: that of the best complete trial, or, while there is none, of the best
    of those that got farthest.

    The exit code is 1 if no trial has a value (yet).
    """
    run = open_directory(directory)
    found = best_of(run.view)
    if json_:
        print_json(None if found is None else found.as_dict())
    elif found is None:
        say(nothing_yet(run), err=True)
    else:
        say(describe_best(run, found))
    return DONE if found is not None else UNSUCCESSFUL


@command("show", example="aiohpo show runs/digits --sort value --limit 10\naiohpo show runs/digits --failed")
@run_directory
@click.option("--failed", is_flag=True, help="Show the failed trials with their errors.")
@click.option("--lineage", is_flag=True, help="Show which trial inherited from which, and the best one's schedule.")
@click.option(
    "--sort",
    type=click.Choice(["number", "value", "seconds"]),
    default="number",
    show_default=True,
    help="Order of the table (best value first).",
)
@click.option(
    "--limit", type=click.IntRange(min=0), default=40, show_default=True, metavar="N", help="Most rows; 0 for all."
)
@as_json
def show(directory: Path, failed: bool, lineage: bool, sort: str, limit: int, json_: bool) -> int:
    """Show the study, the workers and the trials in DIR."""
    run = open_directory(directory)
    if lineage:
        from .lineage import show_lineage

        if failed:
            raise UsageError("--lineage shows all trials; leave out --failed")
        show_lineage(run, json_)
        return DONE
    if json_:
        shown = run.as_dict()
        if failed:
            shown["trials"] = [trial for trial in shown["trials"] if trial["status"] == "failed"]
        print_json(shown)
        return 0
    records = list(run.records())
    # Piped output is for grep and for files: never wrap a row there.
    console = plain_console(None if sys.stdout.isatty() else 10_000)
    say(_headline(run, records))
    for notice in run.loaded.notices:
        console.print(printable(notice), style="yellow", soft_wrap=True)
    if failed:
        _print_failures([r for r in records if r.status == "failed"], limit)
        return 0
    console.print(_workers(run))
    if records:
        ordered = sorted(records, key=_order(run, sort))
        rows = ordered[:limit] if limit and sort != "number" else ordered[-limit:] if limit else ordered
        console.print(_trials(run, rows))
        if len(rows) < len(records):
            which = "the latest" if sort == "number" else "the first"
            say(f"{which} {len(rows)} of {len(records)} trials; all: --limit 0, or --json")
    return 0


def describe_best(run: Run, record: TrialRecord) -> str:
    """The best trial in words: its value, and one line per parameter."""
    took = "" if not record.seconds else f" in {describe_seconds(record.seconds)}"
    worth = value_in_words(record, run.view.max_steps)
    lines = [f"best {printable(run.view.metric)} {worth} (trial {record.number} of {directory_name(run)}{took})"]
    shown = [(printable(name), printable(repr(value))) for name, value in record.config.items()]
    width = min(max((len(name) for name, _ in shown), default=0), _WIDEST_NAME)
    lines += [f"  {name:<{width}}  {value}" for name, value in shown]
    others = {name: value for name, value in record.metrics.items() if name != run.view.metric}
    if others:
        lines.append("also reported: " + ", ".join(f"{printable(name)} {value:.6g}" for name, value in others.items()))
    return "\n".join(lines)


def directory_name(run: Run) -> str:
    """The directory as people write it."""
    return printable(str(run.path))


def nothing_yet(run: Run) -> str:
    """Why there is no best trial."""
    records = list(run.records())
    text = f"no successful trial in {directory_name(run)}: {in_words(count(records))}"
    return text + last_error_in_words(records, f"aiohpo show {directory_name(run)} --failed")


def count(records: list[TrialRecord]) -> dict[str, int]:
    """How many trials have each status; failed ones that are tried again are counted apart."""
    counts: dict[str, int] = {}
    retried = {record.retry_of for record in records}
    for record in records:
        status = "retried" if record.status == "failed" and record.id in retried else record.status
        counts[status] = counts.get(status, 0) + 1
    return counts


def in_words(counts: dict[str, int]) -> str:
    """``40 finished, 2 failed``."""
    return ", ".join(f"{n} {status}" for status, n in sorted(counts.items(), key=lambda c: -c[1])) or "no trials yet"


def _headline(run: Run, records: list[TrialRecord]) -> str:
    view = run.view
    told = {name: printable(str(run.study.get(name))) for name in ("searcher", "scheduler", "seed")}
    goal = "" if view.goal is None or view.goal[1] is None else f" of {view.goal[1]}"
    aim = "minimise" if view.mode == "min" else "maximise"
    best = "" if view.leader() is None else f"\n{best_in_words(view, 6)}"
    climb = str(run.rungs())
    return (
        f"{directory_name(run)}: {aim} {printable(view.metric)} over {len(view.space)} parameters, "
        f"searcher {told['searcher']}, scheduler {told['scheduler']}, seed {told['seed']}\n"
        f"{run.n_done}{goal} trials done ({in_words(count(records))}){best}{climb and chr(10)}{climb}"
    )


def _workers(run: Run) -> Table:
    """Who worked on how many trials for how long; several may have worked on one."""
    table = _table("worker", "rank", "host", "pid", "status", "trials", "busy")
    trials: dict[str, set[TrialId]] = {}
    busy: dict[str, float] = {}
    for span in spans(run.log):
        trials.setdefault(span.worker, set()).add(span.trial)
        busy[span.worker] = busy.get(span.worker, 0.0) + (span.seconds or 0.0)
    for worker in run.as_workers():
        name = worker["id"]
        rank = "" if worker["rank"] is None else str(worker["rank"])
        table.add_row(
            name,
            rank,
            printable(worker["host"] or ""),
            str(worker["pid"] or ""),
            worker["status"],
            str(len(trials.get(name, ()))),
            describe_seconds(busy[name]) if name in busy else "",
        )
    return table


def _trials(run: Run, records: list[TrialRecord]) -> Table:
    metric = printable(run.view.metric, _WIDEST_NAME)
    columns = ("number", "status", metric, "configuration", "step", "time", "worker")
    table = _table(*columns, wrapping=(metric, "configuration"))
    leader = best_of(run.view, 0)
    best = leader and leader.id
    for record in records:
        value = "" if record.value is None else f"{record.value:.6g}"
        table.add_row(
            str(record.number),
            record.status,
            f"{value} *" if record.id == best else value,
            printable(record.error, _WIDEST_ERROR) if record.error else configuration(record.config),
            str(record.step or ""),
            "" if record.seconds is None else describe_seconds(record.seconds),
            record.worker[:6],
            style="bold" if record.id == best else "red" if record.status == "failed" else None,
        )
    return table


def configuration(config: Mapping[str, Any]) -> str:
    """A configuration in one line: ``lr=0.01, optimizer=adam``."""
    return ", ".join(f"{printable(name, _WIDEST_NAME)}={brief(value)}" for name, value in config.items())


def brief(value: Any) -> str:
    """A parameter's value in few characters."""
    return f"{value:.4g}" if isinstance(value, float) else printable(str(value), _WIDEST_VALUE)


def _print_failures(failures: list[TrialRecord], limit: int) -> None:
    if not failures:
        say("no trial has failed")
    for record in failures[-limit:] if limit else failures:
        say(f"\ntrial {record.number} ({record.id}): {printable(record.error or 'failed')}")
        say("  " + ", ".join(f"{printable(name)}={printable(repr(v))}" for name, v in record.config.items()))
        if record.detail:
            say("\n".join(f"  | {line}" for line in printable(record.detail.rstrip(), lines=True).split("\n")))
    if limit and len(failures) > limit:
        say(f"\nthe latest {limit} of {len(failures)} failed trials; all: --limit 0")


def _order(run: Run, sort: str) -> Callable[[TrialRecord], float]:
    if sort == "value":
        return lambda r: float("inf") if r.value is None else run.view.sign * r.value
    if sort == "seconds":
        return lambda r: -(r.seconds or 0.0)
    return lambda r: r.number


def _table(*columns: str, wrapping: Sequence[str] = ()) -> Table:
    from rich import box
    from rich.table import Table

    table = Table(box=box.SIMPLE_HEAD, pad_edge=False)
    for name in columns:
        text = name in ("worker", "status", "configuration", "host")
        wraps = name in wrapping
        table.add_column(
            name,
            justify="left" if text else "right",
            overflow="fold",
            no_wrap=not wraps,
            min_width=_NARROWEST if wraps else None,
        )
    return table
