"""What the documentation site adds to the pages in this folder.

The README is its home page; CONTRIBUTING, SECURITY and CHANGELOG are pages as well, read from the root of the
repository. The references of the command line and of the built-in plugins are made from the code. A link to a file that
the site does not have becomes plain text. :class:`Docstrings` lets mkdocstrings read our docstrings.
"""

from __future__ import annotations

import os
import re
from collections.abc import Callable
from pathlib import Path
from typing import Any

import click
import griffe
from mkdocs.config.defaults import MkDocsConfig
from mkdocs.structure.files import File, Files
from mkdocs.structure.pages import Page

from aiohpo.cli.main import cli as aiohpo
from aiohpo.plugin.registry import KINDS, available

ROOT = Path(__file__).resolve().parents[1]
PAGES_OF_THE_ROOT = {
    "README.md": "index.md",
    **{name: name for name in ("CONTRIBUTING.md", "SECURITY.md", "CHANGELOG.md")},
}
_LINK = re.compile(r"(!?)\[([^\]]+)\]\(([^)#\s]+)(#[^)\s]*)?\)")
_CODE_BLOCK = re.compile(r"^```[\s\S]*?^```|^(?:    .*\n)+", flags=re.M)
_ROLE = re.compile(r":(?:class|func|meth|mod|attr|data|exc):`~?([^`]+)`")
_BARE = """    options:
      members: false
      show_root_heading: false
      show_root_toc_entry: false
      show_signature: false"""
_FIELD = re.compile(r"^(\w+(?:, \w+)*) {2,}(\S.*)$")


def on_files(files: Files, config: MkDocsConfig) -> Files:
    """Add the pages that do not lie in this folder, or in no file."""
    for name, target in PAGES_OF_THE_ROOT.items():
        files.append(File.generated(config, target, abs_src_path=str(ROOT / name)))
    files.append(File.generated(config, "reference/cli.md", content=command_line()))
    files.append(File.generated(config, "reference/plugins.md", content=built_in_plugins()))
    return files


def on_page_markdown(markdown: str, page: Page, config: MkDocsConfig, files: Files) -> str:
    """Point links to where the site has a file; the text remains where it has none."""
    there = page.file.src_uri
    origin = next((name for name, target in PAGES_OF_THE_ROOT.items() if target == there), f"docs/{there}")

    def moved(match: re.Match[str]) -> str:
        mark, text, link, anchor = match.groups()
        if "://" in link or link.startswith("mailto:"):
            return match.group()
        target = os.path.normpath(os.path.join(os.path.dirname(origin), link))
        target = PAGES_OF_THE_ROOT.get(target, target.removeprefix("docs/"))
        if files.get_file_from_path(target) is None:
            return text
        return f"{mark}[{text}]({os.path.relpath(target, os.path.dirname(there) or '.')}{anchor or ''})"

    return _outside_code(markdown, lambda text: _LINK.sub(moved, text))


def _outside_code(markdown: str, change: Callable[[str], str]) -> str:
    """Change what is not in a code block. A link may hold code, so that spans are left to ``change``."""
    parts, end = [], 0
    for match in _CODE_BLOCK.finditer(markdown):
        parts += [change(markdown[end : match.start()]), match.group()]
        end = match.end()
    return "".join([*parts, change(markdown[end:])])


def command_line() -> str:
    """Return the page of all commands: what ``--help`` says."""
    root = click.Context(aiohpo, info_name="aiohpo")
    parts = ["# Command line", "What `aiohpo COMMAND --help` says.", "```text", aiohpo.get_help(root), "```"]
    for name in aiohpo.list_commands(root):
        command = aiohpo.get_command(root, name)
        if command is not None and not command.hidden:
            help_text = command.get_help(click.Context(command, parent=root, info_name=name, max_content_width=100))
            parts += [f"## aiohpo {name}", "```text", help_text, "```"]
    return "\n\n".join(parts).replace("```text\n\n", "```text\n").replace("\n\n```\n", "\n```\n") + "\n"


def built_in_plugins() -> str:
    """Return the page of the plugins that come with aiohpo, with their options."""
    parts = [
        "# Built-in plugins",
        "Name one on the command line or in `Study(…)`, with options after a colon: `--searcher adbo:kappa=1.0`, "
        '`scheduler="asha:eta=4,r_min=2"`. `aiohpo plugins` lists these and those that you have installed.',
    ]
    for kind in KINDS:
        parts.append(f"## {kind.capitalize()}")
        for name, point in sorted(available(kind).items()):
            parts.append(f"### {name}")
            parts.append(f"::: {point.value.replace(':', '.')}\n" + _BARE)
    return "\n\n".join(parts) + "\n"


class Docstrings(griffe.Extension):
    """Turn what our docstrings have of other conventions into Markdown: roles, and fields in columns."""

    def on_object(self, *, obj: griffe.Object, **_: Any) -> None:
        if obj.docstring is not None:
            obj.docstring.value = as_markdown(obj.docstring.value)


def as_markdown(docstring: str) -> str:
    """Return a docstring with its roles as code and its columns of fields as a list."""
    lines: list[str] = []
    is_field = False
    for line in _ROLE.sub(lambda match: f"`{match.group(1).lstrip('.')}`", docstring).splitlines():
        if field := _FIELD.match(line):
            names = ", ".join(f"`{name}`" for name in field.group(1).split(", "))
            lines += ([] if is_field or not lines or not lines[-1] else [""]) + [f"- {names}: {field.group(2)}"]
            is_field = True
        elif is_field and line.startswith("   "):
            lines.append(f"  {line.strip()}")
        else:
            is_field = False
            lines.append(line)
    return "\n".join(lines)
