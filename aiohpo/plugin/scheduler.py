"""What decides how far a trial runs."""

from __future__ import annotations

import enum
from collections.abc import Collection
from dataclasses import dataclass
from typing import TYPE_CHECKING, Protocol, runtime_checkable

if TYPE_CHECKING:
    import numpy as np

    from .study_view import Config, Identity, StudyView, TrialState


class Decision(enum.Enum):
    """What a trial does after a report."""

    CONTINUE = "continue"
    PAUSE = "pause"
    STOP = "stop"


@dataclass(frozen=True, slots=True)
class Inherit:
    """Begin with the checkpoint that ``trial`` saved at ``step``, as if the steps up to there had been done."""

    trial: str
    step: int


@dataclass(frozen=True, slots=True)
class NewTrial:
    """Start a new trial and run it to ``to_step`` (None: to its end).

    bracket  a number chosen by the scheduler, which stays with the trial and is visible to all workers
    config   the configuration; None: the searcher suggests one
    parent   the checkpoint to begin with; None: none. The worker makes sure first that it can be had; if it
             cannot, nothing is started and ``claims.obtainable`` says so from then on
    """

    to_step: int | None = None
    bracket: int = 0
    config: Config | None = None
    parent: Inherit | None = None


@dataclass(frozen=True, slots=True)
class Resume:
    """Go on with a paused trial to ``to_step`` (None: to its end), from its newest checkpoint; from scratch if
    ``restart`` says so, or if there is none."""

    trial: str
    to_step: int | None = None
    restart: bool = False


@dataclass(frozen=True, slots=True)
class Idle:
    """Nothing to do until something changes. When nothing is running either, the search is over."""


class Claims(Protocol):
    """What this worker may take. Many workers become free at once and all want the best paused trial: who may
    have it follows from a hash (:mod:`aiohpo.peer.racing`); the others start something else and never wait."""

    def may_start(self, *, suggested: bool = True) -> bool:
        """Whether ``NewTrial`` can be carried out: the study's budget has room for one more trial and, if its
        configuration is to be ``suggested`` by the searcher, that one is not known to have no more."""
        ...

    def may_claim(self, trial: str) -> bool:
        """Whether this worker may resume ``trial`` now; a trial that counts no more (surplus) it never may."""
        ...

    def holds(self, trial: str, step: int | None = None) -> bool:
        """Whether the trial's checkpoint of ``step`` (None: the newest) is at hand, so that nothing is fetched."""
        ...

    def obtainable(self, trial: str, step: int) -> bool:
        """False once this worker tried to get that checkpoint and no peer had it (or none was saved)."""
        ...


@runtime_checkable
class Scheduler(Protocol):
    """Decides how far a trial runs. One instance serves one worker with all its slots; options as for searchers.

    Its answers are a function of the *set* of events behind the view (and of ``claims`` and ``rng``): what it
    keeps between calls is a cache of that.
    """

    def setup(self, max_steps: int | None, seed: int, identity: Identity) -> None:
        """Bind to a study. Raises ``ValueError`` with a remedy where it cannot serve it."""
        ...

    def next(self, view: StudyView, claims: Claims, rng: np.random.Generator) -> NewTrial | Resume | Idle:
        """Say what a free slot does now: called once for each that is free. Pure; called on the loop; microseconds.

        A worker whose study has its budget of trials cannot carry out ``NewTrial``: it asks again when something
        changed. The search is over when nothing runs and ``next`` resumes nothing even if every claim is open.
        """
        ...

    def on_report(self, view: StudyView, trial: str, step: int) -> Decision:
        """Decide about ``trial`` after its report at ``step`` entered the view."""
        ...


@runtime_checkable
class KeepingScheduler(Scheduler, Protocol):
    """A scheduler that says which checkpoints it may yet need; all others are deleted in time.

    Without this, the newest checkpoint of each trial that has not ended is kept.
    """

    def keeps(self, view: StudyView, trial: TrialState) -> Collection[int]:
        """Return the steps of those checkpoints of ``trial`` that may yet be resumed from or inherited."""
        ...


@runtime_checkable
class ExtendableScheduler(Scheduler, Protocol):
    """A scheduler that goes on with a study whose ``max_steps`` was raised.

    For it, trials that were complete before are paused at what was the last step then. Any other scheduler refuses
    such a study.
    """

    def extend(self, first: int) -> None:
        """Take note that complete trials had ``first`` steps, fewer than now, when the study was begun.

        Called after ``setup``, and again should an even smaller number become known. Raises ``ValueError`` where the
        scheduler cannot go on with such trials.
        """
        ...


def set_up_scheduler(
    scheduler: Scheduler, max_steps: int | None, seed: int, identity: Identity, *, first: int | None = None
) -> None:
    """Bind a scheduler to a study that was begun with ``first`` steps; None: with ``max_steps``.

    Raises ``ValueError`` where the scheduler cannot serve it.
    """
    scheduler.setup(max_steps, seed, identity)
    if first is not None and first != max_steps:
        extend_scheduler(scheduler, first)


def extend_scheduler(scheduler: Scheduler, first: int) -> None:
    """Tell a scheduler that the study was begun with ``first`` steps, fewer than now. Raises ``ValueError`` if it
    cannot go on with that."""
    if not isinstance(scheduler, ExtendableScheduler):
        raise ValueError(f"it cannot continue trials that were complete after {first} steps (asha can: it adds rungs)")
    scheduler.extend(first)
