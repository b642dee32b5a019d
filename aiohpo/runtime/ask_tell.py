"""Driving a search by hand: ask, tell, add, enqueue, retry.

The study itself is a small worker then: it has a log and a journal of its own, but no transport and no
evaluator. What it records reaches the others through the run directory, or when a run in this process starts.
"""

from __future__ import annotations

import os
import platform
import time
from collections.abc import Callable, Iterable, Mapping
from typing import Any

import numpy as np

from ..arguments import TRIAL_ATTRIBUTES, explained_class
from ..errors import UsageError
from ..evaluate.metrics import as_finite, as_metrics
from ..evaluate.segment import failed
from ..events.log import Log
from ..events.schema import trial_name
from ..mesh.effects import Persist
from ..peer.recorder import Recorder, Segment
from ..plugin import Config, FittingSearcher, Identity, Searcher
from ..plugin.registry import bind
from ..space.space import Space
from ..storage.journal import Journal
from ..view.trials import TrialRecord
from ..view.view import View
from .fitting import fit_failure_in_words


@explained_class(attributes=TRIAL_ATTRIBUTES)
class AskedTrial:
    """A configuration to evaluate; hand it back to :meth:`aiohpo.Study.tell` with its value.

    config   parameter values by name; inactive conditional parameters are absent. ``asked["lr"]`` reads one
    id       the trial's name, unique in the study and fit for a file name
    number   where the trial stands among those that are known here, from 0 on; see :class:`~aiohpo.Trial`
    seconds  how long ago it was asked for
    """

    __slots__ = ("_began", "_segment", "config", "id", "number")

    def __init__(self, segment: Segment, config: Config, number: int) -> None:
        self._segment = segment
        self.config = config
        self.id = trial_name(segment.trial)
        self.number = number
        self._began = time.monotonic()

    def __getitem__(self, name: str) -> Any:
        return self.config[name]

    @property
    def seconds(self) -> float:
        """How long ago it was asked for."""
        return time.monotonic() - self._began

    def __repr__(self) -> str:
        return f"<AskedTrial {self.number} {self.config}>"


