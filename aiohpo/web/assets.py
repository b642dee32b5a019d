"""The files of the page, which are part of the package: a cluster's node may have no internet."""

from __future__ import annotations

from importlib.resources import files
from importlib.resources.abc import Traversable


def page_files() -> Traversable:
    """The folder that they are in."""
    return files(__package__) / "page"
