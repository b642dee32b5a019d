"""What a study consists of, and how workers are put together of it."""

from __future__ import annotations

import copy
import hashlib
import json
import shutil
import tempfile
import time
import weakref
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import replace
from pathlib import Path
from typing import TYPE_CHECKING, Any

from ..errors import UsageError
from ..evaluate.checkpoint import encode_array
from ..evaluate.objective import Objective, Source
from ..evaluate.reimport import describe
from ..events.log import Log
from ..events.schema import TARGETS
from ..keys import StudyKey, find_key, kept_key, process_key, settle_key
from ..launch.addresses import make_transport
from ..peer.limits import Limits
from ..plugin import Identity, LaunchedTransport, Options
from ..plugin.registry import create
from ..space.space import Space
from ..storage.blob_store import BlobStore
from ..storage.journal import read_journal
from ..storage.liveness import Writers
from ..storage.printed import Sink, both
from ..storage.run_directory import RunDirectory
from ..view.reducer import Mode
from ..view.trials import TrialRecord
from ..view.view import View
from .peer import PeerWorker
from .services import Parts, new_worker_id

if TYPE_CHECKING:
    from ..events.schema import Batch
    from ..mesh.timing import Timing

Callback = Callable[[TrialRecord], Any]


class Assembly:
    """The description of a study, its replica in this process and its run directory; see :class:`aiohpo.Study`."""

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
        max_failures: int = 10,
        dump: Callable[[Any], bytes] | None = None,
        load: Callable[[bytes], Any] | None = None,
        ensemble: Any = None,
        ensemble_metric: Any = None,
        targets: Mapping[str, Any] | None = None,
        callbacks: Sequence[Callback] = (),
        key: StudyKey | str | Path | None = None,
    ) -> None:
        if not isinstance(space, Space):
            raise UsageError(
                f"space must be an aiohpo.Space, not {type(space).__name__}: "
                "aiohpo.Space(lr=Float(1e-5, 1e-1, log=True), …)"
            )
        if mode not in ("min", "max"):
            raise UsageError(f"mode must be 'min' or 'max', not {mode!r}")
        self.objective = objective
        self.space = space
        self.metric = metric
        self.mode: Mode = "min" if mode == "min" else "max"
        self.max_steps = Options().whole_or_none("max_steps", max_steps, least=1)
        self.searcher = searcher
        self.scheduler = scheduler
        self.evaluator = evaluator
        self.directory = Path(directory) if directory is not None else None
        self.seed = Options().whole("seed", seed, least=0)
        self.keep = Options().whole("keep", keep, least=0)
        self.max_failures = Options().whole("max_failures", max_failures, least=0)
        if not isinstance(callbacks, Iterable) or not all(map(callable, callbacks := tuple(callbacks))):
            raise UsageError(f"callbacks must be a list of functions that take a trial's record, not {callbacks!r:.80}")
        self.callbacks = tuple(callbacks)
        if key is not None and not isinstance(key, StudyKey | str | Path):
            raise UsageError(f"key must be the name of a key file, from 'aiohpo keygen FILE', not {type(key).__name__}")
        self.key = key
        self.source: Source | None = None
        if targets is not None and not isinstance(targets, Mapping):
            raise UsageError(f"targets must be a dict of arrays such as {{'valid': y_valid}}, not {targets!r:.80}")
        self.ensemble = ensemble
        self.ensemble_metric = ensemble_metric
        self._targets = {TARGETS + name: encode_array(name, y) for name, y in (targets or {}).items()}
        self._dump, self._load = dump, load
        self._task()  # what is wrong with it should be said here, not when it runs
        self._replica: tuple[Log, View] | None = None
        self._opened: RunDirectory | None = None
        self._scratch: Path | None = None
        self._found_key: StudyKey | None = None
        self.notices: list[str] = []

    def peer(
        self,
        *,
        limits: Limits,
        transport: Any = "inproc",
        join: Sequence[str] = (),
        identity: Identity | None = None,
        timing: Timing | None = None,
        output: Sink | None = None,
    ) -> PeerWorker:
        """Put one worker together; :class:`aiohpo.Worker` and :meth:`arun` use it. A ``transport`` that needs to know
        more than the worker's id is an instance. ``output`` takes what trials print, which also goes to the run
        directory's ``output/``."""
        from ..mesh.timing import Timing

        worker_id = identity.worker if identity else new_worker_id()
        carrier = make_transport(transport, worker=worker_id)
        if isinstance(carrier, LaunchedTransport):
            join = [*join, *carrier.peers()]
            if identity is None or identity.rank is None:
                identity = Identity(worker_id, carrier.rank, carrier.size)
        rank = identity.rank if identity else None
        if rank == 0 or (rank is None and not join):  # the first of its launch; the others hear of it
            self._fulfil()
        log, view = Log(), View(self.space, self.metric, self.mode, self.max_steps)
        directory, gone, writers = self._open(), frozenset[str](), None
        if directory is not None:
            loaded = directory.load(log, view)
            writers = Writers(directory.path, view)
            gone = frozenset(worker for worker, state in loaded.states.items() if state in ("dead", "left"))
            self.notices += loaded.notices
            blobs = directory.blobs
        else:
            if self._replica is not None:
                copy_log(self._replica[0], log, view)
            blobs = BlobStore(self._scratch_directory() / "blobs")

        def notice(text: str) -> None:
            (peer.parts.notice or self.notices.append)(text)

        def recover(worker: str) -> list[Batch]:
            path = directory.path / "journal" / f"{worker}.log" if directory else None
            try:
                return list(read_journal(path, [])) if path is not None and path.exists() else []
            except UsageError as error:  # one unreadable file of the dead must not end the living
                notice(str(error))
                return []

        if directory is not None:
            file = directory.output(worker_id if rank is None else str(rank), notice)
            output = file.write if output is None else both(file.write, output)
        peer = PeerWorker(
            Parts(
                # Only here: a study that is merely put together, or imported again in a child process, needs no key.
                objective=replace(self._task(), secret=self._key.derive("checkpoints")),
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
                is_gone=None if writers is None else writers.is_gone,
                recover=recover,
                join=join,
                expects_peers=bool(join) or (identity is not None and (identity.size or 1) > 1),
                limits=limits,
                max_failures=self.max_failures,
                identity=identity,
                timing=timing or Timing(),
                callbacks=self.callbacks,
                keep=self.keep,
                targets={name: blobs.put(data) for name, data in self._targets.items()},
                ensemble=None if self.ensemble is None else self._plugin("ensembles", self.ensemble),
                ensemble_metric=self.ensemble_metric,
                tell_ensemble=directory.tell_ensemble if directory is not None else None,
                notice=self.notices.append,
                output=output,
            ),
            worker_id,
        )
        return peer

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
            "created": time.strftime("%Y-%m-%dT%H:%M:%S%z"),
            "space": self.space.to_dict(),
        }

    @property
    def _key(self) -> StudyKey:
        """The study's key: what its checkpoints are authenticated under, and who may join."""
        if self._found_key is None:
            self._found_key = self.settle_key() or process_key()
        return self._found_key

    def settle_key(
        self, key: StudyKey | str | Path | None = None, *, meeting: Sequence[Path] = (), elsewhere: Sequence[str] = ()
    ) -> StudyKey | None:
        """Decide on the key of this study and return it; None where there is none yet and no place to keep a new one.

        It is ``key``, else that of the constructor, else ``AIOHPO_KEY``'s, else the one kept in the directories where
        its workers meet or in the run directory; in the end all of these hold it (:func:`aiohpo.keys.settle_key`).
        ``elsewhere`` are addresses of workers that have the key already, so that a new one would be of no use: without
        theirs, ``UsageError`` says what to do.
        """
        given = find_key(self.key if key is None else key)
        own = [] if self.directory is None else [self.directory]
        if given is None and elsewhere and not any(kept_key(place) for place in (*meeting, *own)):
            raise UsageError(
                f"joining {elsewhere[0]} takes its study's key: copy the key file of the first worker to this machine "
                "(there it is study.key in the run directory, or what --key named) and give it with --key FILE (key=, "
                "AIOHPO_KEY); --insecure (insecure=True) if those workers were started with that"
            )
        self._open()  # a directory of another study is refused before a key is left in it
        found = settle_key(given, [*meeting, *own])
        self._found_key = found
        return found

    def use_key(self, key: StudyKey) -> None:
        """Go by ``key``, wherever it comes from, without keeping it."""
        self._found_key = key

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
            self.notices += self._opened.concerns
        return self._opened

    @property
    def _view(self) -> View:
        if self._replica is None:
            self._replica = Log(), View(self.space, self.metric, self.mode, self.max_steps)
            directory = self._open()
            if directory is not None:
                loaded = directory.load(*self._replica)
                self.notices += loaded.notices
        return self._replica[1]

    def _absorb(self, peer: PeerWorker) -> None:
        """Take over what a worker of this process knew when it ended."""
        view = self._view
        assert self._replica is not None
        copy_log(peer.parts.log, self._replica[0], view)

    def _scratch_directory(self) -> Path:
        if self._scratch is None:  # removed with the study
            self._scratch = Path(tempfile.mkdtemp(prefix="aiohpo-"))
            weakref.finalize(self, shutil.rmtree, self._scratch, ignore_errors=True)
        return self._scratch

    def _fulfil(self) -> None:
        """Called before the first worker of a launch is put together."""


def copy_log(source: Log, log: Log, view: View) -> None:
    for batch in source.missing(log.vector(), 1 << 62):
        for origin, seq, event in log.merge(batch) or ():
            view.apply(origin, seq, event)


def why_not_elsewhere(task: Objective) -> str | None:
    """Why another process cannot find the objective again; None if it can."""
    try:
        describe(task)
    except UsageError as error:
        return str(error)
    return None
