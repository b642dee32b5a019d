"""``aiohpo worker``: one peer of a search."""

from __future__ import annotations

import os
import shlex
import sys
from collections.abc import Callable, Mapping
from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING

import click

from ..launch.slurm import WORD as SLURM
from ..storage.printed import tagged, write_plainly
from .common import (
    DEFAULT_TRANSPORT,
    DONE,
    INTERRUPTED,
    PATH,
    UNSUCCESSFUL,
    command,
    key_option,
    search_options,
    share_option,
    slots_option,
)
from .terminal import say

if TYPE_CHECKING:
    from ..result import Result
    from ..worker import Worker


@command(
    "worker",
    example="""
# as often as you like; they meet in the run directory:
aiohpo worker train.py --dir runs/train --trials 100
# without a common directory, by address; the first makes the key runs/train/study.key, which the second finds there:
aiohpo worker train.py --bind tcp://127.0.0.1:5555 --trials 100
aiohpo worker train.py --join tcp://127.0.0.1:5555 --trials 100
# on several machines: the first says which key file to copy to the others
aiohpo worker train.py --bind tcp://0.0.0.0:5555 --trials 100
aiohpo worker train.py --bind tcp://0.0.0.0:5555 --key study.key --join tcp://node1:5555 --trials 100
""",
)
@click.argument("target", metavar="FILE[:OBJECT]")
@click.option(
    "--transport",
    default=DEFAULT_TRANSPORT,
    show_default=True,
    metavar="T",
    help="Transport between peers: zmq, mpi, inproc, …",
)
@click.option(
    "--bind", metavar="ADDR", help="Address to listen on. Default: a free port, reachable from this machine only."
)
@click.option(
    "--advertise", metavar="ADDR", help="Address announced to others, if different from --bind (NAT, containers)."
)
@click.option(
    "--join",
    multiple=True,
    metavar="ADDR",
    help="A running peer, file:///dir with peers' addresses, or slurm for all tasks of the job. Repeatable.",
)
@key_option
@click.option("--insecure", is_flag=True, help="Use no key: anyone who can reach the port can join and run code here.")
@click.option("--dir", "directory", type=PATH, metavar="D", help="Run directory (journal).")
@share_option
@search_options
@slots_option
@click.option("--rank", type=click.IntRange(min=0), metavar="I", help="Rank among --size workers launched together.")
@click.option("--size", type=click.IntRange(min=1), metavar="N", help="Number of workers launched together.")
@click.option("--quiet", "-q", is_flag=True, help="Print problems only.")
def worker(
    target: str,
    transport: str,
    bind: str | None,
    advertise: str | None,
    join: tuple[str, ...],
    key: Path | None,
    insecure: bool,
    directory: Path | None,
    share: str | None,
    trials: int | None,
    shrink: bool,
    time: float | None,
    grace: float,
    target_value: float | None,
    trial_timeout: float | None,
    max_failures: int | None,
    retries: int | None,
    algorithm: str | None,
    searcher: str | None,
    scheduler: str | None,
    ensemble: str | None,
    seed: int | None,
    slots: int,
    rank: int | None,
    size: int | None,
    quiet: bool,
) -> int:
    """Run one worker of the study in FILE; start as many as you like, wherever they reach each other.

    Ctrl-C (or SIGTERM, a closed terminal, or a batch system's SIGUSR1, SIGUSR2 or SIGXCPU) makes it leave in good
    order: what it reported is kept and its running trials are released for others. A second Ctrl-C ends it at once.
    With a run directory it meets the workers that use the same directory by itself, and they share the key that is
    kept there. A worker that joins from elsewhere needs a copy of that file (--key). Anyone who has it can join the
    search, which includes running code in it.
    """
    if (rank is None) != (size is None):
        raise click.UsageError("--rank and --size go together")
    if rank is not None and size is not None and rank >= size:
        raise click.UsageError(f"ranks count from 0: --rank must be below --size {size}, not {rank}")
    from ..evaluate.capture import captured
    from ..evaluate.reimport import become_main
    from ..keys import FILE, StudyKey, keep_key, kept_key
    from ..launch.addresses import takes_key
    from ..peer.ending import falls_short
    from ..plugin.algorithms import searcher_and_scheduler
    from ..report.words import stopping_in_words
    from ..runtime.signals import run_stoppable
    from ..worker import Worker
    from .target import configure, default_directory, let_go, load_study

    searcher, scheduler = searcher_and_scheduler(algorithm, searcher, scheduler)
    study = load_study(target)
    configure(
        study,
        directory=directory,
        searcher=searcher,
        scheduler=scheduler,
        ensemble=ensemble,
        seed=seed,
        max_failures=max_failures,
        retries=retries,
        share=share,
    )
    forget = let_go(study, evaluates=True)
    first = not join
    if study.directory is not None and not any(address.startswith("file:") for address in join):
        join = (*join, (study.directory / "peers").absolute().as_uri())
    place = study.directory
    keyed = not insecure and takes_key(transport)
    if keyed and place is None and key is None and study.key is None and not any(map(_is_place, join)):
        # A search that keeps nothing still needs a key that others can get at.
        place = default_directory(target)
        trusting = study.share is not None
        study.key = keep_key(place, StudyKey.generate(), share=trusting) if first else kept_key(place, share=trusting)
    key_file = key or (place / FILE if place is not None else study.key)
    peer = Worker(
        study,
        slots=slots,
        transport=transport,
        bind=bind,
        advertise=advertise,
        join=join,
        key=key,
        insecure=insecure,
        trials=trials,
        shrink=shrink,
        time=time,
        grace=grace,
        target=target_value,
        trial_timeout=trial_timeout,
        rank=rank,
        size=size,
        notice=_say,
        output=None if quiet and study.directory is not None else _print,  # there it is in files
    )
    invite = None
    if first and keyed and isinstance(key_file, str | Path):
        given = {
            "trials": trials,
            "time": time,
            "target": target_value,
            "trial-timeout": trial_timeout,
            "max-failures": max_failures,
            "retries": retries,
            "searcher": searcher,
            "scheduler": scheduler,
            "ensemble": ensemble,
            "seed": seed,
            "share": share,
        }
        invite = partial(_invitation, target, Path(key_file), given, transport)

    def stop() -> None:
        if not quiet:
            _say(stopping_in_words(grace))
        peer.stop(grace)

    become_main()  # what an objective in this process sends to others it sends as any program does
    with captured():
        result = run_stoppable(_serve(peer, forget, quiet, invite), stop)
    if result.interrupted:
        return INTERRUPTED
    if result.best is None or result.given_up or falls_short(peer._peer.view, result.end):
        return UNSUCCESSFUL
    return DONE


