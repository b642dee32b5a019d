"""What a study takes over from earlier runs: their results, and what the same script has asked for already."""

from __future__ import annotations

from collections import Counter, defaultdict, deque
from collections.abc import Iterable, Mapping
from typing import Any

from ...errors import UsageError
from ...evaluate.metrics import as_finite
from ...events.schema import EXTERNAL
from ...plugin import Config
from ...plugin.objective import Objective
from ...space.space import Space
from ...view.trials import TrialRecord
from ...view.view import View

PastTrial = tuple[Mapping[str, Any], float | None]  # a configuration and its value; None: it failed
_Wish = tuple[int, tuple[float | int | None, ...], float | None]


def check_past(past: Iterable[PastTrial], space: Space, metric: str) -> list[tuple[Config, float | None]]:
    """Return past trials as configurations of ``space`` and finite values. Raises ``UsageError`` that says which trial
    is wrong, and how."""
    if isinstance(past, Mapping) or not isinstance(past, Iterable):
        raise UsageError(f"past trials are [(config, value), …], a Result or a directory, not {past!r:.80}")
    checked: list[tuple[Config, float | None]] = []
    for i, trial in enumerate(past):
        try:
            config, value = trial
            fitting = space.validate(dict(config))
            checked.append((fitting, None if value is None else _value(value, metric)))
        except UsageError as error:
            raise UsageError(f"past trial {i}: {error}") from None
        except (TypeError, ValueError):
            raise UsageError(f"past trial {i}: give (config, value), not {trial!r:.200}") from None
    return checked


def _value(value: Any, metric: str) -> float:
    try:
        return as_finite(value, metric)
    except UsageError as error:
        raise UsageError(f"{error} (for a failed trial write None)") from None


def check_comparable(run: str, theirs: tuple[Objective, int | None], ours: tuple[Objective, int | None]) -> None:
    """Raise ``UsageError`` if the results of another run mean something else than those of this study.

    Args:
        run: what the other run is called.
        theirs: the objective of its trials, and the steps of a complete one.
        ours: the same of this study.
    """
    (objective, steps), (wanted, our_steps) = theirs, ours
    if objective != wanted:
        different = f"it was a search for the {_in_words(objective)}, and this study is one for the {_in_words(wanted)}"
        value = f"t.metrics[{wanted.metric!r}]"
    elif steps is not None and our_steps is not None and steps != our_steps:
        different = f"its complete trials have {steps} steps, and those of this study have {our_steps}"
        value = "t.value"
    else:
        return
    raise UsageError(
        f"cannot add the trials of {run}: {different}. To add the comparable ones anyway, give them "
        f"one by one: study.add([(t.config, {value}) for t in result.trials if t.ended_as == 'finished'])"
    )


def _in_words(objective: Objective) -> str:
    return f"{'least' if objective.direction == 'min' else 'greatest'} {objective.metric!r}"


def results_of(records: Iterable[TrialRecord]) -> tuple[list[PastTrial], str]:
    """Return the trials that ran to their end or failed, and in words which others there are; "" if there are none."""
    taken: list[PastTrial] = []
    others: Counter[str] = Counter()
    for record in records:
        if record.ended_as == "failed" or (record.ended_as == "finished" and record.value is not None):
            taken.append((record.config, record.value if record.ended_as == "finished" else None))
        else:
            others[record.status] += 1
    return taken, ", ".join(f"{n} {status}" for status, n in sorted(others.items()))


class Wishes:
    """What other processes have queued and added in the study's directory.

    A script that queues configurations or adds past trials does so every time it is run. The second run must not do it
    again, while one run may well ask for the same thing twice. So each wish is matched with one that another process
    recorded, as long as there are any left, and only then is it a new one.
    """

    def __init__(self) -> None:
        self._known = 0  # rows looked at
        self._own: set[int] = set()
        self._left: defaultdict[_Wish, deque[int]] = defaultdict(deque)

    def match(self, view: View, source: int, config: Config, value: float | None = None) -> int | None:
        """Return the row of a trial that another process queued (``source`` QUEUED) or added (EXTERNAL) with this
        configuration (and value), and which has not been matched yet; None if there is none."""
        for row, kind, values in view.asked_for(self._known):
            if row not in self._own:
                known = view.value(row) if kind == EXTERNAL else None
                self._left[kind, values, known].append(row)
        self._known = view.n_rows
        left = self._left[source, view.space.pack(config), value if source == EXTERNAL else None]
        return left.popleft() if left else None

    def note_own(self, row: int) -> None:
        """Take note that this process recorded the trial in ``row``."""
        self._own.add(row)

    def __repr__(self) -> str:
        return f"<Wishes of {self._known} trials>"
