"""What a picture is drawn of: a run directory, or a search in this process."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import TYPE_CHECKING

from ..view.promotions import Promotions
from ..view.summary import Summary
from .units import Quantity, metric_of

if TYPE_CHECKING:
    from ..events.log import Log
    from ..plugin.objective import Objective
    from ..space.space import Space
    from ..storage.run import Run
    from ..view.trials import TrialRecord
    from ..view.view import View


@dataclass(frozen=True, slots=True)
class Subject:
    """What is known of a search, for any kind of picture.

    name      what error messages call it
    view      its state
    records   the trials, with values in the unit of ``metric``
    metric    what is drawn, and in which unit
    best      the best trial as it is, None while no trial has a value
    log       who did what when; None if that is not known
    states    what is believed of its workers
    run       the directory, if that is what it is
    """

    name: str
    view: View
    records: Sequence[TrialRecord]
    metric: Quantity
    best: TrialRecord | None
    log: Log | None = None
    states: Mapping[str, str] = field(default_factory=dict)
    run: Run | None = None

    @classmethod
    def of_run(cls, run: Run, name: str | None = None) -> Subject:
        """Everything that a run directory holds; ``name``: of another metric than the objective's, for its curves.
        Raises ``UsageError`` if no trial reported that."""
        metric, records = metric_of(run.view.objective.metric, list(run.records()), name)
        return cls(str(run.path), run.view, records, metric, run.summary.best(), run.log, run.loaded.states, run)

    @classmethod
    def of_trials(
        cls, view: View, trials: Sequence[TrialRecord], log: Log | None, states: Mapping[str, str] | None
    ) -> Subject:
        """The trials of a result, with the view and the log that they come from."""
        metric, records = metric_of(view.objective.metric, trials)
        known = {record.id: record for record in trials}
        best = Summary(view, states).best()
        if best is not None and best.id not in known:  # it was found after the result
            best = min(
                (r for r in trials if r.status == "finished" and r.value is not None),
                key=lambda r: view.objective.loss(r.value),  # type: ignore[arg-type]  # it has a value
                default=None,
            )
        return cls("the study", view, records, metric, best, log, states or {})

    @property
    def objective(self) -> Objective:
        """What is optimised, and which of two values is better."""
        return self.view.objective

    @property
    def space(self) -> Space:
        """What is searched."""
        return self.view.space

    @property
    def best_id(self) -> str | None:
        """The best trial's name."""
        return None if self.best is None else self.best.id

    def rungs(self) -> Promotions:
        """How far its trials got."""
        return Promotions(self.view)

    def other_kind(self, kind: str) -> str:
        """How to draw another kind of picture of it, for error messages."""
        return f"aiohpo plot {self.name} --kind {kind}" if self.run is not None else f"result.plot({kind!r})"
