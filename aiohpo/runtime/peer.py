"""The worker: one peer of a search, in an asyncio event loop.

Around the pure :class:`~aiohpo.peer.state.PeerState` stand an :class:`~aiohpo.runtime.exchange.Exchange` that does
its I/O, a :class:`~aiohpo.runtime.chooser.Chooser` and, for searchers that learn, a
:class:`~aiohpo.runtime.fitting.Fitting`. A worker is one TaskGroup: a :class:`~aiohpo.runtime.dispatcher.Dispatcher`
deals trials to its slots, in each of which a :class:`~aiohpo.runtime.slot.Slot` runs the user's code, *refit* trains
the model in a thread meanwhile, *sync* makes the journal durable; a timer and arriving frames drive the exchange.
Where a task waits for peers (for what they know at the beginning and the end, for a checkpoint, for who else claimed a
trial), the wait is bounded.

Whether the search is over is decided by :mod:`aiohpo.peer.ending`; the worker keeps the answer in ``end``.

The same class runs under :class:`aiohpo.testing.SimLoop`, which is how swarms are tested.
"""

from __future__ import annotations

import asyncio
import logging
from collections.abc import AsyncIterator
from functools import partial
from typing import TYPE_CHECKING

import numpy as np

from ..events.lifecycle import FINAL
from ..events.schema import trial_name
from ..mesh.effects import Abort, CallOff, TrialsEnded
from ..peer.ending import (
    SearchEnd,
    end_to_record,
    final_end,
    find_end,
    is_quiet,
    leaving_reason,
    time_up,
)
from ..peer.patience import Patience
from ..peer.retention import GRACE, Retention
from ..peer.running_segments import Segment
from ..peer.state import PeerState
from ..plugin import FittingSearcher, GracefulEvaluator
from ..plugin.registry import bind
from ..plugin.scheduler import extend_scheduler
from ..view.trials import TrialRecord
from .assembly.callbacks import Callbacks
from .assembly.services import Services
from .chooser import Chooser
from .dispatcher import Dispatcher
from .exchange import Exchange
from .fitting import Fitting
from .live_ensemble import EnsembleState, Ensembling
from .threads import in_thread

if TYPE_CHECKING:
    from ..ensembles.ensemble import Ensemble

_CLOSE_WITHIN = 5.0
_TIDY_EVERY = 5.0
_DELETED_AT_ONCE = 100  # blobs: to go to a thread takes longer than to delete one


