"""``aiohpo simulate``: what would happen with so many workers?"""

from __future__ import annotations

import math
import os
import resource
import sys
import time as _time
from collections.abc import Callable, Iterator
from contextlib import contextmanager, redirect_stderr, redirect_stdout
from pathlib import Path
from typing import IO, TYPE_CHECKING, Any

import click

from ..errors import UsageError
from ..events.schema import MAX_SLOTS
from .common import (
    DONE,
    INTERRUPTED,
    PATH,
    UNSUCCESSFUL,
    Duration,
    Number,
    as_json,
    check_directory,
    command,
    open_directory,
    parse_duration,
    print_json,
)
from .simulation_report import describe, headline, report
from .terminal import say

if TYPE_CHECKING:
    from ..simulation.durations import EvaluationTimes
    from ..simulation.figures import Figures
    from ..simulation.model.swarm import ModelSwarm
    from ..simulation.swarm import Scenario, Swarm
    from ..study import Study

_FORMS = "normal:MEAN,SD, lognormal:MEDIAN,SIGMA, constant:SECONDS or a run directory"
# Up to so many workers production's code is simulated unless the user says otherwise: 256 of them cost about 100 s of
# CPU time for five minutes of trials of 60 s, and four times as many cost sixteen times as much.
_MODEL_ABOVE = 256
_TELL_EVERY = 10.0  # real seconds between two lines of progress, where there is no terminal


class Rate(Number):
    """A number of at least 0."""

    name = "rate"

    def convert(self, value: Any, param: click.Parameter | None, ctx: click.Context | None) -> float:
        number = super().convert(value, param, ctx)
        if number < 0:
            self.fail(f"{value!r} must be 0 or more crashes per worker and hour", param, ctx)
        return number


@command(
    "simulate",
    example="""
aiohpo simulate train.py --workers 256 --eval-time normal:60,20 --time 30m
aiohpo simulate train.py --workers 64 --eval-time runs/train --trials 2000 --plot what-if.png
aiohpo simulate train.py --workers 128 --slots 4 --eval-time 90s --latency 5ms --crash-rate 0.5 --restart 1m --time 2h
""",
)
@click.argument("target", metavar="FILE[:OBJECT]")
@click.option("--workers", type=click.IntRange(min=1), required=True, metavar="N", help="Workers to simulate.")
@click.option(
    "--slots",
    type=click.IntRange(min=1, max=MAX_SLOTS),
    default=1,
    show_default=True,
    metavar="K",
    help="Trials that each worker runs at a time.",
)
@click.option(
    "--eval-time",
    "eval_time",
    required=True,
    metavar="D",
    help="Duration of a full evaluation: normal:MEAN,SD, lognormal:MEDIAN,SIGMA, constant:T, or a run directory whose "
    "recorded times are drawn from.",
)
@click.option("--time", type=Duration(), metavar="T", help="Virtual time to simulate, such as 30m.")
@click.option("--trials", type=click.IntRange(min=1), metavar="N", help="End after N trials in total.")
@click.option(
    "--latency",
    type=Duration(zero=True),
    default=0.0005,
    show_default="0.5ms",
    metavar="T",
    help="Mean travel time of a message between two workers.",
)
@click.option(
    "--crash-rate",
    type=Rate(),
    default=0.0,
    show_default="0",
    metavar="R",
    help="Crashes per worker and hour, at random times.",
)
@click.option(
    "--restart",
    type=Duration(zero=True),
    metavar="T",
    help="Replace a crashed worker after this long. Default: it is not replaced.",
)
@click.option("--algorithm", metavar="A", help="A searcher and a scheduler together, as for aiohpo run.")
@click.option("--searcher", metavar="S", help="Suggests configurations: auto, adbo, random, …")
@click.option("--scheduler", metavar="S", help="Decides how far a trial runs: fifo, asha, …")
@click.option("--max-steps", type=click.IntRange(min=1), metavar="N", help="Steps of a complete trial.")
@click.option("--seed", type=click.IntRange(min=0), metavar="N", help="Seed of all draws; the study's if not given.")
@click.option(
    "--costs",
    type=PATH,
    metavar="FILE",
    help="File with the searcher's measured costs. Default: aiohpo/costs.json in the user's cache directory.",
)
@click.option(
    "--model/--production",
    "model",
    default=None,
    help="Simulate with a model of the workers, or with the production code. "
    f"Default: the model for more than {_MODEL_ABOVE} workers.",
)
@click.option("--plot", "picture", type=PATH, metavar="FILE", help="Draw the search over time (png, svg, pdf).")
@as_json
def simulate(
    target: str,
    workers: int,
    slots: int,
    eval_time: str,
    time: float | None,
    trials: int | None,
    latency: float,
    crash_rate: float,
    restart: float | None,
    algorithm: str | None,
    searcher: str | None,
    scheduler: str | None,
    max_steps: int | None,
    seed: int | None,
    costs: Path | None,
    model: bool | None,
    picture: Path | None,
    json_: bool,
) -> int:
    """Simulate a search of the study in FILE by many workers, in virtual time.

    The workers are those that "aiohpo run" starts, on a simulated network; very many of them are simulated by a model.
    The objective is called for the values of the trials; how long they take is drawn from --eval-time. The same seed
    gives the same figures.
    """
    from ..simulation.costs import default_file, obtain
    from ..simulation.figures import figures_of
    from ..simulation.swarm import Scenario

    if restart is not None and not crash_rate:
        raise click.UsageError("--restart applies to crashed workers, and there are none without --crash-rate")
    times = read_times(eval_time)
    if picture is not None:
        _check_picture(picture)
    study = _load(target, algorithm, searcher, scheduler, max_steps, seed, time, trials)
    file = costs or default_file()
    with only_ours() as tell:
        table = obtain(file, study.searcher, study.space, study._judged_by, study.max_steps, tell)
        scenario = Scenario(
            workers=workers,
            slots=slots,
            times=times,
            costs=table,
            latency=latency,
            crash_rate=crash_rate,
            restart_after=restart,
            seconds=math.inf if time is None else time,
            trials=trials,
            seed=study.seed,
        )
        swarm = _play(study, scenario, workers > _MODEL_ABOVE if model is None else model, tell)
        figures = figures_of(swarm)
    told = describe(study, scenario)
    if json_:
        print_json({**told, **figures.as_dict()})
    else:
        for line in report(study, scenario, figures):
            say(line)
    say(f"simulated in {_process_seconds():.3g} s of CPU time and {_peak_mebibytes():.0f} MiB", err=True)
    if picture is not None:
        _draw(picture, study, scenario, figures)
    if swarm.interrupted:
        say(f"interrupted: the figures are those of the first {figures.seconds:.6g} seconds", err=True)
        return INTERRUPTED
    return DONE if figures.best is not None else UNSUCCESSFUL


