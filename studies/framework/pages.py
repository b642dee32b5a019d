"""Pages in Markdown: tables, templates, and the index of all studies with what was lost first."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from pathlib import Path
from statistics import median
from string import Template
from typing import TYPE_CHECKING, Any

from .study import Comparison, Report

if TYPE_CHECKING:
    from matplotlib.figure import Figure

_ORDER = ("lost", "not measured", "level", "won")
_GAP = "–"

_INDEX = """\
# The literature's figures, and ours

`make studies` runs every study and writes these pages; `make study-NAME` does so for one study. Both continue where
they were interrupted. `studies/README.md` explains how to add a study.

$studies

## Published against ours

Losses come first. *Level* means within a hundredth of the published figure. Published figures come from other machines,
and often from other implementations of the same problem: the page of each study explains what can be compared.

$comparisons
"""


def fill(template: Path, **values: str) -> str:
    """Return a page from a file with ``$name`` in the places of ``values``. A name without a value is an error."""
    return Template(template.read_text(encoding="utf-8")).substitute(values)


def table(head: Sequence[str], rows: Iterable[Sequence[object]]) -> str:
    """Return a table in Markdown. None is a gap."""
    lines = [head, ["---"] * len(head), *([_GAP if cell is None else str(cell) for cell in row] for row in rows)]
    return "\n".join(f"| {' | '.join(line)} |" for line in lines)


def number(value: float | None, digits: int = 3) -> str | None:
    """Return a figure with so many significant digits, from 1,000 on as a whole number; a gap stays one. A share that
    is less than all is never rounded to all."""
    if value is None:
        return None
    if value < 1.0:
        value = min(value, 1.0 - 10.0**-digits)
    return f"{value:,.0f}" if abs(value) >= 1000 else f"{value:.{digits}g}"


def share(value: float | None, digits: int = 3) -> str | None:
    """Return a part of one as .995. Less than all is never rounded to all."""
    if value is None:
        return None
    return f"{min(value, 1.0 - 10.0**-digits) if value < 1.0 else value:.{digits}f}".lstrip("0")


def spread(values: Sequence[float], digits: int = 3) -> str | None:
    """Return the median of several seeds, with the smallest and the largest in brackets if there are more than one."""
    if not values:
        return None
    middle = number(median(values), digits)
    if len(values) == 1:
        return middle
    return f"{middle} ({number(min(values), digits)} to {number(max(values), digits)})"


def values_of(outcomes: Iterable[Mapping[str, Any]], name: str) -> list[float]:
    """Return a figure of several runs, without those that have none."""
    return [outcome[name] for outcome in outcomes if outcome[name] is not None]


def median_of(outcomes: Iterable[Mapping[str, Any]], name: str) -> float | None:
    """Return the median of a figure over several runs; None where no run has one."""
    values = values_of(outcomes, name)
    return median(values) if values else None


def index(reports: Mapping[str, tuple[str, str, Report]]) -> str:
    """Return the index of all studies.

    Args:
        reports: by name of the study, its title, its source, and its report.
    """
    listed = [f"- [{title}]({name}.md): {source}" for name, (title, source, _) in reports.items()]
    lines = [(name, c) for name, (_, _, report) in reports.items() for c in report.comparisons]
    lines.sort(key=lambda line: (_ORDER.index(line[1].verdict), -_distance(line[1])))
    rows = [
        (f"[{name}]({name}.md)", c.what, number(c.published, 4), number(c.ours, 4), c.verdict, c.note)
        for name, c in lines
    ]
    return Template(_INDEX).substitute(
        studies="\n".join(listed),
        comparisons=table(("study", "figure", "published", "ours", "", "reasons and differences"), rows),
    )


def _distance(comparison: Comparison) -> float:
    if comparison.ours is None:
        return 0.0
    return abs(comparison.ours - comparison.published) / max(abs(comparison.published), 1e-12)


def write(folder: Path, name: str, report: Report) -> None:
    """Write the page of a study."""
    folder.mkdir(parents=True, exist_ok=True)
    (folder / f"{name}.md").write_text(report.text, encoding="utf-8")


def save(folder: Path, name: str, plots: Mapping[str, Figure]) -> None:
    """Write the plots of a study next to its page."""
    folder.mkdir(parents=True, exist_ok=True)
    for plot, figure in plots.items():
        figure.savefig(folder / f"{name}-{plot}.png", dpi=110, metadata={"Software": None})
