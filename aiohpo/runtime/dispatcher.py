"""What keeps a worker's slots at work until the search is over.

Slots that are free at the same time are dealt with together: the model is waited for once, the searcher is asked once,
and the journal is written once. While there is a problem that no trial caused (no processes left, a full disk),
nothing is begun; it is tried again after a while.
"""

from __future__ import annotations

import asyncio
import logging
from typing import TYPE_CHECKING

from ..errors import Unavailable, UsageError
from ..events.schema import TrialId
from ..peer.patience import PATIENCE
from .slot import Slot

if TYPE_CHECKING:
    from .chooser import Chooser
    from .peer import Peer

BEGUN_AT_ONCE = 64  # segments, before everything else in the loop has a turn: about 10 ms


class Dispatcher:
    """Deals segments to the slots of a worker.

    busy_seconds  how long trials have run, in all slots
    """

    def __init__(self, worker: Peer, chooser: Chooser, slots: int) -> None:
        self.slots = [Slot(worker, number, self._on_free) for number in range(slots)]
        self._worker = worker
        self._chooser = chooser
        self._loop = asyncio.get_running_loop()
        self._free = list(self.slots)
        self.busy_seconds = 0.0
        self._trouble = ""
        self._begun = 0  # segments since everything else in the loop had a turn
        self._change = asyncio.Event()  # news, or a slot that has become free
        self._task: asyncio.Task[None] | None = None

    async def run(self, group: asyncio.TaskGroup) -> None:
        """Deal until the search is over or :meth:`stop` is called, and what runs then has ended. Segments run in tasks
        of ``group``. Raises what broke the worker itself."""
        self._task = asyncio.current_task()
        try:
            await self._deal_until_over(group)
        except asyncio.CancelledError:
            if not self._worker.is_ending:
                raise
            assert self._task is not None
            self._task.uncancel()
        except Exception as error:
            # After these two nothing is wrong with this worker: it leaves in good order.
            if not isinstance(error, Unavailable | UsageError):
                self._worker.exchange.fail(error)
            raise
        finally:
            self._task = None
            self._release_unbegun()
        while len(self._free) < len(self.slots):
            self._change.clear()
            await self._change.wait()

    def _release_unbegun(self) -> None:
        """Release the segments that were chosen when there was no time any more to begin them."""
        begun = {id(slot.segment) for slot in self.slots}
        for segment in list(self._worker.state.segments.values()):
            if id(segment) not in begun:
                self._worker.release(segment)

    def stop(self) -> None:
        """Deal no more."""
        if self._task is not None:
            self._task.cancel()

    def abort(self, trial: TrialId) -> None:
        """End the segment of this trial, if it runs here."""
        for slot in self.slots:
            if slot.segment is not None and slot.segment.trial == trial:
                slot.abort()

    def note_change(self) -> None:
        """There is news: look again what there is to do."""
        self._change.set()

    def _on_free(self, slot: Slot, busy_seconds: float, trouble: str) -> None:
        self._free.append(slot)
        self.busy_seconds += busy_seconds
        if trouble:
            self._trouble = trouble
        elif self._worker.patience.relieve():
            self._worker.services.notice("the problem is over: continuing", level=logging.INFO)
        self._change.set()

    async def _deal_until_over(self, group: asyncio.TaskGroup) -> None:
        worker = self._worker
        await worker.get_acquainted()
        while True:
            self._change.clear()
            if not self._free:
                await self._change.wait()
                self._begun = 0
                continue
            if worker.is_over() and await worker.is_over_for_all():
                return
            trouble, self._trouble = worker.exchange.unwritten or self._trouble, ""
            if not trouble:
                try:
                    if await self._deal(group) or worker.is_over():
                        continue
                except Unavailable as error:
                    trouble = str(error)
            if trouble:
                await self._suffer(trouble)
            else:
                await self._wait_for_change()

    async def _deal(self, group: asyncio.TaskGroup) -> bool:
        """Begin a segment in free slots, as far as there is something to do; return whether there was."""
        self._free.sort(key=lambda slot: slot.number)
        numbers = [slot.number for slot in self._free]
        mean_seconds = self.busy_seconds / max(self._worker.state.ended_here, 1)
        chosen = await self._chooser.choose(numbers, mean_seconds / len(self.slots))
        for number, segment in chosen:
            self.slots[number].begin(group, segment)
        self._free = [slot for slot in self._free if slot.segment is None]
        self._begun += len(chosen)
        if self._begun >= BEGUN_AT_ONCE:
            self._begun = 0
            await asyncio.sleep(0)
        return bool(chosen)

    async def _wait_for_change(self, at_most: float = 0.5) -> None:
        """Until something arrives, at most half a second: what may be claimed also changes with time."""
        try:
            async with asyncio.timeout(at_most):
                await self._change.wait()
        except TimeoutError:
            pass

    async def _suffer(self, trouble: str) -> None:
        """Wait after a problem that no trial caused, longer each time. Raises Unavailable in the end."""
        worker, patience = self._worker, self._worker.patience
        nothing_runs = len(self._free) == len(self.slots)
        end = self._loop.time() + patience.suffer(self._loop.time(), trouble, may_stop=nothing_runs)
        if patience.has_just_begun:
            worker.say(f"{trouble}. No trial fails because of this: trying again for up to {PATIENCE:.0f} s")
        while not worker.is_over() and (left := end - self._loop.time()) > 0:
            self._change.clear()
            await self._wait_for_change(left)

    def __repr__(self) -> str:
        return f"<Dispatcher of {self._worker.id}: {len(self._free)} of {len(self.slots)} slots free>"
