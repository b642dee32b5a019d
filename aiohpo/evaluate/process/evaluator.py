"""Evaluate in a persistent process: the default for ordinary functions.

The child imports the objective once and then serves segments, so a trial costs a round trip (about 0.1 ms)
and not an interpreter. Whatever the objective does to its process (exit, crash, hang with the GIL held, run
out of memory) ends that process, never the worker; the next segment gets a new one.

Cancelling tells the child that the segment is aborted. An objective that listens (it looks at ``trial.ended``, loops
over ``trial.steps()``, reports or saves) ends then, and its process stays, with all that it has imported and loaded.
One that does not is killed with its process after as long as a new one takes to start. What it says meanwhile is not
heard.
"""

from __future__ import annotations

import asyncio
import os
import sys
import time
from typing import Any

from ...errors import Unavailable, UsageError
from ...peer.patience import in_words
from ...plugin import Assignment, BlobStore, Channel, Options, Outcome
from ...storage.blob_store import DirectoryBlobs
from ...storage.scratch import sweep
from ..program import Program
from ..reimport import describe, file_of
from ..segment import released
from ..sources import Sources, files_in_use
from .child_process import CannotImport, ChildProcess
from .process_group import GONE_WITHIN
from .resources import slot_environment, threads_for, visible_devices

# Seconds for a child to leave when told to.
_LEAVE = 1.0
# Seconds between looks whether the user's files have changed.
_LOOK = 1.0
# How long a new process may take to import the objective: this many seconds, or times what the first one took.
_START_WITHIN = 60.0
_TIMES_SLOWER = 10.0
# How many processes are started for the first import, where they are killed during it.
_MOST_STARTS = 3


class _Lane:
    """What runs a slot's segments: a process that stays from segment to segment."""

    def __init__(self, hello: dict[str, Any], pickled: bytes, environment: dict[str, str]) -> None:
        self._hello = hello
        self._pickled = pickled
        self._environment = environment
        self.child: ChildProcess | None = None

    async def ready(self) -> ChildProcess:
        """Return a child that waits for a segment, starting one if need be."""
        child = self.child
        if child is not None:
            await child.until_idle()
        if child is None or not child.check():
            if child is not None and not await child.group.wait(_LEAVE):
                child.kill()
                # What it holds (memory, a GPU) may be what the next one needs.
                await child.group.wait(GONE_WITHIN)
                await _remove_leftovers()
            self.child = child = ChildProcess(self._hello, self._pickled, self._environment)
        if not child.ready.done():
            # Shielded: a cancelled segment must not take the child that is still starting with it.
            await asyncio.shield(child.ready)
        child.ready.result()
        return child

    async def end(self) -> None:
        """Let the child leave, or kill it if it takes longer than a second."""
        child, self.child = self.child, None
        if child is None:
            return
        child.hang_up()
        try:
            if child.ready.done() and await child.group.wait(_LEAVE):
                return
        finally:
            child.kill()
        await child.group.wait(GONE_WITHIN)
        await _remove_leftovers()


async def _remove_leftovers() -> None:
    """Remove what a process that was killed had restored."""
    try:
        await asyncio.to_thread(sweep)
    except RuntimeError:
        pass  # there is no thread to be had; the next sweep comes


