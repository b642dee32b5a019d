"""The Protocols that plugins implement, each with its guarantees.

Everything a plugin needs is here, in :mod:`aiohpo.space` and in the objects passed to it; a plugin imports
nothing else of aiohpo. Searchers and schedulers are *pure*: no clock, no socket, no event loop, no global
random state. What they see is a :class:`View`; what they return is data. That is why the same plugin runs in
one process, over a network, in virtual time and on a journal read back next year.

Conventions
-----------
loss   ``view.y`` and every other objective value a plugin sees is a *loss*: lower is better. A maximised
       metric arrives with its sign flipped, so no plugin ever asks for the mode.
unit   ``X`` has one column per tunable parameter, encoded to [0, 1]; NaN where a condition makes the
       parameter inactive (see :class:`aiohpo.space.Space`).
order  Columns and rows are in *canonical* order, (lamport, worker), never in order of arrival: a searcher
       whose answer is a function of these arrays and of ``rng`` automatically satisfies the contract that
       arrival order must not matter.
"""

from __future__ import annotations

import enum
from collections.abc import Callable, Collection, Mapping, Sequence
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any, Literal, Protocol, runtime_checkable

if TYPE_CHECKING:
    import numpy as np
    from numpy.typing import NDArray

    from .ensembles import Ensemble
    from .scoring import Metric
    from .space import Space

    FloatArray = NDArray[np.float64]
    IntArray = NDArray[np.int64]

Config = dict[str, Any]


# ---------------------------------------------------------------------------------------------- searchers
@dataclass(frozen=True, slots=True)
class Identity:
    """Who a searcher works for.

    ``worker`` is unique per process start. ``rank`` of ``size`` is known when several workers were launched
    together (``aiohpo run --workers 4``, MPI) and lets them split a sequence without talking; a worker that
    joined alone has ``rank`` None.
    """

    worker: str
    rank: int | None = None
    size: int | None = None


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
    pending     (p, d) configurations that somebody is evaluating right now
    pending_to  (p,)   the step to which each of those runs before it pauses or ends; 0 where nobody knows
    curves      what was reported on the way, partial trials included
    max_steps   steps of a complete trial; None in a study without steps
    version     changes whenever any of the above does
    """

    X: FloatArray
    y: FloatArray
    failed: FloatArray
    pending: FloatArray
    pending_to: IntArray
    curves: Curves
    max_steps: int | None
    version: int


TrialStatus = Literal["queued", "running", "paused", "lost", "finished", "stopped", "failed", "cancelled"]


@dataclass(frozen=True, slots=True)
class TrialState:
    """One trial at one moment, as schedulers see it.

    id           its name; what ``Resume`` and ``Inherit`` take
    status       "lost": its worker died and somebody will go on with it; "cancelled": its proposal was withdrawn
                 (the budget had been filled by earlier ones), so it never counts
    order        its proposal's place in the canonical order; no two trials share one
    bracket      what ``NewTrial`` said
    to_step      where the latest segment pauses; None: it runs to its end
    attempt      number of the latest segment, from 0; -1 if nobody began it
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


class View(Protocol):
    """The log as algorithms read it. Cheap to read; never mutate what it returns."""

    @property
    def space(self) -> Space: ...

    @property
    def max_steps(self) -> int | None:
        """Steps of a complete trial; None in a study without steps."""
        ...

    @property
    def n_trials(self) -> int:
        """Trials that anybody proposed and did not withdraw: running, finished, failed."""
        ...

    @property
    def n_observed(self) -> int:
        """Trials with a result, failures included."""
        ...

    def observations(self) -> Observations:
        """The current observations; cached, so calling it twice costs nothing."""
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


@runtime_checkable
class Searcher(Protocol):
    """Suggests configurations. One instance serves one worker.

    Options are keyword arguments of the constructor, all with defaults. After construction the worker calls
    :meth:`setup` once, then :meth:`ask` whenever it is free. A searcher that learns also has
    ``fit(observations) -> state`` and ``adopt(state)`` (see :class:`FittingSearcher`).
    """

    def setup(self, space: Space, seed: int, identity: Identity) -> None:
        """Bind to a space. ``seed`` is the study's, the same on every worker.

        Raises ``ValueError`` with a remedy where the searcher cannot serve this space.
        """
        ...

    def ask(self, view: View, rng: np.random.Generator, n: int = 1) -> list[Config]:
        """Return up to ``n`` distinct configurations, fewer (or none) when the space is exhausted.

        Fast (under 5 ms): it is called on the event loop. The answer depends on the *set* of observations,
        on ``rng`` and on what the searcher last adopted, never on the order in which things arrived.
        """
        ...


