"""What runs the user's code."""

from __future__ import annotations

from collections.abc import Collection, Mapping
from contextlib import AbstractContextManager
from dataclasses import dataclass, field
from typing import Any, Literal, Protocol, runtime_checkable

from .blobs import BlobStore
from .scheduler import Decision
from .study_view import Config


@dataclass(frozen=True, slots=True)
class Assignment:
    """One segment of one trial, as handed to an evaluator.

    start       last step already done; 0 for a fresh trial
    to_step     pause after this step; None: run to the end
    max_steps   the study's ``max_steps``; None if it has none
    checkpoint  digest of the blob to restore from; None: nothing was saved
    reported    the objective metric as last reported in earlier segments, or by the trial whose checkpoint this one
                began with; None: never
    slot        the number of the worker's slot that it runs in, from 0
    """

    trial: str
    number: int
    config: Config
    attempt: int = 0
    start: int = 0
    to_step: int | None = None
    max_steps: int | None = None
    checkpoint: str | None = None
    reported: float | None = None
    slot: int = 0


class Channel(Protocol):
    """What an evaluator calls, on the event loop, while a segment runs."""

    def report(self, step: int, metrics: Mapping[str, float]) -> Decision: ...

    def save(self, step: int, digest: str, size: int) -> None:
        """A checkpoint of ``step`` is in the blob store under ``digest``, as :meth:`aiohpo.Trial.save` writes it. A
        trial is only resumed from what was written under the study's key; from anything else it starts over."""
        ...

    def predictions(self, digests: Mapping[str, str]) -> None:
        """Predictions are in the blob store, ``{name: digest}``."""
        ...

    def note(self, notes: Mapping[str, str]) -> None:
        """The objective notes something, ``{name: JSON}`` as :func:`aiohpo.events.notes.encode_notes` makes it."""
        ...

    def attach(self, name: str, digest: str, size: int) -> None:
        """File ``name`` of the trial is in the blob store, as it is, under ``digest``."""
        ...

    def log(self, text: str) -> None:
        """One or several whole lines that the user's code printed (stdout or stderr), bounded by the evaluator."""
        ...

    def untimed(self) -> AbstractContextManager[None]:
        """Stop the trial's clock within the block.

        The clock runs from the call of :meth:`Evaluator.run`. What an evaluator does that is not yet the user's code
        (it starts a process, waits for imports, unpacks a checkpoint) goes in here, so that no trial exceeds its
        timeout for it. The clock starts afresh when the block ends.
        """
        ...

    def notice(self, text: str) -> None:
        """Tell the user something about the evaluator itself, in one line, such as that a file has changed."""
        ...


@dataclass(frozen=True, slots=True)
class Outcome:
    """How a segment ended.

    kind     "finished", "paused" (stopped at ``to_step`` or by a PAUSE), "stopped" (by a STOP), "failed" (by the
             objective's own fault) or "released" (not its fault: no process could be started, a checkpoint could
             not be written)
    metrics  the returned metrics (finished; may be empty if the objective only reported)
    error    one line for people (failed, released), at most 2,000 characters
    detail   traceback or the tail of stderr (failed), at most 8,000 characters
    crashed  whether the objective's process died, or ran out of memory (failed): the next time it may not, so the trial
             is tried again if the study has ``retries``
    """

    kind: Literal["finished", "paused", "stopped", "failed", "released"]
    metrics: Mapping[str, float] = field(default_factory=dict)
    error: str | None = None
    detail: str | None = None
    crashed: bool = False


@runtime_checkable
class Evaluator(Protocol):
    """Runs the user's code. One instance serves one worker, and runs as many segments at a time as it has slots.

    :meth:`run` is therefore called again while earlier calls have not returned; what one segment does, also by being
    cancelled, leaves the others alone.

    Cancelling :meth:`run` (timeout, lost race, Ctrl-C) ends the segment as fast as the evaluator can and
    leaves it ready for the next. Nothing that the user's code does (raise, exit, crash, hang, hold the GIL,
    flood stderr) raises from :meth:`run`: it is an :class:`Outcome` of kind "failed".

    Where the objective is not to blame, the outcome is of kind "released", with the reason as its ``error``. The trial
    is then free to be taken up again, here or by another worker, from its last checkpoint. The worker waits before it
    takes the next trial, longer each time, and stops with the reason in :class:`~aiohpo.Unavailable` if nothing else
    comes of it for :data:`aiohpo.peer.patience.PATIENCE` seconds. An evaluator does not have to wait or count by
    itself.
    """

    async def start(self, program: Any, blobs: BlobStore) -> None:
        """Prepare to run ``program`` (an :class:`aiohpo.evaluate.program.Program`). Raises ``UsageError`` when
        this evaluator cannot run it, with the remedy."""
        ...

    async def run(self, assignment: Assignment, channel: Channel) -> Outcome: ...

    async def aclose(self) -> None: ...


@runtime_checkable
class GracefulEvaluator(Evaluator, Protocol):
    """An evaluator that can tell running objectives that their worker is about to end.

    They then have a grace period in which to save a checkpoint and return. A segment that ends for it is an outcome of
    kind "released" without an error; one that comes to its end by itself is what it is at any time. When the grace
    period is over, :meth:`Evaluator.run` is cancelled. Of any other evaluator it is cancelled at once.
    """

    def wind_down(self) -> Collection[str]:
        """Set ``trial.ended`` for the objectives that run now. No segment is begun after that.

        Returns:
            The trials whose objectives listen: they have reported or saved something, loop over ``trial.steps()`` or
            have looked at ``trial.ended``. Any other cannot hear it, and is ended at once.
        """
        ...
