"""The ensemble of a search, while it runs and afterwards.

What an ensemble is made of is the set of nominated trials (:mod:`aiohpo.peer.ensemble_candidates`), so the one that a
worker holds at the end is just the one that is built afterwards from the run directory. While the search runs, a
builder that can (:class:`aiohpo.plugin.LiveEnsembleBuilder`) takes one more model at a fraction of the cost; whatever
the builder, it works in a thread, one update at a time, and rests nine times as long as an update took.
"""

from __future__ import annotations

import asyncio
import io
import math
from collections.abc import Awaitable, Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np

from ..ensembles.ensemble import Ensemble, Member
from ..ensembles.metrics import Metric, get_metric
from ..ensembles.predictions import Library, gather, task_of
from ..errors import Unavailable, UsageError
from ..peer.ensemble_candidates import nominate
from ..plugin import EnsembleBuilder, LiveEnsemble, LiveEnsembleBuilder
from ..view.trials import TrialRecord
from ..view.view import View
from .fitting import REST
from .threads import in_thread

VALID = "valid"


@dataclass(frozen=True, slots=True)
class EnsembleState:
    """An ensemble beside the best single model, both by ``ensemble.metric`` on the validation rows.

    models  how many trials it was chosen from
    single  the best single model's score, and ``trial`` its name
    """

    ensemble: Ensemble
    models: int
    single: float
    trial: str

    def as_dict(self) -> dict[str, Any]:
        """The JSON form, for progress."""
        return {
            "metric": self.ensemble.metric,
            "score": self.ensemble.score,
            "size": len(self.ensemble.members),
            "models": self.models,
            "single": self.single,
            "trial": self.trial,
            "problems": list(self.ensemble.problems),
        }


def metric_for(spec: Any, y: Any, predictions: Iterable[Any] = ()) -> Metric:
    """The metric to build for: the one that was asked for, else what suits targets and predictions (None: lost)."""
    if spec is not None:
        return get_metric(spec)
    there = (p for p in predictions if p is not None)
    return get_metric("rmse" if task_of(y, there) == "regression" else "log_loss")


def decode(data: bytes | None) -> Any:
    """The array in a blob; None if it is lost or no array."""
    if data is None:
        return None
    try:
        # Not np.load, which would also open an archive.
        return np.lib.format.read_array(io.BytesIO(data), allow_pickle=False)
    except Exception:  # the header is Python text: what the tokenizer and the parser raise comes out as well
        return None


def targets_of(records: Sequence[TrialRecord], name: str, read: Callable[[str], Any]) -> Any:
    """The targets that most of the trials name (ties: the smallest digest). Raises ``UsageError`` without any."""
    digests = [record.targets[name] for record in records if name in record.targets]
    for digest in sorted(set(digests), key=lambda d: (-digests.count(d), d)):
        if (y := read(digest)) is not None:
            return y
    raise UsageError(
        f"there are no targets for the predictions {name!r}: give Study(targets={{{name!r}: y}}) or call "
        f"trial.targets({name}=y) in the objective"
    )


def library_of(records: Sequence[TrialRecord], metric: Any, read: Callable[[str], Any]) -> tuple[Library, Metric]:
    """The nominated trials' predictions of the validation rows, and the metric to build for. ``read`` gives the array
    of a digest, None if it is lost. Raises ``UsageError`` without targets, or if no predictions can be used."""
    y = targets_of(records, VALID, read)
    raw = {r.id: read(r.predictions[VALID]) for r in records}
    chosen = metric_for(metric, y, raw.values())
    return gather(raw, y, chosen), chosen


def describe(ensemble: Ensemble, names: Sequence[str], records: Sequence[TrialRecord]) -> Ensemble:
    """Say of an ensemble's members which trials they are. ``names`` are the trials of the library's rows."""
    by_name = {record.id: record for record in records}
    known = [by_name[name] for name in names]
    return ensemble.named([Member(i, r.id, r.config, r.checkpoint) for i, r in enumerate(known)])


def best_single(library: Library, metric: Metric) -> tuple[float, str]:
    """The best single model's score and name; the first of equals. A score that is no number (an area under a curve
    where one class does not occur) is the worst."""
    sign = -1.0 if metric.maximise else 1.0
    scores = [metric(library.y, p) for p in library.predictions]
    best = min(range(len(scores)), key=lambda i: (math.isnan(scores[i]), sign * scores[i], i))
    return scores[best], library.names[best]