@runtime_checkable
class FittingSearcher(Searcher, Protocol):
    """A searcher with a slow part, run off the loop while evaluations run, at most one in flight."""

    def fit(self, observations: Observations) -> Any:
        """Learn from ``observations`` and return the new state. Runs in a thread: must not touch ``self``'s
        mutable state, only options and what ``setup`` stored."""
        ...

    def adopt(self, state: Any) -> None:
        """Swap in the state that :meth:`fit` returned. Called on the loop; must be instant."""
        ...


# --------------------------------------------------------------------------------------------- schedulers
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

    bracket  a number of the scheduler's choosing that stays with the trial and that everybody sees
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
    have it follows from a hash (:mod:`aiohpo.claims`); whoever may not, starts something else and never waits."""

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
        """False once this worker tried to get that checkpoint and nobody had it (or none was saved)."""
        ...


@runtime_checkable
class Scheduler(Protocol):
    """Decides how far a trial runs. One instance serves one worker; options as for searchers.

    Its answers are a function of the *set* of events behind the view (and of ``claims`` and ``rng``): what it
    keeps between calls is a cache of that.
    """

    def setup(self, max_steps: int | None, seed: int, identity: Identity) -> None:
        """Bind to a study. Raises ``ValueError`` with a remedy where it cannot serve it."""
        ...

    def next(self, view: View, claims: Claims, rng: np.random.Generator) -> NewTrial | Resume | Idle:
        """Say what a free worker does now. Pure; called on the loop; microseconds.

        A worker whose study has its budget of trials cannot carry out ``NewTrial``: it asks again when something
        changed. The search is over when nothing runs and ``next`` resumes nothing even if every claim is open.
        """
        ...

    def on_report(self, view: View, trial: str, step: int) -> Decision:
        """Decide about ``trial`` after its report at ``step`` entered the view."""
        ...


@runtime_checkable
class KeepingScheduler(Scheduler, Protocol):
    """A scheduler that says which checkpoints it may yet need; all others are deleted in time.

    Without this, the newest checkpoint of each trial that has not ended is kept.
    """

    def keeps(self, view: View, trial: TrialState) -> Collection[int]:
        """Return the steps of those checkpoints of ``trial`` that may yet be resumed from or inherited."""
        ...


# ---------------------------------------------------------------------------------------------- ensembles
@runtime_checkable
class EnsembleBuilder(Protocol):
    """Makes an ensemble of what a search has trained. Options are keyword arguments of the constructor, all with
    defaults. Pure: equal arguments give equal ensembles."""

    def fit(self, predictions: FloatArray, y: FloatArray | IntArray, metric: Metric) -> Ensemble:
        """Choose, weigh and calibrate models.

        Args:
            predictions: (m, n, k) of m models for n validation rows, float32 or wider; perhaps a memory map, so
                read it model by model. Class probabilities, or for regression means (k=1) and variances (k=2).
                :mod:`aiohpo.library` has left out what cannot be used.
            y: (n,) class indices 0 … k-1, of which some may not occur, or numbers.
            metric: what to be good at; it says whether this is classification or regression.

        Raises ``ValueError`` with a remedy where it cannot serve this metric.
        """
        ...


class LiveEnsemble(Protocol):
    """An ensemble of models that come and go. What it gives depends on those that are in it, not on their history."""

    def add(self, key: Any, predictions: FloatArray) -> None:
        """Take in a model's predictions (n, k). Keys are distinct and can be sorted; models count in their order."""
        ...

    def discard(self, key: Any) -> None:
        """Forget a model; nothing happens if it is not there."""
        ...

    def fit(self) -> tuple[Ensemble, Sequence[Any]]:
        """Return the ensemble of the models that are here, exactly as ``EnsembleBuilder.fit`` would, and the keys
        that the members' rows stand for. Raises ``ValueError`` if there are none."""
        ...


@runtime_checkable
class LiveEnsembleBuilder(EnsembleBuilder, Protocol):
    """A builder that takes one more model at a fraction of the cost of building anew."""

    def live(self, y: FloatArray | IntArray, metric: Metric) -> LiveEnsemble: ...


# --------------------------------------------------------------------------------------------- transports
OnFrame = Callable[[str, bytes], None]


@runtime_checkable
class Transport(Protocol):
    """Carries frames between peers. A peer is named by its *address*.

    It promises whole frames, and per-link order while the link lives. It may drop any frame at any time and
    promises nothing else: repair is the core's job. No method blocks and none raises for a peer's fault; all
    are called on the event loop on which ``start`` ran. Constructed with keyword options (``worker=`` is the
    worker's id; ``bind=`` an address to listen on, or None for any). Frames are non-empty ``bytes`` (anything
    else raises ``TypeError``); connecting to oneself does nothing.
    """

    @property
    def address(self) -> str:
        """Where others reach this endpoint; valid after :meth:`start`."""
        ...

    async def start(self, on_frame: OnFrame) -> None:
        """Open the endpoint. From now on ``on_frame(peer_address, frame)`` is called for what arrives."""
        ...

    def publish(self, frame: bytes) -> None:
        """Offer ``frame`` to every peer that has connected to this endpoint."""
        ...

    def send(self, peer: str, frame: bytes) -> bool:
        """Send ``frame`` to one peer: one connected to, or one that a frame came from. False if it was
        dropped at once (unknown peer, full outbox); True promises nothing."""
        ...

    def connect(self, address: str) -> None:
        """Hear what ``address`` publishes and make it reachable by :meth:`send`. Idempotent; returns at
        once, whether or not anybody is there (yet). Raises ``ValueError`` for a malformed address."""
        ...

    def disconnect(self, address: str) -> None:
        """Undo :meth:`connect`. Idempotent."""
        ...

    async def aclose(self) -> None:
        """Close, waiting briefly for what was sent to leave. Idempotent."""
        ...


