"""What carries frames between peers."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import ClassVar, Protocol, runtime_checkable

OnFrame = Callable[[str, bytes], None]


@runtime_checkable
class Transport(Protocol):
    """Carries frames between peers. A peer is named by its *address*.

    It promises whole frames, and per-link order while the link lives. It may drop any frame at any time and
    promises nothing else: repair is the core's job. No method blocks and none raises for a peer's fault; all
    are called on the event loop on which ``start`` ran. Constructed with keyword options (``worker=`` is the
    worker's id; ``bind=`` an address to listen on, or None for the default). Frames are non-empty ``bytes`` (anything
    else raises ``TypeError``); connecting to oneself does nothing.

    The class says what its addresses are like, so that nothing outside of it has to know:

    address_form  the form of an address, for people, such as "tcp://host:port"
    any_address   what to ``bind`` to for any free port that other machines reach too; None where there is no choice
    """

    address_form: ClassVar[str]
    any_address: ClassVar[str | None]

    @staticmethod
    def is_local(address: str) -> bool:
        """Say whether only this machine can connect to ``address``."""
        ...

    @staticmethod
    def undialled_address(worker: str) -> str | None:
        """Return what to advertise for an endpoint that accepts no connections, different for each ``worker``.

        Peers tell each other apart by address, and the default addresses of two machines may be equal. None where
        that cannot happen, and for transports whose constructor takes no ``advertise``.
        """
        ...

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
        once, whether or not a peer is there (yet). Raises ``ValueError`` for a malformed address."""
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

    def share(self, secret: bytes | None) -> bytes:
        """Hand rank 0's ``secret``, the study's key, to all endpoints of the launch, and return it.

        Called once for each endpoint, on every rank: rank 0 gives it, the others give None. Rank 0 does not wait;
        the others wait for rank 0, a bounded time, and raise ``UsageError`` if nothing comes, or if it is empty,
        with which rank 0 says that it has none."""
        ...

    def peers(self) -> Sequence[str]:
        """Addresses to greet at the start: not the own one, and enough that all endpoints together become one
        mesh, though some are dead; in a large launch far fewer than all."""
        ...


def check_frame(frame: bytes, most: int | None = None) -> None:
    """Check what :meth:`Transport.publish` and :meth:`Transport.send` are given.

    Raises ``TypeError`` for anything but non-empty ``bytes``, and ``ValueError`` for more than ``most`` of them.
    """
    if type(frame) is not bytes or not frame:
        raise TypeError(f"a frame must be bytes, and not empty; got {frame!r:.40}")
    if most is not None and len(frame) > most:
        raise ValueError(f"a frame of {len(frame)} bytes exceeds the {most} that peers accept")
