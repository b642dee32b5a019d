"""What a search found."""

from __future__ import annotations

import asyncio
from collections.abc import Mapping
from functools import cached_property
from typing import TYPE_CHECKING, Any

from .arguments import RESULT_ATTRIBUTES, explained_class
from .errors import UsageError
from .plugin import Config
from .text import printable
from .view.summary import Summary, last_error_in_words, value_in_words
from .view.trials import TrialList, TrialRecord, trials_table
from .view.view import View

if TYPE_CHECKING:
    import pandas

    from .ensembles.ensemble import Ensemble
    from .importance.importances import Importances
    from .peer.ending import SearchEnd

_AT_ONCE = 250  # records, which take about 5 ms
_MOST_ROWS = 5  # trials that a notebook shows of a result


@explained_class(attributes=RESULT_ATTRIBUTES)
class Result:
    """The trials of a study and the best of them; a snapshot that later events do not change.

    ``best`` is the best complete trial; while there is none, the best of those that got farthest, whose ``status``
    is not ``finished`` then. ``interrupted`` says whether the search was stopped before its end. ``end`` says why it is
    over: its ``reason`` is an :class:`~aiohpo.peer.ending.EndReason`, and ``str(result.end)`` says it in words; None
    while it goes on, or if it was interrupted. ``given_up`` is what ``end`` says if all trials failed
    (``Study(max_failures=…)``), else None. ``states`` is what is believed of workers, {worker: state}: what one that is
    dead was running is lost. ``ensemble`` is what ``Study(ensemble=…)`` made of the trained models.
    """

    def __init__(
        self,
        view: View,
        *,
        states: Mapping[str, str] | None = None,
        interrupted: bool = False,
        end: SearchEnd | None = None,
        ensemble: Ensemble | None = None,
        trials: TrialList | None = None,
    ) -> None:
        self._space, self._objective = view.space, view.objective
        self.metric = view.objective.metric
        self.mode = view.objective.direction
        self.interrupted = interrupted
        self.end = end
        self.ensemble = ensemble
        summary = Summary(view, states)
        self.trials = TrialList(summary.records()) if trials is None else trials
        self.max_steps = view.max_steps
        self.best: TrialRecord | None = summary.best()

    @classmethod
    async def collect(
        cls,
        view: View,
        states: Mapping[str, str] | None = None,
        *,
        interrupted: bool = False,
        end: SearchEnd | None = None,
        ensemble: Ensemble | None = None,
    ) -> Result:
        """Make one in an event loop that has other things to do, too."""
        trials = TrialList()
        for record in Summary(view, states).records():
            trials.append(record)
            if len(trials) % _AT_ONCE == 0:
                await asyncio.sleep(0)
        return cls(view, states=states, interrupted=interrupted, end=end, ensemble=ensemble, trials=trials)

    @property
    def given_up(self) -> str | None:
        """Why the search stopped early, if it did because its trials failed."""
        return None if self.end is None else self.end.given_up

    @cached_property
    def counts(self) -> dict[str, int]:
        """How many trials have each status."""
        counts: dict[str, int] = {}
        for trial in self.trials:
            counts[trial.status] = counts.get(trial.status, 0) + 1
        return counts

    @property
    def best_config(self) -> Config:
        """The best configuration. Raises ``UsageError`` if no trial has a value."""
        if self.best is None:
            why = last_error_in_words(self.trials, "the errors in result.trials")
            raise UsageError(f"no trial has a {printable(self.metric)} yet ({self._summary()}){why}")
        return self.best.config

    def to_dataframe(self) -> pandas.DataFrame:
        """One row per trial: the record's columns, then ``config.NAME``, ``metric.NAME`` and ``note.NAME``."""
        try:
            import pandas
        except ImportError:
            raise UsageError("to_dataframe needs pandas: pip install 'aiohpo[pandas]'") from None
        return pandas.DataFrame([flat_record(trial) for trial in self.trials])

    def importance(self, method: str = "fanova", *, seed: int = 0) -> Importances:
        """Compute how much each parameter matters, overall and among the best trials (a tenth, at least 20).

        ``method`` is "fanova" (the share of the metric's variance that a parameter explains by itself) or "ped-anova"
        (how differently the values of good trials are distributed); ``seed`` is that of the bootstrap samples. Takes
        less than a second for 10,000 trials. Raises ``UsageError`` if there are too few trials.
        """
        from .importance.importances import importances

        return importances(self._space, self._objective, self.trials, method=method, seed=seed)

    def _summary(self) -> str:
        return ", ".join(f"{n} {status}" for status, n in sorted(self.counts.items())) or "no trials"

    def __repr__(self) -> str:
        metric = printable(self.metric)
        best = f"best {metric} {value_in_words(self.best, self.max_steps)}" if self.best else "no result"
        ended = f", given up: {self.given_up}" if self.given_up else ", interrupted" if self.interrupted else ""
        return f"<Result {best}, {self._summary()}{printable(ended)}>"

    def _repr_html_(self) -> str:
        complete = [trial for trial in self.trials if trial.status == "finished" and trial.value is not None]
        complete.sort(key=lambda trial: trial.value or 0.0, reverse=self.mode == "max")
        chosen = complete or ([self.best] if self.best else self.trials)
        what = "the best" if complete or self.best else "all"
        return trials_table(f"{repr(self)[1:-1]}; {what} trials:", chosen, _MOST_ROWS)


def flat_record(trial: TrialRecord) -> dict[str, Any]:
    """One trial as a flat row, for tables."""
    return {
        "number": trial.number,
        "id": trial.id,
        "status": trial.status,
        "value": trial.value,
        "step": trial.step,
        "worker": trial.worker,
        "started": trial.started,
        "seconds": trial.seconds,
        "error": trial.error,
        **{f"config.{name}": value for name, value in trial.config.items()},
        **{f"metric.{name}": value for name, value in trial.metrics.items()},
        **{f"note.{name}": value for name, value in trial.notes.items()},
    }
