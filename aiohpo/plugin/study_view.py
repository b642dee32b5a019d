"""What algorithms read: the study as a searcher or a scheduler sees it."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from typing import TYPE_CHECKING, Any, Literal, Protocol

if TYPE_CHECKING:
    import numpy as np
    from numpy.typing import NDArray

    from ..space.space import Space
    from .scheduler import Inherit

    FloatArray = NDArray[np.float64]
    IntArray = NDArray[np.int64]

Config = dict[str, Any]


@dataclass(frozen=True, slots=True)
class Identity:
    """Which worker a plugin works for, and its place among the slots of those that were launched together.

    A *slot* is a place in a worker where one trial runs at a time.

    worker  unique per process start
    rank    of the worker's first slot among all slots of the launch, from 0; its other slots have the ranks that
            follow. With it workers split a sequence without talking. None for a worker that joined alone
    size    how many slots were launched together; None where ``rank`` is
    slots   how many slots this worker has
    """

    worker: str
    rank: int | None = None
    size: int | None = None
    slots: int = 1

    @classmethod
    def of_worker(cls, worker: str, rank: int | None = None, size: int | None = None, slots: int = 1) -> Identity:
        """Return the identity of the worker that has place ``rank``, from 0, among ``size`` workers launched together,
        if it has one. Each of them has so many ``slots``."""
        if rank is None or size is None:
            return cls(worker, slots=slots)
        return cls(worker, rank * slots, size * slots, slots)

    @property
    def worker_rank(self) -> int | None:
        """The worker's place among those launched together."""
        return None if self.rank is None else self.rank // self.slots

    @property
    def has_company(self) -> bool:
        """Whether other workers were launched together with this one."""
        return self.size is not None and self.size > self.slots

    def of_slot(self, slot: int) -> Identity:
        """Return the identity that the worker's slot number ``slot``, from 0, would have as a worker of its own."""
        worker = self.worker if slot == 0 else f"{self.worker}/{slot}"
        return replace(self, worker=worker, rank=None if self.rank is None else self.rank + slot, slots=1)


class Curves(Protocol):
    """Everything that was reported, step by step: immutable arrays in canonical order, trial by trial and within
    each trial by step. A complete trial's result stands at its last step. Failed trials are left out.

    X      (t, d) unit-encoded configurations of the trials that have any report or result
    trial  (k,) integers: the row of ``X`` that each report belongs to
    step   (k,) integers from 1
    loss   (k,) finite
    """

    @property
    def X(self) -> FloatArray: ...
    @property
    def trial(self) -> IntArray: ...
    @property
    def step(self) -> IntArray: ...
    @property
    def loss(self) -> FloatArray: ...


@dataclass(frozen=True, slots=True)
class Observations:
    """What is known about the objective: immutable arrays in canonical order, safe to use in a thread.

    X           (m, d) unit-encoded configurations with a successful result, of complete trials
    y           (m,)   their losses, finite
    failed      (f, d) configurations whose trial failed
    pending     (p, d) configurations that are being evaluated right now
    pending_to  (p,)   the step to which each of those runs before it pauses or ends; 0 if unknown
    curves      what was reported on the way, partial trials included
    max_steps   steps of a complete trial; None in a study without steps
    version     changes whenever any of the above does
    moment      what was proposed after this was made is what :meth:`StudyView.proposed` returns for it
    """

    X: FloatArray
    y: FloatArray
    failed: FloatArray
    pending: FloatArray
    pending_to: IntArray
    curves: Curves
    max_steps: int | None
    version: int
    moment: int


TrialStatus = Literal["queued", "running", "paused", "lost", "finished", "stopped", "failed", "cancelled"]


@dataclass(frozen=True, slots=True)
class TrialState:
    """One trial at one moment, as schedulers see it.

    id           its name; what ``Resume`` and ``Inherit`` take
    status       "lost": its worker died and another one will continue it; "cancelled": it does not count, as its
                 proposal was withdrawn (the budget had been filled by earlier ones), or as it failed and is tried
                 again as another trial
    order        its proposal's place in the canonical order; no two trials share one
    bracket      what ``NewTrial`` said
    to_step      where the latest segment pauses; None: it runs to its end
    attempt      number of the latest segment, from 0; -1 if it was never begun
    step         the last step that was reported, 0 for none
    curve        losses by step, as reported, in no particular order; finite
    loss         the loss with which it ended, if it finished (or was stopped) with one; finite
    parent       the trial whose checkpoint it began with, and that checkpoint's step
    checkpoints  steps of which a checkpoint was saved, the inherited one included; the newest one first
    """

    id: str
    status: TrialStatus
    order: tuple[int, str]
    bracket: int
    to_step: int | None
    attempt: int
    step: int
    curve: Mapping[int, float]
    loss: float | None
    parent: Inherit | None
    checkpoints: Sequence[int]


class StudyView(Protocol):
    """The log as algorithms read it. Cheap to read; never mutate what it returns."""

    @property
    def space(self) -> Space: ...

    @property
    def max_steps(self) -> int | None:
        """Steps of a complete trial; None in a study without steps."""
        ...

    @property
    def n_trials(self) -> int:
        """Trials that were proposed and not withdrawn: running, finished, failed."""
        ...

    @property
    def n_observed(self) -> int:
        """Trials with a result, failures included."""
        ...

    def observations(self) -> Observations:
        """The current observations; cached, so calling it twice costs nothing."""
        ...

    def pending(self, most: int | None = None) -> FloatArray:
        """The ``pending`` of the current observations, without the cost of making those; with ``most``, only the latest
        of them."""
        ...

    def proposed(self, since: int) -> tuple[FloatArray, NDArray[np.bool_], int]:
        """All configurations proposed after moment ``since`` (k, d); which of them are being evaluated now (k,); and
        the present moment.

        They come in no particular order and may hold older ones and repetitions. Start with the ``moment`` of the
        observations that a model was fitted to, or 0, and keep the moment for the next call: so a searcher keeps track
        of what has been taken at a cost that does not grow with the study.
        """
        ...

    def seen(self, X: FloatArray) -> NDArray[np.bool_]:
        """Say for each row of ``X`` (k, d) whether anyone has evaluated it or is evaluating it."""
        ...

    def trial(self, id: str) -> TrialState:
        """One trial as it is now; about a microsecond. Raises ``KeyError`` for an unknown one."""
        ...

    def config_of(self, trial: str) -> Config:
        """A trial's configuration, constants included. Raises ``KeyError`` for an unknown one."""
        ...

    def changed(self, since: int) -> tuple[Sequence[str], int]:
        """The trials of which anything changed after moment ``since``, each once, and the present moment.

        Start with 0, and keep the moment for the next call: so a scheduler keeps what it derives from the trials
        (its rungs) up to date at a cost that does not grow with the study. The order says nothing.
        """
        ...
