"""``aiohpo worker``: one peer of a search."""

from __future__ import annotations

import os
import signal
import sys
from pathlib import Path
from typing import TYPE_CHECKING

import click

from .common import DONE, INTERRUPTED, UNSUCCESSFUL, command, key_option, search_options

if TYPE_CHECKING:
    from ..embed import Worker
    from ..result import Result

_STOP_SIGNALS = (signal.SIGINT, signal.SIGTERM)


@command(
    "worker",
    example="""
# as often as you like; they meet in the run directory:
aiohpo worker train.py --dir runs/train --trials 100
# without a common directory, by address:
aiohpo worker train.py --bind tcp://127.0.0.1:5555 --trials 100
aiohpo worker train.py --join tcp://127.0.0.1:5555 --trials 100
# on several machines, with a key from 'aiohpo keygen study.key':
aiohpo worker train.py --bind tcp://0.0.0.0:5555 --key study.key --trials 100
aiohpo worker train.py --bind tcp://0.0.0.0:5555 --key study.key --join tcp://node1:5555 --trials 100
""",
)
@click.argument("target", metavar="FILE[:OBJECT]")
@click.option("--transport", default="zmq", show_default=True, metavar="T", help="How peers talk: zmq, inproc, ...")
@click.option("--bind", metavar="ADDR", help="Address to listen on; if not given, any free port of this machine only.")
@click.option("--advertise", metavar="ADDR", help="Address that others are told, if not --bind (NAT, containers).")
@click.option(
    "--join",
    multiple=True,
    metavar="ADDR",
    help="A living peer, file:///dir where peers left addresses, or slurm: all tasks of the job. Repeatable.",
)
@key_option
@click.option("--insecure", is_flag=True, help="Listen to other machines without a key.")
@click.option("--dir", "directory", type=click.Path(path_type=Path), metavar="D", help="Run directory (journal).")
@search_options
@click.option("--rank", type=click.IntRange(min=0), metavar="I", help="Place among --size workers launched together.")
@click.option("--size", type=click.IntRange(min=1), metavar="N", help="How many workers were launched together.")
@click.option("--quiet", "-q", is_flag=True, help="Say only what goes wrong.")
def worker(
    target: str,
    transport: str,
    bind: str | None,
    advertise: str | None,
    join: tuple[str, ...],
    key: Path | None,
    insecure: bool,
    directory: Path | None,
    trials: int | None,
    time: float | None,
    target_value: float | None,
    trial_timeout: float | None,
    algorithm: str | None,
    searcher: str | None,
    scheduler: str | None,
    ensemble: str | None,
    seed: int | None,
    rank: int | None,
    size: int | None,
    quiet: bool,
) -> int:
    """Run one worker of the study in FILE; start as many as you like, wherever they reach each other.

    Ctrl-C (or SIGTERM) makes it leave in good order: what it reported is kept and its running trial is released
    for others. A second one ends it at once. With a run directory it meets the workers that use the same
    directory by itself.
    """
    if (rank is None) != (size is None):
        raise click.UsageError("--rank and --size go together")
    if rank is not None and size is not None and rank >= size:
        raise click.UsageError(f"--rank counts from 0: it must be below --size {size}, not {rank}")
    import asyncio

    from ..embed import Worker
    from ..recipes import parts
    from .target import configure, load_study

    searcher, scheduler = parts(algorithm, searcher, scheduler)
    study = load_study(target)
    configure(study, directory=directory, searcher=searcher, scheduler=scheduler, ensemble=ensemble, seed=seed)
    if study.directory is not None and not any(address.startswith("file:") for address in join):
        join = (*join, (study.directory / "peers").absolute().as_uri())
    peer = Worker(
        study,
        transport=transport,
        bind=bind,
        advertise=advertise,
        join=join,
        key=key,
        insecure=insecure,
        trials=trials,
        time=time,
        target=target_value,
        trial_timeout=trial_timeout,
        rank=rank,
        size=size,
    )
    for text in dict.fromkeys(study.notices):
        _say(text)
    peer.peer.parts.notice = _say
    peer.peer.parts.output = _print
    result = asyncio.run(_serve(peer, quiet))
    if result.interrupted:
        return INTERRUPTED
    return DONE if result.best is not None else UNSUCCESSFUL


async def _serve(peer: Worker, quiet: bool) -> Result:
    from asyncio import get_running_loop

    loop = get_running_loop()

    def stop() -> None:
        for number in _STOP_SIGNALS:
            loop.remove_signal_handler(number)  # the second one ends it at once
        peer.stop()

    async with peer:
        for number in _STOP_SIGNALS:
            loop.add_signal_handler(number, stop)
        if not quiet:
            _say(f"worker {peer.id} (pid {os.getpid()}) listens on {peer.address}")
        result = await peer.wait()
    if not quiet:
        here = sum(trial.worker == peer.id for trial in result.trials)
        _say(f"{'stopped' if result.interrupted else 'done'}: {result!r}, {here} of them here")
    return result


def _say(text: str) -> None:
    click.echo(f"aiohpo: {' '.join(text.split())}", err=True)


def _print(text: str) -> None:
    """Pass on what the user's code printed."""
    try:
        sys.stderr.write(text)
        sys.stderr.flush()
    except OSError:
        pass  # a full disk or a closed terminal must not end the search