# ----------------------------------------------------------------------------------------------------- reading
def read_times(text: str) -> EvaluationTimes:
    """Read ``--eval-time``. Raises ``click.BadParameter`` or ``UsageError``."""
    from ..simulation.durations import ConstantTime, LognormalTime, NormalTime, recorded_times

    kind, colon, rest = text.partition(":")
    if colon and kind in ("normal", "lognormal", "constant") and not os.path.exists(text):
        numbers = [part.strip() for part in rest.split(",")]
        if len(numbers) != (1 if kind == "constant" else 2):
            form = {"constant": "constant:SECONDS", "normal": "normal:MEAN,SD", "lognormal": "lognormal:MEDIAN,SIGMA"}
            raise _bad_time(f"{text!r} should be {form[kind]}, such as constant:60 or normal:60,20")
        first = _seconds(text, numbers[0])
        if first <= 0:
            raise _bad_time(f"{text!r}: {numbers[0]!r} must be more than 0 seconds")
        if kind == "constant":
            return ConstantTime(first)
        if kind == "normal":
            return NormalTime(first, _seconds(text, numbers[1]))
        return LognormalTime(first, _number(text, numbers[1]))
    if os.path.exists(text):
        path = Path(text)
        check_directory(path)
        run = open_directory(path)
        return recorded_times(text, list(run.records()), run.view.max_steps)
    try:
        seconds = parse_duration(text)
    except ValueError:
        raise _bad_time(f"{text!r} is neither a time nor a run directory; write {_FORMS}") from None
    if not 0 < seconds < math.inf:
        raise _bad_time(f"{text!r} must be more than 0 seconds, and finite")
    return ConstantTime(seconds)


def _seconds(text: str, part: str) -> float:
    return _parsed(text, part, parse_duration, "a length of time; write 60 (seconds), 1m or 500ms")


def _number(text: str, part: str) -> float:
    return _parsed(text, part, float, "a number of at least 0, the deviation of the logarithm")


def _parsed(text: str, part: str, parse: Callable[[str], float], wanted: str) -> float:
    """A part of ``text`` as a finite number of at least 0."""
    try:
        found = parse(part)
    except ValueError:
        found = math.nan
    if not 0 <= found < math.inf:
        raise _bad_time(f"{text!r}: {part!r} is not {wanted}")
    return found


def _bad_time(text: str) -> click.BadParameter:
    return click.BadParameter(text, param_hint="'--eval-time'")


