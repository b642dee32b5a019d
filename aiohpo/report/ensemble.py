"""An ensemble of the trials of a run directory, beside the best single model: what ``aiohpo ensemble`` shows.

It is built from the validation rows of the trials that a running search would nominate
(:mod:`aiohpo.peer.ensemble_candidates`), and compared on all other rows for which there are predictions and targets.
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass, replace
from typing import Any

from ..ensembles.ensemble import Ensemble, Member
from ..ensembles.metrics import METRICS, Metric
from ..ensembles.predictions import Library, gather
from ..ensembles.uncertainty import error_auroc, errors, rejection_curve
from ..errors import UsageError
from ..peer.ensemble_candidates import MOST, nominate
from ..plugin import EnsembleBuilder
from ..runtime.live_ensemble import VALID, best_single, decode, describe, library_of, targets_of
from ..storage.blob_store import DirectoryBlobs
from ..storage.run import Run
from ..view.trials import TrialRecord

_SHOWN = {
    "classification": ("log_loss", "accuracy", "balanced_accuracy", "roc_auc", "brier", "ece"),
    "regression": ("rmse", "mae", "r2", "nll"),
}


@dataclass(frozen=True, slots=True, eq=False)
class PredictedRows:
    """Predictions of some rows, whose true values ``y`` are known.

    single   (n, k) of the best single model
    members  (m, n, k) of the ensemble's members
    mixture  (n, k) of the ensemble
    """

    name: str
    y: Any
    single: Any
    members: Any
    mixture: Any

    def __repr__(self) -> str:
        return f"<PredictedRows {self.name}: {len(self.y)}>"


@dataclass(frozen=True, slots=True, eq=False)
class Assessment:
    """An ensemble and what it is worth.

    library   what it was chosen from
    metric    what it was built for
    single    the name of the best single model by that metric, and its score on the validation rows
    valid     the rows that it was built from: scores of these flatter it, ``ensemble.score`` does not
    others    all other rows
    problems  what could not be used, and why
    """

    ensemble: Ensemble
    library: Library
    metric: Metric
    single: tuple[str, float]
    valid: PredictedRows
    others: tuple[PredictedRows, ...]
    problems: tuple[str, ...]

    def table(self) -> dict[str, dict[str, dict[str, float]]]:
        """Metrics by name: ``{"single": {rows: value}, "ensemble": {rows: value}}``.

        On the validation rows only the metric that the ensemble was built for; on others all that are usual.
        """
        usual = [METRICS[name] for name in _SHOWN[self.metric.task]]
        wanted = [self.metric, *(m for m in usual if m.name != self.metric.name)]
        table: dict[str, dict[str, dict[str, float]]] = {}
        for metric in wanted:
            single, ensemble = {}, {}
            if metric is self.metric:
                single[self.valid.name], ensemble[self.valid.name] = self.single[1], self.ensemble.score
            for rows in self.others:
                for values, predictions in ((single, rows.single), (ensemble, rows.mixture)):
                    if metric.name != "nll" or predictions.shape[1] == 2:
                        values[rows.name] = metric(rows.y, predictions)
            if single or ensemble:
                table[metric.name] = {"single": single, "ensemble": ensemble}
        return table

    def uncertainty(self) -> dict[str, dict[str, float]]:
        """What the ensemble's uncertainty is worth, by rows (the validation rows only where there are no others).

        epistemic_share    of the mean total uncertainty
        auroc_total, auroc_epistemic   probability of a row that is wrong being less certain than one that is right
        accuracy, accuracy_half        classification: of all rows, and of the half that is most certain
        """
        found = {}
        for rows in self.others or (self.valid,):
            u = self.ensemble.uncertainty(rows.members)
            wrong = errors(rows.y, rows.mixture, self.metric.task)
            total = float(u.total.mean())
            values = {
                "epistemic_share": float(u.epistemic.mean()) / total if total else math.nan,
                "auroc_total": error_auroc(u.total, wrong),
                "auroc_epistemic": error_auroc(u.epistemic, wrong),
            }
            if self.metric.task == "classification":
                accuracy = rejection_curve(u.total, ~wrong)[1]
                values |= {"accuracy": float(accuracy[0]), "accuracy_half": float(accuracy[len(accuracy) // 2])}
            found[rows.name] = values
        return found

    def __repr__(self) -> str:
        return f"<Assessment of {self.ensemble!r} beside {self.single[0]}: {self.single[1]:.6g}>"


def assess(run: Run, builder: EnsembleBuilder, metric: Any = None, most: int = MOST) -> Assessment:
    """Build an ensemble of a run's trials.

    Args:
        run: the run directory's contents.
        builder: what builds it.
        metric: what for; None: what suits the targets.
        most: trials to choose from.

    Raises UsageError if there are no predictions or no targets, or if none can be used.
    """
    records = nominate(run.view, VALID, most)
    if not records:
        raise UsageError(
            f"{run.path} has no predictions to build an ensemble from: call trial.predictions(valid=…) in the objective"
        )
    blobs = DirectoryBlobs(run.path / "blobs")

    def read(digest: str) -> Any:
        return decode(blobs.get(digest))

    library, chosen = library_of(records, metric, read)
    ensemble = describe(builder.fit(library.predictions, library.y, chosen), library.names, records)
    ensemble = replace(ensemble, members=tuple(_with_what_is_there(member, blobs) for member in ensemble.members))
    score, single = best_single(library, chosen)
    place = library.names.index(single)
    own = library.predictions[ensemble.rows]
    valid = PredictedRows(VALID, library.y, library.predictions[place], own, ensemble.combine(own))
    others, problems = [], []
    part = [r for r in records if r.id == single or r.id in {m.trial for m in ensemble.members}]
    for name in sorted({name for r in part for name in r.predictions} - {VALID}):
        try:
            others.append(_other(name, part, single, ensemble, library, chosen, read))
        except UsageError as error:
            problems.append(f"{name}: {error}")
    return Assessment(ensemble, library, chosen, (single, score), valid, tuple(others), (*library.problems, *problems))


def _with_what_is_there(member: Member, blobs: DirectoryBlobs) -> Member:
    """The member without its checkpoint, if that was deleted since: most are (``Study(keep=…)``)."""
    return member if member.checkpoint and member.checkpoint in blobs else replace(member, checkpoint=None)


def _other(
    name: str,
    records: Sequence[TrialRecord],
    single: str,
    ensemble: Ensemble,
    library: Library,
    metric: Metric,
    read: Any,
) -> PredictedRows:
    """The rows called ``name``. Raises UsageError if a model's predictions, or the targets, are missing or no good."""
    y = targets_of(records, name, read)
    raw = {r.id: read(r.predictions[name]) if name in r.predictions else None for r in records}
    there = gather(raw, y, metric, like=library)
    if there.problems:
        raise UsageError("; ".join(there.problems))
    models = dict(zip(there.names, there.predictions, strict=True))
    members = there.predictions[[there.names.index(str(m.trial)) for m in ensemble.members]]
    return PredictedRows(name, there.y, models[single], members, ensemble.combine(members))
