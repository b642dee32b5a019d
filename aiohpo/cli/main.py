"""The ``aiohpo`` command.

Exit codes: 0 done; 1 the search ran but has no successful trial, or ended before its budget was met; 2 wrong
usage or bad input; 70 a fault of aiohpo or of a plugin; 130 interrupted by Ctrl-C (what was running is released;
the same command goes on).

What goes wrong because of what the user gave is one line on stderr; ``--debug`` adds the traceback. Results go
to stdout and everything else to stderr, so output can be piped. Modules that cost time to import are imported
where they are used: ``aiohpo --help`` answers at once.
"""

from __future__ import annotations

import os
import sys
import traceback
from collections.abc import Sequence
from typing import NoReturn, TextIO

import click

from ..errors import AiohpoError, Unavailable
from .best import best
from .common import BAD_INPUT, CRASHED, DONE, INTERRUPTED, UNSUCCESSFUL, Group, Settings
from .dashboard import dashboard
from .ensemble import ensemble
from .export import export
from .importance import importance
from .keygen import keygen
from .plot import plot
from .plugins import new_plugin, plugins
from .replay import replay
from .report import report
from .retry import retry
from .run import run
from .show import show
from .simulate import simulate
from .terminal import prepare, say
from .watch import watch
from .worker import worker


@click.group(
    cls=Group,
    epilog="\b\nExample:\n  aiohpo run train.py --trials 100 --workers 4\n  aiohpo best runs/train",
    context_settings={"help_option_names": ["-h", "--help"], "max_content_width": 100},
)
@click.version_option(package_name="aiohpo", message="aiohpo %(version)s")
def cli() -> None:
    """Masterless, asynchronous hyperparameter optimisation: every worker is a peer."""


_COMMANDS = (
    run,
    worker,
    simulate,
    best,
    show,
    watch,
    dashboard,
    plot,
    importance,
    report,
    retry,
    replay,
    ensemble,
    export,
    plugins,
    new_plugin,
    keygen,
)
for _command in _COMMANDS:
    cli.add_command(_command)


def main(args: Sequence[str] | None = None) -> NoReturn:
    """Run the command line and exit."""
    if "_AIOHPO_COMPLETE" in os.environ:  # a shell asks for completions
        cli.main(prog_name="aiohpo")
    prepare()
    sys.exit(invoke(sys.argv[1:] if args is None else args))


def invoke(args: Sequence[str]) -> int:
    """Run one command and return its exit code."""
    settings = Settings(tuple(args))
    try:
        # Not cli.main(), which turns a broken pipe into an exit code that means something else here.
        with cli.make_context("aiohpo", list(args), obj=settings) as ctx:
            code = cli.invoke(ctx)
        sys.stdout.flush()
        return code if isinstance(code, int) else DONE
    except click.exceptions.Exit as end:  # after --help and --version
        return end.exit_code
    except click.exceptions.NoArgsIsHelpError as error:
        say(error.ctx.get_help() if error.ctx else "", err=True)
        return BAD_INPUT
    except click.UsageError as error:
        where = error.ctx.command_path if error.ctx else "aiohpo"
        _complain(f"{error.format_message()} (see '{where} --help')")
        return BAD_INPUT
    except click.ClickException as error:
        _complain(error.format_message())
        return BAD_INPUT
    except AiohpoError as error:
        if settings.debug:
            traceback.print_exc()
        else:
            _complain(str(error))
        return UNSUCCESSFUL if isinstance(error, Unavailable) else BAD_INPUT
    except (KeyboardInterrupt, click.Abort):
        if settings.debug:
            traceback.print_exc()
        say("aiohpo: interrupted", err=True)
        return INTERRUPTED
    except BrokenPipeError:
        # The reader of our output went away (| head): that is its good right, and Python would complain once
        # more when it flushes stdout at exit.
        _discard(sys.stdout)
        return DONE
    except Exception:
        # Not Python's own exit code, 1, which says that a search ended.
        traceback.print_exc()
        _complain("this is a fault of aiohpo or of a plugin; please report it")
        return CRASHED


def _complain(text: str) -> None:
    try:
        say(f"aiohpo: {' '.join(text.split())}", err=True)
    except OSError:
        # stderr is a file on a full disk, or a closed terminal. The exit code must still be ours and not the one
        # of Python's own complaint when it flushes stderr at exit.
        _discard(sys.stderr)


def _discard(stream: TextIO) -> None:
    os.dup2(os.open(os.devnull, os.O_WRONLY), stream.fileno())
