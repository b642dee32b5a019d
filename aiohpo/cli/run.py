"""``aiohpo run``: several workers on this machine, and how they are doing.

The parent only starts workers and looks at what they write to the run directory. It holds no part of the
search: kill it, and the workers go on; kill a worker, and the others finish.
"""

from __future__ import annotations

import os
import sys
import tempfile
import time as _time
from collections.abc import Callable, Collection
from dataclasses import dataclass
from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING, Any

import click

from ..peer.patience import in_words
from .common import (
    BAD_INPUT,
    DEFAULT_TRANSPORT,
    DONE,
    PATH,
    UNSUCCESSFUL,
    as_json,
    command,
    key_option,
    open_directory,
    search_options,
    share_option,
    slots_option,
)
from .search_end import Watch, why_nothing_to_do
from .summary import interrupted, summarise
from .terminal import say

if TYPE_CHECKING:
    from ..plugin import WorkerExit
    from ..study import Study

_LOOK = 0.2
_PROBE = 1 << 16  # bytes that a directory must take not to be called full
_PROBE_AFTER = 2.0  # seconds without news after which it is asked whether it takes them
_MOST_DEFAULT_WORKERS = 4


@dataclass(frozen=True, slots=True)
class RunOptions:
    """What the user asked for. ``chosen`` are the words that chose the algorithm, to be typed again."""

    target: str
    workers: int
    limits: dict[str, Any]
    searcher: str | None
    scheduler: str | None
    seed: int | None
    key: Path | None = None
    chosen: tuple[str, ...] = ()
    ensemble: str | None = None
    share: str | None = None
    shrink: bool = False
    grace: float = 10.0
    slots: int = 1
    progress: str | None = None

    def command(self, directory: Path, rank: int) -> list[str]:
        """The command of one worker."""
        words = [sys.executable, "-P", "-m", "aiohpo", "worker", self.target, "--quiet"]
        words += ["--transport", DEFAULT_TRANSPORT]
        words += ["--dir", str(directory), "--join", (directory / "peers").absolute().as_uri()]
        words += ["--rank", str(rank), "--size", str(self.workers)]
        words += ["--slots", str(self.slots)] if self.slots > 1 else []
        if self.key is not None:
            words += ["--key", str(self.key.absolute())]  # its file: command lines are no secret
        words += ["--shrink"] if self.shrink else []
        words += [f"--grace={self.grace!r}"]
        given = {
            **self.limits,
            "searcher": self.searcher,
            "scheduler": self.scheduler,
            "ensemble": self.ensemble,
            "seed": self.seed,
            "share": self.share,
        }
        for name, value in given.items():
            if value is not None:
                words.append(f"--{name}={value!r}" if isinstance(value, float) else f"--{name}={value}")
        return words


@command(
    "run",
    example="""
aiohpo run train.py --trials 100 --workers 4
aiohpo run train.py --trials 200 --algorithm abohb
aiohpo run service.py --trials 5000 --workers 2 --slots 64
aiohpo run train.py:study --time 10m --searcher adbo:kappa=1.0 --dir runs/second
""",
)
@click.argument("target", metavar="FILE[:OBJECT]")
@search_options
@click.option(
    "--workers",
    type=click.IntRange(min=1),
    metavar="N",
    help=f"Worker processes; default: one per core, at most {_MOST_DEFAULT_WORKERS}.",
)
@slots_option
@click.option(
    "--dir",
    "directory",
    type=PATH,
    metavar="D",
    help="Run directory. Default: the study's, or runs/<name of FILE>.",
)
@share_option
@key_option
@click.option(
    "--progress",
    type=click.Choice(["bar", "lines", "none"]),
    help="A bar, a line per trial, or nothing. Default: a bar in a terminal, lines elsewhere.",
)
@as_json
@click.pass_context
def run(
    ctx: click.Context,
    target: str,
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
    workers: int | None,
    slots: int,
    directory: Path | None,
    share: str | None,
    key: Path | None,
    progress: str | None,
    json_: bool,
) -> int:
    """Run the study in FILE with several worker processes on this machine.

    FILE defines an aiohpo.Study named "study" (or OBJECT). Ctrl-C stops in good order; the same command goes on
    where it stopped, also after a crash. --trials counts all trials of the run directory.
    """
    from ..evaluate.process.resources import available_cores
    from ..peer.limits import check_that_it_ends, make_limits
    from ..plugin.algorithms import searcher_and_scheduler
    from ..plugin.registry import create
    from ..report.tally import take_snapshot
    from .target import configure, default_directory, let_go, load_study

    typed = {"algorithm": algorithm, "searcher": searcher, "scheduler": scheduler, "ensemble": ensemble}
    searcher, scheduler = searcher_and_scheduler(algorithm, searcher, scheduler)
    given = make_limits(trials, time, target_value, trial_timeout, grace=grace)
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
    let_go(study, evaluates=False)()
    if algorithm is not None:
        say(f"{algorithm}: searcher {searcher}, scheduler {scheduler}", err=True)
    if study.directory is None:
        study.directory = default_directory(target)
        say(f"no directory was given: using {study.directory}", err=True)
    study._replica.settle_key(key)  # what is wrong with it is said once, here; the workers find it in the directory
    limits = {
        "trials": trials,
        "time": time,
        "target": target_value,
        "trial-timeout": trial_timeout,
        "max-failures": max_failures,
        "retries": retries,
    }
    chosen = [f"--{name}={value}" for name, value in typed.items() if value is not None]
    options = RunOptions(
        target,
        workers or min(available_cores(), _MOST_DEFAULT_WORKERS),
        limits,
        searcher,
        scheduler,
        seed,
        key,
        tuple(chosen),
        ensemble,
        study.share,
        shrink,
        grace,
        slots,
        progress,
    )
    run = open_directory(study.directory, tell=False)
    before = take_snapshot(run)
    notices = list(dict.fromkeys([*study.notices, *before.notices]))
    for notice in notices:
        say(notice, err=True)
    goal = before.total
    done = None
    if not shrink or trials in (None, goal):  # else workers write the smaller budget down, if they do nothing else
        done = why_nothing_to_do(run, before, study, trials or goal, target_value)
    if done:
        say(done, err=True)
        return summarise(study.directory, target, json_, before=before.done, chosen=chosen)
    if trials is None and goal is not None:
        click.echo(f"no --trials was given: the budget is still the {goal} of an earlier run", err=True)
    plugins = create("searchers", study.searcher), create("schedulers", study.scheduler)
    check_that_it_ends(given, goal, study.space, *plugins)
    if before.done:
        say(f"{study.directory} has {before.done} trials already: continuing from there", err=True)
    return _search(study, options, before.done, json_, ctx.obj.again(), notices)


