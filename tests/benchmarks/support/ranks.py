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
        error = self.values.std(axis=0) / np.sqrt(max(len(self.values), 1))
        lines = ["| | " + " | ".join(map(str, self.at)) + " | CPU ms per trial |", "|---" * (len(self.at) + 2) + "|"]
        for i, name in enumerate(self.contenders):
            cells = [f"{mean[k, i]:.2f} ±{error[k, i]:.2f}" for k in range(len(self.at))]
            cells = [f"**{c}**" if mean[k, i] == mean[k].min() else c for k, c in enumerate(cells)]
            lines.append(f"| {name} | " + " | ".join(cells) + f" | {self.ms[i]:.1f} |")
        return "\n".join(lines)

    def against(self, name: str, others: Sequence[str]) -> str:
        """Say at each budget by how many ranks ``name`` is before (+) or behind (-) the best of ``others``."""
        own, mean = self.values[..., self.contenders.index(name)], self.values.mean(axis=0)
        told = []
        for k, n in enumerate(self.at):
            best = min(others, key=lambda other: float(mean[k, self.contenders.index(other)]))
            ahead = self.values[:, k, self.contenders.index(best)] - own[:, k]
            error = float(ahead.std() / np.sqrt(len(ahead)))
            verdict = "" if ahead.mean() >= 0 else " (within ±)" if ahead.mean() >= -error else " BEHIND"
            told.append(f"{n}: {ahead.mean():+.2f} ±{error:.2f} {best}{verdict}")
        return "; ".join(told)


def report(
    searches: Searches, contenders: list[str], tasks: Mapping[str, Sequence[str]], seeds: int, at: list[int]
) -> str:
    """Return the tables of all families of tasks, and of all together, with the questions and their answers."""
    parts, everything = [], []
    for family, names in [*tasks.items(), ("all", [])]:
        pairs = searches.common(contenders, names, seeds, at[-1]) if family != "all" else everything
        if not pairs:
            parts.append(f"### {family}\n\nno pair of task and seed that every contender has")
            continue
        everything = everything if family == "all" else everything + pairs
        ranks = Ranks.of(searches, contenders, pairs, at)
        tasks_there = len({task for task, _ in pairs})
        lines = [
            f"### {family}",
            "",
            f"{tasks_there} tasks, {len(pairs)} pairs of task and seed",
            "",
            ranks.table(),
            "",
        ]
        own, rivals = (
            [c for c in contenders if c in ("gp", "adbo")],
            [c for c in contenders if c not in ("auto", "gp", "adbo")],
        )
        if "auto" in contenders:
            lines += [f"- auto against {' and '.join(o)}: {ranks.against('auto', o)}" for o in (own, rivals) if o]
        parts.append("\n".join(lines))
    return "\n\n".join(parts)
