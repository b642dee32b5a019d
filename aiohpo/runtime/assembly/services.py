"""What a worker is made of, put together by :mod:`aiohpo.runtime.assembly.wiring`."""

from __future__ import annotations

import secrets
import time
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any, Protocol

from ...events.log import Log
from ...events.schema import Batch
from ...mesh.timing import Timing
from ...peer.limits import Limits
from ...plugin import BlobStore, EnsembleBuilder, Evaluator, Identity, Scheduler, Searcher, Transport, TrialCallback
from ...storage.printed import Sink
from ...view.trials import TrialRecord
from ...view.view import View
from ..notices import Notify

if TYPE_CHECKING:
    from ...evaluate.program import Program


class JournalLike(Protocol):
    """Where events are kept; :class:`aiohpo.storage.journal.Journal` or a test's memory."""

    def append(self, batches: Iterable[Batch]) -> None: ...
    def sync(self) -> None: ...
    def close(self) -> None: ...


@dataclass(frozen=True, slots=True, kw_only=True)
class Services:
    """Everything that a worker needs. It is complete when the worker is made, and nothing of it is replaced later.

    identity        the worker's name, and its place among those launched together
    study_hash      what all workers of the study have in common (``StudyDefinition.mesh_hash``)
    definition      the study as JSON, for those who ask what is searched
    journal         takes the worker's events; None: they are kept in memory only
    journal_id      the directory that the journal is in; workers with the same one need not write down each other's
    gone            workers that are certainly dead
    is_gone         tells of a suspected worker whether it is certainly dead
    recover         reads a dead worker's journal
    read_again      reads what workers, but those named, have written to the same directory since it was loaded
    remember        keeps the final state for the next reader of the directory
    expects_peers   whether others were started together with this one, or should be there already
    max_failures    how many trials may fail before one succeeds; 0: any number
    retries         how many crashes of its process a trial survives
    notice          says a line to people
    output          takes what trials print
    wall            tells the time of day, in seconds
    keep            the number of best complete trials whose last checkpoint stays
    targets         digests of what predictions should have been, by prefixed name
    tell_ensemble   hears of each new ensemble that ``ensemble`` builds
    """

    identity: Identity
    program: Program
    searcher: Searcher
    scheduler: Scheduler
    evaluator: Evaluator
    transport: Transport
    view: View
    log: Log
    study_hash: str
    seed: int
    blobs: BlobStore
    notice: Notify
    definition: str = "{}"
    journal: JournalLike | None = None
    journal_id: str = ""
    gone: frozenset[str] = frozenset()
    is_gone: Callable[[str], bool] | None = None
    recover: Callable[[str], list[Batch]] | None = None
    read_again: Callable[[frozenset[str]], list[Batch]] | None = None
    remember: Callable[[], None] | None = None
    join: Sequence[str] = ()
    expects_peers: bool = False
    limits: Limits = field(default_factory=Limits)
    max_failures: int = 0
    retries: int = 0
    timing: Timing = field(default_factory=Timing)
    callbacks: Sequence[Callable[[TrialRecord], Any] | TrialCallback] = ()
    output: Sink | None = None
    wall: Callable[[], float] = time.time
    keep: int = 10
    targets: Mapping[str, str] = field(default_factory=dict)
    ensemble: EnsembleBuilder | None = None
    ensemble_metric: Any = None
    tell_ensemble: Callable[[Mapping[str, Any]], None] | None = None


def new_worker_id() -> str:
    """A name that no other worker process has: 48 random bits."""
    return secrets.token_hex(6)