class AskTell:
    """The study as its own worker. ``complain`` hears once that a searcher could not learn from the results."""

    def __init__(
        self,
        worker: str,
        view: View,
        log: Log,
        seed: int,
        journal: Journal | None,
        journal_id: str,
        complain: Callable[[str], None] | None = None,
    ) -> None:
        self.view = view
        self.state = Recorder(worker, view, log, journal_id)
        self._journal = journal
        self._seed = seed
        self._complain = complain
        self._searcher: Searcher | None = None
        self._fitted = -1
        self._asked = view.n_rows
        self.state.begin(time.time(), platform.node(), os.getpid(), None)
        self._persist()

    def ask(self, searcher: Searcher) -> AskedTrial | None:
        """The next configuration: one that was queued, else the searcher's; None when there is none left."""
        row = self.state.takeover(0.0)
        if row is None:
            row = self.state.queued(0.0)
        if row is not None:
            segment = self.state.record_claim(time.time(), row)
        else:
            if self._searcher is not searcher:
                bind(searcher, self.view.space, self._seed, Identity(self.state.me, 0, 1))
                self._searcher = searcher
            if isinstance(searcher, FittingSearcher) and self._fitted != self.view.n_observed:
                self._refit(searcher)
                self._fitted = self.view.n_observed
            self._asked += 1
            configs = searcher.ask(self.view, np.random.default_rng([self._seed, 0, self._asked]), (0,))
            if not configs:
                return None
            segment = self.state.propose(time.time(), self.view.space.pack(configs[0]))
        self._persist()
        return AskedTrial(segment, self.view.config(segment.row), self.view.number(segment.row))

    def _refit(self, searcher: FittingSearcher) -> None:
        try:
            searcher.adopt(searcher.fit(self.view.observations()))
        except Exception as error:  # the last model stays, as in a worker
            if self._complain is not None:
                self._complain(fit_failure_in_words(searcher, error))
                self._complain = None

    def tell(self, asked: AskedTrial, value: float | None, extra: Mapping[str, float], error: str | None) -> None:
        """Record the outcome of an asked trial: a value, or an error."""
        segment = asked._segment
        if segment.trial not in self.state.segments:
            raise UsageError(f"trial {asked.id} was told already (or was not asked from this study)")
        self.state.end(
            0.0,
            segment,
            "finished" if error is None else "failed",
            step=self.view.step(segment.row),
            seconds=asked.seconds,
            value=value,
            extra=extra,
            error=None if error is None else failed(error).error,
        )
        self._persist()

    def enqueue(self, config: Config) -> str:
        """Queue a configuration that any worker takes before asking its searcher."""
        trial = self.state.enqueue(time.time(), self.view.space.pack(config))
        self._persist()
        return trial_name(trial)

    def retry(self, row: int) -> str:
        """Queue the configuration of a failed trial again; see :mod:`aiohpo.peer.retrying` for which may be."""
        trial = self.state.queue_retry(time.time(), row)
        self._persist()
        return trial_name(trial)

    def leave(self) -> None:
        """Record that nothing more will come, and close."""
        self.state.record_leaving(time.time(), "done")
        self._persist()
        self.close()

    def add(self, config: Config, value: float | None) -> None:
        """Add the result of a past trial."""
        self.state.add_past(time.time(), self.view.space.pack(config), value)
        self._persist()

    def record(self, asked: AskedTrial) -> TrialRecord:
        """The trial as people see it."""
        return self.view.record(asked._segment.row)

    def _persist(self) -> None:
        batches = [effect.batch for effect in self.state.drain() if isinstance(effect, Persist)]
        if self._journal is not None:
            self._journal.append(batches)

    def close(self) -> None:
        """Give back the journal's lock."""
        if self._journal is not None:
            self._journal.close()


def outcome(asked: object, value: Any, error: object, metric: str) -> dict[str, float]:
    """Return the metrics in what :meth:`aiohpo.Study.tell` was given. Raises ``UsageError`` for anything but a trial
    that was asked and either a value or an error."""
    if not isinstance(asked, AskedTrial):
        raise UsageError(
            f"tell() was given {asked!r:.80} for a trial: give what ask() returned, as in trial = study.ask(); "
            "study.tell(trial, 0.5)"
        )
    if error is not None:
        if not isinstance(error, str) or not error:
            raise UsageError(
                f"tell() was given error={error!r:.80}: give text that says what went wrong, such as "
                "error='ValueError: no data', or str() of the exception"
            )
        if value is not None:
            raise UsageError(f"tell() was given the value {value!r:.80} and an error: give one of them")
        return {}
    metrics = as_metrics(value, metric, "tell() was given", "give a number, a dict with {metric!r}, or error=…")
    if metric not in metrics:
        raise UsageError(f"tell() was given {value!r:.80}: give the value of {metric!r}, a dict with it, or error=…")
    return metrics


def check_past(
    past: Iterable[tuple[Mapping[str, Any], float | None]], space: Space, metric: str
) -> list[tuple[Config, float | None]]:
    """Return past trials as configurations of ``space`` and finite values. Raises ``UsageError`` that says which trial
    is wrong, and how."""
    if isinstance(past, Mapping) or not isinstance(past, Iterable):
        raise UsageError(f"past trials are [(config, value), …], a Result or a directory, not {past!r:.80}")
    checked: list[tuple[Config, float | None]] = []
    for i, trial in enumerate(past):
        try:
            config, value = trial
            fitting = space.validate(dict(config))
            checked.append((fitting, None if value is None else as_finite(value, metric)))
        except UsageError as error:
            raise UsageError(f"past trial {i}: {error} (the value of a failed trial is None)") from None
        except (TypeError, ValueError):
            raise UsageError(f"past trial {i}: give (config, value), not {trial!r:.200}") from None
    return checked
