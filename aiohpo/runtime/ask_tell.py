"""Driving a search by hand: ask, tell, add, enqueue, retry.

The study itself is a small worker then: it has a log and a journal of its own, but no transport and no
evaluator. What it records reaches the others through the run directory, or when a run in this process starts.
"""

from __future__ import annotations

import os
import platform
import time
from collections.abc import Callable, Iterable, Mapping, Sequence
from contextlib import AbstractContextManager, nullcontext
from functools import partial
from typing import TYPE_CHECKING, Any

import numpy as np

from ..arguments import TRIAL_ATTRIBUTES, explained_class
from ..errors import UsageError
from ..evaluate.metrics import as_metrics
from ..evaluate.segment import failed
from ..events.log import Log
from ..events.notes import encode_notes
from ..events.schema import EXTERNAL, QUEUED, trial_name
from ..mesh.effects import Persist
from ..peer.recorder import Recorder
from ..peer.retrying import choose_failed
from ..peer.running_segments import Segment
from ..plugin import Config, FittingSearcher, Identity, Searcher
from ..plugin.registry import bind
from ..storage.journal import Journal
from ..storage.run_directory import RunDirectory, read_study
from ..view.trials import TrialRecord
from ..view.view import View
from .assembly.past import Wishes
from .assembly.services import new_worker_id
from .fitting import fit_failure_in_words

if TYPE_CHECKING:
    from ..storage.run import Run
    from .assembly.replica import Replica

_Note = Callable[["AskedTrial", Mapping[str, str]], None]


@explained_class(attributes=TRIAL_ATTRIBUTES)
class AskedTrial:
    """A configuration to evaluate; hand it back to :meth:`aiohpo.Study.tell` with its value.

    config   parameter values by name; inactive conditional parameters are absent. ``asked["lr"]`` reads one
    id       the trial's name, unique in the study and fit for a file name
    number   where the trial stands among those that are known here, from 0 on; see :class:`~aiohpo.Trial`
    seconds  how long ago it was asked for
    """

    __slots__ = ("_began", "_note", "_segment", "config", "id", "number")

    def __init__(self, segment: Segment, config: Config, number: int, note: _Note) -> None:
        self._segment = segment
        self._note = note
        self.config = config
        self.id = trial_name(segment.trial)
        self.number = number
        self._began = time.monotonic()

    def __getitem__(self, name: str) -> Any:
        return self.config[name]

    def note(self, /, **notes: Any) -> None:
        """Note something about the trial, as :meth:`aiohpo.Trial.note` does; also after it was told."""
        self._note(self, encode_notes(notes))

    @property
    def seconds(self) -> float:
        """How long ago it was asked for."""
        return time.monotonic() - self._began

    def __repr__(self) -> str:
        return f"<AskedTrial {self.number} {self.config}>"


