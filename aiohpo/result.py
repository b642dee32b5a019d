"""What a search found."""

from __future__ import annotations

import asyncio
from collections.abc import Mapping, Sequence
from functools import cached_property
from pathlib import Path
from typing import TYPE_CHECKING, Any

from .arguments import RESULT_ATTRIBUTES, explained_class
from .errors import UsageError, listing
from .plugin import Config
from .text import printable
from .view.summary import Summary, last_error_in_words, value_in_words
from .view.trials import TrialList, TrialRecord, flat_record, trials_table
from .view.view import View

if TYPE_CHECKING:
    import pandas

    from .ensembles.ensemble import Ensemble
    from .events.log import Log
    from .importance.importances import Importances
    from .peer.ending import SearchEnd
    from .storage.blob_store import DirectoryBlobs

_AT_ONCE = 250  # records, which take about 5 ms
_MOST_ROWS = 5  # trials that a notebook shows of a result


@explained_class(attributes=RESULT_ATTRIBUTES)
class Result:
    """The trials of a study and the best of them; a snapshot that later events do not change.

    ``best`` is the best complete trial; while there is none, it is the best of those that got farthest, and its
    ``status`` is not ``finished``. ``interrupted`` tells whether the search was stopped before its end. ``end`` tells
    why it is over: its ``reason`` is an :class:`~aiohpo.peer.ending.EndReason`, and ``str(result.end)`` puts it into
    words; it is None while the search continues, or if it was interrupted. ``given_up`` is the text of ``end`` if all
    trials failed (``Study(max_failures=…)``), else None. ``states`` has the presumed state of each worker, {worker:
    state}; the running trials of a dead worker are lost. ``ensemble`` is the ensemble that ``Study(ensemble=…)`` built
    from the trained models.
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
        blobs: DirectoryBlobs | None = None,
        log: Log | None = None,
    ) -> None:
        self._view, self._log, self._states = view, log, states
        self.metric = view.objective.metric
        self.mode = view.objective.direction
        self.interrupted = interrupted
        self.end = end
        self.ensemble = ensemble
        summary = Summary(view, states)
        self.trials = TrialList(summary.records()) if trials is None else trials
        self.max_steps = view.max_steps
        self.best: TrialRecord | None = summary.best()
        self._blobs = blobs

    @classmethod
    async def collect(
        cls,
        view: View,
        states: Mapping[str, str] | None = None,
        blobs: DirectoryBlobs | None = None,
        *,
        interrupted: bool = False,
        end: SearchEnd | None = None,
        ensemble: Ensemble | None = None,
        log: Log | None = None,
    ) -> Result:
        """Make one in an event loop that has other things to do, too."""
        trials = TrialList()
        for record in Summary(view, states).records():
            trials.append(record)
            if len(trials) % _AT_ONCE == 0:
                await asyncio.sleep(0)
        return cls(
            view,
            states=states,
            interrupted=interrupted,
            end=end,
            ensemble=ensemble,
            trials=trials,
            blobs=blobs,
            log=log,
        )

    @property
    def given_up(self) -> str | None:
        """Why the search stopped early, if it did because its trials failed."""
        return None if self.end is None else self.end.given_up

    @cached_property
    def counts(self) -> dict[str, int]:
        """The number of trials with each status."""
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

    def file(self, trial: TrialRecord | str | int, name: str) -> Path:
        """Return the path of a trial's file with this name; see :meth:`aiohpo.Trial.attach`.

        Read or copy the file, but do not change it: it is named by its digest, and other trials may share it.

        Args:
            trial: a record, or a trial's number or id.

        Raises:
            UsageError: there is no such trial or file, or it is not in this directory: a file stays with the worker
                whose trial attached it. :meth:`aiohpo.Worker.file` fetches it while that worker is running.
        """
        id = trial.id if isinstance(trial, TrialRecord) else str(trial)
        record = next((known for known in self.trials if id in (known.id, str(known.number))), None)
        if record is None:
            raise UsageError(
                f"there is no trial {id!r} in this result: give a record of result.trials, a number or an id"
            )
        return path_of_file(record, name, self._blobs)

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
        (how differently the values of good trials are distributed); ``seed`` is the seed of the bootstrap samples. This
        takes less than a second for 10,000 trials. Raises ``UsageError`` if there are too few trials.
        """
        from .importance.importances import importances

        return importances(self._view.space, self._view.objective, self.trials, method=method, seed=seed)

    def plot(self, kind: str = "overview", *, parameters: Sequence[str] = (), backend: str = "matplotlib") -> Any:
        """Draw a picture of the search and return the figure, which a notebook shows.

        Args:
            kind: as in ``aiohpo plot --kind``: "history", "curves", "parallel", "slice", "contour", "importance" …
            parameters: two or more, for a "contour" or "rank" plot; default: those that matter most.
            backend: "matplotlib", or "plotly" for an interactive figure. Each is an extra to install.

        "timeline" and "rungs" show the search as it is now, not as it was when this result was taken. Raises
        ``UsageError`` for an unknown kind or backend, if the library is not installed, and if there is nothing to draw.
        """
        from .plots.drawing import compute, draw
        from .plots.subject import Subject

        if backend not in ("matplotlib", "plotly"):
            raise UsageError(f"there is no backend {backend!r} for plots; the backends are: matplotlib, plotly")
        picture = compute(Subject.of_trials(self._view, self.trials, self._log, self._states), kind, parameters)
        if backend == "matplotlib":
            return draw(picture)
        from .plots.with_plotly import to_figure

        return to_figure(picture)

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


def path_of_file(record: TrialRecord, name: str, blobs: DirectoryBlobs | None) -> Path:
    """Return where the file of this name of a trial is among ``blobs``, with the bytes that were attached. Raises
    ``UsageError`` if there is none, or if it is elsewhere."""
    found = record.files.get(name)
    if found is None:
        raise UsageError(
            f"trial {record.number} has no file {name!r}"
            + (f": it has {listing(sorted(record.files))}" if record.files else ": nothing was attached to it")
        )
    if blobs is None or blobs.get(found.digest) is None:
        raise UsageError(
            f"the file {name!r} of trial {record.number} is not here: it is in the directory of worker {found.worker}"
        )
    return blobs.path(found.digest)
