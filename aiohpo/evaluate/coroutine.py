"""Evaluate ``async def`` objectives on the worker's own loop.

Each segment is a task of its own: ``asyncio.timeout`` and context variables in the objective then behave as
users expect, and an objective that swallows its cancellation can be left behind instead of holding the
worker. (Awaiting the objective directly would save 4 microseconds per trial, out of about 10.)
"""

from __future__ import annotations

import asyncio

from ..errors import UsageError
from ..plugin import Assignment, BlobStore, Channel, Outcome
from .capture import printing_to
from .link import LoopLink
from .process.output import LineAssembler, bounded
from .program import Program
from .segment import conclude, failed, failure_of
from .trial import Trial
from .trial_link import TrialEnded

# Seconds that a cancelled objective gets for its own clean-up before it is left behind.
GRACE = 1.0


class CoroutineEvaluator:
    """Runs ``async def`` objectives on the running loop."""

    def __init__(self) -> None:
        self._program: Program | None = None
        self._blobs: BlobStore  # set by start()
        self._links: dict[str, LoopLink] = {}  # of the trials that run

    def __repr__(self) -> str:
        return "<CoroutineEvaluator>"

    async def start(self, program: Program, blobs: BlobStore) -> None:
        if program.function is None:
            raise UsageError("the coroutine evaluator needs an objective: give the study an async def function")
        if not program.is_async:
            raise UsageError(
                f"the coroutine evaluator runs async def objectives and {program.title!r} is not one, "
                'which would block the loop: use evaluator="process" or "thread"'
            )
        self._program = program
        self._blobs = blobs

    async def run(self, assignment: Assignment, channel: Channel) -> Outcome:
        assert self._program is not None, "start() was not awaited"
        loop = asyncio.get_running_loop()
        link = LoopLink(channel, loop)
        trial = Trial(assignment, link, self._blobs, self._program)
        # The task answers through a future of ours: awaiting the task itself would let an objective that
        # swallows CancelledError swallow the worker's own cancellation with it.
        done: asyncio.Future[Outcome] = loop.create_future()
        printed = LineAssembler(bounded(link.log))
        with printing_to(printed.write):  # a task keeps the context that it was made in
            task = loop.create_task(_drive(self._program, trial, done))
        self._links[assignment.trial] = link
        try:
            return await done
        except asyncio.CancelledError:
            link.close()
            task.cancel()
            await asyncio.wait({task}, timeout=GRACE)
            raise
        finally:
            self._links.pop(assignment.trial, None)
            printed.close()

    def wind_down(self) -> list[str]:
        for link in self._links.values():
            link.ending = True
        return [trial for trial, link in self._links.items() if link.listening]

    async def aclose(self) -> None:
        self._program = None


async def _drive(program: Program, trial: Trial, done: asyncio.Future[Outcome]) -> None:
    assert program.function is not None
    try:
        outcome = conclude(trial, await program.function(trial))
    except TrialEnded:
        outcome = conclude(trial, None)
    except KeyboardInterrupt:
        # On the loop's thread this is the user at the terminal, not the objective.
        raise
    except asyncio.CancelledError:
        # If run() was cancelled, there is no one left to hear this.
        trouble = "the objective was cancelled, but not by the search"
        outcome = failed(trouble) if trial._trouble is None else conclude(trial, None)
    except BaseException as error:
        outcome = failure_of(error) if trial._failure is None and trial._trouble is None else conclude(trial, None)
    finally:
        trial._close()
    if not done.done():
        done.set_result(outcome)
