"""``aiohpo show --trial``, ``--output`` and ``--file``: all that there is of one trial, what it printed, its files."""

from __future__ import annotations

import shlex
from collections.abc import Iterator
from pathlib import Path
from typing import TYPE_CHECKING

from ..errors import UsageError
from ..files import replace_file
from ..report.words import brief, describe_bytes, describe_seconds, note_in_words, tries_in_words
from ..result import path_of_file
from ..storage.blob_store import DirectoryBlobs
from ..storage.printed import read_output, tails
from ..text import printable
from .common import print_json
from .terminal import say

if TYPE_CHECKING:
    from ..storage.run import Run
    from ..view.trials import TrialRecord

LINES = 10  # of what a trial printed, where it is one thing among others


def show_trial(run: Run, name: str, json_: bool) -> None:
    """Print all that there is of the trial of this number or id."""
    record = run.find(name)
    if json_:
        print_json(record.as_dict())
        return
    for line in _page(run, record):
        say(line)


def show_output(run: Run, name: str, json_: bool) -> None:
    """Print what the trial of this number or id printed."""
    record = run.find(name)
    lines = (line for _, line in read_output(run.path, (record.id,)))
    if json_:
        print_json({"id": record.id, "number": record.number, "output": list(lines)})
        return
    empty = True
    for line in lines:
        empty = False
        say(printable(line))
    if empty:
        say(
            f"nothing that trial {record.number} printed is kept in {run.path / 'output'}. What a trial prints in the "
            "process of a program that awaits study.arun() goes where the program's own output goes",
            err=True,
        )


def copy_file(run: Run, trial: str, name: str, out: Path | None, json_: bool) -> None:
    """Copy a file of a trial to ``out``, or to its own name in the current directory, where there is none yet."""
    record = run.find(trial)
    source = path_of_file(record, name, DirectoryBlobs(run.path / "blobs"))
    target = Path(name) if out is None else out / name if out.is_dir() else out
    if out is None and target.exists():
        raise UsageError(f"there is a file {name!r} here already: choose where to write it, as in -o {name}")
    try:
        replace_file(target, source.read_bytes())
    except OSError as error:
        raise UsageError(f"cannot write {target}: {error.strerror or error}") from None
    found = record.files[name]
    if json_:
        print_json({"file": str(target), "digest": found.digest, "size": found.size})
    else:
        say(f"wrote {target} ({describe_bytes(found.size)}), which was attached to trial {record.number}")


def print_tail(lines: list[str]) -> None:
    """Print the last lines of what a trial printed, set apart."""
    for line in lines:
        say(f"  | {printable(line)}")


def _page(run: Run, record: TrialRecord) -> Iterator[str]:
    metric = run.view.objective.metric
    worth = "" if record.value is None else f", {printable(metric)} {record.value:.6g}"
    step = f" at step {record.step}" if record.step else ""
    took = "" if record.seconds is None else f", {describe_seconds(record.seconds)}"
    yield f"trial {record.number} ({record.id}): {record.status}{worth}{step}{took}, on worker {record.worker}"
    for title, lines in (
        ("configuration", _columns({name: brief(value) for name, value in record.config.items()})),
        ("metrics", _columns({name: _metric(record, name) for name in record.metrics})),
        ("notes", _columns({name: note_in_words(note) for name, note in record.notes.items()})),
        ("files", _columns({name: _file(record, name) for name in record.files})),
        ("origin", list(_origin(record))),
        ("crashes", [*map(printable, record.crashes), *filter(None, [tries_in_words(record)])]),
        ("error", [] if record.error is None else [printable(record.error), *_detail(record)]),
    ):
        if lines:
            yield f"\n{title}"
            yield from (f"  {line}" for line in lines)
    if printed := tails(run.path, (record.id,), LINES).get(record.id):
        yield f"\nlast output (all of it: --output {record.number})"
        yield from (f"  | {printable(line)}" for line in printed)


def _columns(values: dict[str, str]) -> list[str]:
    """Names, made printable, and what they are, side by side."""
    names = {name: printable(name) for name in values}
    widest = max(map(len, names.values()), default=0)
    return [f"{names[name]:{widest}}  {value}" for name, value in values.items()]


def _metric(record: TrialRecord, name: str) -> str:
    reports = len(record.curves.get(name, ()))
    return f"{record.metrics[name]:.6g}" + (f"  (reported for {reports} steps)" if reports > 1 else "")


def _file(record: TrialRecord, name: str) -> str:
    return f"{describe_bytes(record.files[name].size)}  (copy it: --file {record.number} {shlex.quote(name)} -o FILE)"


def _origin(record: TrialRecord) -> Iterator[str]:
    if record.parent is not None:
        yield f"started from the checkpoint of trial {record.parent[0]} after step {record.parent[1]}"
    if record.retry_of is not None:
        yield f"tries trial {record.retry_of} again"


def _detail(record: TrialRecord) -> Iterator[str]:
    if record.detail:
        yield from (f"| {line}" for line in printable(record.detail.rstrip(), lines=True).split("\n"))