class AskTell:
    """The study as its own worker.

    Args:
        worker: its name.
        view, log: what is known of the study; this worker's events go there, too.
        seed: the study's.
        journal: makes what takes its events, once there are any; None: they are kept in memory only.
        journal_id: the directory that the journal is in.
        replica: brings ``view`` up to date with what other processes write to that directory; None: there are none.
        wishes: what other processes queued and added.
        complain: hears once that a searcher could not learn from the results.
    """

    def __init__(
        self,
        worker: str,
        view: View,
        log: Log,
        seed: int,
        journal: Callable[[], Journal] | None,
        journal_id: str,
        replica: Replica | None = None,
        wishes: Wishes | None = None,
        complain: Callable[[str], None] | None = None,
    ) -> None:
        self.view = view
        self.state = Recorder(worker, view, log, journal_id)
        self._make_journal = journal
        self._journal: Journal | None = None
        self._begun = False
        self._seed = seed
        self._replica = replica
        self._wishes = wishes or Wishes()
        self._complain = complain
        self._searcher: Searcher | None = None
        self._fitted = -1

    def ask(self, searcher: Searcher) -> AskedTrial | None:
        """The next configuration: one whose worker died, else one that was queued, else the searcher's; None when there
        is none left.

        Processes that ask in one directory take turns, so that each knows what the others have been given.
        """
        self._refresh()
        if self._searcher is not searcher:
            bind(searcher, self.view.space, self._seed, Identity(self.state.me, 0, 1))
            self._searcher = searcher
        if isinstance(searcher, FittingSearcher) and self._fitted != self.view.n_observed:
            self._refit(searcher)
            self._fitted = self.view.n_observed
        with self._turn():
            self._refresh()
            self._begin()
            self._release_lost()
            segment = self._next(searcher)
            self._persist()
        return None if segment is None else self._asked(segment)

    def _refit(self, searcher: FittingSearcher) -> None:
        try:
            searcher.adopt(searcher.fit(self.view.observations()))
        except Exception as error:  # the last model stays, as in a worker
            if self._complain is not None:
                self._complain(fit_failure_in_words(searcher, error))
                self._complain = None

    def _next(self, searcher: Searcher) -> Segment | None:
        row = self.state.takeover(0.0)
        if row is None:
            row = self.state.queued(0.0)
        if row is not None:
            return self.state.record_claim(time.time(), row)
        # What is drawn depends on what was asked before, by whichever process: the same sequence as in one process.
        rng = np.random.default_rng([self._seed, 0, self.view.n_rows + 1])
        configs = searcher.ask(self.view, rng, (0,))
        return self.state.propose(time.time(), self.view.space.pack(configs[0])) if configs else None

    def _release_lost(self) -> None:
        """Declare lost what a process asked for that has ended without telling."""
        if self._replica is None:
            return
        view = self.view
        for row in sorted(view.running):
            owner = view.owner_of(row)
            if owner is not None and owner != self.state.me and self._replica.is_gone(owner):
                self.state.declare_lost(view.id(row), view.attempt(row))

    def _asked(self, segment: Segment) -> AskedTrial:
        return AskedTrial(segment, self.view.config(segment.row), self.view.number(segment.row), self.note)

    def _refresh(self) -> None:
        if self._replica is not None:
            self._replica.refresh()

    def _turn(self) -> AbstractContextManager[None]:
        return nullcontext() if self._replica is None else self._replica.turn()

    def tell(self, asked: AskedTrial, value: float | None, extra: Mapping[str, float], error: str | None) -> None:
        """Record the outcome of an asked trial: a value, or an error."""
        segment = asked._segment
        if segment.trial not in self.state.segments:
            raise UsageError(f"trial {asked.id} was told already (or was not asked from this study)")
        self.state.end(
            segment,
            "finished" if error is None else "failed",
            step=self.view.step(segment.row),
            seconds=asked.seconds,
            value=value,
            extra=extra,
            error=None if error is None else failed(error).error,
        )
        self._persist()

    def note(self, asked: AskedTrial, notes: Mapping[str, str]) -> None:
        """Record notes on an asked trial, told or not."""
        self.state.note(asked._segment.trial, notes)
        self._persist()

    def enqueue(self, config: Config) -> str:
        """Queue a configuration that any worker takes before asking its searcher, unless another process has done it,
        such as an earlier run of the same script."""
        with self._turn():
            self._refresh()
            row = self._wishes.match(self.view, QUEUED, config)
            if row is None:
                self._begin()
                row = self.view.n_rows
                self.state.enqueue(time.time(), self.view.space.pack(config))
                self._wishes.note_own(row)
            self._persist()
        return trial_name(self.view.id(row))

    def retry(self, row: int) -> str:
        """Queue the configuration of a failed trial again; see :mod:`aiohpo.peer.retrying` for which may be."""
        self._begin()
        trial = self.state.queue_retry(time.time(), row)
        self._persist()
        return trial_name(trial)

    def leave(self) -> None:
        """Record that nothing more will come, and close."""
        if self._begun:
            self.state.record_leaving(time.time(), "done")
            self._persist()
        self.close()

    def add(self, past: Iterable[tuple[Config, float | None]]) -> None:
        """Add the results of past trials, but for those that another process has added."""
        with self._turn():
            self._refresh()
            for config, value in past:
                if self._wishes.match(self.view, EXTERNAL, config, value) is None:
                    self._begin()
                    self._wishes.note_own(self.view.n_rows)
                    self.state.add_past(time.time(), self.view.space.pack(config), value)
            self._persist()

    def record(self, asked: AskedTrial) -> TrialRecord:
        """The trial as people see it."""
        return self.view.record(asked._segment.row)

    def _begin(self) -> None:
        """Begin to record. A process that has nothing to say leaves no trace."""
        if not self._begun:
            self._begun = True
            if self._make_journal is not None:
                self._journal = self._make_journal()
            self.state.begin(time.time(), platform.node(), os.getpid(), None)

    def _persist(self) -> None:
        batches = [effect.batch for effect in self.state.drain() if isinstance(effect, Persist)]
        if self._journal is not None:
            self._journal.append(batches)

    def close(self) -> None:
        """Give back the journal's lock."""
        if self._journal is not None:
            self._journal.close()


def drive_by_hand(replica: Replica, seed: int, wishes: Wishes, complain: Callable[[str], None]) -> AskTell:
    """Return a worker for the study that a process holds a replica of; see :class:`AskTell`."""
    worker, directory = new_worker_id(), replica.directory
    journal = partial(directory.journal, worker) if directory else None
    log, view = replica.hold()
    return AskTell(worker, view, log, seed, journal, directory.id if directory else "", replica, wishes, complain)


def retry_in_directory(run: Run, names: Sequence[str], where: str) -> list[tuple[int, int]]:
    """Queue the configurations of these failed trials of a run directory, or of all of them, again, for whoever reads
    it next. Return the rows of each and of the trial that tries it again. Raises ``UsageError`` as
    :func:`~aiohpo.peer.retrying.choose_failed`."""
    rows = choose_failed(run.view, names, where)
    directory = RunDirectory(run.path, read_study(run.path))
    worker = new_worker_id()
    manual = AskTell(worker, run.view, run.log, 0, partial(directory.journal, worker), directory.id)
    try:
        return [(row, run.view.row_of(manual.retry(row))) for row in rows]
    finally:
        manual.leave()


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
