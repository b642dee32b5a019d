"""Effects: what the pure layers ask the shell to do. They never do it themselves."""

from __future__ import annotations

from dataclasses import dataclass

from .events import Batch, TrialId
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


Effect = Publish | Send | Connect | Disconnect | Persist | Abort | Notice