class Ensembling:
    """Keeps an ensemble up to date with a view.

    Args:
        builder: what builds it.
        metric: what it should be good at; None: what suits the targets.
        view: the study.
        read: ``read(digest) -> bytes | None`` of a blob that is here.
        fetch: ``await fetch(digest, worker)`` gets a blob from any worker that has it; False if none does.
        complain: hears, once, why there is no ensemble.
    """

    def __init__(
        self,
        builder: EnsembleBuilder,
        metric: Any,
        view: View,
        read: Callable[[str], bytes | None],
        fetch: Callable[[str, str | None], Awaitable[bool]],
        complain: Callable[[str], None] | None = None,
    ) -> None:
        self.state: EnsembleState | None = None
        self.problem: str | None = None
        self._builder = builder
        self._metric = metric
        self._view = view
        self._read = read
        self._fetch = fetch
        self._complain = complain
        self._wanted = asyncio.Event()
        self._arrays: dict[str, Any] = {}
        self._live: tuple[Any, LiveEnsemble] | None = None
        self._in: set[Any] = set()
        self._seen = -1

    def note_new_results(self) -> None:
        """Something ended: update."""
        self._wanted.set()

    async def keep_updated(self, tell: Callable[[EnsembleState], None]) -> None:
        """Update whenever something ended, and tell; runs until cancelled."""
        loop = asyncio.get_running_loop()
        while True:
            await self._wanted.wait()
            self._wanted.clear()
            began = loop.time()
            if await self.update():
                assert self.state is not None
                tell(self.state)
            await asyncio.sleep(REST * (loop.time() - began))

    async def update(self) -> bool:
        """Bring the ensemble up to date; say whether it changed. What is wrong is in ``problem`` afterwards.

        An update that is cancelled counts for nothing: the next one does its work."""
        if self._seen == self._view.n_results:
            return False
        self._seen = self._view.n_results
        try:
            return await self._update()
        except BaseException:
            self._seen = -1
            raise

    async def _update(self) -> bool:
        records = nominate(self._view, VALID)
        if not records:
            return False
        wanted = {named[VALID]: r.worker for r in records for named in (r.predictions, r.targets) if VALID in named}
        self._arrays = {digest: array for digest, array in self._arrays.items() if digest in wanted}
        try:
            for digest, worker in wanted.items():
                if digest not in self._arrays:
                    await self._fetch(digest, worker)
        except Unavailable as error:
            self._seen = -1  # the ensemble that there is stays, until these can be stored
            self.problem = str(error)
            return False
        order = {record.id: self._view.trial(record.id).order for record in records}
        building = asyncio.ensure_future(in_thread(self._build, records, order))
        try:
            self.state = await asyncio.shield(building)
            self.problem = None
        except asyncio.CancelledError:
            await asyncio.wait([building])  # the thread goes on, and the next update must not run beside it
            building.exception()  # if it failed, the next update will say so
            raise
        except Unavailable as error:
            self._seen = -1
            self.problem = str(error)
            return False
        except Exception as error:  # whatever a builder raises: the search goes on, with the last ensemble if any
            text = str(error) if isinstance(error, UsageError) else f"{type(error).__name__}: {error}"
            if self.problem is None and self._complain is not None:
                self._complain(f"no ensemble: {text}")
            self.problem = text
            return False
        return True

    def _array(self, digest: str) -> Any:
        if digest not in self._arrays:
            self._arrays[digest] = decode(self._read(digest))
        return self._arrays[digest]

    def _build(self, records: Sequence[TrialRecord], order: Mapping[str, Any]) -> EnsembleState:
        library, metric = library_of(records, self._metric, self._array)
        if isinstance(self._builder, LiveEnsembleBuilder):
            keys = {r.id: (order[r.id], r.predictions[VALID]) for r in records}
            ensemble = self._update_live(self._builder, library, metric, keys)
        else:
            ensemble = self._builder.fit(library.predictions, library.y, metric)
        score, trial = best_single(library, metric)
        return EnsembleState(describe(ensemble, library.names, records), len(library.names), score, trial)

    def _update_live(
        self, builder: LiveEnsembleBuilder, library: Library, metric: Metric, keys: Mapping[str, Any]
    ) -> Ensemble:
        """Add what is new and discard what is no longer nominated. ``keys`` sort as the library's rows stand."""
        kind = (library.predictions.shape[1:], metric.name, library.y.tobytes())
        if self._live is None or self._live[0] != kind:
            self._live, self._in = (kind, builder.live(library.y, metric)), set()
        live = self._live[1]
        wanted = {keys[name]: p for name, p in zip(library.names, library.predictions, strict=True)}
        for key in self._in - wanted.keys():
            live.discard(key)
        for key in wanted.keys() - self._in:
            live.add(key, wanted[key])
        self._in = set(wanted)
        return live.fit()[0]

    def __repr__(self) -> str:
        return f"<Ensembling by {self._builder!r}: {self.state or self.problem or 'nothing yet'}>"
