"""What the commands share: options, how they are read, and how a command is found."""

from __future__ import annotations

import difflib
import json
import os
import re
import shlex
import sys
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any, TypeVar

import click

from ..errors import UsageError
from .terminal import say

if TYPE_CHECKING:
    from ..storage.run import Run

DONE, UNSUCCESSFUL, BAD_INPUT, CRASHED, INTERRUPTED = 0, 1, 2, 70, 130

# How processes talk unless another transport is asked for: on one machine or several, with nothing to install.
DEFAULT_TRANSPORT = "zmq"

F = TypeVar("F", bound=Callable[..., Any])


@dataclass(slots=True)
class Settings:
    """What holds for any command. ``debug``: show tracebacks; ``args``: what was typed."""

    args: Sequence[str] = ()
    debug: bool = False

    def again(self) -> str:
        """The command line, to be typed again."""
        return shlex.join(["aiohpo", *self.args])


class Group(click.Group):
    """A group that guesses what a mistyped command was meant to be, and lists commands in their order of use."""

    def list_commands(self, ctx: click.Context) -> list[str]:
        return list(self.commands)

    def resolve_command(
        self, ctx: click.Context, args: list[str]
    ) -> tuple[str | None, click.Command | None, list[str]]:
        name = args[0] if args else ""
        if name and not name.startswith("-") and name not in self.commands:
            close = difflib.get_close_matches(name, self.commands, n=1)
            hint = f" Did you mean {close[0]!r}?" if close else f" There are: {', '.join(self.commands)}."
            raise click.UsageError(f"there is no command {name!r}.{hint}", ctx)
        return super().resolve_command(ctx, args)


def command(name: str, *, example: str) -> Callable[[Callable[..., Any]], click.Command]:
    """Make a command with ``--debug`` and an example in its help."""

    def make(function: Callable[..., Any]) -> click.Command:
        epilog = "\b\nExample:\n" + "\n".join(f"  {line}" for line in example.strip().splitlines())
        made = click.command(name, epilog=epilog)(function)
        made.params.append(
            click.Option(
                ["--debug"], is_flag=True, expose_value=False, callback=_remember_debug, help="Show tracebacks."
            )
        )
        return made

    return make


def _remember_debug(ctx: click.Context, _: click.Parameter, value: bool) -> None:
    if value:
        ctx.ensure_object(Settings).debug = True


as_json = click.option("--json", "json_", is_flag=True, help="Print JSON.")
# What cannot be read is told of by what reads it, which knows more about it.
PATH = click.Path(path_type=Path, readable=False)
run_directory = click.argument("directory", metavar="DIR", type=PATH)


def print_json(value: Any, *, indent: int | None = 2) -> None:
    """Print one JSON document to stdout; exact, in escapes where the stream cannot encode it."""
    text = json.dumps(value, indent=indent, ensure_ascii=False, default=str)
    try:
        text.encode(sys.stdout.encoding or "utf-8")
    except UnicodeEncodeError:
        text = json.dumps(value, indent=indent, default=str)
    print(text, flush=True)


# ------------------------------------------------------------------------------------------------ values
_UNITS = {"ms": 0.001, "s": 1.0, "m": 60.0, "min": 60.0, "h": 3600.0, "d": 86400.0}
_PART = re.compile(r"(\d+(?:\.\d*)?|\.\d+)(ms|s|min|m|h|d)")


def parse_duration(text: str) -> float:
    """Seconds of ``"90"``, ``"10m"``, ``"1h30m"``, ``"250ms"``. Raises ``ValueError``."""
    compact = text.replace(" ", "").lower()
    try:
        return float(compact)
    except ValueError:
        pass
    parts = _PART.findall(compact)
    if not parts or "".join(number + unit for number, unit in parts) != compact:
        raise ValueError(text)
    return sum(float(number) * _UNITS[unit] for number, unit in parts)


class Duration(click.ParamType[float]):
    """A length of time; ``zero``: which may be 0."""

    name = "time"

    def __init__(self, *, zero: bool = False) -> None:
        self._zero = zero

    def convert(self, value: Any, param: click.Parameter | None, ctx: click.Context | None) -> float:
        if isinstance(value, float):
            return value
        try:
            seconds = parse_duration(value)
        except ValueError:
            self.fail(f"{value!r} is not a length of time; write 90 (seconds), 10m or 1h30m", param, ctx)
        if not 0 <= seconds < float("inf") or (seconds == 0 and not self._zero):
            self.fail(
                f"{value!r} must be {'0 or more' if self._zero else 'more than 0'} seconds, and finite", param, ctx
            )
        return seconds


class Number(click.ParamType[float]):
    """A finite number."""

    name = "value"

    def convert(self, value: Any, param: click.Parameter | None, ctx: click.Context | None) -> float:
        try:
            number = float(value)
        except ValueError:
            self.fail(f"{value!r} is not a number", param, ctx)
        if number - number != 0:
            self.fail(f"{value!r} is not a finite number", param, ctx)
        return number


class _AlgorithmOption(click.Option):
    """``--algorithm``: its help names the recipes that are installed, which are looked up only when it is shown."""

    def get_help_record(self, ctx: click.Context) -> tuple[str, str] | None:
        from ..plugin.registry import available

        names = ", ".join(sorted(available("algorithms"))) or "none is installed"
        self.help = f"A searcher and a scheduler together: {names}. --searcher and --scheduler override it."
        return super().get_help_record(ctx)


