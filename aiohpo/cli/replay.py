"""``aiohpo replay``: train from scratch with the schedule that a search discovered."""

from __future__ import annotations

import json
import os
from pathlib import Path

import click

from ..errors import UsageError
from ..files import replace_file
from ..text import printable
from .common import DONE, UNSUCCESSFUL, as_json, command, open_directory, print_json, run_directory
from .terminal import say


@command("replay", example="aiohpo replay runs/pbt_schedule examples/pbt_schedule.py")
@run_directory
@click.argument("target", metavar="FILE[:OBJECT]")
@click.option(
    "--dir",
    "into",
    type=click.Path(path_type=Path, file_okay=False),
    metavar="D",
    help="New run directory for the training, with its checkpoints. Default: nothing is kept.",
)
@as_json
def replay(directory: Path, target: str, into: Path | None, json_: bool) -> int:
    """Train the model of FILE from scratch with the schedule of the best trial in DIR.

    The schedule is also written to DIR/schedule.json; for a training of your own, or as
    --scheduler replay:path=DIR/schedule.json.
    """
    from ..plugin.registry import load_plugin
    from ..report.ending import nothing_yet
    from ..report.tally import take_snapshot
    from ..view.lineage import Lineage
    from .target import load_study

    run = open_directory(directory)
    study = load_study(target)
    if study._definition.hash != run.study["study"]:
        raise UsageError(
            f"{directory} belongs to a different study from the one in {target}: space, metric or mode differ"
        )
    best = run.summary.best()
    if best is None:
        say(nothing_yet(take_snapshot(run), list(run.records())), err=True)
        return UNSUCCESSFUL
    schedule = [stretch.as_dict() for stretch in Lineage(run.records()).schedule(best)]
    path = directory / "schedule.json"
    try:
        replace_file(path, f"{json.dumps({'schedule': schedule}, indent=2)}\n".encode())
    except OSError as error:
        raise UsageError(f"cannot write {path}: {error.strerror or error}") from None
    if into is not None and os.path.exists(into / "study.json"):
        raise UsageError(f"{into} is a run directory already; name another one with --dir")
    study.directory = into
    study.scheduler = load_plugin("schedulers", "replay")(path)
    study.searcher = "random"  # is never asked
    result = study.run()
    metric, trained = printable(study.metric), [trial for trial in result.trials if trial.status == "finished"]
    failed = [trial for trial in result.trials if trial.error]
    if json_:
        print_json(
            {
                "found": best.as_dict(),
                "replayed": trained[-1].as_dict() if trained else None,
                "schedule": schedule,
                "path": str(path),
                "error": failed[-1].error if failed else None,
            }
        )
    elif trained:
        say(f"{metric} {trained[-1].value:.6g} after {trained[-1].step} steps in {len(schedule)} stretches")
        say(f"the search had {metric} {best.value:.6g} in trial {best.number}; its schedule: {path}")
    else:
        say(
            f"the training failed: {printable(failed[-1].error or '') if failed else 'it did not end'}",
            err=True,
        )
    return DONE if trained else UNSUCCESSFUL
