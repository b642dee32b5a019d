"""``aiohpo report``: a run as one file of HTML, to be sent by mail."""

from __future__ import annotations

from pathlib import Path

import click

from ..errors import UsageError
from ..files import replace_file
from .common import as_json, command, open_directory, print_json, run_directory
from .terminal import say


@command("report", example="aiohpo report runs/digits\naiohpo report runs/digits --out digits.html")
@run_directory
@click.option(
    "--out",
    type=click.Path(path_type=Path, dir_okay=False),
    metavar="FILE",
    help="Where to. Default: report.html in DIR.",
)
@as_json
def report(directory: Path, out: Path | None, json_: bool) -> None:
    """Write what is in DIR as one HTML file, with the views of "aiohpo dashboard".

    The file needs nothing else: no server, no internet, no aiohpo. All results and configurations are in it, of
    failed trials the errors and tracebacks, and the pages of the best, the latest and some failed trials; neither
    predictions nor checkpoints.
    """
    from ..web.report import answers, write_page

    run = open_directory(directory)
    id = directory.name or directory.resolve().name or "run"
    path = out or directory / "report.html"
    page = write_page(answers(run, id), id, f"{id}: {run.study['metric']}").encode()
    try:
        replace_file(path, page)  # others may be able to write there: a link is not followed
    except OSError as error:
        raise UsageError(f"cannot write {path}: {error.strerror or error}; name another file with --out") from None
    if json_:
        print_json({"report": str(path), "bytes": len(page)})
    else:
        say(str(path))
