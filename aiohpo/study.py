"""The public API: a study, run here or driven by hand."""

from __future__ import annotations

import asyncio
import copy
import hashlib
import json
import math
import platform
import shutil
import tempfile
import time as _time
import weakref
from collections.abc import Callable, Iterable, Mapping, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any

from .blobs import BlobStore
from .directory import RunDirectory
from .evaluate import ImportedInChild, Objective, Source, in_child
from .evaluate.metrics import as_finite, as_metrics
from .evaluate.reimport import describe
from .events import EXTERNAL, QUEUED
from .fold import Mode
from .interfaces import Config, Identity, LaunchedTransport, UsageError
from .journal import read_journal, writer_is_gone
from .log import Log
from .manual import AskedTrial, Manual
from .parts import Limits, Parts, new_worker_id
from .records import TrialRecord
from .registry import create
from .result import Result
from .space import Space
from .view import View
from .worker import PeerWorker

if TYPE_CHECKING:
    from .events import Batch
    from .worker_state import Timing

Callback = Callable[[TrialRecord], Any]


class Study:
    """What is searched, for what, and how.

    objective      called with a :class:`~aiohpo.evaluate.Trial`; ``def`` or ``async def``; None to drive the
                   study by :meth:`ask` and :meth:`tell`
    space          a :class:`~aiohpo.space.Space`
    metric, mode   the name of what the objective returns or reports, and "min" or "max"
    max_steps      steps (epochs, rungs' resource) of a whole trial; None if it is not counted in steps
    searcher, scheduler, evaluator   names ("adbo", "adbo:kappa=1") or instances; the evaluator defaults to
                   "coroutine" for ``async def`` and to "process" for everything else
    directory      where the journal and checkpoints go; None keeps the study in memory
    seed           the same seed gives every worker of a rank the same draws
    keep           of that many best complete trials the last checkpoint stays; others are deleted once no scheduler
                   can need them
    dump, load     how ``trial.save`` makes bytes of a checkpoint and ``trial.restore`` reads them
    callbacks      called with each trial's record when it ended, in the process that evaluated it
    """

    def __init__(
        self,
        objective: Callable[..., Any] | None = None,
        space: Space | None = None,
        *,
        metric: str = "loss",
        mode: str = "min",
        max_steps: int | None = None,
        searcher: Any = "adbo",
        scheduler: Any = "fifo",
        evaluator: Any = None,
        directory: str | Path | None = None,
        seed: int = 0,
        keep: int = 10,
        dump: Callable[[Any], bytes] | None = None,
        load: Callable[[bytes], Any] | None = None,
        callbacks: Sequence[Callback] = (),
    ) -> None:
        if not isinstance(space, Space):
            raise UsageError(
                f"space must be an aiohpo.Space, not {type(space).__name__}: "
                "aiohpo.Space(lr=Float(1e-5, 1e-1, log=True), …)"
            )
        if mode not in ("min", "max"):
            raise UsageError(f"mode must be 'min' or 'max', not {mode!r}")
        if not isinstance(seed, int) or isinstance(seed, bool) or seed < 0:
            raise UsageError(f"seed must be a whole number of at least 0, not {seed!r}")
        self.objective = objective
        self.space = space
        self.metric = metric
        self.mode: Mode = "min" if mode == "min" else "max"
        self.max_steps = max_steps
        self.searcher = searcher
        self.scheduler = scheduler
        self.evaluator = evaluator
        self.directory = Path(directory) if directory is not None else None
        self.seed = seed
        self.keep = _whole("keep", keep, 0)
        if not isinstance(callbacks, Iterable) or not all(map(callable, callbacks := tuple(callbacks))):
            raise UsageError(f"callbacks must be a list of functions that take a trial's record, not {callbacks!r:.80}")
        self.callbacks = tuple(callbacks)
        self.source: Source | None = None
        self._dump, self._load = dump, load
        self._task()  # what is wrong with it should be said here, not when it runs
        self._replica: tuple[Log, View] | None = None
        self._opened: RunDirectory | None = None
        self._manual: Manual | None = None
        self._workers: list[PeerWorker] = []
        self._scratch: Path | None = None
        self._hand_searcher: Any = None
        self._wishes: list[tuple[Config, float | None, bool]] = []
        self.notices: list[str] = []

    # ------------------------------------------------------------------------------------------- running
    def run(
        self,
        trials: int | None = None,
        *,
        workers: int = 1,
        time: float | None = None,
        target: float | None = None,
        trial_timeout: float | None = None,
        progress: bool = True,
    ) -> Result:
        """Search until ``trials`` trials ended (over all runs of this study), ``time`` seconds passed or
        ``target`` is reached; at least one of the three, unless the searcher is finite.

        ``workers`` peers evaluate at a time. Ctrl-C ends the search in good order: what was reported is kept,
        what was running is released, and running again goes on. Inside an event loop use :meth:`arun`.
        """
        self._not_in_child()
        try:
            asyncio.get_running_loop()
        except RuntimeError:
            pass
        else:
            raise UsageError("Study.run() inside a running event loop: use 'await study.arun(...)' there")
        from .progress import run_with_progress

        search = self.arun(trials, workers=workers, time=time, target=target, trial_timeout=trial_timeout)
        return run_with_progress(self, search, trials=trials, show=progress)

    async def arun(
        self,
        trials: int | None = None,
        *,
        workers: int = 1,
        time: float | None = None,
        target: float | None = None,
        trial_timeout: float | None = None,
    ) -> Result:
        """Like :meth:`run`, inside a running event loop and without touching signals or the terminal.

        Cancelling it ends the search in good order; :meth:`stop` does too and returns the result so far.
        """
        self._not_in_child()
        if self._workers:
            raise UsageError("this study is running already; wait for it or stop() it")
        workers = _whole("workers", workers)
        limits = make_limits(trials, time, target, trial_timeout)
        peers: list[PeerWorker] = []
        try:
            for rank in range(workers):
                address = peers[0].parts.transport.address if peers else None
                peer = self.peer(
                    limits=limits,
                    join=[address] if address else [],
                    identity=Identity(new_worker_id(), rank, workers),
                )
                await peer.start()
                peers.append(peer)
            self._workers = peers
            async with asyncio.TaskGroup() as group:
                for peer in peers:
                    group.create_task(peer.run())
        except BaseExceptionGroup as errors:
            raise errors.exceptions[0] from None
        finally:
            self._workers = []
            for peer in peers:
                await peer.aclose()
            for peer in peers:  # each: what one recorded last, another may not have heard
                self._absorb(peer)
        return Result(self._view, interrupted=any(peer.stopped for peer in peers))

    def stop(self) -> None:
        """End a running search in good order; :meth:`arun` then returns what was found."""
        for worker in self._workers:
            worker.stop()

    @property
    def workers(self) -> Sequence[PeerWorker]:
        """The workers that run in this process now."""
        return self._workers

    @property
    def result(self) -> Result:
        """What is known now, from the run directory and from what ran in this process."""
        return Result(self._view)

    # --------------------------------------------------------------------------------------- by hand
    def ask(self) -> AskedTrial:
        """Return a configuration to evaluate. Raises ``UsageError`` when the searcher has no more."""
        if self._hand_searcher is None:
            self._hand_searcher = self._plugin("searchers", self.searcher)
        asked = self._by_hand.ask(self._hand_searcher)
        if asked is None:
            raise UsageError(f"the searcher {self.searcher!r} has no more configurations to suggest")
        return asked

    def tell(
        self, asked: AskedTrial, value: float | Mapping[str, float] | None = None, *, error: str | None = None
    ) -> TrialRecord:
        """Record the outcome of an asked trial: the metric's value, a dict of metrics, or an ``error``."""
        metrics: dict[str, float] = {}
        if error is None:
            metrics = as_metrics(value, self.metric)
            if self.metric not in metrics:
                raise UsageError(
                    f"tell() was given {value!r}: give the value of {self.metric!r}, a dict with it, or error=…"
                )
        number = metrics.pop(self.metric, None)
        self._by_hand.tell(asked, number, metrics, error)
        return self._by_hand.record(asked)

    def enqueue(self, config: Mapping[str, Any]) -> str:
        """Queue a complete configuration to be tried before the searcher's; returns its trial id.

        In a file that ``aiohpo run`` or ``aiohpo worker`` reads, where every process executes it, it is queued
        once for the whole search (and the id is empty).
        """
        fitting = self.space.validate(dict(config))
        if in_child():
            self._wishes.append((fitting, None, True))
            return ""
        return self._by_hand.enqueue(fitting)

    def _fulfil(self) -> None:
        """Carry out what the file said by :meth:`enqueue` and :meth:`add` while it was only being imported,
        leaving out what an earlier run or another process has done already."""
        wishes, self._wishes = self._wishes, []
        for config, value, queued in wishes:
            if not self._view.has(self.space.pack(config), QUEUED if queued else EXTERNAL):
                if queued:
                    self._by_hand.enqueue(config)
                else:
                    self._by_hand.add(config, value)
        if wishes and self._manual is not None:
            self._manual.close()
            self._manual = None

    def add(self, past: Iterable[tuple[Mapping[str, Any], float | None]] | Result | str | Path) -> int:
        """Add past trials, which searchers learn from and which do not count against the budget.

        ``past`` is ``[(config, value), …]`` (value None: it failed), a :class:`Result`, or the directory of
        an earlier run. Trials that do not fit this space are an error, before anything is added.
        """
        if isinstance(past, str | Path):
            from .inspect import open_run

            past = Result(open_run(Path(past)).view)
        if isinstance(past, Result):
            past = [
                (t.config, t.value if t.status in ("finished", "surplus") else None)
                for t in past.trials
                if t.status in ("finished", "surplus", "failed")
            ]
        checked: list[tuple[Config, float | None]] = []
        for i, trial in enumerate(past):
            try:
                config, value = trial
                fitting = self.space.validate(dict(config))
                checked.append((fitting, None if value is None else as_finite(value, self.metric)))
            except UsageError as error:
                raise UsageError(f"past trial {i}: {error} (the value of a failed trial is None)") from None
            except (TypeError, ValueError):
                raise UsageError(f"past trial {i}: give (config, value), not {trial!r:.200}") from None
        for fitting, value in checked:
            if in_child():
                self._wishes.append((fitting, value, False))
            else:
                self._by_hand.add(fitting, value)
        return len(checked)

    # -------------------------------------------------------------------------------------- assembling
    def peer(
        self,
        *,
        limits: Limits,
        transport: Any = "inproc",
        bind: str | None = None,
        join: Sequence[str] = (),
        identity: Identity | None = None,
        timing: Timing | None = None,
    ) -> PeerWorker:
        """Put one worker together; :class:`aiohpo.Worker` and :meth:`arun` use it."""
        from .worker_state import Timing

        worker_id = identity.worker if identity else new_worker_id()
        carrier = create("transports", transport, worker=worker_id, bind=bind)
        if isinstance(carrier, LaunchedTransport):
            join = [*join, *carrier.peers()]
            if identity is None or identity.rank is None:
                identity = Identity(worker_id, carrier.rank, carrier.size)
        rank = identity.rank if identity else None
        if rank == 0 or (rank is None and not join):  # the first of its launch; the others hear of it
            self._fulfil()
        log, view = Log(), View(self.space, self.metric, self.mode, self.max_steps)
        directory, gone = self._open(), frozenset[str]()
        if directory is not None:
            loaded = directory.load(log, view)
            # A lock tells only about processes of this machine.
            gone = frozenset(w for w in loaded.gone if view.host(w) == platform.node())
            self.notices += [str(damage) for damage in loaded.damage]
            blobs = directory.blobs
        else:
            if self._replica is not None:
                _copy(self._replica[0], log, view)
            blobs = BlobStore(self._scratch_directory() / "blobs")

        def recover(worker: str) -> list[Batch]:
            path = directory.path / "journal" / f"{worker}.log" if directory else None
            try:
                return list(read_journal(path, [])) if path is not None and path.exists() else []
            except UsageError as error:  # one unreadable file of the dead must not end the living
                self.notices.append(str(error))
                return []

        def is_gone(worker: str) -> bool:
            if directory is None or view.host(worker) != platform.node():
                return False
            path = directory.path / "journal" / f"{worker}.log"
            return path.exists() and writer_is_gone(path)

        return PeerWorker(
            Parts(
                objective=self._task(),
                searcher=self._plugin("searchers", self.searcher),
                scheduler=self._plugin("schedulers", self.scheduler),
                evaluator=self._evaluator(identity),
                transport=carrier,
                view=view,
                log=log,
                study_hash=self.hash,
                seed=self.seed,
                blobs=blobs,
                definition=json.dumps(self.definition()),
                journal=directory.journal(worker_id) if directory else None,
                journal_id=directory.id if directory else "",
                gone=gone,
                is_gone=is_gone,
                recover=recover,
                join=join,
                expects_peers=bool(join) or (identity is not None and (identity.size or 1) > 1),
                limits=limits,
                identity=identity,
                timing=timing or Timing(),
                callbacks=self.callbacks,
                keep=self.keep,
                notice=self.notices.append,
            ),
            worker_id,
        )

    @property
    def hash(self) -> str:
        """16 hex digits that all workers of a study share: its space, metric and mode."""
        text = json.dumps([self.space.to_dict(), self.metric, self.mode], sort_keys=True)
        return hashlib.sha256(text.encode()).hexdigest()[:16]

    def definition(self) -> dict[str, Any]:
        """What goes into ``study.json``."""
        return {
            "study": self.hash,
            "metric": self.metric,
            "mode": self.mode,
            "max_steps": self.max_steps,
            "searcher": self.searcher if isinstance(self.searcher, str) else repr(self.searcher),
            "scheduler": self.scheduler if isinstance(self.scheduler, str) else repr(self.scheduler),
            "seed": self.seed,
            "created": _time.strftime("%Y-%m-%dT%H:%M:%S%z"),
            "space": self.space.to_dict(),
        }

    def _task(self) -> Objective:
        return Objective(self.objective, self.metric, self.max_steps, self._dump, self._load, self.source)

    def _plugin(self, kind: str, spec: Any) -> Any:
        return create(kind, spec) if isinstance(spec, str) else copy.deepcopy(create(kind, spec))

    def _evaluator(self, identity: Identity | None) -> Any:
        if self.evaluator is not None:
            return self._plugin("evaluators", self.evaluator)
        task = self._task()
        if task.function is None:
            raise UsageError("this study has no objective: give one, or drive it with ask() and tell()")
        if task.is_async:
            return create("evaluators", "coroutine")
        reason = why_not_elsewhere(task)
        if reason is None:
            # Workers of one launch in this process share its machine; the command line's launcher sees to its own.
            return create("evaluators", "process", share=(identity and identity.size) or 1)
        self.notices.append(f"evaluating in threads of this process: {reason}")
        return create("evaluators", "thread")

    def _open(self) -> RunDirectory | None:
        if self.directory is not None and self._opened is None:
            self._opened = RunDirectory(self.directory, self.definition())
        return self._opened

    @property
    def _view(self) -> View:
        if self._replica is None:
            self._replica = Log(), View(self.space, self.metric, self.mode, self.max_steps)
            directory = self._open()
            if directory is not None:
                loaded = directory.load(*self._replica)
                self.notices += [str(damage) for damage in loaded.damage]
        return self._replica[1]

    @property
    def _by_hand(self) -> Manual:
        if self._manual is None:
            view = self._view
            assert self._replica is not None
            worker, directory = new_worker_id(), self._open()
            self._manual = Manual(
                worker,
                view,
                self._replica[0],
                self.seed,
                directory.journal(worker) if directory else None,
                directory.id if directory else "",
            )
        return self._manual

    def _absorb(self, peer: PeerWorker) -> None:
        """Take over what a worker of this process knew when it ended."""
        view = self._view
        assert self._replica is not None
        _copy(peer.parts.log, self._replica[0], view)

    def _scratch_directory(self) -> Path:
        if self._scratch is None:  # made when the first blob is written, removed with the study
            self._scratch = Path(tempfile.gettempdir()) / f"aiohpo-{new_worker_id()}"
            weakref.finalize(self, shutil.rmtree, self._scratch, ignore_errors=True)
        return self._scratch

    def _not_in_child(self) -> None:
        if in_child():
            raise ImportedInChild

    def __repr__(self) -> str:
        where = f" in {self.directory}" if self.directory else ""
        return f"<Study {self.mode} {self.metric} over {len(self.space)} parameters by {self.searcher}{where}>"


