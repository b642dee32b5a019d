"""What the command line says of itself."""

from __future__ import annotations

import contextlib
import io
import os

from aiohpo.cli.main import cli, invoke


def observe() -> dict[str, list[str]]:
    os.environ["COLUMNS"] = "100"
    return {name or "aiohpo": _help(name) for name in ["", *sorted(cli.commands)]}


def _help(command: str) -> list[str]:
    with contextlib.redirect_stdout(io.StringIO()) as out:
        code = invoke([*filter(None, [command]), "--help"])
    return [f"exit code {code}", *out.getvalue().splitlines()]
