"""What a searcher's decisions cost, as a table that is measured once and kept.

A simulated clock must not know how fast or how busy this machine is just now, or a seed would not repeat. So asking for
a configuration and fitting a model are charged by a table of seconds over the number of trials that are known. It is
measured on the machine, the fastest of several tries, and kept in a JSON file that people can read and edit.
"""

from __future__ import annotations

import json
import math
import os
import time
from bisect import bisect_left
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from functools import partial
from itertools import pairwise
from pathlib import Path
from typing import Any

import numpy as np

from ..errors import UsageError
from ..events.schema import Ended, Proposed, Reported
from ..files import read_regular, replace_file
from ..plugin import FittingSearcher, Identity
from ..plugin.objective import Objective
from ..plugin.registry import bind, make_plugin
from ..space.space import Space
from ..view.view import View

TRIALS = (10, 30, 100, 300, 1_000, 3_000, 10_000, 30_000)  # where a searcher is measured
_LONGEST = 5.0  # seconds: a searcher that takes longer is not measured with more trials
_TRIES = 3
_TOGETHER = 8  # slots asked for at once, to see what each further one costs
_LARGEST_FILE = 1 << 22


@dataclass(frozen=True, slots=True)
class Cost:
    """Seconds that a searcher takes where ``trials`` are known: ``ask`` for one configuration, ``more`` for each
    further one that is asked for with it, ``fit`` for a model (0: it has none)."""

    trials: int
    ask: float
    more: float
    fit: float


@dataclass(frozen=True, slots=True)
class Costs:
    """A table of costs by rising numbers of trials. Between its lines it is linear, and goes on as its last two do."""

    lines: Sequence[Cost]

    def of_ask(self, trials: int, slots: int) -> float:
        """The seconds of asking for ``slots`` configurations at once."""
        return self._at(trials, lambda line: line.ask) + (slots - 1) * self._at(trials, lambda line: line.more)

    def of_fit(self, trials: int) -> float:
        """The seconds of a fit."""
        return self._at(trials, lambda line: line.fit)

    def _at(self, trials: int, column: Callable[[Cost], float]) -> float:
        lines = self.lines
        if trials <= lines[0].trials or len(lines) == 1:
            return column(lines[0])
        at = min(bisect_left(lines, trials, key=lambda line: line.trials), len(lines) - 1)
        below, above = lines[at - 1], lines[at]
        slope = (column(above) - column(below)) / (above.trials - below.trials)
        if trials > above.trials:
            slope = max(slope, 0.0)
        return max(column(above) + slope * (trials - above.trials), 0.0)


# ------------------------------------------------------------------------------------------------- measuring
def measure(searcher: Any, space: Space, objective: Objective, max_steps: int | None) -> Costs:
    """Measure a searcher, by its name or an instance, on trials of random configurations of ``space``."""
    made = make_plugin("searchers", searcher)
    bind(made, space, 0, Identity("0" * 12, 0, 1, _TOGETHER))
    view, rng = View(space, objective, max_steps), np.random.default_rng(0)
    lines: list[Cost] = []
    for trials in TRIALS:
        _grow(view, trials, rng)
        fit, renew = 0.0, _nothing
        if isinstance(made, FittingSearcher):
            fit, model = _fastest(partial(made.fit, view.observations()))
            renew = partial(made.adopt, model)  # asking a new model may cost more than asking it again
        ask, _ = _fastest(partial(made.ask, view, rng, (0,)), renew)
        together, _ = _fastest(partial(made.ask, view, rng, tuple(range(_TOGETHER))), renew)
        more = max(together - ask, 0.0) / (_TOGETHER - 1)
        lines.append(Cost(trials, _rounded(ask), _rounded(more), _rounded(fit)))
        if max(fit, together) > _LONGEST or view.n_rows < trials:
            break
    return Costs(tuple(lines))