def _copy(source: Log, log: Log, view: View) -> None:
    for batch in source.missing(log.vector(), 1 << 62):
        for origin, seq, event in log.merge(batch) or ():
            view.apply(origin, seq, event)


def _whole(name: str, value: Any, least: int = 1) -> int:
    if not isinstance(value, int) or isinstance(value, bool) or value < least:
        raise UsageError(f"{name} must be a whole number of at least {least}, not {value!r}")
    return value


def make_limits(trials: int | None, time: float | None, target: float | None, trial_timeout: float | None) -> Limits:
    """Check the limits of a run. Raises ``UsageError`` that names the wrong one."""
    if trials is not None:
        _whole("trials", trials)
    for name, value in (("time", time), ("trial_timeout", trial_timeout)):
        if value is not None and not (isinstance(value, int | float) and 0 < value < math.inf):
            raise UsageError(f"{name} must be a positive number of seconds, not {value!r}")
    if target is not None and not (isinstance(target, int | float) and math.isfinite(target)):
        raise UsageError(f"target must be a finite value of the metric, not {target!r}")
    return Limits(trials, time, target, trial_timeout)


def why_not_elsewhere(task: Objective) -> str | None:
    """Why another process cannot find the objective again; None if it can."""
    try:
        describe(task)
    except UsageError as error:
        return str(error)
    return None