def search_options(function: F) -> F:
    """Add the options that ``run`` and ``worker`` share."""
    whole = click.IntRange(min=1)
    options = [
        click.option("--trials", type=whole, metavar="N", help="End after N trials in total, across workers and runs."),
        click.option("--shrink", is_flag=True, help="Accept a --trials below the number of trials that are done."),
        click.option(
            "--time",
            type=Duration(),
            metavar="T",
            help="Leave after this long, such as 90, 10m or 1h30m; workers started by other commands continue.",
        ),
        click.option(
            "--grace",
            type=Duration(zero=True),
            default=10.0,
            show_default="10",
            metavar="T",
            help="Time for objectives to save and return after --time, Ctrl-C or SIGTERM; trial.ended tells them.",
        ),
        click.option("--target", "target_value", type=Number(), metavar="V", help="End when the metric reaches V."),
        click.option("--trial-timeout", type=Duration(), metavar="T", help="Fail a trial that takes longer."),
        click.option(
            "--max-failures",
            type=click.IntRange(min=0),
            metavar="N",
            help="Stop when N trials failed and none succeeded; 0: never. Default: what the study says, or 10.",
        ),
        click.option(
            "--retries",
            type=click.IntRange(min=0, max=1000),
            metavar="K",
            help="Try a trial whose process crashes or runs out of memory K times more, from its last checkpoint.",
        ),
        click.option("--algorithm", cls=_AlgorithmOption, metavar="A"),
        click.option("--searcher", metavar="S", help="Suggests configurations: auto, adbo, random, …"),
        click.option("--scheduler", metavar="S", help="Decides how far a trial runs: fifo, asha, …"),
        click.option("--ensemble", metavar="E", help="Keep an ensemble of the models: topk, greedy or gradient."),
        click.option("--seed", type=click.IntRange(min=0), metavar="N", help="Seed of all draws."),
    ]
    for option in reversed(options):
        function = option(function)
    return function


class KeyFile(click.ParamType[Path]):
    """The file of a study key. A key itself is refused: every user of the machine can read command lines."""

    name = "file"

    def convert(self, value: Any, param: click.Parameter | None, ctx: click.Context | None) -> Path:
        from ..keys import is_key_text

        if is_key_text(value):
            self.fail(
                "this is a key itself, and every user of this machine can now read it in the process list; "
                "make a new one, and give the name of its file",
                param,
                ctx,
            )
        return Path(value).expanduser()


def _key_file(ctx: click.Context, param: click.Parameter, value: Path | None) -> Path | None:
    """Fall back to the environment, and take the variable out of it: what evaluates the objective must not see it."""
    from ..keys import ENVIRONMENT, check_no_key_text

    named = os.environ.pop(ENVIRONMENT, "")
    if value is not None or not named:
        return value
    check_no_key_text(named, ENVIRONMENT)
    return Path(named).expanduser()


key_option = click.option(
    "--key",
    type=KeyFile(),
    callback=_key_file,
    metavar="FILE",
    help="The study's key; else the file that AIOHPO_KEY names, else study.key in the run directory.",
)


share_option = click.option(
    "--share",
    type=click.Choice(["group"]),
    help="Share the run directory with its group. Every user gives this option and trusts all the others.",
)


class Slots(click.ParamType[int]):
    """How many trials a worker runs at a time; "auto": as many as suit this machine."""

    name = "slots"

    def convert(self, value: Any, param: click.Parameter | None, ctx: click.Context | None) -> int:
        from ..evaluate.process.resources import auto_slots
        from ..events.schema import MAX_SLOTS

        if value == "auto":
            return auto_slots(os.environ)
        if isinstance(value, int):
            return value
        if not value.isdecimal() or not 1 <= int(value) <= MAX_SLOTS:
            self.fail(f"{value!r} is not a number of slots; write a whole number of at least 1, or auto", param, ctx)
        return int(value)


slots_option = click.option(
    "--slots",
    type=Slots(),
    default=1,
    show_default=True,
    metavar="K",
    help="How many trials a worker runs at a time; auto: one for each visible GPU, else for each core.",
)


# ------------------------------------------------------------------------------------------- directories
def open_directory(path: Path, *, tell: bool = True) -> Run:
    """Load a run directory, and ``tell`` on stderr what of it could not be read. Raises ``UsageError`` that says where
    there is one, if nearby."""
    from ..storage.run import open_run

    check_directory(path)
    run = open_run(path)
    for notice in run.loaded.notices if tell else ():
        say(notice, err=True)
    return run


def check_directory(path: Path) -> None:
    """Raise ``UsageError`` if this is no run directory."""
    try:
        os.stat(path / "study.json")
    except PermissionError as error:
        raise UsageError(
            f"cannot read {str(path)!r}: {error.strerror}. A run directory is its owner's, unless they share it with "
            "its group (--share group)"
        ) from None
    except (FileNotFoundError, NotADirectoryError):
        if os.path.isfile(path):
            raise UsageError(f"{str(path)!r} is a file; give the run's directory, which holds its study.json") from None
        if not os.path.isdir(path):
            raise UsageError(f"there is no directory {str(path)!r}{_nearby(path.parent)}") from None
        raise UsageError(f"{str(path)!r} is not a run directory: it has no study.json{_nearby(path)}") from None
    except OSError:
        pass  # what reads it says why


def _nearby(parent: Path) -> str:
    try:
        runs = sorted(str(file.parent) for file in parent.glob("*/study.json"))
    except OSError:
        return ""
    if not runs:
        return ""
    return f"; runs are in {', '.join(runs[:5])}{' and more' if len(runs) > 5 else ''}"
