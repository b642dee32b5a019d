"""The plugin package that ``aiohpo new-plugin`` writes."""

from __future__ import annotations

import importlib.util
import os
import subprocess
import sys
import tomllib
from pathlib import Path

import pytest

from aiohpo.cli.scaffold import KINDS, create_plugin
from aiohpo.errors import UsageError


@pytest.mark.parametrize("kind", KINDS)
def test_the_package_passes_its_own_tests(kind: str, tmp_path: Path) -> None:
    """Registered by its entry point (here: a metadata directory as pip writes it), it conforms and runs by name."""
    root, _ = create_plugin("my-own", kind, tmp_path)
    project = tomllib.loads((root / "pyproject.toml").read_text())["project"]
    info = root / "src" / "aiohpo_my_own-0.1.0.dist-info"
    info.mkdir()
    (info / "METADATA").write_text(f"Metadata-Version: 2.1\nName: {project['name']}\nVersion: 0.1.0\n")
    points = project["entry-points"]
    (info / "entry_points.txt").write_text(
        "".join(f"[{group}]\n" + "".join(f"{k} = {v}\n" for k, v in named.items()) for group, named in points.items())
    )
    done = subprocess.run(
        [sys.executable, "-m", "pytest", "-q", "-p", "no:cacheprovider", str(root)],
        env={**os.environ, "PYTHONPATH": str(root / "src")},
        capture_output=True,
        text=True,
        timeout=600,
        check=False,
    )
    assert done.returncode == 0, done.stdout + done.stderr


@pytest.mark.parametrize("kind", KINDS)
def test_names_agree_with_each_other(kind: str, tmp_path: Path) -> None:
    """The entry point names a class that the module defines, and the wheel holds that module."""
    root, files = create_plugin("my-own", kind, tmp_path)
    project = tomllib.loads((root / "pyproject.toml").read_text())
    module, _, cls = project["project"]["entry-points"][f"aiohpo.{kind}s"]["my-own"].partition(":")
    (package,) = project["tool"]["hatch"]["build"]["targets"]["wheel"]["packages"]
    spec = importlib.util.spec_from_file_location(module, root / package / "__init__.py")
    assert spec is not None
    assert spec.loader is not None
    loaded = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(loaded)
    assert hasattr(loaded, cls)
    assert all("$" not in file.read_text() for file in files)
    assert all(file.read_text().endswith("\n") for file in files)


@pytest.mark.parametrize("name", ["", "Hill", "hill climb", "1st", "-x", "x-", "a--b", "class", "ü", "../x"])
def test_what_cannot_be_a_name_is_refused(name: str, tmp_path: Path) -> None:
    """Names become modules, distributions and directories, so only plain ones are taken; nothing is written."""
    with pytest.raises(UsageError, match="cannot be the name of a plugin"):
        create_plugin(name, "searcher", tmp_path)
    assert list(tmp_path.iterdir()) == []


def test_a_name_that_is_taken_is_refused(tmp_path: Path) -> None:
    """A second plugin of an installed one's name would hide it; an existing directory is never overwritten."""
    with pytest.raises(UsageError, match="there is a searcher named 'random' already"):
        create_plugin("random", "searcher", tmp_path)
    create_plugin("mine", "searcher", tmp_path)
    with pytest.raises(UsageError, match="exists already"):
        create_plugin("mine", "searcher", tmp_path)


def test_a_place_that_cannot_be_written_is_said(tmp_path: Path) -> None:
    """The error names the place and the option that changes it."""
    (tmp_path / "file").write_text("")
    with pytest.raises(UsageError, match="choose another place with --into"):
        create_plugin("mine", "searcher", tmp_path / "file")
