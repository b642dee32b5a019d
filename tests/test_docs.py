"""Tests of the pages for people who join: what they name is there, and what is there is named."""

from __future__ import annotations

import ast
import re
import tomllib
from pathlib import Path

import pytest

ROOT = Path(__file__).resolve().parents[1]
PAGES = sorted([*ROOT.glob("*.md"), *(ROOT / "docs").rglob("*.md"), *(ROOT / "studies").glob("*.md")])
ARCHITECTURE = (ROOT / "docs" / "architecture.md").read_text(encoding="utf-8")
PACKAGES = [ROOT / "aiohpo", *(ROOT / "plugins").glob("*/"), *(ROOT / "transports").glob("*/")]

# A path below one of these folders, in backticks: `aiohpo/events/log.py`, `tests/support/`.
_PATH = re.compile(r"`((?:aiohpo|plugins|transports|studies|tests|examples|docs)/[\w./-]*)`")
_LINK = re.compile(r"\]\(([^)#\s]+)[^)]*\)")


def described_modules() -> set[str]:
    """The modules that the page describes: its sections are ``### folder/``, with lines that begin with file names."""
    found = set()
    for section in re.split(r"^### (?=aiohpo/)", ARCHITECTURE, flags=re.M)[1:]:
        folder, text = section.split("\n", 1)
        for names in re.findall(r"^- (.*?):", text.split("\n## ")[0], flags=re.M | re.S):
            found |= {folder + name for name in re.findall(r"`(\w+\.py)`", names)}
    return found


def folders_below(package: Path) -> list[str]:
    return sorted(str(init.parent.relative_to(ROOT)) for init in package.rglob("__init__.py"))


@pytest.mark.parametrize("page", PAGES, ids=lambda page: str(page.relative_to(ROOT)))
def test_every_path_that_a_page_names_exists(page: Path) -> None:
    """A path in backticks is a file or a folder of the repository."""
    named = set(_PATH.findall(page.read_text(encoding="utf-8")))
    assert sorted(path for path in named if not (ROOT / path).exists()) == []


@pytest.mark.parametrize("page", PAGES, ids=lambda page: str(page.relative_to(ROOT)))
def test_every_link_to_a_file_leads_somewhere(page: Path) -> None:
    """A link to a file of the repository finds it, from where the page lies."""
    links = set(_LINK.findall(page.read_text(encoding="utf-8")))
    local = {link for link in links if "://" not in link and not link.startswith("mailto:")}
    assert sorted(link for link in local if not (page.parent / link).exists()) == []


@pytest.mark.parametrize("package", PACKAGES, ids=lambda package: package.name)
def test_the_tree_has_a_line_for_every_folder(package: Path) -> None:
    """Each folder with modules stands in the table of the architecture page."""
    named = set(re.findall(r"^\| `([\w/]+)/` \|", ARCHITECTURE, flags=re.M))
    assert [folder for folder in folders_below(package) if folder not in named] == []


def test_a_folder_of_the_core_says_what_the_page_says_of_it() -> None:
    """The table's line for a folder is the first line of the folder's docstring."""
    lines = dict(re.findall(r"^\| `(aiohpo/[\w/]+)/` \| (.*?) \|$", ARCHITECTURE, flags=re.M))
    for folder, line in lines.items():
        docstring = ast.get_docstring(ast.parse((ROOT / folder / "__init__.py").read_text(encoding="utf-8"))) or ""
        said = docstring.split("\n")[0].removesuffix(" Pure.").removesuffix(".").replace("``", "`")
        assert said == line[0].upper() + line[1:], folder


def test_every_module_of_the_core_has_a_line_and_every_line_a_module() -> None:
    """The sections of the architecture page list exactly the modules of the core."""
    there = {str(file.relative_to(ROOT)) for file in (ROOT / "aiohpo").rglob("*.py") if not file.name.startswith("__")}
    described = {path for path in described_modules() if not path.endswith("__.py")}
    assert sorted(there - described) == [], "these modules have no line in docs/architecture.md"
    assert sorted(described - there) == [], "docs/architecture.md describes modules that are not there"


@pytest.mark.parametrize("package", ["aiohpo", "plugins/aiohpo_plugins", "transports/aiohpo_transports"])
def test_a_folder_is_small_enough_to_be_read_at_a_glance(package: str) -> None:
    """A folder holds at most 14 modules; ``cli`` and ``plots`` have a module for each command and picture."""
    sizes = {
        str(init.parent.relative_to(ROOT)): len([file for file in init.parent.glob("*.py") if file != init])
        for init in (ROOT / package).rglob("__init__.py")
    }
    assert {f: n for f, n in sizes.items() if n > 14 and f not in ("aiohpo/cli", "aiohpo/plots")} == {}


@pytest.mark.parametrize("package", ["aiohpo", "plugins/aiohpo_plugins", "transports/aiohpo_transports"])
def test_a_module_is_short_enough_to_hold_one_concept(package: str) -> None:
    """No module is longer than 400 lines."""
    lines = {
        str(file.relative_to(ROOT)): file.read_text(encoding="utf-8").count("\n")
        for file in (ROOT / package).rglob("*.py")
    }
    assert {file: n for file, n in lines.items() if n > 400} == {}


def test_a_class_name_stands_for_one_thing() -> None:
    """No name of a class at the top of a module stands twice in the source."""
    found: dict[str, list[str]] = {}
    for package in ("aiohpo", "plugins", "transports"):
        for file in (ROOT / package).rglob("*.py"):
            for node in ast.parse(file.read_text(encoding="utf-8")).body:
                if isinstance(node, ast.ClassDef):
                    found.setdefault(node.name, []).append(str(file.relative_to(ROOT)))
    assert {name: files for name, files in found.items() if len(files) > 1} == {}


def test_the_page_lists_the_import_order_that_is_checked() -> None:
    """The list under 'Who may import whom' has the layers of the import contract, in their order."""
    section = ARCHITECTURE.split("## Who may import whom")[1].split("\n## ")[0]
    rows = re.findall(r"^    (\S.*)$", section, flags=re.M)
    listed = [set(re.findall(r"\w+", re.sub(r"\(.*\)|\.py", "", row))) for row in rows]
    checked = tomllib.loads((ROOT / "pyproject.toml").read_text(encoding="utf-8"))["tool"]["importlinter"]
    layers = next(contract["layers"] for contract in checked["contracts"] if contract["type"] == "layers")
    assert listed == [set(re.findall(r"\w+", layer)) for layer in layers]