class Peer:
    """One peer of a search: :meth:`start`, :meth:`run` until the search is over, :meth:`aclose`."""

    def __init__(self, services: Services) -> None:
        self.services = services
        self.id = services.identity.worker
        self.view = services.view
        self.exchange = Exchange(self.id, services, self._on_ended, self._on_abort, self._on_call_off, self._cancel)
        self.stopped = False  # stop() ended it, rather than the search being over
        self.end: SearchEnd | None = None  # why the search is over, as far as this worker knows
        self.patience = Patience()
        self.callbacks = Callbacks(services.callbacks, services.notice)
        self.ensembling: Ensembling | None = None
        self._model: Fitting | None = None
        self._dispatcher: Dispatcher | None = None  # set by start()
        self._finished: asyncio.Queue[TrialRecord | None] | None = None
        self._told: set[str] = set()  # ids of trials in that queue, ever
        self._ending = False
        self._has_worked = False  # its slots are done: what remains is to leave
        self._expects_peers = services.expects_peers

    @property
    def state(self) -> PeerState:
        return self.exchange.state

    @property
    def busy_seconds(self) -> float:
        """How long this worker has evaluated trials."""
        return 0.0 if self._dispatcher is None else self._dispatcher.busy_seconds

    @property
    def ensemble(self) -> Ensemble | None:
        """The ensemble that it keeps, if it has made one."""
        state = None if self.ensembling is None else self.ensembling.state
        return None if state is None else state.ensemble

    # --------------------------------------------------------------------------------------------- life
    async def start(self) -> None:
        """Open the transport, say hello and start the evaluator. If that fails, close what was opened."""
        try:
            await self._start()
        except BaseException as error:
            self.exchange.fail(error)
            await self.aclose()
            raise

    async def _start(self) -> None:
        services = self.services
        self._loop = asyncio.get_running_loop()
        identity = services.identity
        # Which draws a worker makes depends on its place in the launch and on what is already known, so that
        # a run with a seed repeats, and a resumed one does not repeat itself.
        place = identity.rank if identity.rank is not None else int(self.id, 16)
        rng = np.random.default_rng([services.seed, place, self.view.n_rows])
        bind(services.searcher, self.view.space, services.seed, identity)
        bind(services.scheduler, self.view.max_steps, services.seed, identity)
        first = self.view.first_max_steps
        if first is not None and first != self.view.max_steps:
            extend_scheduler(services.scheduler, first)
        if isinstance(services.searcher, FittingSearcher):
            tell = partial(services.notice, level=logging.INFO)
            # of workers launched together one speaks for all
            self._model = Fitting(services.searcher, self.view, services.notice, None if identity.worker_rank else tell)
        if services.ensemble is not None:
            self.ensembling = Ensembling(
                services.ensemble,
                services.ensemble_metric,
                self.view,
                services.blobs.get,
                self.exchange.fetch,
                services.notice,
            )
        self._retention = Retention(
            self.view, services.scheduler, services.keep, self._checkpoints_of_members, services.blobs.digests
        )
        self._started = self._loop.time()
        await self.exchange.start(identity)
        self._chooser = Chooser(services, self.exchange, rng, self._model)
        self._dispatcher = Dispatcher(self, self._chooser, identity.slots)
        await services.evaluator.start(services.program, services.blobs)

    async def run(self) -> None:
        """Work until the search is over or :meth:`stop` is called. Raises what broke the worker itself."""
        assert self._dispatcher is not None, "start() was not awaited"
        self._check_failure()
        broken: BaseException | None = None
        deadline: asyncio.TimerHandle | None = None
        if self.services.limits.seconds is not None:
            deadline = self._loop.call_at(self._started + self.services.limits.seconds, self._on_time_up)
        try:
            async with asyncio.TaskGroup() as group:
                helpers = [group.create_task(self.exchange.keep_synced())]
                helpers.append(group.create_task(self._keep_tidy()))
                if self._model is not None:
                    helpers.append(group.create_task(self._model.keep_updated()))
                if self.ensembling is not None:
                    helpers.append(group.create_task(self.ensembling.keep_updated(self._tell_ensemble)))
                await asyncio.wait([group.create_task(self._dispatcher.run(group))])
                self._has_worked = True
                for task in helpers:
                    task.cancel()
        except BaseExceptionGroup as errors:
            broken = errors.exceptions[0]
        finally:
            if deadline is not None:
                deadline.cancel()
        self._check_failure()
        if broken is not None:
            raise broken  # here, where the group is not its context: IPython shows no error that has one
        await self._until_written()
        if self.ensembling is not None and await self.ensembling.update():
            self._tell_ensemble(self.ensembling.state)
        if is_quiet(self.view):
            await self._tidy(0.0)

    def expect(self, addresses: list[str]) -> None:
        """Join those who are reached at ``addresses``. Where there are any, nothing begins before they were heard: to
        be called between :meth:`start` and :meth:`run`."""
        self._expects_peers = self._expects_peers or bool(addresses)
        self.exchange.join(addresses)

    def stop(self, grace: float = 0.0) -> None:
        """End this worker in good order: its running trials are released for others (or a later run), unless they end
        by themselves within ``grace`` seconds.

        Called again it may shorten that. Nothing happens once the search is over.
        """
        if not self._has_worked:
            self.stopped, self.end = True, None
            self._wind_down(grace)

    async def aclose(self) -> None:
        """Leave the swarm: flush what others lack, then close everything. Bounded in time."""
        if self._finished is not None:
            self._finished.put_nowait(None)
        try:
            async with asyncio.timeout(_CLOSE_WITHIN):
                await self.services.evaluator.aclose()
        except TimeoutError:
            pass  # an evaluator that hangs must not keep the others from hearing what we have
        finally:
            await self.exchange.leave(leaving_reason(self.end))
            await self.callbacks.aclose()
        if self.services.remember is not None:
            await in_thread(self.services.remember)

    async def finished(self) -> AsyncIterator[TrialRecord]:
        """Finished trials of the whole swarm as they arrive here, those known already first."""
        if self._finished is None:
            self._finished = asyncio.Queue()
            for known in self.view.records():
                if known.ended_as is not None:
                    self._tell(known)
        while (record := await self._finished.get()) is not None:
            yield record

    def _checkpoints_of_members(self) -> set[str]:
        state = None if self.ensembling is None else self.ensembling.state
        return set() if state is None else {m.checkpoint for m in state.ensemble.members if m.checkpoint is not None}

    def _tell_ensemble(self, state: EnsembleState | None) -> None:
        if self.services.tell_ensemble is not None and state is not None:
            self.services.tell_ensemble(state.as_dict())

    def say(self, text: str) -> None:
        """Say something to the user, in one line."""
        self.services.notice(text)

    def _tell(self, record: TrialRecord) -> None:
        if self._finished is not None:
            self._told.add(record.id)
            self._finished.put_nowait(record)

    def _check_failure(self) -> None:
        if self.exchange.failure is not None:
            raise self.exchange.failure

    # ------------------------------------------------------------------------------------------- ending
    @property
    def is_ending(self) -> bool:
        """Whether this worker ends: the search is over for good, or the worker was stopped or cannot go on."""
        return self._ending

    def is_over(self) -> bool:
        """Whether this worker has nothing to do any more; ``end`` says why, if it is for the search to be over."""
        if not self._ending:
            limits = self.services.limits
            self.end = find_end(
                self.view, workers=(self.id,), target=limits.target, is_work_left=self._chooser.is_work_left
            )
        return self._ending or self.end is not None

    async def is_over_for_all(self) -> bool:
        """Whether the search is over also by what the others know: their last events may still be on their way."""
        await self.exchange.hear_out(lambda: self._ending or self._final_end() is not None)
        return self.is_over()

    def _final_end(self) -> SearchEnd | None:
        return final_end(self.view, workers=(self.id,), target=self.services.limits.target)

    def _call_off(self, end: SearchEnd) -> None:
        """End the search everywhere: the others hear of it as of any event."""
        if self.exchange.failure is None:
            self.state.call_off(end.text, end.failures)
            self.exchange.carry_out()
        self.end = self._final_end() or end  # another peer may have been first
        self._cancel()

    def _on_time_up(self) -> None:
        """Leave: the time is this worker's, and the others go on."""
        if not self._ending:
            self.end = time_up()
            self._wind_down(self.services.limits.grace)

    def _wind_down(self, grace: float) -> None:
        """End the evaluation once the objective has had the time to save its work."""
        self._ending = True
        if self._dispatcher is not None:
            self._dispatcher.stop()
            evaluator = self.services.evaluator
            listening = evaluator.wind_down() if grace > 0 and isinstance(evaluator, GracefulEvaluator) else ()
            for slot in self._dispatcher.slots:
                slot.wind_down(grace, listening)

    def _cancel(self) -> None:
        """End the evaluation: the search is over, or this worker cannot go on."""
        self._ending = True
        if self._dispatcher is not None:
            self._dispatcher.stop()
            for slot in self._dispatcher.slots:
                slot.cancel()

    # -------------------------------------------------------------------------------------- for the slots
    async def get_acquainted(self) -> None:
        """Hear what the others know before anything begins, if others are expected; then settle the budget."""
        acquainted = True
        if self._expects_peers:
            acquainted = await self.exchange.get_acquainted(lambda: self._ending)
        limits = self.services.limits
        if not self._ending:
            self.state.settle_budget(limits.trials, shrink=limits.shrink, acquainted=acquainted)
            self.exchange.carry_out()

    def release(self, segment: Segment) -> None:
        """Give up a segment that has not ended, so that others (or a later run) take it over at once."""
        if self.exchange.failure is None and self.state.segments.get(segment.trial) is segment:
            self.state.yield_up(segment, step=self.view.step(segment.row), seconds=0.0)
            self.exchange.carry_out()

    async def _until_written(self) -> None:
        """Wait until everything is in the journal. Raises Unavailable if that takes too long."""
        while self.exchange.unwritten:
            pause = self.patience.suffer(self._loop.time(), self.exchange.unwritten)
            if self.stopped:  # by Ctrl-C: no time for patience
                raise self.patience.reason_to_stop(self._loop.time())
            await asyncio.sleep(pause)
            await self.exchange.sync()

    async def _keep_tidy(self) -> None:
        """Delete checkpoints that are no longer needed; runs until cancelled."""
        while True:
            await asyncio.sleep(_TIDY_EVERY)
            await self._tidy(GRACE)

    async def _tidy(self, grace: float) -> None:
        for due in self._retention.digests_to_delete(self._loop.time(), grace):
            for at in range(0, len(due), _DELETED_AT_ONCE):
                await in_thread(self._delete, due[at : at + _DELETED_AT_ONCE], grace)
            await asyncio.sleep(0)

    def _delete(self, digests: list[str], unless_newer: float) -> None:
        for digest in digests:
            self.services.blobs.delete(digest, unless_newer)

    # --------------------------------------------------------------------------------------- being told
    def _on_abort(self, abort: Abort) -> None:
        if self._dispatcher is not None:
            self._dispatcher.abort(abort.trial)

    def _on_ended(self, ended: TrialsEnded) -> None:
        if self._dispatcher is not None:
            self._dispatcher.note_change()
        if self._model is not None:
            self._model.note_new_results()
        if self.ensembling is not None:
            self.ensembling.note_new_results()
        if self._finished is not None:
            for row in ended.rows:
                if self.view.status(row) in FINAL and trial_name(self.view.id(row)) not in self._told:
                    self._tell(self.view.record(row))
        if not self._ending:
            end = end_to_record(
                self.view,
                me=self.id,
                present=lambda: self.state.present,
                target=self.services.limits.target,
                max_failures=self.services.max_failures,
            )
            if end is not None:
                self._call_off(end)

    def _on_call_off(self, call_off: CallOff) -> None:
        if not self._ending:
            self.end = self._final_end()
            self._cancel()

    def __repr__(self) -> str:
        return f"<Peer {self.id}: {self.view!r}>"