class ProcessEvaluator:
    """Runs objectives, ordinary or ``async def``, in persistent processes: one for each slot.

    ``share`` evaluators run on this machine at a time: numerical libraries in the process are told to use that
    part of the cores, unless the environment says already how many.
    """

    def __init__(self, share: int = 1) -> None:
        share = Options("process").whole("share", share, least=1)
        self._threads = threads_for(share, os.environ) if share > 1 else {}
        self._hello: dict[str, Any] | None = None
        self._pickled = b""
        self._lanes: dict[int, _Lane] = {}  # by slot
        self._first_slot = 0
        self._devices: list[str] = []
        self._sources = Sources(())
        self._told: set[str] = set()
        self._ending = False
        self._look_next = 0.0
        self._start_within = _START_WITHIN

    def __repr__(self) -> str:
        groups = [str(lane.child.group) for lane in self._lanes.values() if lane.child is not None]
        return f"<ProcessEvaluator: {', '.join(groups) or 'no process'}>"

    async def start(self, program: Program, blobs: BlobStore) -> None:
        if program.function is None:
            raise UsageError("the process evaluator needs an objective: give the study a function")
        if not isinstance(blobs, DirectoryBlobs):
            raise UsageError(
                'the process evaluator needs blobs on disk: give the study a directory, or evaluator="thread"'
            )
        blob_root = os.path.abspath(blobs.root)  # noqa: ASYNC240 - looks at no file
        description, self._pickled = describe(program)
        self._sources = Sources(files_in_use(file_of(description)))
        self._hello = {
            "objective": description,
            "texts": self._sources.texts,
            "blobs": blob_root,
            "secret": program.secret,  # by this private socket: others can read arguments and environments
            "argv": list(sys.argv),
        }
        self._first_slot, self._devices = program.first_slot, visible_devices(os.environ)
        began = time.monotonic()
        try:
            await self._start_first()
        except OSError as error:
            await self.aclose()
            raise Unavailable(f"cannot start a process for the objective: {in_words(error)}") from None
        except CannotImport as error:
            await self.aclose()
            detail = f"\n{error.detail.rstrip()}" if error.detail else ""
            raise UsageError(
                f'cannot import the objective in another process: {error.error} (or use evaluator="thread"){detail}'
            ) from None
        except BaseException:
            await self.aclose()
            raise
        self._start_within = max(_START_WITHIN, _TIMES_SLOWER * (time.monotonic() - began))

    async def _start_first(self) -> None:
        """Start a process, to see whether it can import the objective. One that was killed proves nothing."""
        for attempt in range(1, _MOST_STARTS + 1):
            try:
                await self._lane_of(0).ready()
                return
            except CannotImport as error:
                if not error.killed or attempt == _MOST_STARTS:
                    raise

    def _lane_of(self, slot: int) -> _Lane:
        lane = self._lanes.get(slot)
        if lane is None:
            assert self._hello is not None, "start() was not awaited"
            environment = self._threads | slot_environment(self._first_slot + slot, self._devices)
            lane = self._lanes[slot] = _Lane(self._hello, self._pickled, environment)
        return lane

    async def run(self, assignment: Assignment, channel: Channel) -> Outcome:
        self._look_at_sources(channel)
        lane = self._lane_of(assignment.slot)
        try:
            with channel.untimed():
                async with asyncio.timeout(self._start_within):
                    child = await lane.ready()
        except CannotImport as error:
            # It could be imported when the worker began: a module that it needs is not what it was, or this machine.
            await lane.end()
            return released(f"a new process can no longer import the objective: {error.error}", error.detail)
        except TimeoutError:
            await lane.end()
            return released(f"a new process had not imported the objective after {self._start_within:.0f} s")
        except OSError as error:
            return released(f"cannot start a process for the objective: {in_words(error)}")
        if self._ending:
            return Outcome("released")  # it had not begun
        outcome = await child.run(assignment, channel)
        if outcome.kind == "released" or (outcome.crashed and child.group.returncode is None):
            # Perhaps the process has run out of something (descriptors, memory); the next one has not.
            await lane.end()
        return outcome

    def _look_at_sources(self, channel: Channel) -> None:
        """Say once of each file that has changed that it has."""
        now = time.monotonic()
        if now < self._look_next:
            return
        self._look_next = now + _LOOK
        for file in self._sources.changed():
            if file not in self._told:
                self._told.add(file)
                channel.notice(
                    f"{os.path.relpath(file)} has changed since the search began, and is used as it was then: "
                    "start the search again to use the new version"
                )

    def wind_down(self) -> list[str]:
        self._ending = True
        told = [lane.child.wind_down() for lane in self._lanes.values() if lane.child is not None]
        return [trial for trial in told if trial is not None]

    async def aclose(self) -> None:
        await asyncio.gather(*(lane.end() for lane in self._lanes.values()))
