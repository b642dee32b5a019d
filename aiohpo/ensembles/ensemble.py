"""What an ensemble builder returns: members, weights and calibrators, as plain data.

    m(x) = f(Σ_i w_i · c_i(p_i(x)))

where p_i are the member's predictions, c_i its calibrator (or none), w_i weights that are positive and sum to one,
and f the calibrator of their mean (or none). For regression what is mixed are normal distributions, and m(x) has their
mixture's mean and variance.

A saved ensemble is a zip archive with ``ensemble.json`` (readable by people) and ``.npy`` arrays. There is no pickle
in it; loading needs neither the builder that made it nor the run that it came from.
"""

from __future__ import annotations

import io
import json
import os
import zipfile
import zlib
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np

from ..errors import UsageError
from ..plugin import Config
from .calibrators import KINDS, Calibrator, arrays_of, kind_of
from .metrics import Metric, Task
from .uncertainty import Uncertainty, decompose

if TYPE_CHECKING:
    from ..plugin import FloatArray, IntArray

_FORMAT = 2
_JSON = "ensemble.json"
_LARGEST = 1 << 28  # bytes of all that is in a saved ensemble: weights and calibrators
# What zipfile, json, numpy and this module raise for a file that is not a saved ensemble.
_MALFORMED = (
    zipfile.BadZipFile, zlib.error, EOFError, RuntimeError, LookupError, TypeError, ValueError, AttributeError,
)  # fmt: skip
_EPOCH = (1980, 1, 1, 0, 0, 0)  # the earliest a zip can say: equal ensembles are equal files


@dataclass(frozen=True, slots=True)
class Member:
    """One model of an ensemble.

    row         which of the predictions it was built from, from 0
    trial       the trial's name
    config      its configuration
    checkpoint  digest of its checkpoint in the blob store; None if it saved none
    """

    row: int
    trial: str | None = None
    config: Config | None = None
    checkpoint: str | None = None


