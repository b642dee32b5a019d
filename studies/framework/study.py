"""What a study is.

A study is a folder of :mod:`studies` whose ``__init__`` has an object ``STUDY`` with the attributes of
:class:`LiteratureStudy`. It lists runs, plays one at a time, and writes a page about what it is given; the framework
keeps results, resumes, and draws up the index.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from importlib import import_module
from pathlib import Path
from pkgutil import iter_modules
from typing import TYPE_CHECKING, Any, Literal, Protocol

if TYPE_CHECKING:
    from matplotlib.figure import Figure

    from .results import Results

Parameters = Mapping[str, Any]  # of one run; JSON, and all that the run depends on

HERE = Path(__file__).resolve().parents[1]


@dataclass(frozen=True, slots=True)
class Comparison:
    """A published figure beside ours, as a line of the index.

    what       what was measured, such as "utilisation, 4,096 workers"
    published  the figure of the paper
    ours       the same of ours; None: it was not measured
    better     whether more or less is better
    note       why it is not beaten, or what differs; may be empty
    """

    what: str
    published: float
    ours: float | None
    better: Literal["more", "less"]
    note: str = ""

    @property
    def verdict(self) -> str:
        """``lost``, ``level`` (within a hundredth of the published figure), ``won`` or ``not measured``."""
        if self.ours is None:
            return "not measured"
        gain = self.ours - self.published if self.better == "more" else self.published - self.ours
        if abs(gain) <= 0.01 * abs(self.published):
            return "level"
        return "won" if gain > 0 else "lost"


@dataclass(frozen=True, slots=True)
class Report:
    """A study's page.

    text         the page in Markdown, from its title on
    comparisons  its lines in the index
    """

    text: str
    comparisons: Sequence[Comparison]


class LiteratureStudy(Protocol):
    """A publication whose figures are reproduced."""

    title: str
    source: str

    def runs(self, *, reduced: bool) -> Sequence[Parameters]:
        """Return the parameters of every run, in the order in which they are to be played; ``reduced``: of a few that
        take some seconds together and still show what the study is about."""
        ...

    def play(self, parameters: Parameters) -> dict[str, Any]:
        """Play one run, and return what came of it as JSON. The same parameters give the same result."""
        ...

    def report(self, results: Results) -> Report:
        """Write the page. Any run may be missing: leave a gap in its place."""
        ...

    def draw(self, results: Results) -> Mapping[str, Figure]:
        """Return the page's plots by name; the page shows ``name`` as ``study-name.png``."""
        ...

    def faults(self, results: Results) -> Sequence[str]:
        """Say what the results of the reduced form should have shown and did not; a sentence each."""
        ...


def names() -> list[str]:
    """Return the names of all studies, sorted."""
    folders = (module.name for module in iter_modules([str(HERE)]) if module.ispkg)
    return sorted(name for name in folders if name != "framework")


def load(name: str) -> LiteratureStudy:
    """Import a study by its name."""
    study: LiteratureStudy = import_module(f"studies.{name}").STUDY
    return study
