"""A place in a worker where one trial runs at a time.

A slot runs the segments that it is given on the worker's evaluator, one after another, and records how they ended. What
is not the objective's fault (no processes left, a full disk) releases the trial; the
:class:`~aiohpo.runtime.dispatcher.Dispatcher` hears of it.
"""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Collection
from dataclasses import replace
from functools import partial
from typing import TYPE_CHECKING

from ..errors import Unavailable, UsageError
from ..evaluate.checkpoint import find_fault
from ..evaluate.segment import failed
from ..events.lifecycle import COMPLETING, MOST_IDLE_PAUSES
from ..events.schema import trial_name
from ..peer.running_segments import Segment
from ..plugin import Assignment, Outcome
from .channel import SegmentChannel
from .threads import in_thread

if TYPE_CHECKING:
    from .peer import Peer

_MOST_SOUGHT = 3  # checkpoints of a trial that peers are asked for: older ones are likely to be deleted


class Slot:
    """Runs segments, one at a time.

    number   its number in the worker, from 0
    segment  the segment that it has; None: it is free
    """

    def __init__(self, worker: Peer, number: int, on_free: Callable[[Slot, float, str], None]) -> None:
        self.number = number
        self.segment: Segment | None = None
        self._busy_seconds = 0.0
        self._worker = worker
        self._on_free = on_free
        self._loop = asyncio.get_running_loop()
        self._task: asyncio.Task[None] | None = None
        self._trouble = ""
        self._is_evaluating = False  # its segment, of which the rest is preparation and record
        self._last_call: asyncio.TimerHandle | None = None

    # --------------------------------------------------------------------------------------------- life
    def begin(self, group: asyncio.TaskGroup, segment: Segment) -> None:
        """Run a segment in a task of ``group``; then ``on_free`` is called with how long its trial has run and what
        kept it from being run, if anything. The task raises what broke the worker itself."""
        self.segment, self._busy_seconds, self._trouble = segment, 0.0, ""
        self._task = group.create_task(self._run(segment))
        self._task.add_done_callback(lambda task: self._become_free(segment))  # it may be cancelled before it begins

    def wind_down(self, grace: float, listening: Collection[str]) -> None:
        """Let what runs here come to its end within ``grace`` seconds, because the worker ends; then cancel it. At once
        if its objective is none of those ``listening``."""
        if self.segment is None or not self._is_evaluating or trial_name(self.segment.trial) not in listening:
            self.cancel()
        else:
            self._forget_last_call()
            self._last_call = self._loop.call_later(grace, self.cancel)

    def cancel(self) -> None:
        """End what runs here, because the worker ends."""
        if self._task is not None:
            self._task.cancel()

    def abort(self) -> None:
        """End the segment that runs here, which is not wanted any more."""
        if self._is_evaluating:
            self.cancel()

    def _was_only_aborted(self, segment: Segment) -> bool:
        """Whether a cancellation meant just this segment, not the worker or everything around it."""
        task = self._task
        if self._worker.is_ending or not segment.doomed or task is None or task.cancelling() > 1:
            return False
        task.uncancel()
        return True

    def _forget_last_call(self) -> None:
        if self._last_call is not None:
            self._last_call.cancel()
            self._last_call = None

    # --------------------------------------------------------------------------------------- evaluating
    async def _run(self, segment: Segment) -> None:
        try:
            self._trouble = await self._run_segment(segment)
        except asyncio.CancelledError:
            if not self._worker.is_ending:
                raise
        except Unavailable as error:
            self._trouble = str(error)
        except Exception as error:
            # After a UsageError nothing is wrong with this worker: it leaves in good order.
            if not isinstance(error, UsageError):
                self._worker.exchange.fail(error)
            raise

    def _become_free(self, segment: Segment) -> None:
        self._worker.release(segment)
        self._forget_last_call()
        self.segment = self._task = None
        self._on_free(self, self._busy_seconds, self._trouble)

    async def _run_segment(self, segment: Segment) -> str:
        """Run a segment to its end; return what kept it from being run, if it was released for that."""
        worker = self._worker
        timeout = worker.services.limits.trial_timeout
        assignment = worker.state.assignment(segment, worker.view.max_steps, self.number)
        assignment = await self._with_checkpoint(assignment, segment)
        channel = SegmentChannel(worker, segment, assignment.start)
        outcome = self._fail_without_progress(segment)
        began, seconds = self._loop.time(), 0.0
        if outcome is None and not segment.doomed:
            self._is_evaluating = True
            worker.callbacks.started(partial(worker.view.record, segment.row))
            try:
                async with channel.timer:
                    channel.start_clock(timeout)
                    outcome = await worker.services.evaluator.run(assignment, channel)
            except TimeoutError:
                if not channel.timer.expired():
                    raise
                outcome = Outcome("failed", {}, f"timed out after {timeout:g} s (the trial timeout)")
            except asyncio.CancelledError:
                if not self._was_only_aborted(segment):
                    raise
            finally:
                self._is_evaluating = False
                seconds = channel.seconds(self._loop.time() - began)
                self._busy_seconds = seconds
        trouble = ""
        if outcome is not None and outcome.kind == "released":
            if not worker.is_ending:  # else the objective has ended because it was told to
                trouble = outcome.error or "the evaluator could not run the trial"
            outcome = None
        if outcome is not None and outcome.kind in COMPLETING and segment.claimed_by:
            try:
                # What turns out to be surplus meanwhile is to be recorded once, too.
                superseded = worker.state.why_superseded
                await worker.exchange.hear_rivals(segment, lambda: worker.is_ending or bool(superseded(segment)))
            except asyncio.CancelledError:
                if worker.exchange.failure is None:  # the worker ends, and the result is there all the same
                    self._end_segment(segment, channel, outcome, seconds)
                raise
        self._end_segment(segment, channel, outcome, seconds)
        return trouble

    def _fail_without_progress(self, segment: Segment) -> Outcome | None:
        """The end of a trial that has been resumed often enough without a new step; None for any other."""
        view, row = self._worker.view, segment.row
        if (idle := view.idle_pauses(row)) < MOST_IDLE_PAUSES:
            return None
        scheduler = self._worker.services.scheduler
        return failed(
            f"makes no progress: resumed {idle} times, it never got beyond step {view.step(row)}, so it is given up. "
            "Call trial.save() at every step of the objective and continue from trial.restore(); if it does that "
            f"already, its scheduler ({scheduler!r}) keeps pausing it at a step that it has reached before"
        )

    async def _with_checkpoint(self, assignment: Assignment, segment: Segment) -> Assignment:
        """Make sure that the checkpoint to resume from is here and authentic. Else the trial goes on from an older one,
        or starts over."""
        if assignment.checkpoint is None:
            return assignment
        worker = self._worker
        points = worker.view.resume_points(segment.row, segment.to_step or worker.view.max_steps)
        faults: list[str] = []
        for step, digest, size, saved_by in points:
            if len(faults) >= _MOST_SOUGHT and digest not in worker.services.blobs:
                continue
            fault = await self._find_fault(digest, saved_by, size)
            if fault is None:
                break
            faults.append(f"its checkpoint of step {step} {fault}")
        else:
            step, digest = 0, ""
        if faults:
            begins = f"continues from step {step}" if step else "starts over"
            worker.say(f"trial {assignment.number} ({assignment.trial}) {begins}: {faults[0]}")
        return replace(assignment, start=step, checkpoint=digest or None)

    async def _find_fault(self, digest: str, saved_by: str, size: int) -> str | None:
        """Say why a checkpoint cannot be resumed from; None if it can. What is damaged here is sought elsewhere."""
        services = self._worker.services
        fault: str | None = None
        for _ in range(2):
            if not await self._worker.exchange.fetch(digest, saved_by, size):
                return fault or "is lost: no worker has it"
            fault = await in_thread(find_fault, services.blobs, digest, services.program.secret)
            if fault is None or digest in services.blobs:
                break  # else it was damaged, and is deleted: another worker may have a good one
        return fault

    def _end_segment(self, segment: Segment, channel: SegmentChannel, outcome: Outcome | None, seconds: float) -> None:
        if self._record_end(segment, channel, outcome, seconds):
            self._worker.callbacks.ended(partial(self._worker.view.record, segment.row))
        else:
            self._worker.callbacks.paused(trial_name(segment.trial))

    def _record_end(self, segment: Segment, channel: SegmentChannel, outcome: Outcome | None, seconds: float) -> bool:
        """Record how a segment ended; say whether its trial did, too."""
        worker = self._worker
        if outcome is None or worker.state.why_superseded(segment):
            worker.state.yield_up(segment, step=channel.step, seconds=seconds)
            worker.exchange.carry_out()
            return False
        retries = worker.services.retries
        if outcome.crashed and worker.state.crash(segment, outcome.error or "", retries):
            worker.state.end(segment, "released", step=channel.step, seconds=seconds)
            worker.exchange.carry_out()
            worker.say(
                f"trial {trial_name(segment.trial)}: {outcome.error}; it is tried again "
                f"(try {worker.view.crashes(segment.row) + 1} of {retries + 1})"
            )
            return False
        metrics = dict(outcome.metrics)
        value = metrics.pop(worker.view.objective.metric, channel.value)
        worker.state.end(
            segment,
            outcome.kind,
            step=channel.step,
            seconds=seconds,
            value=value if outcome.kind != "failed" else None,
            extra=metrics or channel.extra,
            error=outcome.error,
            detail=outcome.detail,
        )
        worker.exchange.carry_out()
        return outcome.kind in COMPLETING

    def __repr__(self) -> str:
        return f"<Slot {self.number} of {self._worker.id}: {self.segment or 'idle'}>"
