"""``aiohpo plugins`` and ``aiohpo new-plugin``: what is installed, and the start of one's own."""

from __future__ import annotations

import inspect
import re
import textwrap
from dataclasses import asdict
from pathlib import Path
from typing import Any

import click

from ..errors import UsageError
from .common import as_json, command, print_json
from .terminal import say

# What the core gives a plugin itself; not options that a user sets.
_GIVEN = {"transports": ("worker", "bind", "advertise", "key", "insecure")}


@command("plugins", example="aiohpo plugins\naiohpo plugins searchers")
@click.argument("kind", required=False, metavar="[KIND]")
@as_json
def plugins(kind: str | None, json_: bool) -> None:
    """List the installed searchers, schedulers, ensembles, transports and evaluators with their options, and the
    recipes for --algorithm.

    A plugin is named by its entry point, with options after a colon: adbo:kappa=1.0
    """
    from ..plugin.registry import KINDS, available

    kinds = (*KINDS, "recipes")
    wanted = [k for k in kinds if kind in (None, k, k.removesuffix("s"))]
    if not wanted:
        raise UsageError(f"there is no kind of plugin {kind!r}; the kinds are: {', '.join(kinds)}")
    plugins = [k for k in wanted if k in KINDS]
    found = {k: [_describe(k, name, point) for name, point in sorted(available(k).items())] for k in plugins}
    recipes = [_describe_recipe(name) for name in sorted(available("algorithms"))] if "recipes" in wanted else []
    if json_:
        print_json({**found, "recipes": recipes} if recipes else found)
        return
    for k, entries in found.items():
        say(f"{k}:" if entries else f"{k}: none installed")
        for entry in entries:
            say(f"  {entry['name']:<14} {entry['summary']}  [{entry['distribution']}]")
            if entry["error"]:
                say(f"  {'':<14}   cannot be imported: {entry['error']}")
            options = ", ".join(f"{option['name']}={option['default']}" for option in entry["options"])
            for line in textwrap.wrap(options, 80):
                say(f"  {'':<14}   {line}")
    if recipes:
        say("recipes:")
    for recipe in recipes:
        if "error" in recipe:
            say(f"  {recipe['name']:<14} cannot be imported: {recipe['error']}")
            continue
        say(f"  {recipe['name']:<14} {recipe['summary']}")
        say(f"  {'':<14}   --searcher {recipe['searcher']} --scheduler {recipe['scheduler']}")


def _describe_recipe(name: str) -> dict[str, str]:
    from ..plugin.algorithms import recipe

    try:
        return {"name": name, **asdict(recipe(name))}
    except Exception as error:  # one broken plugin must not hide the others
        return {"name": name, "error": " ".join(str(error).split())}


def _describe(kind: str, name: str, point: Any) -> dict[str, Any]:
    from ..plugin.registry import load_plugin, options_of

    distribution = getattr(point, "dist", None)
    entry: dict[str, Any] = {
        "name": name,
        "distribution": f"{distribution.name} {distribution.version}" if distribution else "unknown",
        "object": point.value,
        "summary": "",
        "options": [],
        "error": None,
    }
    try:
        found = load_plugin(kind, name)
        options = options_of(found)
    except Exception as error:  # one broken plugin must not hide the others
        entry["error"] = " ".join(str(error).split())
        return entry
    summary = " ".join((inspect.getdoc(found) or "").split("\n\n")[0].split())
    entry["summary"] = re.sub(r"(:\w+:)?`+([^`]*)`+", r"\2", summary)  # people read it, not a documentation tool
    entry["options"] = [
        {"name": o.name, "default": "required" if o.default is o.empty else o.default}
        for o in options.values()
        if o.name not in _GIVEN.get(kind, ())
    ]
    return entry


@command("new-plugin", example="aiohpo new-plugin annealing\naiohpo new-plugin patience --kind scheduler --into ~/src")
@click.argument("name")
@click.option(
    "--kind", type=click.Choice(["searcher", "scheduler"]), default="searcher", show_default=True, help="What it is."
)
@click.option(
    "--into",
    type=click.Path(path_type=Path, file_okay=False),
    default=Path("."),
    show_default=True,
    metavar="D",
    help="Directory in which to create the package.",
)
@as_json
def new_plugin(name: str, kind: str, into: Path, json_: bool) -> None:
    """Write a complete, working plugin package to start from.

    It is installable, registers NAME by entry point, and its tests run aiohpo's conformance check.
    """
    from .scaffold import create_plugin

    root, files = create_plugin(name, kind, into)
    if json_:
        print_json({"directory": str(root), "files": [str(file) for file in files]})
        return
    for file in files:
        say(str(file))
    say(
        "next:\n"
        f"  pip install -e '{root}[test]'\n"
        f"  pytest {root}\n"
        f"  aiohpo plugins {kind}s\n"
        f"  aiohpo run FILE --{kind} {name}"
    )
