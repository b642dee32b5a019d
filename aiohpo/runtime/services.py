"""What a worker is made of, put together by :class:`aiohpo.Study`."""

from __future__ import annotations

import secrets
import time
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any, Protocol

from ..events.log import Log
from ..events.schema import Batch
from ..mesh.timing import Timing
from ..peer.limits import Limits
from ..plugin import EnsembleBuilder, Evaluator, Identity, Scheduler, Searcher, Transport
from ..storage.printed import Sink
from ..view.trials import TrialRecord
from ..view.view import View

if TYPE_CHECKING:
    from ..evaluate.objective import Objective


class JournalLike(Protocol):
    """Where events are kept; :class:`aiohpo.storage.journal.Journal` or a test's memory."""

    def append(self, batches: Iterable[Batch]) -> None: ...
    def sync(self) -> None: ...
    def close(self) -> None: ...


@dataclass(slots=True)
class Parts:
    """Everything a worker needs.

    ``gone`` are workers certainly dead, ``is_gone`` tells for sure where it can, ``recover`` reads a dead one's
    journal, ``expects_peers`` says that others were started with this one or should be there already, ``output``
    takes what trials print, ``wall`` tells the time of day, ``keep`` is the number of best complete trials
    whose last checkpoint stays, ``targets`` are digests of what predictions should have been, by prefixed name,
    ``max_failures`` trials may fail before one succeeds (0: any number), ``tell_ensemble`` hears of each new ensemble
    that ``ensemble`` builds.
    """

    objective: Objective
    searcher: Searcher
    scheduler: Scheduler
    evaluator: Evaluator
    transport: Transport
    view: View
    log: Log
    study_hash: str
    seed: int
    blobs: Any
    definition: str = "{}"
    journal: JournalLike | None = None
    journal_id: str = ""
    gone: frozenset[str] = frozenset()
    is_gone: Callable[[str], bool] | None = None
    recover: Callable[[str], list[Batch]] | None = None
    join: Sequence[str] = ()
    expects_peers: bool = False
    limits: Limits = field(default_factory=Limits)
    max_failures: int = 0
    identity: Identity | None = None
    timing: Timing = field(default_factory=Timing)
    callbacks: Sequence[Callable[[TrialRecord], Any]] = ()
    notice: Callable[[str], None] | None = None
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