def _grow(view: View, trials: int, rng: np.random.Generator) -> None:
    """Let a view know so many trials, as several workers would have recorded them; with steps, most of them went only a
    part of the way. A small space has fewer."""
    space, steps = view.space, view.max_steps
    fresh = space.sample(rng, max(trials - view.n_rows, 0))
    for config in space.decode(fresh):
        row = view.n_rows
        origin, lamport = f"worker-{row % 16}", 4 * row
        seq = len(view.workers[origin].trials) + 1 if origin in view.workers else 1
        view.apply(origin, seq, Proposed(lamport + 1, float(row), space.pack(config)))
        value = float(rng.normal())
        if steps is None or row % 9 == 0:
            end = Ended(lamport + 3, seq, 0, "finished", steps or 0, value, 60.0)
        else:
            rung = max(steps // (27, 9, 3)[row % 3], 1)
            view.apply(origin, seq + 1, Reported(lamport + 2, seq, 0, rung, value))
            end = Ended(lamport + 3, seq, 0, "paused", rung, value, 60.0)
        view.apply(origin, seq + 2, end)


def _nothing() -> None:
    pass


def _fastest(work: Callable[[], Any], before: Callable[[], None] = _nothing) -> tuple[float, Any]:
    """The seconds of the fastest of several tries, and what it returned; ``before`` each of them is not counted."""
    best, result = math.inf, None
    for _ in range(_TRIES):
        before()
        began = time.process_time()  # a machine that is busy with something else takes no longer by that
        result = work()
        best = min(best, time.process_time() - began)
        if best > _LONGEST:
            break
    return best, result


def _rounded(seconds: float) -> float:
    """What the file keeps: a simulation that measures and one that reads the file charge the same."""
    return float(f"{seconds:.3g}")


# ----------------------------------------------------------------------------------------------------- keeping
def default_file() -> Path:
    """Where costs are kept unless the user names a file: in the user's cache directory."""
    cache = os.environ.get("XDG_CACHE_HOME", "")
    return (Path(cache) if os.path.isabs(cache) else Path.home() / ".cache") / "aiohpo" / "costs.json"


def obtain(
    file: Path,
    searcher: Any,
    space: Space,
    objective: Objective,
    max_steps: int | None,
    tell: Callable[[str], None],
) -> Costs:
    """Return the costs of a searcher from ``file``; measure what is not in it, and add that.

    Raises:
        UsageError: the file cannot be read or written, or holds something else.
    """
    name = searcher if isinstance(searcher, str) else repr(searcher)
    key = f"{name}, {space.dim} parameters{'' if max_steps is None else ', with steps'}"
    known = _read(file)
    if key not in known:
        tell(f"measuring what {name} takes to decide (once: it is kept in {file})")
        costs = measure(searcher, space, objective, max_steps)
        known[key] = [{name: getattr(line, name) for name in Cost.__slots__} for line in costs.lines]
        _write(file, known)
    return _parsed(known[key], key, file)


def _read(file: Path) -> dict[str, Any]:
    try:
        found = json.loads(read_regular(file, _LARGEST_FILE))
    except FileNotFoundError:
        return {}
    except (OSError, ValueError) as error:
        reason = error.strerror if isinstance(error, OSError) and error.strerror else str(error)
        raise UsageError(
            f"cannot read the costs of decisions in {str(file)!r}: {reason}. Delete the file to have them measured "
            "again, or name another one with --costs"
        ) from None
    if not isinstance(found, dict):
        raise UsageError(f"{str(file)!r} holds no costs of decisions: delete it, or name another one with --costs")
    return found


def _write(file: Path, known: dict[str, Any]) -> None:
    lines = [f"  {json.dumps(key)}: [\n{_block(table)}\n  ]" for key, table in known.items()]
    try:
        file.parent.mkdir(parents=True, exist_ok=True)
        replace_file(file, ("{\n" + ",\n".join(lines) + "\n}\n").encode())
    except OSError as error:
        raise UsageError(
            f"cannot keep the costs of decisions in {str(file)!r}: {error.strerror or error}; name another file with "
            "--costs"
        ) from None


def _block(table: Any) -> str:
    return ",\n".join(f"    {json.dumps(line)}" for line in table)


def _parsed(table: Any, key: str, file: Path) -> Costs:
    try:
        lines = tuple(Cost(**line) for line in table)
        numbers = [value for line in lines for value in (line.trials, line.ask, line.more, line.fit)]
        rising = all(a.trials < b.trials for a, b in pairwise(lines))
        if not lines or not rising or not all(math.isfinite(value) and value >= 0 for value in numbers):
            raise ValueError
    except (TypeError, ValueError):
        raise UsageError(
            f"the costs of {key!r} in {str(file)!r} are not a table of {', '.join(Cost.__slots__)} (seconds, 0 or "
            "more) by rising numbers of trials: delete that entry to have it measured again"
        ) from None
    return Costs(lines)