def _search(study: Study, options: RunOptions, before: int, json_: bool, again: str, notices: Collection[str]) -> int:
    from ..evaluate.process.resources import threads_for
    from ..launch.processes import LocalLauncher
    from ..peer.ending import EndReason, falls_short
    from ..report.live import choose_progress
    from ..report.plain import display
    from ..report.sources import FollowedDirectory
    from ..report.tally import Tally
    from ..report.words import stopping_in_words
    from ..runtime.signals import handling_signals

    directory = study.directory
    assert directory is not None
    began = _time.time()
    ranks = range(options.workers)
    launcher = LocalLauncher(
        [options.command(directory, rank) for rank in ranks],
        [directory / "output" / f"worker-{rank}.log" for rank in ranks],
        {**os.environ, **threads_for(options.workers * options.slots, os.environ)},
    )
    # None: what suits where stderr goes
    wanted = {None: True, "none": False}.get(options.progress, options.progress)
    shown_as = choose_progress(wanted, partial(say, err=True))
    source = FollowedDirectory(directory)
    tally = Tally(source)
    tally.poll()
    watch = Watch(study, source.view, options.limits["target"], timed=options.limits["time"] is not None)
    codes: list[int] = []
    with handling_signals(launcher.interrupt, launcher.kill) as stopping:
        launcher.start()
        with display(shown_as, partial(say, err=True), source) as shown:
            told, heard = _Notices(shown.say, notices), _time.time()
            while launcher.alive:
                _time.sleep(_LOOK)
                ended = launcher.poll()
                codes += [end.code for end in ended]
                told.of_workers(launcher.lines())
                for end in ended:
                    if end.code not in (DONE, UNSUCCESSFUL) and not stopping:
                        told.of_end(end, launcher.alive)
                news = tally.poll()
                if news or _time.time() - heard > _PROBE_AFTER:
                    if not news:
                        told.of_directory(directory)
                    heard = _time.time()
                if _vanished(directory):
                    told.once(f"{directory} was deleted or moved during the search: its workers stop")
                if stopping:
                    told.once(stopping_in_words(options.grace))
                shown.update(tally, launcher.alive, options.workers)
    if _vanished(directory):
        return UNSUCCESSFUL
    if stopping:
        return interrupted(directory, again)
    tally.poll()
    over = watch.end()
    if over is None:
        if not told.reasons:
            told.of_directory(directory)
        if told.reasons and all(code == BAD_INPUT for code in codes):
            return BAD_INPUT
        logs = directory / "output"
        say(f"all workers ended before the search was over; their output is in {logs}", err=True)
        click.echo("no reported result is lost; the same command continues", err=True)
    given_up = None if over is None else over.given_up
    short = falls_short(source.view, over)
    if over is not None and over.reason in (EndReason.TIME_UP, EndReason.CALLED_OFF):
        say(f"{over}, before the budget of trials is met" if short else str(over), err=True)
    code = summarise(
        directory,
        options.target,
        json_,
        before=before,
        seconds=_time.time() - began,
        again=again if over is None or given_up is not None or short else None,
        given_up=given_up,
        chosen=options.chosen,
    )
    return UNSUCCESSFUL if over is None or short else code


def _vanished(directory: Path) -> bool:
    try:
        os.stat(directory / "study.json")
    except (FileNotFoundError, NotADirectoryError):
        return True
    except OSError:
        pass  # it may be a file server that does not answer just now
    return False


class _Notices:
    """Lines that several workers may have to say, each said once, and not those that were ``said`` before.
    ``reasons`` counts what workers said."""

    def __init__(self, say: Callable[[str], None], said: Collection[str]) -> None:
        self._say = say
        self._said = set(said)
        self.reasons = 0

    def once(self, text: str) -> None:
        if text not in self._said:
            self._said.add(text)
            self._say(text)

    def of_workers(self, lines: list[tuple[int, str]]) -> None:
        """Pass on the workers' own words; what users' code printed stays in the log."""
        for _, line in lines:
            if line.startswith("aiohpo: "):
                self.reasons += 1
                self.once(line.removeprefix("aiohpo: "))

    def of_directory(self, directory: Path) -> None:
        """Say what workers cannot write down themselves, if their directory is full or read-only."""
        try:
            with tempfile.TemporaryFile(dir=directory) as file:
                file.write(bytes(_PROBE))
        except OSError as error:
            if not _vanished(directory):
                self.once(f"cannot write to {directory}: {in_words(error)}. No trial fails because of it: workers wait")

    def of_end(self, end: WorkerExit, alive: int) -> None:
        if alive:
            self.once(f"{end}; {'the other continues' if alive == 1 else f'the other {alive} continue'}")
        elif end.code != BAD_INPUT:  # those have said why themselves
            self.once(str(end))