def _is_place(address: str) -> bool:
    """Whether an address to join by is where workers meet, which is where their key is kept."""
    return address == SLURM or address.startswith("file:")


def _invitation(target: str, key: Path, given: Mapping[str, object], transport: str, address: str) -> str:
    """The command of a further worker, to be typed again elsewhere."""
    from ..launch.addresses import transport_class

    kind = transport_class(transport)
    here = kind.is_local(address)
    words = ["aiohpo", "worker", target]
    words += [] if transport == DEFAULT_TRANSPORT else ["--transport", transport]
    for name, value in given.items():
        words += [] if value is None else [f"--{name}", str(value)]
    if not here and kind.any_address is not None:
        words += ["--bind", kind.any_address]
    words += ["--join", address, "--key", str(key)]
    if here:
        return f"for one more worker on this machine: {shlex.join(words)}"
    return f"for one more worker on another machine, copy {target} and {key} to it first, then: {shlex.join(words)}"


async def _serve(peer: Worker, forget: Callable[[], None], quiet: bool, invite: Callable[[str], str] | None) -> Result:
    async with peer:
        forget()
        for text in dict.fromkeys(peer.study.notices):
            _say(text)
        if not quiet:
            _say(f"worker {peer.id} (pid {os.getpid()}) listens on {peer.address}")
            if invite is not None:
                _say(invite(peer.address))
        result = await peer.wait()
    if not quiet:
        here = sum(trial.worker == peer.id for trial in result.trials)
        ended = "stopped" if result.interrupted else f"done ({result.end})"
        alone = f"; no answer from {' or '.join(peer.unanswered)}" if peer.unanswered else ""
        _say(f"{ended}: {result!r}, {here} of them here{alone}")
    return result


def _say(text: str) -> None:
    try:
        say(f"aiohpo: {' '.join(text.split())}", err=True)
    except OSError:
        pass  # a full disk or a closed terminal must not end the search


def _print(trial: str, number: int, text: str) -> None:
    """Pass on what a trial printed."""
    write_plainly(tagged(text, number, trial), sys.stderr)
