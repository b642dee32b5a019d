"""The worker: evaluates trials, one after another, in an asyncio event loop.

Around the pure :class:`~aiohpo.peer.state.PeerState` stand an :class:`~aiohpo.runtime.exchange.Exchange` that does
its I/O, a :class:`~aiohpo.runtime.chooser.Chooser` and, for searchers that learn, a
:class:`~aiohpo.runtime.fitting.ModelKeeper`. A worker is one TaskGroup: *evaluate* takes the next trial and runs the
user's code, *refit* trains the model in a thread meanwhile, *sync* makes the journal durable; a timer and arriving
frames drive the exchange. No task ever waits for a peer.

The same class runs under :class:`aiohpo.testing.SimLoop`, which is how swarms are tested.
"""

from __future__ import annotations

import asyncio
import logging
from collections.abc import AsyncIterator
from dataclasses import replace

import numpy as np

from ..errors import Unavailable
from ..evaluate.checkpoint import find_fault
from ..events.lifecycle import FINAL
from ..events.schema import trial_name
from ..mesh.effects import Abort, CallOff, TrialsEnded
from ..peer.patience import PATIENCE, Patience
from ..peer.recorder import Segment
from ..peer.retention import GRACE, Retention
from ..peer.state import PeerState
from ..plugin import Assignment, FittingSearcher, Outcome
from ..view.trials import TrialRecord
from .channel import SegmentChannel
from .chooser import Chooser
from .exchange import Exchange
from .fitting import ModelKeeper
from .live_ensemble import EnsembleState, Ensembling
from .services import Services
from .threads import in_thread

_YIELD_AFTER = 0.001  # seconds of uninterrupted evaluation after which others on the loop get a turn
_CLOSE_WITHIN = 5.0
_TIDY_EVERY = 5.0


