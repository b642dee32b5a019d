"""``aiohpo watch``: a search as it goes, from its run directory or from anywhere in its mesh."""

from __future__ import annotations

from pathlib import Path

import click
from click.core import ParameterSource

from ..errors import UsageError
from .common import DEFAULT_TRANSPORT, DONE, command, key_option

_LIVE_INTERVAL, _PLAIN_INTERVAL = 1.0, 10.0


@command(
    "watch",
    example="""
aiohpo watch runs/train
aiohpo watch tcp://node1:5555 --key study.key
aiohpo watch runs/train --json --interval 10 | jq .study.ended
""",
)
@click.argument("target", metavar="DIR|ADDR")
@click.option("--join", multiple=True, metavar="ADDR", help="More addresses to ask, should the first not answer.")
@key_option
@click.option("--insecure", is_flag=True, help="The workers at ADDR were started with --insecure: there is no key.")
@click.option(
    "--transport", default=DEFAULT_TRANSPORT, show_default=True, metavar="T", help="How the peers at ADDR talk."
)
@click.option("--once", is_flag=True, help="Print how it stands, and end.")
@click.option("--json", "json_", is_flag=True, help="Print one JSON document per line and interval.")
@click.option(
    "--interval",
    type=click.FloatRange(min=0.05),
    metavar="S",
    help=f"Seconds between updates; {_LIVE_INTERVAL:g}, or {_PLAIN_INTERVAL:g} for lines of text that go to a file.",
)
@click.pass_context
def watch(
    ctx: click.Context,
    target: str,
    join: tuple[str, ...],
    key: Path | None,
    insecure: bool,
    transport: str,
    once: bool,
    json_: bool,
    interval: float | None,
) -> int:
    """Show a search live: its workers, what each evaluates, how fast and how well it goes.

    DIR is a run directory; ADDR the address of any worker (tcp://host:port), or file:///dir where workers left
    theirs. By address it joins as a silent observer: it records nothing, counts as no worker, and disturbs nobody when
    it goes. An address needs the study's key (--key), which a directory holds. Ends with Ctrl-C, or when no worker is
    left.
    """
    import sys

    from . import watching

    show: watching.Display
    if json_:
        show = watching.JsonLines()
    elif once:
        show = watching.Page()
    elif sys.stdout.isatty():
        show = watching.Screen()
    else:
        show = watching.Lines()
    if interval is None:
        interval = _PLAIN_INTERVAL if isinstance(show, watching.Lines) else _LIVE_INTERVAL
    if _is_address(target, transport):
        found = watching.key_for([target, *join], transport, key, insecure)
        opened = watching.mesh([target, *join], transport, found, show.say, once)
    elif join or insecure or ctx.get_parameter_source("key") is ParameterSource.COMMANDLINE:
        raise click.UsageError(
            f"--join, --key and --insecure go with an address; {target!r} is a directory, which is just read"
        )
    else:
        opened = watching.directory(Path(target), show.say)
    watching.run(opened, show, interval, once)
    return DONE


def _is_address(target: str, transport: str) -> bool:
    if "://" in target:
        return True
    host, colon, port = target.rpartition(":")
    if colon and host and port.isdecimal() and not Path(target).exists():
        from ..launch.addresses import transport_class

        form = transport_class(transport).address_form
        raise UsageError(f"there is no directory {target!r}; if it is a worker's address, write it as {form}")
    return False
