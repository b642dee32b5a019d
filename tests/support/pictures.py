"""Pictures of run directories, drawn with matplotlib in one step."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING

from aiohpo.plots import drawing
from aiohpo.plots.subject import Subject

if TYPE_CHECKING:
    from matplotlib.figure import Figure

    from aiohpo.storage.run import Run


def draw(run: Run, kind: str, parameters: Sequence[str] = ()) -> Figure:
    """Draw one kind of picture."""
    return drawing.draw(drawing.compute(Subject.of_run(run), kind, parameters))


def save(run: Run, kind: str, path: Path) -> None:
    """Draw one kind of picture to a file."""
    drawing.save(drawing.compute(Subject.of_run(run), kind), path)