class PeerWorker:
    """One peer of a search: :meth:`start`, :meth:`run` until the search is over, :meth:`aclose`."""

    def __init__(self, services: Services) -> None:
        self.services = services
        self.id = services.identity.worker
        self.view = services.view
        self.exchange = Exchange(self.id, services, self._on_ended, self._on_abort, self._on_call_off, self._cancel)
        self.stopped = False  # stop() ended it, rather than the search being over
        self.busy_seconds = 0.0
        self.current: Segment | None = None
        self.ensembling: Ensembling | None = None
        self._model: ModelKeeper | None = None
        self._finished: asyncio.Queue[TrialRecord | None] | None = None
        self._told: set[str] = set()  # ids of trials in that queue, ever
        self._ending = False
        self._task: asyncio.Task[None] | None = None
        self._patience = Patience()
        self._expects_peers = services.expects_peers

    @property
    def state(self) -> PeerState:
        return self.exchange.state

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
        self._change = asyncio.Event()
        identity = services.identity
        # Which draws a worker makes depends on its place in the launch and on what is already known, so that
        # a run with a seed repeats, and a resumed one does not repeat itself.
        place = identity.rank if identity.rank is not None else int(self.id, 16)
        rng = np.random.default_rng([services.seed, place, self.view.n_rows])
        services.searcher.setup(self.view.space, services.seed, identity)
        services.scheduler.setup(self.view.max_steps, services.seed, identity)
        if isinstance(services.searcher, FittingSearcher):
            self._model = ModelKeeper(services.searcher, self.view)
        if services.ensemble is not None:
            self.ensembling = Ensembling(
                services.ensemble,
                services.ensemble_metric,
                self.view,
                services.blobs.get,
                self.exchange.fetch,
                services.notice,
            )
        self._retention = Retention(self.view, services.scheduler, services.keep, self._checkpoints_of_members)
        self._started = self._loop.time()
        await self.exchange.start(identity.rank)
        self._chooser = Chooser(services, self.exchange, rng, self._model)
        await services.evaluator.start(services.objective, services.blobs)

    async def run(self) -> None:
        """Work until the search is over or :meth:`stop` is called. Raises what broke the worker itself."""
        self._check_failure()
        deadline: asyncio.TimerHandle | None = None
        if self.services.limits.seconds is not None:
            deadline = self._loop.call_at(self._started + self.services.limits.seconds, self._call_off, "time is up")
        try:
            async with asyncio.TaskGroup() as group:
                helpers = [group.create_task(self.exchange.keep_synced())]
                helpers.append(group.create_task(self._keep_tidy()))
                if self._model is not None:
                    helpers.append(group.create_task(self._model.keep()))
                if self.ensembling is not None:
                    helpers.append(group.create_task(self.ensembling.keep(self._tell_ensemble)))
                self._task = group.create_task(self._evaluate())
                await asyncio.wait([self._task])
                for task in helpers:
                    task.cancel()
        except BaseExceptionGroup as errors:
            self._check_failure()
            raise errors.exceptions[0] from None
        finally:
            self._task = None
            if deadline is not None:
                deadline.cancel()
        self._check_failure()
        await self._until_written()
        if self.ensembling is not None and await self.ensembling.update():
            self._tell_ensemble(self.ensembling.state)
        if self.state.quiet():
            await self._tidy(0.0)

    def expect(self, addresses: list[str]) -> None:
        """Join those who are reached at ``addresses``. Where there are any, nothing begins before they were heard: to
        be called between :meth:`start` and :meth:`run`."""
        self._expects_peers = self._expects_peers or bool(addresses)
        self.exchange.join(addresses)

    def stop(self) -> None:
        """End this worker in good order: its running trial is released for others (or a later run)."""
        self.stopped = True
        self._cancel()

    async def aclose(self, reason: str = "done") -> None:
        """Leave the swarm: flush what others lack, then close everything. Bounded in time."""
        if self._finished is not None:
            self._finished.put_nowait(None)
        try:
            async with asyncio.timeout(_CLOSE_WITHIN):
                await self.services.evaluator.aclose()
        except TimeoutError:
            pass  # an evaluator that hangs must not keep the others from hearing what we have
        finally:
            await self.exchange.leave(reason)

    async def finished(self) -> AsyncIterator[TrialRecord]:
        """Finished trials of the whole swarm as they arrive here, those known already first."""
        if self._finished is None:
            self._finished = asyncio.Queue()
            for known in self.view.records():
                if known.status in ("finished", "stopped", "failed", "surplus"):
                    self._tell(known)
        while (record := await self._finished.get()) is not None:
            yield record

    def _checkpoints_of_members(self) -> set[str]:
        state = None if self.ensembling is None else self.ensembling.state
        return set() if state is None else {m.checkpoint for m in state.ensemble.members if m.checkpoint is not None}

    def _tell_ensemble(self, state: EnsembleState | None) -> None:
        if self.services.tell_ensemble is not None and state is not None:
            self.services.tell_ensemble(state.as_dict())

    def tell(self, text: str) -> None:
        """Say something to the user, in one line."""
        self.services.notice(text)

    def _tell(self, record: TrialRecord) -> None:
        if self._finished is not None:
            self._told.add(record.id)
            self._finished.put_nowait(record)

    def _cancel(self) -> None:
        """End the evaluation: time is up, the target is reached, or this worker cannot go on."""
        self._ending = True
        if self._task is not None:
            self._task.cancel()

    def _check_failure(self) -> None:
        if self.exchange.failure is not None:
            raise self.exchange.failure

    # --------------------------------------------------------------------------------------- evaluating
    async def _evaluate(self) -> None:
        breath = self._loop.time()
        try:
            if self._expects_peers:
                await self.exchange.get_acquainted(lambda: self._ending)
            while not self._over() or not await self._nothing_was_unheard():
                trouble = self.exchange.unwritten or await self._work()
                if trouble:
                    await self._suffer(trouble)
                now = self._loop.time()
                if now - breath > _YIELD_AFTER:
                    await asyncio.sleep(0)
                    breath = now
        except asyncio.CancelledError:
            if not self._ending:
                raise
        except Exception as error:
            if not isinstance(error, Unavailable):  # else nothing is wrong with this worker: it leaves in good order
                self.exchange.fail(error)
            raise
        finally:
            self._release()

    async def _nothing_was_unheard(self) -> bool:
        """Whether the search is over also by what the others know: their last events may still be on their way."""
        await self.exchange.hear_out(self._is_called_off)
        return self._over()

    async def _work(self) -> str:
        """Run the next segment, or wait a while if there is none; return what kept it from being run, if anything."""
        try:
            segment = await self._chooser.next(self.busy_seconds / max(self.state.ended_here, 1))
            if segment is None:
                if not self._over():
                    await self._wait_for_change()
                return ""
            trouble = await self._run_segment(segment)
        except Unavailable as error:
            self._release()
            return str(error)
        if not trouble and self._patience.relieve():
            self.services.notice("what was wrong has passed: going on", level=logging.INFO)
        return trouble

    async def _suffer(self, trouble: str) -> None:
        """Wait after a trouble that is nobody's fault, longer each time. Raises Unavailable in the end."""
        end = self._loop.time() + self._patience.suffer(self._loop.time(), trouble)
        if self._patience.first:
            self.tell(f"{trouble}. No trial fails for it: trying again for up to {PATIENCE:.0f} s")
        while not self._over() and (left := end - self._loop.time()) > 0:
            await self._wait_for_change(left)

    async def _until_written(self) -> None:
        """Wait until everything is in the journal. Raises Unavailable if that takes too long."""
        while self.exchange.unwritten:
            pause = self._patience.suffer(self._loop.time(), self.exchange.unwritten)
            if self.stopped:  # by Ctrl-C: no time for patience
                raise self._patience.end(self._loop.time())
            await asyncio.sleep(pause)
            await self.exchange.sync()

    async def _keep_tidy(self) -> None:
        """Delete checkpoints that nobody needs any more; runs until cancelled."""
        while True:
            await asyncio.sleep(_TIDY_EVERY)
            await self._tidy(GRACE)

    async def _tidy(self, grace: float) -> None:
        for due in self._retention.sweep(self._loop.time(), grace):
            for digest in due:
                await in_thread(self.services.blobs.delete, digest, grace)
            await asyncio.sleep(0)

    def _over(self) -> bool:
        return self._is_called_off() or (self.state.quiet() and not self._chooser.left())

    def _is_called_off(self) -> bool:
        return self._ending or self.state.called_off or self._target_reached()

    def _target_reached(self) -> bool:
        target, loss = self.services.limits.target, self.view.best_loss
        return target is not None and loss is not None and loss <= self.view.sign * target

    async def _run_segment(self, segment: Segment) -> str:
        """Run a segment to its end; return what kept it from being run, if it was released for that."""
        timeout = self.services.limits.trial_timeout
        assignment = await self._with_checkpoint(self.state.assignment(segment, self.view.max_steps), segment)
        channel = SegmentChannel(self, segment, assignment.start)
        outcome: Outcome | None = None
        began, seconds = self._loop.time(), 0.0
        if not segment.doomed:
            self.current = segment
            try:
                async with channel.timer:
                    channel.start_clock(timeout)
                    outcome = await self.services.evaluator.run(assignment, channel)
            except TimeoutError:
                if not channel.timer.expired():
                    raise
                outcome = Outcome("failed", {}, f"timed out after {timeout:g} s (the trial timeout)")
            except asyncio.CancelledError:
                if not self._only_aborted(segment):
                    raise
            finally:
                self.current = None
                seconds = channel.seconds(self._loop.time() - began)
                self.busy_seconds += seconds
        trouble = ""
        if outcome is not None and outcome.kind == "released":
            trouble = outcome.error or "the evaluator could not run the trial"
            outcome = None
        self._end_segment(segment, channel, outcome, seconds)
        return trouble

    async def _with_checkpoint(self, assignment: Assignment, segment: Segment) -> Assignment:
        """Make sure that the checkpoint to resume from is here and authentic; without it the trial starts over."""
        if (digest := assignment.checkpoint) is None:
            return assignment
        saved = self.view.checkpoint(segment.row, assignment.start)
        fault: str | None = "is lost: nobody has it"
        if await self.exchange.fetch(digest, saved[3] if saved else None):
            fault = await in_thread(find_fault, self.services.blobs, digest, self.services.objective.secret)
        if fault is None:
            return assignment
        self.tell(f"trial {assignment.number} starts over: its checkpoint of step {assignment.start} {fault}")
        return replace(assignment, start=0, checkpoint=None)

    def _only_aborted(self, segment: Segment) -> bool:
        """Whether a cancellation meant just this segment, not this worker or everything around it."""
        task = self._task
        if self._ending or not segment.doomed or task is None or task.cancelling() > 1:
            return False
        task.uncancel()
        return True

    def _end_segment(self, segment: Segment, channel: SegmentChannel, outcome: Outcome | None, seconds: float) -> None:
        state, now = self.state, self._loop.time()
        if outcome is None:
            state.yield_up(now, segment, step=channel.step, seconds=seconds)
            self.exchange.carry_out()
            return
        metrics = dict(outcome.metrics)
        value = metrics.pop(self.view.metric, channel.value)
        state.end(
            now,
            segment,
            outcome.kind,
            step=channel.step,
            seconds=seconds,
            value=value if outcome.kind != "failed" else None,
            extra=metrics or channel.extra,
            error=outcome.error,
            detail=outcome.detail,
        )
        self.exchange.carry_out()
        if self.services.callbacks and outcome.kind in ("finished", "stopped", "failed"):
            record = self.view.record(segment.row)
            for callback in self.services.callbacks:
                callback(record)

    def _release(self) -> None:
        """Give up what is still running, so that others (or a later run) take it over at once."""
        if self.exchange.failure is None:
            for segment in list(self.state.segments.values()):
                self.state.yield_up(self._loop.time(), segment, step=self.view.step(segment.row), seconds=0.0)
            self.exchange.carry_out()

    async def _wait_for_change(self, at_most: float = 0.5) -> None:
        """Until something arrives, at most half a second: what may be claimed also changes with time."""
        self._change.clear()
        try:
            async with asyncio.timeout(at_most):
                await self._change.wait()
        except TimeoutError:
            pass

    # --------------------------------------------------------------------------------------- being told
    def _on_abort(self, abort: Abort) -> None:
        current = self.current
        if current is not None and current.trial == abort.trial and self._task is not None:
            self._task.cancel()

    def _on_ended(self, ended: TrialsEnded) -> None:
        self._change.set()
        if self._model is not None:
            self._model.observed()
        if self.ensembling is not None:
            self.ensembling.observed()
        if self._finished is not None:
            for row in ended.rows:
                if self.view.status(row) in FINAL and trial_name(self.view.id(row)) not in self._told:
                    self._tell(self.view.record(row))
        if not self._ending and self._target_reached():
            self._call_off("the target is reached")
        most = self.services.max_failures
        if not self._ending and most and (failures := self.state.failures()) >= most:
            self._call_off(f"{failures} trials failed and none succeeded", failures)

    def _on_call_off(self, call_off: CallOff) -> None:
        if not self._ending:
            self._cancel()

    def _call_off(self, reason: str, failures: int = 0) -> None:
        """End the search everywhere: the others hear of it as of any event."""
        if self.exchange.failure is None:
            self.state.call_off(reason, failures)
            self.exchange.carry_out()
        self._cancel()

    def __repr__(self) -> str:
        return f"<PeerWorker {self.id}: {self.view!r}>"