@runtime_checkable
class TellingTransport(Transport, Protocol):
    """A transport that has something to say to people, such as that a peer has another key."""

    def report_to(self, tell: Callable[[str], None]) -> None:
        """Call ``tell`` with a line of text for each thing worth knowing, once and a bounded number of times.
        Called before ``start``."""
        ...


@runtime_checkable
class LaunchedTransport(Transport, Protocol):
    """A transport whose endpoints were launched together and know each other from the start (MPI ranks).

    Its workers join without being given an address, and have a place in the launch (:class:`Identity`). All of
    this is valid before ``start``.
    """

    @property
    def rank(self) -> int:
        """This endpoint's place, from 0."""
        ...

    @property
    def size(self) -> int:
        """How many endpoints were launched."""
        ...

    def peers(self) -> Sequence[str]:
        """Addresses to greet at the start: not the own one, and enough that all endpoints together become one
        mesh, though some are dead; in a large launch far fewer than all."""
        ...


# --------------------------------------------------------------------------------------------- evaluators
@dataclass(frozen=True, slots=True)
class Assignment:
    """One segment of one trial, as handed to an evaluator.

    start       last step already done; 0 for a fresh trial
    to_step     pause after this step; None: run to the end
    max_steps   the study's ``max_steps``; None if it has none
    checkpoint  digest of the blob to restore from; None: nothing was saved
    """

    trial: str
    number: int
    config: Config
    attempt: int = 0
    start: int = 0
    to_step: int | None = None
    max_steps: int | None = None
    checkpoint: str | None = None


class Channel(Protocol):
    """What an evaluator calls, on the event loop, while a segment runs."""

    def report(self, step: int, metrics: Mapping[str, float]) -> Decision: ...

    def save(self, step: int, digest: str, size: int) -> None:
        """A checkpoint of ``step`` is in the blob store under ``digest``."""
        ...

    def predictions(self, digests: Mapping[str, str]) -> None:
        """Predictions are in the blob store, ``{name: digest}``."""
        ...

    def log(self, text: str) -> None:
        """Something the user's code printed (stdout or stderr), a whole chunk, bounded by the evaluator."""
        ...


@dataclass(frozen=True, slots=True)
class Outcome:
    """How a segment ended.

    kind     "finished", "paused" (stopped at ``to_step`` or by a PAUSE), "stopped" (by a STOP) or "failed"
    metrics  the returned metrics (finished; may be empty if the objective only reported)
    error    one line for people (failed), at most 2,000 characters
    detail   traceback or the tail of stderr (failed), at most 8,000 characters
    """

    kind: Literal["finished", "paused", "stopped", "failed"]
    metrics: Mapping[str, float] = field(default_factory=dict)
    error: str | None = None
    detail: str | None = None


@runtime_checkable
class Evaluator(Protocol):
    """Runs the user's code, one segment at a time. One instance serves one worker.

    Cancelling :meth:`run` (timeout, lost race, Ctrl-C) ends the segment as fast as the evaluator can and
    leaves it ready for the next. Nothing that the user's code does (raise, exit, crash, hang, hold the GIL,
    flood stderr) raises from :meth:`run`: it is an :class:`Outcome` of kind "failed".
    """

    async def start(self, objective: Any, blobs: Any) -> None:
        """Prepare to run ``objective`` (an :class:`aiohpo.evaluate.Objective`). Raises ``UsageError`` when
        this evaluator cannot run it, with the remedy."""
        ...

    async def run(self, assignment: Assignment, channel: Channel) -> Outcome: ...

    async def aclose(self) -> None: ...


# ------------------------------------------------------------------------------------------------- errors
class AiohpoError(Exception):
    """Base class of errors that aiohpo raises on purpose."""


class UsageError(AiohpoError, ValueError):
    """Wrong usage or bad input. The message names the value, the place and the remedy; the command line
    prints it without a traceback and exits with 2."""


def listing(names: Sequence[str]) -> str:
    """Join names for an error message: ``a, b, c``; ``(none)`` if there are none."""
    return ", ".join(sorted(names)) or "(none)"