def _load(
    target: str,
    algorithm: str | None,
    searcher: str | None,
    scheduler: str | None,
    max_steps: int | None,
    seed: int | None,
    time: float | None,
    trials: int | None,
) -> Study:
    """Import the study and configure it as ``aiohpo run`` would, but in memory."""
    from ..peer.limits import check_that_it_ends, make_limits
    from ..plugin.algorithms import searcher_and_scheduler
    from ..plugin.registry import create
    from .target import configure, load_study

    searcher, scheduler = searcher_and_scheduler(algorithm, searcher, scheduler)
    with redirect_stdout(sys.stderr):  # what the file prints is not our result
        study = load_study(target)
    study.directory = None
    if max_steps is not None:
        study.max_steps = max_steps
    configure(study, directory=None, searcher=searcher, scheduler=scheduler, seed=seed)
    limits = make_limits(trials, time, None, None)
    check_that_it_ends(
        limits, None, study.space, create("searchers", study.searcher), create("schedulers", study.scheduler)
    )
    if study.ensemble is not None:
        say("the study's ensemble is ignored: a simulation has no models to combine", err=True)
    if study.callbacks:
        say("the study's callbacks are not called by a simulation", err=True)
    return study


def _check_picture(path: Path) -> None:
    """Say what is wrong with the place of the picture before the simulation rather than after it."""
    from ..plots.drawing import format_of

    format_of(path)
    if not path.parent.is_dir():
        raise UsageError(f"cannot write {str(path)!r}: there is no directory {str(path.parent)!r}; make it first")


# ----------------------------------------------------------------------------------------------------- playing
@contextmanager
def only_ours() -> Iterator[Callable[[str], None]]:
    """Within the block let nothing that objectives print, or what they start, reach our output.

    Yields:
        What tells people on stderr how it goes, a line at a time.
    """
    streams = sys.stdout, sys.stderr
    kept: list[tuple[int, int]] = []
    for stream in streams:
        stream.flush()
    ours: IO[str] = sys.stderr
    with open(os.devnull, "w") as nowhere:
        for descriptor in (1, 2):
            try:
                kept.append((descriptor, os.dup(descriptor)))
            except OSError:
                continue  # it is closed
            os.dup2(nowhere.fileno(), descriptor)
        if _descriptor_of(sys.stderr) == 2:
            ours = open(os.dup(kept[-1][1]), "w", errors="replace", buffering=1)  # noqa: SIM115 - closed below
        try:
            with redirect_stdout(nowhere), redirect_stderr(nowhere):
                yield lambda text: print(text, file=ours, flush=True)
        finally:
            for descriptor, copy in kept:
                os.dup2(copy, descriptor)
                os.close(copy)
            if ours is not streams[1]:
                ours.close()


def _descriptor_of(stream: IO[str]) -> int | None:
    try:
        return stream.fileno()
    except (OSError, ValueError, AttributeError):
        return None


def _play(study: Study, scenario: Scenario, by_model: bool, tell: Callable[[str], None]) -> Swarm | ModelSwarm:
    """Simulate, and say every few seconds how far it is. The first Ctrl-C ends it where it is, a second one at once."""
    from ..runtime.signals import handling_signals
    from ..simulation.model.swarm import ModelSwarm
    from ..simulation.swarm import Swarm

    told = _time.monotonic()

    def at_once() -> None:
        raise KeyboardInterrupt

    def stop() -> None:
        tell("stopping here (Ctrl-C again to end immediately)")

    with handling_signals(stop, at_once) as arrived:

        def watch(swarm: Swarm | ModelSwarm) -> bool:
            nonlocal told
            if _time.monotonic() - told > _TELL_EVERY:
                told = _time.monotonic()
                tell(progress(swarm))
            return bool(arrived)

        return (ModelSwarm if by_model else Swarm)(study, scenario, watch).play()


def progress(swarm: Swarm | ModelSwarm) -> str:
    """How far a simulation is, in a line."""
    from ..report.words import describe_seconds

    of = f" of {describe_seconds(swarm.scenario.seconds)}" if math.isfinite(swarm.scenario.seconds) else ""
    done = sum(note.ended is not None for note in swarm.diary)
    return (
        f"{describe_seconds(swarm.now)}{of} simulated, {done:,} evaluations; {_process_seconds():.0f} s of CPU time, "
        f"{_peak_mebibytes():.0f} MiB"
    )


def _process_seconds() -> float:
    return _time.process_time()


def _peak_mebibytes() -> float:
    unit = 1 if sys.platform == "darwin" else 1024
    return resource.getrusage(resource.RUSAGE_SELF).ru_maxrss * unit / (1 << 20)


def _draw(path: Path, study: Study, scenario: Scenario, figures: Figures) -> None:
    from ..plots.drawing import format_of, new_figure, own_style
    from ..plots.simulation import draw

    with own_style():
        figure = new_figure()
        draw(figure, figures.as_dict(), study.metric, headline(study, scenario, figures))
        try:
            figure.savefig(path, format=format_of(path), dpi=120)
        except OSError as error:
            raise UsageError(f"cannot write {path}: {error.strerror or error}; name another file with --plot") from None
    say(str(path), err=True)
