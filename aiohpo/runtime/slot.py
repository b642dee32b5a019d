"""A place in a worker where one trial runs at a time.

A slot takes what its worker chooses, runs it on the worker's evaluator and records how it ended, until the search is
over. What is nobody's fault (no process to be had, a full disk) releases the trial and is waited for.
"""

from __future__ import annotations

import asyncio
import logging
from dataclasses import replace
from typing import TYPE_CHECKING

from ..errors import Unavailable, UsageError
from ..evaluate.checkpoint import find_fault
from ..evaluate.segment import failed
from ..events.lifecycle import MOST_IDLE_PAUSES
from ..events.schema import trial_name
from ..peer.patience import PATIENCE
from ..peer.recorder import Segment
from ..plugin import Assignment, GracefulEvaluator, Outcome
from .channel import SegmentChannel
from .chooser import Chooser
from .threads import in_thread

if TYPE_CHECKING:
    from .peer import Peer

_YIELD_AFTER = 0.001  # seconds of uninterrupted evaluation after which others on the loop get a turn


class Slot:
    """Runs a worker's trials, one after another.

    current       the segment that runs now
    busy_seconds  how long trials have run here
    """

    def __init__(self, worker: Peer, chooser: Chooser) -> None:
        self._worker = worker
        self._chooser = chooser
        self._loop = asyncio.get_running_loop()
        self._task: asyncio.Task[None] | None = None
        self._last_call: asyncio.TimerHandle | None = None
        self.current: Segment | None = None
        self.busy_seconds = 0.0

    # --------------------------------------------------------------------------------------------- life
    async def run(self) -> None:
        """Work until the search is over or :meth:`cancel` is called. Raises what broke the worker itself."""
        worker, breath = self._worker, self._loop.time()
        self._task = asyncio.current_task()
        try:
            await worker.get_acquainted()
            while not worker.is_over() or not await worker.is_over_for_all():
                trouble = worker.exchange.unwritten or await self._work()
                if trouble:
                    await self._suffer(trouble)
                now = self._loop.time()
                if now - breath > _YIELD_AFTER:
                    await asyncio.sleep(0)
                    breath = now
        except asyncio.CancelledError:
            if not worker.is_ending:
                raise
        except Exception as error:
            # After these two nothing is wrong with this worker: it leaves in good order.
            if not isinstance(error, Unavailable | UsageError):
                worker.exchange.fail(error)
            raise
        finally:
            self._task = None
            if self._last_call is not None:
                self._last_call.cancel()
            worker.release()

    def wind_down(self, grace: float) -> None:
        """Let what runs here come to its end within ``grace`` seconds, because the worker ends; then cancel it."""
        evaluator = self._worker.services.evaluator
        if self.current is None or grace <= 0 or not isinstance(evaluator, GracefulEvaluator):
            self.cancel()
        elif trial_name(self.current.trial) not in evaluator.wind_down():
            self.cancel()  # its objective does not listen
        else:
            self._last_call = self._loop.call_later(grace, self.cancel)

    def cancel(self) -> None:
        """End what runs here, because the worker ends."""
        if self._task is not None:
            self._task.cancel()

    def abort(self, trial: tuple[str, int]) -> None:
        """End the segment of this trial, if it runs here."""
        if self.current is not None and self.current.trial == trial:
            self.cancel()

    def _was_only_aborted(self, segment: Segment) -> bool:
        """Whether a cancellation meant just this segment, not the worker or everything around it."""
        task = self._task
        if self._worker.is_ending or not segment.doomed or task is None or task.cancelling() > 1:
            return False
        task.uncancel()
        return True

    async def _suffer(self, trouble: str) -> None:
        """Wait after a trouble that is nobody's fault, longer each time. Raises Unavailable in the end."""
        worker, patience = self._worker, self._worker.patience
        end = self._loop.time() + patience.suffer(self._loop.time(), trouble)
        if patience.has_just_begun:
            worker.say(f"{trouble}. No trial fails for it: trying again for up to {PATIENCE:.0f} s")
        while not worker.is_over() and (left := end - self._loop.time()) > 0:
            await worker.wait_for_change(left)

    # --------------------------------------------------------------------------------------- evaluating
    async def _work(self) -> str:
        """Run the next segment, or wait a while if there is none; return what kept it from being run, if anything."""
        worker = self._worker
        try:
            segment = await self._chooser.next(self.busy_seconds / max(worker.state.ended_here, 1))
            if segment is None:
                if not worker.is_over():
                    await worker.wait_for_change()
                return ""
            trouble = await self._run_segment(segment)
        except Unavailable as error:
            worker.release()
            return str(error)
        if not trouble and worker.patience.relieve():
            worker.services.notice("what was wrong has passed: going on", level=logging.INFO)
        return trouble

    async def _run_segment(self, segment: Segment) -> str:
        """Run a segment to its end; return what kept it from being run, if it was released for that."""
        worker = self._worker
        timeout = worker.services.limits.trial_timeout
        assignment = await self._with_checkpoint(worker.state.assignment(segment, worker.view.max_steps), segment)
        channel = SegmentChannel(worker, segment, assignment.start)
        outcome = self._fail_without_progress(segment)
        began, seconds = self._loop.time(), 0.0
        if outcome is None and not segment.doomed:
            self.current = segment
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
                self.current = None
                seconds = channel.seconds(self._loop.time() - began)
                self.busy_seconds += seconds
        trouble = ""
        if outcome is not None and outcome.kind == "released":
            if not worker.is_ending:  # else the objective has ended because it was told to
                trouble = outcome.error or "the evaluator could not run the trial"
            outcome = None
        self._end_segment(segment, channel, outcome, seconds)
        return trouble

    def _fail_without_progress(self, segment: Segment) -> Outcome | None:
        """The end of a trial that has been resumed often enough without a new step; None for any other."""
        view, row = self._worker.view, segment.row
        if (idle := view.idle_pauses(row)) < MOST_IDLE_PAUSES:
            return None
        scheduler = self._worker.services.scheduler
        return failed(
            f"does not move on: resumed {idle} times, it never got beyond step {view.step(row)}, so it is given up. "
            "Let the objective call trial.save() at every step and go on from trial.restore(); if it does, its "
            f"scheduler ({scheduler!r}) keeps pausing it at a step that it has reached before"
        )

    async def _with_checkpoint(self, assignment: Assignment, segment: Segment) -> Assignment:
        """Make sure that the checkpoint to resume from is here and authentic; without it the trial starts over."""
        if (digest := assignment.checkpoint) is None:
            return assignment
        worker = self._worker
        saved = worker.view.checkpoint(segment.row, assignment.start)
        fault: str | None = "is lost: nobody has it"
        _, _, size, saved_by = saved or (0, digest, None, None)
        if await worker.exchange.fetch(digest, saved_by, size):
            services = worker.services
            fault = await in_thread(find_fault, services.blobs, digest, services.program.secret)
        if fault is None:
            return assignment
        trial = f"trial {assignment.number} ({assignment.trial})"
        worker.say(f"{trial} starts over: its checkpoint of step {assignment.start} {fault}")
        return replace(assignment, start=0, checkpoint=None)

    def _end_segment(self, segment: Segment, channel: SegmentChannel, outcome: Outcome | None, seconds: float) -> None:
        worker, now = self._worker, self._loop.time()
        if outcome is None:
            worker.state.yield_up(now, segment, step=channel.step, seconds=seconds)
            worker.exchange.carry_out()
            return
        metrics = dict(outcome.metrics)
        value = metrics.pop(worker.view.objective.metric, channel.value)
        worker.state.end(
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
        worker.exchange.carry_out()
        if worker.services.callbacks and outcome.kind in ("finished", "stopped", "failed"):
            record = worker.view.record(segment.row)
            for callback in worker.services.callbacks:
                callback(record)

    def __repr__(self) -> str:
        return f"<Slot of {self._worker.id}: {self.current or 'idle'}>"
