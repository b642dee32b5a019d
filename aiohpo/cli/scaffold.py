"""A new plugin package, complete and working: what ``aiohpo new-plugin`` writes.

The package is like any other: its own distribution with its own ``pyproject.toml``, registered by
an entry point, tested by the conformance check. What it does is simple on purpose and not a stub: it can be
installed and run by name as it is, and is then changed until it does what its author wants. The files are in
``templates/``, with ``$name`` and the like where the plugin's own words go.
"""

from __future__ import annotations

import keyword
import re
from importlib import resources
from pathlib import Path
from string import Template

from .. import __version__
from ..errors import UsageError

KINDS = ("searcher", "scheduler")


def create_plugin(name: str, kind: str, into: Path) -> tuple[Path, list[Path]]:
    """Write a package for the plugin ``name`` under ``into``; return its directory and the files.

    Nothing is overwritten. Raises ``UsageError`` for a name that cannot be one, or where writing fails.
    """
    from ..plugin.registry import available

    if kind not in KINDS:
        raise UsageError(f"there is no scaffold for a {kind!r}; there is one for: {', '.join(KINDS)}")
    if not re.fullmatch(r"[a-z][a-z0-9]*([-_][a-z0-9]+)*", name) or keyword.iskeyword(name):
        raise UsageError(
            f"{name!r} cannot be the name of a plugin: use lower-case letters, digits and dashes, as in 'my-search'"
        )
    if name in available(f"{kind}s"):
        raise UsageError(f"there is a {kind} named {name!r} already (see: aiohpo plugins {kind}s); choose another name")
    root = into / f"aiohpo-{name}"
    words = {
        "name": name,
        "kind": kind,
        "module": f"aiohpo_{name.replace('-', '_')}",
        "cls": "".join(part.capitalize() for part in re.split("[-_]", name)) + kind.capitalize(),
        "version": ".".join(__version__.split(".")[:2]),
        "package": root.name,
    }
    templates = resources.files("aiohpo.cli") / "templates"
    contents = {
        "pyproject.toml": "pyproject.toml",
        "README.md": f"{kind}_readme.md",
        f"src/{words['module']}/__init__.py": f"{kind}.py",
        f"tests/test_{words['module']}.py": f"test_{kind}.py",
    }
    try:
        root.mkdir(parents=True)
        files = []
        for path, template in contents.items():
            file = root / path
            file.parent.mkdir(parents=True, exist_ok=True)
            text = (templates / f"{template}.template").read_text(encoding="utf-8")
            file.write_text(Template(text).substitute(words), encoding="utf-8")
            files.append(file)
    except FileExistsError:
        raise UsageError(f"{root} exists already; choose another name, or another place with --into") from None
    except OSError as error:
        raise UsageError(f"cannot write {root}: {error.strerror or error}; choose another place with --into") from None
    return root, files
