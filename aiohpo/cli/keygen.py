"""``aiohpo keygen``: the key of a study that runs on several machines."""

from __future__ import annotations

from pathlib import Path

import click

from .common import as_json, command, print_json
from .terminal import say


@command(
    "keygen",
    example="""
aiohpo keygen study.key
aiohpo worker train.py --bind tcp://0.0.0.0:5555 --key study.key --trials 100
""",
)
@click.argument("file", type=click.Path(path_type=Path), default=Path("aiohpo.key"), metavar="[FILE]")
@click.option("--force", is_flag=True, help="Replace the file if there is one.")
@as_json
def keygen(file: Path, force: bool, json_: bool) -> None:
    """Write a new study key to FILE (aiohpo.key), readable by you alone.

    All workers of a study have the same key. Those of one run directory share the one that is kept there, so that you
    need a key of your own making only to have it elsewhere, or before the first worker starts: copy the file to every
    machine, over a channel that you trust, and give it with --key FILE, or put its name into AIOHPO_KEY. Anyone who has
    the key can join the search, which includes running code in it; no one else can, nor read what the workers tell
    each other.
    """
    from ..keys import StudyKey, write_key

    key = StudyKey.generate()
    write_key(file, key, force=force)
    if json_:
        print_json({"file": str(file), "fingerprint": key.fingerprint})
    else:
        say(f"{file}: a new study key, with the fingerprint {key.fingerprint}")