@dataclass(frozen=True, slots=True, eq=False)
class Ensemble:
    """A weighted mixture of calibrated models.

    task         "classification" or "regression"
    members      in the order in which :meth:`predict_proba` wants their predictions
    weights      (m,) positive, with sum one
    calibrators  one for each member, or None for those (or all) that need none
    metric       name of the metric that it was built for
    score        that metric on the validation rows, in its own sign; honest where the builder cross-fits
    columns      k of the predictions it was built from
    path         how it came about: (size, score on validation) for each step, for people to look at
    builder      what built it
    problems     what was wrong with predictions that were left out
    final        the calibrator of the mixture, applied after averaging; None if it needs none
    """

    task: Task
    members: tuple[Member, ...]
    weights: FloatArray
    calibrators: tuple[Calibrator | None, ...]
    metric: str
    score: float
    columns: int
    path: tuple[tuple[int, float], ...] = ()
    builder: str = ""
    problems: tuple[str, ...] = field(default=())
    final: Calibrator | None = None

    def __post_init__(self) -> None:
        m = len(self.members)
        if not m or len(self.weights) != m or len(self.calibrators) != m:
            raise ValueError(
                f"an ensemble needs members, and a weight and a calibrator (or None) for each; "
                f"got {m}, {len(self.weights)} and {len(self.calibrators)}"
            )
        if not (np.all(self.weights > 0) and abs(self.weights.sum() - 1.0) < 1e-9):
            raise ValueError(f"weights must be positive and sum to one: {self.weights}")

    @property
    def rows(self) -> IntArray:
        """(m,) the members' rows in the predictions that the ensemble was built from."""
        return np.array([member.row for member in self.members], dtype=np.int64)

    def calibrated(self, predictions: Any) -> FloatArray:
        """Return the members' predictions (m, n, k) after calibration.

        Args:
            predictions: (m, n, k), one for each member, in the order of ``members``; or a mapping from the names of
                the members' trials. A two-class probability, or a mean, may do without the last axis.

        Raises UsageError where they do not fit.
        """
        each = self._of_members(predictions)
        mapped = [p if c is None else c(p) for c, p in zip(self.calibrators, each, strict=True)]
        width = max(p.shape[1] for p in mapped)  # a calibrated mean has a variance, one that is not has none
        return np.stack([p if p.shape[1] == width else np.pad(p, ((0, 0), (0, 1))) for p in mapped])

    def combine(self, predictions: Any) -> FloatArray:
        """Return the ensemble's prediction in the form that metrics take: (n, k) probabilities, or (n, 1 or 2) means
        and variances. Arguments and errors as for :meth:`calibrated`."""
        return self.finish(mix_predictions(self.calibrated(predictions), self.weights, self.task))

    def finish(self, mixture: FloatArray) -> FloatArray:
        """Apply the final calibrator, if there is one, to a mixture (n, k) of calibrated predictions."""
        return mixture if self.final is None else self.final(mixture)

    def predict_proba(self, predictions: Any) -> FloatArray:
        """Return class probabilities (n, k). Arguments and errors as for :meth:`calibrated`."""
        if self.task != "classification":
            raise UsageError("this is an ensemble for regression: predict() gives means, combine() variances, too")
        return self.combine(predictions)

    def predict(self, predictions: Any) -> Any:
        """Return class indices, or means, (n,). Arguments and errors as for :meth:`calibrated`."""
        mixture = self.combine(predictions)
        return mixture.argmax(axis=1) if self.task == "classification" else mixture[:, 0]

    def uncertainty(self, predictions: Any) -> Uncertainty:
        """Return the total uncertainty (n,) and its two parts. Arguments and errors as for :meth:`calibrated`."""
        return decompose(self.calibrated(predictions), self.weights, self.task, self.final)

    def evaluate(self, metric: Metric, y: Any, predictions: Any) -> float:
        """Return a metric of the ensemble's prediction. Arguments and errors as for :meth:`calibrated`."""
        return metric(y, self.combine(predictions))

    def named(self, members: Sequence[Member]) -> Ensemble:
        """Return the ensemble with its members described: ``members`` has one for every row of the predictions."""
        return replace(self, members=tuple(replace(members[m.row], row=m.row) for m in self.members))

    def _of_members(self, predictions: Any) -> list[FloatArray]:
        if isinstance(predictions, Mapping):
            missing = [m.trial for m in self.members if m.trial not in predictions]
            if missing:
                raise UsageError(f"predictions of the members {', '.join(map(str, missing))} are missing")
            predictions = [predictions[m.trial] for m in self.members]
        if len(predictions) != len(self.members):
            raise UsageError(
                f"got predictions of {len(predictions)} models for {len(self.members)} members: select the "
                "members' rows first, predictions[ensemble.rows]"
            )
        each = [self._shaped(p, m) for p, m in zip(predictions, self.members, strict=True)]
        lengths = sorted({len(p) for p in each})
        if len(lengths) > 1:
            raise UsageError(f"the members' predictions differ in length: {lengths}")
        return each

    def _shaped(self, values: Any, member: Member) -> FloatArray:
        p: FloatArray = np.asarray(values, dtype=np.float64)
        if p.ndim == 1:
            p = np.stack([1.0 - p, p], axis=1) if self.task == "classification" else p[:, None]
        if p.ndim != 2 or p.shape[1] != self.columns:
            who = f"row {member.row}" if member.trial is None else f"trial {member.trial}"
            raise UsageError(f"predictions of {who} have shape {p.shape}; expected (examples, {self.columns})")
        return p

    def __repr__(self) -> str:
        return f"<Ensemble of {len(self.members)} by {self.builder or 'hand'}: {self.metric} {self.score:.6g}>"

    # ------------------------------------------------------------------------------------------- saving
    def as_dict(self) -> dict[str, Any]:
        """Everything but the calibrators' arrays, in JSON form."""
        return {
            "format": _FORMAT,
            "task": self.task,
            "builder": self.builder,
            "metric": self.metric,
            "score": self.score if np.isfinite(self.score) else None,
            "columns": self.columns,
            "members": [
                {
                    "row": m.row,
                    "trial": m.trial,
                    "weight": float(w),
                    "config": m.config,
                    "checkpoint": m.checkpoint,
                    "calibrator": None if c is None else kind_of(c),
                }
                for m, w, c in zip(self.members, self.weights, self.calibrators, strict=True)
            ],
            "path": [[size, score if np.isfinite(score) else None] for size, score in self.path],
            "problems": list(self.problems),
            "final": None if self.final is None else kind_of(self.final),
        }

    def save(self, path: str | os.PathLike[str]) -> None:
        """Write to a file, replacing it at once or not at all. Read it with :func:`load_ensemble`."""
        path = Path(path)
        temporary = path.with_name(f"{path.name}.{os.getpid()}.tmp")
        try:
            with zipfile.ZipFile(temporary, "w", zipfile.ZIP_DEFLATED) as archive:
                self._write(archive)
            os.replace(temporary, path)
        except OSError as error:
            raise UsageError(f"cannot write {path}: {error.strerror or error}") from None
        finally:
            temporary.unlink(missing_ok=True)

    def _write(self, archive: zipfile.ZipFile) -> None:
        text = json.dumps(self.as_dict(), indent=1, allow_nan=False)
        archive.writestr(zipfile.ZipInfo(_JSON, _EPOCH), text)
        arrays = {"weights": self.weights}
        for i, calibrator in enumerate(self.calibrators):
            if calibrator is not None:
                arrays |= {f"calibrator.{i}.{name}": array for name, array in arrays_of(calibrator).items()}
        if self.final is not None:
            arrays |= {f"final.{name}": array for name, array in arrays_of(self.final).items()}
        for name, array in arrays.items():
            buffer = io.BytesIO()
            np.save(buffer, array, allow_pickle=False)
            archive.writestr(zipfile.ZipInfo(f"{name}.npy", _EPOCH), buffer.getvalue())


