"""From searches to tables: normalised regret, mean ranks, and how much sooner somebody was as good.

Regret is 0 for the best loss known of a task and 1 for the median of random configurations. Per task the median over
seeds is taken, then the mean over tasks. Ranks are among the contenders of one task and seed, ties shared, and then
averaged. Only pairs of task and seed count that every contender of the table has.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass
from typing import Any

import numpy as np
from scipy.stats import rankdata

from .anytime import Trace, geometric, regret, speed_up
from .curves import Scale

FRACTIONS = (1 / 8, 1 / 4, 1 / 2, 1.0)
Pair = tuple[str, int]
Results = Mapping[str, Mapping[Pair, Trace]]  # by contender, then by task and seed


@dataclass(frozen=True, slots=True)
class Standing:
    """One contender's line. Lists go with :data:`FRACTIONS`.

    regret, rank  of the anytime incumbent: the best validation loss reported at whatever step
    complete      regret of the best *complete* training at the end of the budget
    sooner        geometric mean over task and seed: how many times sooner than the reference it was as good as the
                  reference became (1/4 where it never was)
    """

    name: str
    regret: list[float]
    rank: list[float]
    complete: float
    sooner: float
    trials: float
    finished: float
    steps: float
    repeated: float
    used: float
    ms: float

    def to_dict(self) -> dict[str, Any]:
        return asdict(self)


def pairs_of_all(results: Results, names: Sequence[str]) -> list[Pair]:
    """Return the pairs of task and seed that all contenders have."""
    return sorted(set.intersection(*(set(results[name]) for name in names))) if names else []


def standings(results: Results, names: Sequence[str], scales: Mapping[str, Scale], reference: str) -> list[Standing]:
    """Return a line for each contender, in the order of their final mean rank."""
    pairs = pairs_of_all(results, names)
    tasks = sorted({task for task, _ in pairs})

    def table(complete: bool) -> Any:  # (contender, pair, fraction)
        return np.array(
            [[[regret(results[n][p], scales[p[0]], f, complete) for f in FRACTIONS] for p in pairs] for n in names]
        )

    regrets, complete = table(False), table(True)
    losses = np.array(
        [[[results[n][p].at(f * results[n][p].horizon) for f in FRACTIONS] for p in pairs] for n in names]
    )
    ranks = rankdata(np.round(losses, 9), axis=0).mean(axis=1)
    lines = []
    for i, name in enumerate(names):
        own = [results[name][pair] for pair in pairs]
        of_task = [[k for k, pair in enumerate(pairs) if pair[0] == task] for task in tasks]

        def over_tasks(values: Any, of_task: list[list[int]] = of_task) -> Any:
            return np.mean([np.median(values[rows], axis=0) for rows in of_task], axis=0)

        if reference in results:
            ahead = geometric(
                speed_up(results[name][p], results[reference][p]) for p in pairs if p in results[reference]
            )
        else:
            ahead = float("nan")
        lines.append(
            Standing(
                name,
                over_tasks(regrets[i]).tolist(),
                ranks[i].tolist(),
                float(over_tasks(complete[i])[-1]),
                ahead,
                float(np.mean([t.trials for t in own])),
                float(np.mean([t.finished for t in own])),
                float(np.mean([t.steps for t in own])),
                float(np.mean([t.repeated / max(t.steps, 1) for t in own])),
                float(np.mean([t.used for t in own])),
                1e3 * sum(t.cpu for t in own) / max(sum(t.asks for t in own), 1),
            )
        )
    return sorted(lines, key=lambda line: line.rank[-1])


def show(lines: Sequence[Standing], title: str, reference: str) -> None:
    """Print the lines as a table."""
    at = "".join(f"{f'1/{round(1 / f)}' if f < 1 else 'end':>7}" for f in FRACTIONS)
    print(f"\n{title}")
    print(f"{'':24}{'regret':>14}{'':14}{'rank':>14}{'':14}{'complete':>10}  sooner than")
    print(f"{'':24}{at}{at}{'at end':>10}{reference:>12}   trials  done   steps  idle%  ms/ask")
    for line in lines:
        regrets = "".join(f"{value:>7.4f}"[:7].rjust(7) for value in line.regret)
        ranks = "".join(f"{value:>7.2f}" for value in line.rank)
        print(
            f"{line.name:24}{regrets}{ranks}{line.complete:>10.4f}{line.sooner:>11.2f}x"
            f"{line.trials:>9.0f}{line.finished:>6.0f}{line.steps:>8.0f}{100 * (1 - line.used):>7.2f}{line.ms:>8.1f}",
            flush=True,
        )


def show_tasks(results: Results, names: Sequence[str], scales: Mapping[str, Scale]) -> None:
    """Print each task's regrets at the end, medians over seeds, in thousandths."""
    pairs = pairs_of_all(results, names)
    print(f"\nregret x 1000 at the end, per task\n{'':17}" + "".join(f"{name[-12:]:>13}" for name in names))
    for task in sorted({task for task, _ in pairs}):
        own = [p for p in pairs if p[0] == task]
        values = [1e3 * float(np.median([regret(results[n][p], scales[task], 1.0) for p in own])) for n in names]
        print(f"{task:17}" + "".join(f"{value:>13.1f}" for value in values), flush=True)
