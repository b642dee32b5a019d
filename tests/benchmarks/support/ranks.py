"""Mean ranks of searchers by evaluations, as tables in Markdown, and the two questions that are asked of ``auto``.

A *pair* is a task and a seed. Ranks are among the contenders of a table on one pair, by the best loss so far, ties
shared; ± is the standard error of their mean over the pairs. Differences of mean ranks are judged by the standard error
of the paired difference.
"""

from __future__ import annotations

import json
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import numpy as np
from scipy.stats import rankdata

Pair = tuple[str, int]


@dataclass(slots=True)
class Search:
    """The best losses after each evaluation, and CPU milliseconds of each suggestion."""

    best: list[float]
    ms: list[float]


@dataclass(slots=True)
class Searches:
    """Searches by contender and pair, from files of JSON lines; of the same search the longest counts."""

    found: dict[tuple[str, Pair], Search] = field(default_factory=dict)

    @classmethod
    def load(cls, files: Iterable[Path], outstanding: int) -> Searches:
        """Return what the files hold of searches with so many evaluations outstanding."""
        self = cls()
        for file in files:
            for line in map(json.loads, file.read_text().splitlines() if file.exists() else ()):
                key = line["contender"], (line["task"], line["seed"])
                if line["outstanding"] == outstanding and len(line["best"]) > self.length(*key):
                    self.found[key] = Search(line["best"], line["ms"])
        return self

    def length(self, contender: str, pair: Pair) -> int:
        """Return how many evaluations there are of a search, 0 if there are none."""
        search = self.found.get((contender, pair))
        return 0 if search is None else len(search.best)

    def common(self, contenders: Sequence[str], tasks: Sequence[str], seeds: int, evaluations: int) -> list[Pair]:
        """Return the pairs of which every contender has so many evaluations."""
        pairs = [
            (task, seed) for task in tasks for seed in sorted({pair[1] for _, pair in self.found if pair[0] == task})
        ]
        pairs = [pair for pair in pairs if pair[1] < seeds]
        return [p for p in pairs if all(self.length(c, p) >= evaluations for c in contenders)]


@dataclass(frozen=True, slots=True)
class Ranks:
    """Ranks (pairs, budgets, contenders) and mean CPU milliseconds of a suggestion (contenders,)."""

    contenders: list[str]
    at: list[int]
    values: Any
    ms: Any

    @classmethod
    def of(cls, searches: Searches, contenders: list[str], pairs: Sequence[Pair], at: list[int]) -> Ranks:
        of = [[searches.found[c, pair] for c in contenders] for pair in pairs]
        best = np.array([[[search.best[n - 1] for search in row] for n in at] for row in of])
        ms = np.array([[np.mean(search.ms[: at[-1]]) for search in row] for row in of])
        return cls(contenders, at, rankdata(np.round(best, 12), axis=-1), ms.mean(axis=0))

    def table(self) -> str:
        """Return a table: a line for each contender, the least mean rank of a column in bold."""
        mean = np.round(self.values.mean(axis=0), 2)
        error = _error(self.values)
        lines = ["| | " + " | ".join(map(str, self.at)) + " | CPU ms per trial |", "|---" * (len(self.at) + 2) + "|"]
        for i, name in enumerate(self.contenders):
            cells = [f"{mean[k, i]:.2f} ±{error[k, i]:.2f}" for k in range(len(self.at))]
            cells = [f"**{c}**" if mean[k, i] == mean[k].min() else c for k, c in enumerate(cells)]
            lines.append(f"| {name} | " + " | ".join(cells) + f" | {self.ms[i]:.1f} |")
        return "\n".join(lines)

    def lead(self, name: str, others: Sequence[str]) -> list[str]:
        """Return at each budget by how many ranks ``name`` is before (+) or behind (-) the best of ``others``.

        What is behind by more than a standard error is in bold.
        """
        own, mean = self.values[..., self.contenders.index(name)], self.values.mean(axis=0)
        cells = []
        for k in range(len(self.at)):
            best = min(others, key=lambda other: float(mean[k, self.contenders.index(other)]))
            ahead = self.values[:, k, self.contenders.index(best)] - own[:, k]
            error = float(_error(ahead))
            cell = f"{ahead.mean():+.2f} ±{error:.2f} {best}"
            cells.append(f"**{cell}**" if ahead.mean() < -error else cell)
        return cells


def _error(values: Any) -> Any:
    """Return the standard error of the mean over the first axis; 0 if there is one value only."""
    return values.std(axis=0, ddof=min(len(values) - 1, 1)) / np.sqrt(len(values))


def report(
    searches: Searches, contenders: list[str], tasks: Mapping[str, Sequence[str]], seeds: int, at: list[int]
) -> str:
    """Return the tables of all families of tasks, and of all together, and what ``auto`` is before or behind."""
    pairs = {family: searches.common(contenders, names, seeds, at[-1]) for family, names in tasks.items()}
    pairs["all"] = [pair for found in pairs.values() for pair in found]
    parts, leads = [], []
    others = [
        [c for c in contenders if c in ("gp", "adbo")],
        [c for c in contenders if c not in ("auto", "gp", "adbo")],
    ]
    for family, found in pairs.items():
        if not found:
            parts.append(f"### {family}\n\nno pair of task and seed that every contender has")
            continue
        ranks = Ranks.of(searches, contenders, found, at)
        count = f"{len({task for task, _ in found})} tasks, {len(found)} pairs of task and seed"
        parts.append(f"### {family}\n\n{count}\n\n{ranks.table()}")
        if "auto" in contenders:
            leads += [[family, ", ".join(o), *ranks.lead("auto", o)] for o in others if o]
    if leads:
        head = ["| family | the best of | " + " | ".join(map(str, at)) + " |", "|---" * (len(at) + 2) + "|"]
        lines = head + ["| " + " | ".join(row) + " |" for row in leads]
        parts.append(
            "### auto's lead over the best other, in ranks (bold: behind by more than ±)\n\n" + "\n".join(lines)
        )
    return "\n\n".join(parts)
