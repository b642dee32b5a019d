"""The worker: the asyncio shell around :class:`~aiohpo.worker_state.WorkerState`.

One TaskGroup with three tasks: *evaluate* takes the next trial and runs the user's code, *refit* trains the
searcher's model in a thread while evaluations run, *sync* makes the journal durable. A timer drives the
exchange; frames arrive by callback. Whatever happens is told to the state, and :meth:`Worker._carry_out` does
what the state then asks for. No task ever waits for a peer.

The same class runs under :class:`aiohpo.testing.SimLoop`, which is how swarms are tested.
"""

from __future__ import annotations

import asyncio
import os
import platform
import secrets
import time
from collections.abc import AsyncIterator, Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any, Protocol

import numpy as np

from .effects import Abort, Connect, Disconnect, Effect, Notice, Persist, Publish, Send
from .events import Batch, encode_frame, parse_trial, trial_name
from .interfaces import (
    AiohpoError,
    Decision,
    Evaluator,
    FittingSearcher,
    Identity,
    NewTrial,
    Outcome,
    Resume,
    Scheduler,
    Searcher,
    Transport,
)
from .log import Log
from .trial import FINAL
from .view import TrialRecord, View
from .worker_state import Segment, Timing, WorkerState

if TYPE_CHECKING:
    from .evaluate import Objective

_YIELD_AFTER = 0.001  # seconds of uninterrupted evaluation after which others on the loop get a turn
_LEAVE_WITHIN = 2.0


class JournalLike(Protocol):
    """Where events are kept; :class:`aiohpo.journal.Journal` or a test's memory."""

    def append(self, batches: Iterable[Batch]) -> None: ...
    def sync(self) -> None: ...
    def close(self) -> None: ...


@dataclass(frozen=True, slots=True)
class Limits:
    """When the search ends. ``trials`` is global, ``seconds`` counts from this worker's start, ``target`` is
    in the metric's own units."""

    trials: int | None = None
    seconds: float | None = None
    target: float | None = None
    trial_timeout: float | None = None


@dataclass(slots=True)
class Parts:
    """What a worker is made of; :class:`aiohpo.Study` puts it together."""

    objective: Objective
    searcher: Searcher
    scheduler: Scheduler
    evaluator: Evaluator
    transport: Transport
    view: View
    log: Log
    study_hash: str
    seed: int
    max_steps: int | None
    blobs: Any
    journal: JournalLike | None = None
    journal_id: str = ""
    gone: frozenset[str] = frozenset()
    recover: Callable[[str], list[Batch]] | None = None
    join: Sequence[str] = ()
    limits: Limits = field(default_factory=Limits)
    identity: Identity | None = None
    timing: Timing = field(default_factory=Timing)
    callbacks: Sequence[Callable[[TrialRecord], Any]] = ()
    notice: Callable[[str], None] | None = None
    output: Callable[[str], None] | None = None
    wall: Callable[[], float] = time.time


def new_worker_id() -> str:
    """A name that no other worker process has: 48 random bits."""
    return secrets.token_hex(6)


class _Channel:
    """Carries a running trial's reports to the state. Implements :class:`aiohpo.interfaces.Channel`."""

    __slots__ = ("_worker", "extra", "segment", "step", "value")

    def __init__(self, worker: PeerWorker, segment: Segment, start: int) -> None:
        self._worker = worker
        self.segment = segment
        self.step = start
        self.value: float | None = None
        self.extra: dict[str, float] = {}

    def report(self, step: int, metrics: Mapping[str, float]) -> Decision:
        self.extra = dict(metrics)
        self.value = self.extra.pop(self._worker.view.metric, None)
        self.step = max(self.step, step)
        return self._worker._on_report(self)

    def save(self, step: int, digest: str, size: int) -> None:
        self._worker.state.saved(self.segment, step, digest, size)
        self._worker._carry_out()

    def predictions(self, digests: Mapping[str, str]) -> None:
        self._worker.state.predicted(self.segment, digests)
        self._worker._carry_out()

    def log(self, text: str) -> None:
        if self._worker.parts.output is not None:
            self._worker.parts.output(text)


