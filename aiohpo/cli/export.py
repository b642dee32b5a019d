"""``aiohpo export``: a run's trials for other tools."""

from __future__ import annotations

import io
import sys
from pathlib import Path

import click

from ..errors import UsageError
from .common import command, open_directory, run_directory
from .terminal import say


@command(
    "export",
    example="""
aiohpo export runs/digits --to csv digits.csv
aiohpo export runs/digits --to csv --curves curves.csv
aiohpo export runs/digits --to json | jq .study.best
aiohpo export runs/digits --to optuna://sqlite:///trials.db
""",
)
@run_directory
@click.argument("file", metavar="[FILE]", required=False, type=click.Path(path_type=Path, dir_okay=False))
@click.option("--to", required=True, metavar="FORMAT", help="csv, parquet, json, or optuna://STORAGE-URL.")
@click.option("--curves", is_flag=True, help="Write the learning curves, a line for each reported number.")
@click.option("--name", metavar="NAME", help="Name of the Optuna study; the directory's name if not given.")
def export(directory: Path, file: Path | None, to: str, curves: bool, name: str | None) -> None:
    """Write the trials in DIR to FILE (or stdout), or add them to an Optuna storage.

    In CSV, text that a spreadsheet would take for a formula begins with an apostrophe, and control characters are
    written as escapes; JSON and Parquet have every text as it is. Where the choices of a parameter would look alike
    in a table, such as 1 and "1", CSV and Parquet have them as JSON. In an Optuna storage, trials that were stopped
    or paused are PRUNED; those that have not ended are left out.
    """
    from ..report import export as formats

    if to.startswith(formats.OPTUNA):
        if curves:
            raise click.UsageError(
                "the objective's curves are exported to an Optuna storage anyway: leave out --curves"
            )
        if file is not None:
            raise click.UsageError(f"an Optuna storage is not a file: leave out {str(file)!r}")
        done = formats.to_optuna(open_directory(directory), to, name)
        there = f" ({done.known} were there already)" if done.known else ""
        say(f"added {done.added} trials to the Optuna study {done.study!r}{there}", err=True)
        for note in done.notes:
            say(note, err=True)
        return
    if to not in formats.FORMATS:
        raise click.UsageError(
            f"there is no format {to!r}; the formats are: {', '.join(formats.FORMATS)}, optuna://URL"
        )
    if name is not None:
        raise click.UsageError("--name names an Optuna study and has no meaning for a file")
    if curves and to == "json":
        raise click.UsageError("JSON includes the curves of the trials anyway: leave out --curves")
    if to == "parquet" and file is None and sys.stdout.isatty():
        raise click.UsageError("parquet is binary: name a FILE or send it through a pipe")
    run = open_directory(directory)
    if to == "parquet":
        binary = io.BytesIO()
        formats.write_parquet(run, binary, curves=curves)
        data = binary.getvalue()
    else:
        text = io.StringIO()
        write = formats.write_json if to == "json" else formats.write_curves_csv if curves else formats.write_csv
        write(run, text)
        data = text.getvalue().encode(errors="backslashreplace")
    if file is None:
        sys.stdout.buffer.write(data)
        return
    try:
        file.write_bytes(data)
    except OSError as error:
        raise UsageError(f"cannot write {file}: {error.strerror or error}") from None
    what = "the curves of " if curves else ""
    say(f"wrote {what}{sum(1 for _ in run.summary.listed())} trials to {file}", err=True)
