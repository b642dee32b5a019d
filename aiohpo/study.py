"""The public API: a study, run here or driven by hand."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping, Sequence
from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING, Any

from .arguments import RUN_ARGUMENTS, STUDY_ARGUMENTS, STUDY_ATTRIBUTES, explained, explained_class
from .by_hand import DrivenByHand
from .errors import UsageError, plural
from .evaluate.checkpoint import encode_array
from .evaluate.program import Program, StudyFile, refuse_in_child
from .events.schema import MAX_SLOTS, MAX_STEPS, TARGETS
from .keys import StudyKey
from .peer.limits import GRACE, Limits, make_limits
from .plugin import Identity, Options, TrialCallback
from .plugin.objective import Objective
from .runtime.notices import Logged
from .space.space import Space
from .tables import html_table

# The parts of a search are imported where they are needed: the processes that evaluate import Study, but never search.
if TYPE_CHECKING:
    from .mesh.timing import Timing
    from .result import Result
    from .runtime.assembly.definition import Callback, StudyDefinition
    from .runtime.assembly.replica import Replica
    from .runtime.assembly.services import Services
    from .runtime.peer import Peer
    from .storage.printed import Sink
    from .view.trials import TrialRecord


@explained_class(STUDY_ARGUMENTS, STUDY_ATTRIBUTES)
class Study(DrivenByHand):
    """A search: the objective, its space, and the way to search it.

    objective      called with a :class:`~aiohpo.evaluate.trial.Trial`; ``def`` or ``async def``; None to drive the
                   study by :meth:`ask` and :meth:`tell`
    space          a :class:`~aiohpo.space.space.Space`
    metric, mode   the name of the metric that the objective returns or reports, and "min" or "max"
    max_steps      steps (epochs, the rungs' resource) of a whole trial; None if trials have no steps
    searcher, scheduler, evaluator   names ("adbo", "adbo:kappa=1") or instances; the evaluator defaults to
                   "coroutine" for ``async def`` and to "process" for everything else
    directory      where the journal and checkpoints go; None keeps the study in memory
    seed           the same seed gives every worker of a rank the same draws
    keep           how many of the best complete trials keep their last checkpoint; others are deleted once no scheduler
                   can need them
    max_failures   the search stops after this many failures since its start if no trial ever succeeded; 0: never
    retries        how often a trial whose process crashes or runs out of memory (not one that raises) is tried again
    dump, load     functions with which ``trial.save`` turns a checkpoint into bytes and ``trial.restore`` reads them
    ensemble       the builder of an ensemble of the models while the search runs: "greedy", "topk", "gradient" or an
                   instance; objectives call ``trial.predictions(valid=…)``
    ensemble_metric  the metric that the ensemble optimises; None: log_loss or rmse, depending on the targets
    targets        {name: (n,)} the true values of ``trial.predictions`` of that name, for ensembles; trials can also
                   give them (``trial.targets``)
    callbacks      functions that are called with each trial's record when it has ended, in the worker that evaluated
                   it, or :class:`~aiohpo.TrialCallback` objects, which are also told of its start and reports
    key            the file of the study's key (see "aiohpo keygen"), or the key. Without it: the file that AIOHPO_KEY
                   names, else study.key in the directory, which is made there; a study in memory needs none. Anyone
                   who has the key can join the search, which includes running code in it
    share          "group": the directory and its contents are shared with its group, whose members are trusted like
                   holders of the key; None: they belong to their owner only. Every user of the directory must give it
    """

    def __init__(
        self,
        objective: Callable[..., Any] | None = None,
        space: Space | None = None,
        *,
        metric: str = "loss",
        mode: str = "min",
        max_steps: int | None = None,
        searcher: Any = "auto",
        scheduler: Any = "fifo",
        evaluator: Any = None,
        directory: str | Path | None = None,
        seed: int = 0,
        keep: int = 10,
        max_failures: int = 10,
        retries: int = 0,
        dump: Callable[[Any], bytes] | None = None,
        load: Callable[[bytes], Any] | None = None,
        ensemble: Any = None,
        ensemble_metric: Any = None,
        targets: Mapping[str, Any] | None = None,
        callbacks: Sequence[Callback] = (),
        key: StudyKey | str | Path | None = None,
        share: str | None = None,
    ) -> None:
        if not isinstance(space, Space):
            raise UsageError(
                f"space must be an aiohpo.Space, not {type(space).__name__}: "
                "aiohpo.Space(lr=Float(1e-5, 1e-1, log=True), …)"
            )
        if not isinstance(callbacks, Iterable) or not all(map(_is_callback, callbacks := tuple(callbacks))):
            raise UsageError(
                f"callbacks must be a list of functions that take a trial's record, or of TrialCallback objects, not "
                f"{callbacks!r:.80}"
            )
        if key is not None and not isinstance(key, StudyKey | str | Path):
            raise UsageError(f"key must be the name of a key file, from 'aiohpo keygen FILE', not {type(key).__name__}")
        if targets is not None and not isinstance(targets, Mapping):
            raise UsageError(f"targets must be a dict of arrays such as {{'valid': y_valid}}, not {targets!r:.80}")
        self.objective = objective
        self.space = space
        self._judged_by = Objective(metric, mode)  # type: ignore[arg-type]  # says what is wrong with it
        self.metric = metric
        self.mode = self._judged_by.direction
        self.max_steps = Options().whole_or_none("max_steps", max_steps, least=1, most=MAX_STEPS)
        self.searcher = searcher
        self.scheduler = scheduler
        self.evaluator = evaluator
        self.directory = None if directory is None else Path(Options().path("directory", directory))
        self.seed = Options().whole("seed", seed, least=0)
        self.keep = Options().whole("keep", keep, least=0)
        self.max_failures = Options().whole("max_failures", max_failures, least=0)
        self.retries = Options().whole("retries", retries, least=0, most=1000)
        self.ensemble = ensemble
        self.ensemble_metric = ensemble_metric
        self.callbacks = tuple(callbacks)
        self.key = key
        self.share = None if share is None else Options().choice("share", share, ("group",))
        self.notices: list[str] = []
        self._notices_shown = 0  # of these, by earlier runs
        self._source: StudyFile | None = None
        self._targets = {TARGETS + name: encode_array(name, y) for name, y in (targets or {}).items()}
        self._dump, self._load = dump, load
        self._notice = Logged(self.notices.append)
        self._replica_here: Replica | None = None
        self._peer_here: Peer | None = None
        self._is_searching = False
        self._stopping = False
        self._task()  # what is wrong with it should be said here, not when it runs

    # ------------------------------------------------------------------------------------------- running
    @explained("Study.run", RUN_ARGUMENTS)
    def run(
        self,
        trials: int | None = None,
        *,
        slots: int = 1,
        time: float | None = None,
        target: float | None = None,
        trial_timeout: float | None = None,
        grace: float = GRACE,
        shrink: bool = False,
        progress: bool | str = True,
    ) -> Result:
        """Search until ``trials`` trials have ended (over all runs of this study), ``time`` seconds passed or
        ``target`` is reached. At least one of the three is needed, unless the search ends by itself: because the space
        is finite, or because the searcher or scheduler is (such as a grid or population based training).

        A number of ``trials`` below that of the existing results is refused, unless ``shrink`` is true.

        ``slots`` trials are evaluated at a time, by one worker. Ctrl-C (or SIGTERM, or a closed terminal) ends the
        search cleanly: reported results are kept, running trials are released, and another call continues the search.
        As when the time is up, ``trial.ended`` tells objectives, which have ``grace`` seconds to save their work and
        return. A second Ctrl-C ends the search immediately. In a notebook, interrupting the kernel has the same effect
        as Ctrl-C.

        ``progress`` is "bar", "lines" (one for each trial that ends or pauses) or False. True means a bar in a terminal
        or a notebook, and lines elsewhere.

        What trials print, warn or log appears above the progress bar, or on stdout if there is none, as ``[17] text``
        with the trial's number; with a directory it is also kept in ``output/``.

        If an event loop is running already, as in a notebook cell, the search runs its own loop in a thread and blocks
        the running one until it ends. To avoid that, ``await`` :meth:`arun`.
        """
        refuse_in_child()
        from .report.live import run_with_progress

        limits = make_limits(trials, time, target, trial_timeout, grace=grace, shrink=shrink)
        search = partial(self._search, limits, slots)
        self._stopping = False
        return run_with_progress(self, search, progress=progress, grace=limits.grace)

    @explained("Study.arun", RUN_ARGUMENTS)
    async def arun(
        self,
        trials: int | None = None,
        *,
        slots: int = 1,
        time: float | None = None,
        target: float | None = None,
        trial_timeout: float | None = None,
        grace: float = GRACE,
        shrink: bool = False,
        progress: bool | str | None = None,
    ) -> Result:
        """Like :meth:`run`, inside a running event loop and without touching signals.

        Cancelling it ends the search cleanly, and :attr:`result` has the results. :meth:`stop` ends it, too; then this
        method returns them.

        A notebook shows a progress bar; elsewhere progress is shown only if ``progress`` is given, as for :meth:`run`.
        If none is shown, neither the terminal nor the streams are touched: output that trials print in their own
        processes goes to ``output/`` in the directory, if there is one, and output in this process goes to your
        application's own.
        """
        self._stopping = False
        limits = make_limits(trials, time, target, trial_timeout, grace=grace, shrink=shrink)
        if progress is not False:
            from .report.live import choose_progress, watch

            if (shown := choose_progress(progress, self._notice)) is not None:
                return await watch(self, partial(self._search, limits, slots), shown, "stopping")
        return await self._search(limits, slots)

    async def _search(
        self, limits: Limits, slots: int, output: Sink | None = None, begin: Callable[[Peer], None] | None = None
    ) -> Result:
        """Search until ``limits`` end it. ``output`` takes what trials print; ``begin`` is called with the peer before
        it starts."""
        refuse_in_child()
        slots = Options().whole("slots", slots, least=1, most=MAX_SLOTS)
        if self._is_searching:
            raise UsageError("this study is running already; wait for it or stop() it")
        self._is_searching, replica = True, self._replica
        try:
            from .runtime.assembly.loading import load_parts

            await load_parts(self._definition, "inproc", None if self._wishes_in_file else replica)
            from .result import Result
            from .runtime.assembly.services import new_worker_id
            from .runtime.peer import Peer

            place = Identity.of_worker(new_worker_id(), 0, 1, slots)
            peer = self._peer_here = Peer(self._services(limits=limits, identity=place, output=output, must_end=True))
            replica.follow_worker(peer.services.log)
            if begin is not None:
                begin(peer)
            if self._stopping:
                peer.stop()
            try:
                await peer.start()
                try:
                    await peer.run()
                finally:
                    await peer.aclose()
            finally:
                self._peer_here = None
                await replica.leave_worker(peer.services.log, peer.view)
            known = replica.view, replica.states(), replica.blobs
            return await Result.collect(
                *known, interrupted=peer.stopped, end=peer.end, ensemble=peer.ensemble, log=replica.log
            )
        finally:
            self._is_searching = False

    def stop(self, grace: float = 0.0) -> None:
        """End a running search cleanly; :meth:`arun` then returns its result. With ``grace``, ``trial.ended`` first
        tells the running objectives, which have that many seconds to save their work."""
        self._stopping = True
        if self._peer_here is not None:
            self._peer_here.stop(grace)

    @property
    def best(self) -> TrialRecord | None:
        """The best trial so far, as in :attr:`result`; None while there is none."""
        from .view.summary import Summary

        self._replica.refresh()
        return Summary(self._replica.view, self._replica.states()).best()

    @property
    def result(self) -> Result:
        """The results so far, from the run directory and from searches in this process."""
        from .result import Result

        self._replica.refresh()
        replica = self._replica
        return Result(replica.view, states=replica.states(), blobs=replica.blobs, log=replica.log)

    # --------------------------------------------------------------------------------------- for workers
    @property
    def _definition(self) -> StudyDefinition:
        from .runtime.assembly.definition import StudyDefinition

        return StudyDefinition(
            program=self._task(),
            space=self.space,
            objective=self._judged_by,
            max_steps=self.max_steps,
            searcher=self.searcher,
            scheduler=self.scheduler,
            evaluator=self.evaluator,
            directory=self.directory,
            seed=self.seed,
            keep=self.keep,
            max_failures=self.max_failures,
            retries=self.retries,
            ensemble=self.ensemble,
            ensemble_metric=self.ensemble_metric,
            targets=self._targets,
            callbacks=self.callbacks,
            share=self.share == "group",
        )

    @property
    def _replica(self) -> Replica:
        from .runtime.assembly.replica import Replica

        if self._replica_here is None:
            self._replica_here = Replica(self._definition, self.key, self._notice)
        return self._replica_here

    def _task(self) -> Program:
        return Program(self.objective, self.metric, self.max_steps, self._dump, self._load, self._source)

    def _services(
        self,
        *,
        limits: Limits,
        transport: Any = "inproc",
        join: Sequence[str] = (),
        identity: Identity | None = None,
        timing: Timing | None = None,
        output: Sink | None = None,
        notice: Callable[[str], None] | None = None,
        must_end: bool = False,
    ) -> Services:
        """Put together what one worker needs; ``notice`` hears its notices instead of the study."""
        from .runtime.assembly.wiring import build_services, find_place, is_first

        carrier, join, place = find_place(transport, join, identity)
        if is_first(join, place):
            self._fulfil()
        return build_services(
            self._definition,
            self._replica,
            transport=carrier,
            join=join,
            identity=place,
            limits=limits,
            timing=timing,
            output=output,
            notice=self._notice if notice is None else Logged(notice),
            concern=self._notice,
            must_end=must_end,
        )

    def __repr__(self) -> str:
        where = f" in {self.directory}" if self.directory else ""
        parameters = plural(len(self.space), "parameter")
        return f"<Study {self.mode} {self.metric} over {parameters} by {self.searcher}{where}>"

    def _repr_html_(self) -> str:
        rows = {
            "metric": f"{self.metric}, {self.mode}",
            "steps": self.max_steps,
            "searcher": self.searcher,
            "scheduler": self.scheduler,
            "evaluator": self.evaluator,
            "directory": self.directory,
        }
        settings = [(name, value) for name, value in rows.items() if value is not None]
        return html_table("Study", (), settings) + self.space._repr_html_()


def _is_callback(callback: object) -> bool:
    return callable(callback) or isinstance(callback, TrialCallback)