class PeerWorker:
    """One peer of a search. ``async with`` starts and stops it; :meth:`run` returns when the search is over."""

    def __init__(self, parts: Parts, worker_id: str | None = None) -> None:
        self.parts = parts
        self.id = worker_id or new_worker_id()
        self.view = parts.view
        self.state: WorkerState  # set by start()
        self.exhausted = False
        self.busy_seconds = 0.0
        self.current: Segment | None = None
        self._finished: asyncio.Queue[TrialRecord | None] | None = None
        self._timer: asyncio.TimerHandle | None = None
        self._timer_due = float("inf")
        self._failure: BaseException | None = None
        self._stopping = False
        self._task: asyncio.Task[None] | None = None
        self._fitted = -1  # n_observed of the model in use

    # --------------------------------------------------------------------------------------------- life
    async def start(self) -> None:
        """Open the transport, load nothing (that was the study's work), say hello."""
        parts = self.parts
        self._loop = asyncio.get_running_loop()
        self._change = asyncio.Event()
        self._refit_wanted = asyncio.Event()
        self._model_ready = asyncio.Event()
        self._identity = parts.identity or Identity(self.id)
        rank = self._identity.rank
        # Which draws a worker makes depends on its place in the launch and on what is already known, so that
        # a run with a seed repeats, and a resumed one does not repeat itself.
        name = rank if rank is not None else int(self.id, 16)
        self._rng = np.random.default_rng([parts.seed, name, self.view.n_rows])
        self._model = _fitting(parts.searcher)
        parts.searcher.setup(self.view.space, parts.seed, Identity(self.id, rank, self._identity.size))
        parts.scheduler.setup(parts.max_steps, parts.seed, self._identity)
        await parts.transport.start(self._on_frame)
        now = self._loop.time()
        self._started = now
        self.state = WorkerState(
            me=self.id,
            view=self.view,
            log=parts.log,
            study=parts.study_hash,
            address=parts.transport.address,
            seed=parts.seed,
            now=now,
            timing=parts.timing,
            shared_journal=parts.journal_id,
        )
        self.state.leases.gone |= parts.gone
        self.state.begin(parts.wall(), platform.node(), os.getpid(), rank)
        if parts.limits.trials is not None:
            self.state.set_goal(parts.limits.trials)
        self.state.join(parts.join, now)
        self._carry_out()
        await parts.evaluator.start(parts.objective, parts.blobs)

    async def run(self) -> None:
        """Work until the search is over or :meth:`stop` is called. Raises what broke the worker itself."""
        self._check_failure()
        try:
            async with asyncio.TaskGroup() as group:
                helpers = [group.create_task(self._sync())]
                if self._model is not None:
                    helpers.append(group.create_task(self._refit(self._model)))
                self._task = group.create_task(self._evaluate())
                await asyncio.wait([self._task])
                for task in helpers:
                    task.cancel()
        except BaseExceptionGroup as errors:
            self._check_failure()
            raise errors.exceptions[0] from None
        finally:
            self._task = None
        self._check_failure()

    @property
    def stopped(self) -> bool:
        """Whether :meth:`stop` ended it, rather than the search being over."""
        return self._stopping

    def stop(self) -> None:
        """End this worker in good order: its running trial is released for others (or a later run)."""
        self._stopping = True
        if self._task is not None:
            self._task.cancel()

    async def aclose(self, reason: str = "done") -> None:
        """Leave the swarm: flush what others lack, then close everything. Bounded in time."""
        try:
            if self._failure is None:
                self.state.leave(self.parts.wall(), reason, self._loop.time())
                self._carry_out()
                await self._flush()
                self.state.goodbye()
                self._carry_out(rearm=False)
        finally:
            if self._timer is not None:
                self._timer.cancel()
                self._timer = None
            if self._finished is not None:
                self._finished.put_nowait(None)
            try:
                async with asyncio.timeout(_LEAVE_WITHIN):
                    await self.parts.evaluator.aclose()
                    await self.parts.transport.aclose()
            except TimeoutError:
                pass  # a peer that does not read must not keep us here
            if self.parts.journal is not None:
                self.parts.journal.close()

    async def _flush(self) -> None:
        """Stay until every peer has what this worker has, but not for ever: some may be dead."""
        pause, end = 0.01, self._loop.time() + _LEAVE_WITHIN
        while self._failure is None and not self.state.flushed() and self._loop.time() < end:
            self._carry_out()
            await asyncio.sleep(pause)
            pause = min(2 * pause, 0.2)

    async def finished(self) -> AsyncIterator[TrialRecord]:
        """Finished trials of the whole swarm as they arrive here, those known already first."""
        if self._finished is None:
            self._finished = asyncio.Queue()
            for known in self.view.records():
                if known.status in ("finished", "stopped", "failed", "surplus"):
                    self._finished.put_nowait(known)
        while (record := await self._finished.get()) is not None:
            yield record

    # --------------------------------------------------------------------------------------- evaluating
    async def _evaluate(self) -> None:
        breath = self._loop.time()
        try:
            while not self._over():
                segment_and_step = await self._next_segment()
                if segment_and_step is None:
                    if self._over():
                        break
                    await self._wait_for_change()
                    continue
                await self._run_segment(*segment_and_step)
                now = self._loop.time()
                if now - breath > _YIELD_AFTER:
                    await asyncio.sleep(0)
                    breath = now
        except asyncio.CancelledError:
            if not self._stopping:
                raise
        finally:
            self._release()

    def _over(self) -> bool:
        limits = self.parts.limits
        if self._stopping or self._failure is not None or self.state.met():
            return True
        if limits.seconds is not None and self._loop.time() - self._started >= limits.seconds:
            return True
        best = self.view.best
        if limits.target is not None and best is not None:
            value = self.view.record(best, 0).value
            if value is not None and self.view.sign * (value - limits.target) <= 0:
                return True
        return self.exhausted and not self.view.running and not self.view.claimable

    async def _next_segment(self) -> tuple[Segment, int | None] | None:
        state, parts = self.state, self.parts
        row = state.takeover(self._loop.time())
        if row is not None:
            segment = state.claim(parts.wall(), row)
            self._carry_out()
            return segment, None
        if not state.may_propose() or self.exhausted:
            return None
        choice = parts.scheduler.next(self.view, state.claims, self._rng)
        if isinstance(choice, NewTrial):
            await self._fresh_model()
            if not state.may_propose():  # others were faster while the model was being fitted
                return None
            configs = parts.searcher.ask(self.view, self._rng, 1)
            if not configs:
                self.exhausted = True
                return None
            segment = state.propose(parts.wall(), self.view.space.pack(configs[0]), choice.to_step)
            self._carry_out()
            return segment, choice.to_step
        if isinstance(choice, Resume):
            found = self.view.row(parse_trial(choice.trial))
            if found is None:
                raise AiohpoError(f"the scheduler resumed the unknown trial {choice.trial!r}")
            segment = state.claim(parts.wall(), found, choice.to_step)
            self._carry_out()
            return segment, choice.to_step
        return None

    async def _run_segment(self, segment: Segment, to_step: int | None) -> None:
        parts, loop = self.parts, self._loop
        if segment.doomed:
            self._end_segment(segment, _Channel(self, segment, 0), None, 0.0)
            return
        assignment = self.state.assignment(segment, to_step, parts.max_steps)
        channel = _Channel(self, segment, assignment.start)
        timeout = parts.limits.trial_timeout
        began = loop.time()
        outcome: Outcome | None = None
        self.current = segment
        try:
            if timeout is None:
                outcome = await parts.evaluator.run(assignment, channel)
            else:
                async with asyncio.timeout(timeout):
                    outcome = await parts.evaluator.run(assignment, channel)
        except TimeoutError:
            outcome = Outcome("failed", {}, f"timed out after {timeout:g} s (the trial timeout)")
        except asyncio.CancelledError:
            if not self._only_aborted(segment):
                raise
        finally:
            self.current = None
            self.busy_seconds += loop.time() - began
        self._end_segment(segment, channel, outcome, loop.time() - began)

    def _only_aborted(self, segment: Segment) -> bool:
        """Whether a cancellation meant just this segment, not this worker or everything around it."""
        task = self._task
        if self._stopping or not segment.doomed or task is None or task.cancelling() > 1:
            return False
        task.uncancel()
        return True

    def _end_segment(
        self, segment: Segment, channel: _Channel, outcome: Outcome | None, seconds: float
    ) -> None:
        state, now = self.state, self._loop.time()
        if outcome is None:
            state.yield_up(now, segment, step=channel.step, seconds=seconds)
            self._carry_out()
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
        self._carry_out()
        if self.parts.callbacks and outcome.kind in ("finished", "stopped", "failed"):
            record = self.view.record(segment.row)
            for callback in self.parts.callbacks:
                callback(record)

    def _on_report(self, channel: _Channel) -> Decision:
        segment = channel.segment
        self.state.report(segment, channel.step, channel.value, channel.extra)
        self._carry_out()
        if segment.doomed:
            return Decision.STOP
        return self.parts.scheduler.on_report(self.view, trial_name(segment.trial), channel.step)

    def _release(self) -> None:
        """Give up what is still running, so that others (or a later run) take it over at once."""
        if self._failure is None:
            for segment in list(self.state.segments.values()):
                self.state.end(
                    self._loop.time(), segment, "released", step=self.view.step(segment.row), seconds=0.0
                )
            self._carry_out()

    async def _wait_for_change(self) -> None:
        """Until something arrives, at most half a second: limits by the clock need a look too."""
        self._change.clear()
        try:
            async with asyncio.timeout(0.5):
                await self._change.wait()
        except TimeoutError:
            pass

    # ---------------------------------------------------------------------------------------- the model
    async def _refit(self, searcher: FittingSearcher) -> None:
        while True:
            await self._refit_wanted.wait()
            self._refit_wanted.clear()
            n = self.view.n_observed
            observations = self.view.observations()
            state = await self._loop.run_in_executor(None, searcher.fit, observations)
            searcher.adopt(state)
            self._fitted = n
            self._model_ready.set()

    async def _fresh_model(self) -> None:
        """Wait for a model that knows the newest results, but only as long as that hardly costs anything:
        a tenth of the mean time that a trial takes. With evaluations of seconds and fits of milliseconds
        every suggestion then knows everything; with evaluations of microseconds nobody waits."""
        if self._model is None or self._fitted >= self.view.n_observed:
            return
        ended = max(self.state.ended_here, 1)
        patience = min(0.1 * self.busy_seconds / ended, 2.0)
        if patience < 0.001:
            return
        try:
            async with asyncio.timeout(patience):
                while self._fitted < self.view.n_observed:
                    self._model_ready.clear()
                    await self._model_ready.wait()
        except TimeoutError:
            pass

    # -------------------------------------------------------------------------------------- the exchange
    def _on_frame(self, peer: str, data: bytes) -> None:
        if self._failure is None:
            try:
                self.state.receive(self._loop.time(), peer, data)
                self._carry_out()
            except Exception as error:
                self._fail(error)

    def _on_timer(self) -> None:
        self._timer = None
        self._timer_due = float("inf")
        if self._failure is None:
            try:
                self.state.tick(self._loop.time())
                self._carry_out()
            except Exception as error:
                self._fail(error)

    def _carry_out(self, rearm: bool = True) -> None:
        """Do what the state asks for, in order; then see when it wants to be called next."""
        effects = self.state.drain()
        while effects:
            self._do(effects)
            effects = self.state.drain()
        if self.state.ended:
            self._after_ended()
        if not rearm:
            return
        due = self.state.next_deadline()
        if due < self._timer_due:
            if self._timer is not None:
                self._timer.cancel()
            self._timer_due = due
            self._timer = self._loop.call_at(due, self._on_timer)

    def _do(self, effects: list[Effect]) -> None:
        parts, tag = self.parts, self.state.tag
        batches = [e.batch for e in effects if type(e) is Persist]
        if batches and parts.journal is not None:
            parts.journal.append(_joined(batches))
        for effect in effects:
            match effect:
                case Persist():
                    pass
                case Publish(frame):
                    parts.transport.publish(encode_frame(tag, frame))
                case Send(peer, frame):
                    parts.transport.send(peer, encode_frame(tag, frame))
                case Connect(address):
                    try:
                        parts.transport.connect(address)
                    except ValueError as error:
                        self._tell(f"cannot connect to {address!r}: {error}")
                case Disconnect(address):
                    parts.transport.disconnect(address)
                case Abort():
                    self._abort(effect)
                case Notice(text):
                    self._tell(text)
        for worker in self.state.newly_dead():
            if parts.recover is not None:
                for batch in parts.recover(worker):
                    self.state.recover(self._loop.time(), batch)

    def _abort(self, abort: Abort) -> None:
        current = self.current
        if current is not None and current.trial == abort.trial and self._task is not None:
            self._task.cancel()

    def _after_ended(self) -> None:
        rows, self.state.ended = self.state.ended, []
        self._refit_wanted.set()
        self._change.set()
        if self._finished is not None:
            for row in rows:
                if self.view.status(row) in FINAL:
                    self._finished.put_nowait(self.view.record(row))

    def _tell(self, text: str) -> None:
        if self.parts.notice is not None:
            self.parts.notice(text)

    def _fail(self, error: BaseException) -> None:
        self._failure = error
        if self._task is not None:
            self._task.cancel()

    def _check_failure(self) -> None:
        if self._failure is not None:
            raise self._failure

    async def _sync(self) -> None:
        while True:
            await asyncio.sleep(1.0)
            if self.parts.journal is not None:
                await self._loop.run_in_executor(None, self.parts.journal.sync)

    def __repr__(self) -> str:
        return f"<PeerWorker {self.id}: {self.view!r}>"


def _fitting(searcher: object) -> FittingSearcher | None:
    return searcher if isinstance(searcher, FittingSearcher) else None


def _joined(batches: list[Batch]) -> list[Batch]:
    """Join consecutive batches of one origin, so that they become one record."""
    joined: list[Batch] = []
    for batch in batches:
        last = joined[-1] if joined else None
        if last is not None and last.origin == batch.origin and last.first + last.count == batch.first:
            joined[-1] = Batch(last.origin, last.first, last.count + batch.count, last.blob + batch.blob)
        else:
            joined.append(batch)
    return joined