def mix_predictions(predictions: FloatArray, weights: FloatArray, task: Task) -> FloatArray:
    """Return the mixture (n, k) of calibrated predictions (m, n, k); for regression its mean and variance."""
    total: FloatArray = np.zeros(predictions.shape[1:])
    # one after the other: no second array of that size, and no sum whose order a library chooses
    for w, p in zip(weights, predictions, strict=True):
        total += w * p
    if task == "regression" and total.shape[1] == 2:
        for w, mean in zip(weights, predictions[:, :, 0], strict=True):
            total[:, 1] += w * np.square(mean - total[:, 0])
    return total


def load_ensemble(path: str | os.PathLike[str]) -> Ensemble:
    """Read what :meth:`Ensemble.save` wrote. Raises UsageError if it is not that."""
    try:
        with zipfile.ZipFile(path) as archive:
            if sum(part.file_size for part in archive.infolist()) > _LARGEST:
                raise UsageError(f"{path} is not a saved ensemble: it would need over {_LARGEST >> 20} MiB of memory")
            data = json.loads(archive.read(_JSON))
            if data["format"] != _FORMAT:
                raise UsageError(
                    f"{path} has format {data['format']}, this aiohpo reads {_FORMAT}: use the version that "
                    "saved it, or build it again"
                )
            return _read(archive, data)
    except FileNotFoundError:
        raise UsageError(f"there is no file {path}") from None
    except (*_MALFORMED, OSError) as error:
        if isinstance(error, UsageError):
            raise
        raise UsageError(f"{path} is not a saved ensemble, or it is damaged: {error}") from None


def _read(archive: zipfile.ZipFile, data: dict[str, Any]) -> Ensemble:
    def array(name: str) -> FloatArray:
        with archive.open(f"{name}.npy") as file:
            return np.asarray(np.load(io.BytesIO(file.read()), allow_pickle=False), dtype=np.float64)

    def calibrator(prefix: str, kind: str | None) -> Calibrator | None:
        if kind is None:
            return None
        found = KINDS[kind]
        made: Calibrator = found(*(array(f"{prefix}.{name}") for name in found.__dataclass_fields__))
        return made

    members = data["members"]
    return Ensemble(
        task=data["task"],
        members=tuple(Member(m["row"], m["trial"], m["config"], m["checkpoint"]) for m in members),
        weights=array("weights"),
        calibrators=tuple(calibrator(f"calibrator.{i}", m["calibrator"]) for i, m in enumerate(members)),
        metric=data["metric"],
        score=float("nan") if data["score"] is None else data["score"],
        columns=data["columns"],
        path=tuple((size, float("nan") if score is None else score) for size, score in data["path"]),
        builder=data["builder"],
        problems=tuple(data["problems"]),
        final=calibrator("final", data["final"]),
    )
