"""Effects: what the pure layers ask the shell to do. They never do it themselves."""

from __future__ import annotations

import enum
from dataclasses import dataclass

from ..events.schema import Batch, TrialId
from .frames import Frame


@dataclass(frozen=True, slots=True)
class Publish:
    """Offer a frame to all linked peers."""

    frame: Frame


@dataclass(frozen=True, slots=True)
class Send:
    """Send a frame to one peer, named by its address."""

    peer: str
    frame: Frame


@dataclass(frozen=True, slots=True)
class Connect:
    """Link to an address."""

    address: str


@dataclass(frozen=True, slots=True)
class Disconnect:
    """Unlink from an address."""

    address: str


@dataclass(frozen=True, slots=True)
class Persist:
    """Write events to the journal. Comes before any Publish of the same events."""

    batch: Batch


@dataclass(frozen=True, slots=True)
class Abort:
    """End a running segment of this worker: it is no longer wanted."""

    trial: TrialId
    attempt: int
    why: str


@dataclass(frozen=True, slots=True)
class Notice:
    """Tell the person at the keyboard something, once."""

    text: str


@dataclass(frozen=True, slots=True)
class CallOff:
    """The search is over, as some worker said (its time is up, its target reached): end this worker too."""

    reason: str


@dataclass(frozen=True, slots=True)
class Serve:
    """Send a part of a blob to a peer, or say that it is not here."""

    peer: str
    digest: str
    offset: int
    most: int


@dataclass(frozen=True, slots=True)
class Store:
    """Write a part of a blob that is being fetched."""

    digest: str
    offset: int
    data: bytes


@dataclass(frozen=True, slots=True)
class Fetched:
    """A fetch ended: all parts are here and need to be verified, or no peer has the blob."""

    digest: str
    complete: bool


@dataclass(frozen=True, slots=True)
class Describe:
    """Tell a peer what is searched here."""

    peer: str


@dataclass(frozen=True, slots=True)
class TrialsEnded:
    """Segments of these trials ended, here or elsewhere; ``rows`` of the view, in the order in which it heard of them.
    Comes once in a round of effects, after all others."""

    rows: tuple[int, ...]


@dataclass(frozen=True, slots=True)
class WorkerSuspected:
    """A worker came under suspicion: perhaps the shell can tell for sure whether it is dead."""

    worker: str


@dataclass(frozen=True, slots=True)
class WorkerDied:
    """A worker is dead: its journal may hold what it never sent."""

    worker: str


class Milestone(enum.Enum):
    """How far the exchange with the peers has come."""

    MET = "the first worker let this one in"
    MEASURED = "the first ping was answered"
    CAUGHT_UP = "everything that some peer knew has arrived"
    FLUSHED = "every peer is known to have everything that this worker has"
    HEARD_OUT = "every peer has said what it has, and all of it is here"
    CLAIM_HEARD = "every peer is known to have heard of a claim, and all that it had said by then is here"


@dataclass(frozen=True, slots=True)
class Reached:
    """The exchange reached a milestone that the shell may be waiting for."""

    milestone: Milestone


Effect = (
    Publish
    | Send
    | Connect
    | Disconnect
    | Persist
    | Abort
    | Notice
    | CallOff
    | Serve
    | Store
    | Fetched
    | Describe
    | TrialsEnded
    | WorkerSuspected
    | WorkerDied
    | Reached
)
