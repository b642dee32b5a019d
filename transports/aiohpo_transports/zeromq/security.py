"""Who may connect over ZeroMQ, and what people are told about those who may not.

CURVE (https://rfc.zeromq.org/spec/26/, after CurveCP) encrypts and authenticates every frame with keys made for
the one connection. The study's key is the long-term key of both ends. As the client must know the server's public
key to be understood at all, and that is nowhere but in the key file, a peer without the key gets no answer but
the end of the connection. ZeroMQ then asks the ZAP handler (https://rfc.zeromq.org/spec/27/), here an object on the
endpoint's own loop, whether the client's key, which it has proved to hold, is welcome: only the study's is. Should
there be no handler, ZeroMQ refuses everybody (ZAP_ENFORCE_DOMAIN).

Refusals are seen through the sockets' monitors. The side that notices first closes the connection, and the other
may see no more than that; so a connection that is broken off during its handshake is reported as well, when it
happens repeatedly. Each host is reported once for each reason, and :data:`MOST_NOTICES` times in all.
"""

from __future__ import annotations

import enum
import hmac
import os
import socket as sockets
import struct
from collections.abc import Callable

import zmq
from zmq.utils import z85

from aiohpo.errors import UsageError
from aiohpo.keys import StudyKey

from .addresses import HERE, is_local, plain_host

ZAP_ENDPOINT = "inproc://zeromq.zap.01"
MOST_NOTICES = 50
_DOMAIN = b"aiohpo"
_BROKEN_OFF = 3  # times in a row before one speaks of it: once happens to honest peers
_WITHIN = 10.0  # seconds
_IN_A_HURRY = 2.0  # seconds in which a refusal comes; a handshake that takes longer ran out of time

_FAILED = zmq.EVENT_HANDSHAKE_FAILED_AUTH | zmq.EVENT_HANDSHAKE_FAILED_PROTOCOL | zmq.EVENT_HANDSHAKE_FAILED_NO_DETAIL
SERVER_EVENTS = int(_FAILED | zmq.EVENT_ACCEPTED | zmq.EVENT_DISCONNECTED)
CLIENT_EVENTS = int(
    _FAILED | zmq.EVENT_CONNECTED | zmq.EVENT_HANDSHAKE_SUCCEEDED | zmq.EVENT_DISCONNECTED | zmq.EVENT_CONNECT_RETRIED
)


class Why(enum.Enum):
    """Why a handshake failed."""

    MISMATCH = "one has a key and the other has none"
    KEY = "they have different keys"
    UNCLEAR = "the other closed the connection"


def read_event(parts: list[bytes]) -> tuple[int, int]:
    """Return (event, value) of a monitor's message."""
    event, value = struct.unpack("=HI", parts[0])
    return event, value


def why_failed(event: int, value: int) -> Why | None:
    """Read a monitor's event: why the handshake failed, None if that is not what it is about."""
    if event == zmq.EVENT_HANDSHAKE_FAILED_AUTH:
        return Why.KEY
    if event == zmq.EVENT_HANDSHAKE_FAILED_PROTOCOL:
        return {
            int(zmq.PROTOCOL_ERROR_ZMTP_MECHANISM_MISMATCH): Why.MISMATCH,
            int(zmq.PROTOCOL_ERROR_ZMTP_CRYPTOGRAPHIC): Why.KEY,
        }.get(value, Why.UNCLEAR)
    return Why.UNCLEAR if event == zmq.EVENT_HANDSHAKE_FAILED_NO_DETAIL else None


class Curve:
    """The study's key in the form that ZeroMQ wants; admits who has it."""

    def __init__(self, secret: bytes) -> None:
        self._secret = z85.encode(secret)
        self._public = zmq.curve_public(self._secret)

    def secure(self, socket: zmq.Socket[bytes], *, server: bool) -> None:
        """Set the options of a socket before it binds (as the server) or connects."""
        socket.set(zmq.CURVE_SECRETKEY, self._secret)
        socket.set(zmq.CURVE_PUBLICKEY, self._public)
        if server:
            socket.set(zmq.CURVE_SERVER, 1)
            socket.set(zmq.ZAP_DOMAIN, _DOMAIN)
            socket.set(zmq.ZAP_ENFORCE_DOMAIN, 1)
        else:
            socket.set(zmq.CURVE_SERVERKEY, self._public)

    def answer(self, request: list[bytes]) -> list[bytes]:
        """Answer ZeroMQ's question whether to admit a client (ZAP 1.0)."""
        request_id = request[1] if len(request) > 1 else b""
        admitted = (
            len(request) == 7
            and request[0] == b"1.0"
            and request[2] == _DOMAIN
            and request[5] == b"CURVE"
            and hmac.compare_digest(request[6], z85.decode(self._public))
        )
        status = [b"200", b"OK"] if admitted else [b"400", b"not this study's key"]
        return [b"1.0", request_id, *status, b"", b""]

    def __repr__(self) -> str:
        return "<Curve>"


def curves(bind: str | None, key: StudyKey | None, insecure: bool) -> tuple[Curve | None, Curve | None]:
    """What an endpoint connects with, and what it asks of those who connect to it; None is nothing.

    Without a key, and unless it is insecure, it connects in the clear and no peer gets in: it asks for a key that
    no one has. Raises ``UsageError`` if it was told where to listen all the same.
    """
    if key is not None:
        if insecure:
            raise UsageError("insecure means that there is no key: leave out one of insecure and key")
        curve = Curve(key.secret)
        return curve, curve
    if insecure:
        return None, None
    if bind is not None:
        where = "this machine" if is_local(bind) else "other machines"
        raise UsageError(
            f"{bind} can be reached by anyone on {where}, who without a key could join the search and run code in "
            "it: make a key with 'aiohpo keygen study.key' and give it to all workers with --key study.key (key=, "
            "AIOHPO_KEY), or pass --insecure (insecure=True) if you trust everyone there"
        )
    return None, Curve(StudyKey.generate().secret)


class Visitors:
    """Remembers who connected and was refused, and says so: one line per host and reason.

    ``key`` is the fingerprint of this endpoint's key, None without one; ``tell`` takes the lines.
    """

    def __init__(self, key: str | None) -> None:
        self.tell: Callable[[str], None] = lambda text: None
        self._key = key
        self._told: set[tuple[str, Why]] = set()
        self._attempts: dict[str, list[float]] = {}
        self._accepted: dict[int, tuple[str, float]] = {}  # file descriptor -> who, since when
        self._failed: Why | None = None

    # --------------------------------------------------------------------------------- they connect to us
    def on_server_event(self, event: int, value: int, now: float, port: int | None) -> None:
        """Take an event of the ROUTER's monitor. ``port`` is the one listened at; None if only this machine's
        processes can connect."""
        if event == zmq.EVENT_ACCEPTED:
            self._accepted[value] = HERE if port is None else _peer_of(value, port), now
        elif event == zmq.EVENT_DISCONNECTED:
            # Comes right after the failure, and only it names the connection.
            host, since = self._accepted.pop(value, ("", now))
            why, self._failed = self._failed, None
            if why is not None:
                self._note(host, why, since, now, f"refused {_describe(host)}: {self._them(why)}")
        else:
            self._failed = why_failed(event, value)

    def _them(self, why: Why) -> str:
        if why is Why.MISMATCH:
            return "it has no key" if self._key else "it has a key and this worker has none"
        if why is Why.KEY:
            return f"it has a different key from this study's ({self._key})"
        likely = f"it has a different key from this study's ({self._key}), or none" if self._key else "it has a key"
        return f"it disconnects before it has introduced itself; most likely {likely}"

    # --------------------------------------------------------------------------------- we connect to them
    def refused_by(self, address: str, host: str, why: Why, since: float, now: float) -> None:
        """An attempt to connect to ``address``, begun at ``since``, failed in the handshake."""
        if why is Why.MISMATCH:
            text = (
                "it has no key and this worker has one; give all workers the same key, or none"
                if self._key
                else "it requires a key and this worker has none; give it the study's with --key FILE"
            )
        elif why is Why.KEY:
            text = f"it has a different key from this worker ({self._key}); give all workers the same key (--key FILE)"
        elif self._key:
            text = (
                f"it closes the connection; most likely it has a different key from this worker ({self._key}), or "
                "none; give all workers the same key (--key FILE)"
            )
        else:
            text = "it closes the connection; most likely it requires a key (--key FILE)"
        self._note(host, why, since, now, f"cannot join {address}: {text}")

    def _note(self, host: str, why: Why, since: float, now: float, text: str) -> None:
        if why is Why.UNCLEAR and now - since > _IN_A_HURRY:
            return
        if any(self._told_of(host, reason) for reason in (Why if why is Why.UNCLEAR else (why, Why.UNCLEAR))):
            return
        if why is Why.UNCLEAR or not host:
            if len(self._attempts) > MOST_NOTICES:
                self._attempts.clear()
            recent = [t for t in self._attempts.get(host, ()) if now - t < _WITHIN]
            self._attempts[host] = [*recent, now]
            if len(recent) + 1 < _BROKEN_OFF:
                return
        if len(self._told) <= MOST_NOTICES:
            self._told.add((host, why))
            self.tell(text if len(self._told) <= MOST_NOTICES else "refused more; no further refusals are shown")

    def _told_of(self, host: str, why: Why) -> bool:
        return (host, why) in self._told if host else any(why is known for _, known in self._told)

    def __repr__(self) -> str:
        return f"<Visitors {len(self._accepted)} connected, {len(self._told)} refusals told>"


def _describe(host: str) -> str:
    return "a process of this machine" if host == HERE else host or "a peer that has left already"


def _peer_of(descriptor: int, port: int) -> str:
    """The host at the other end of a connection that ZeroMQ accepted; "" if it is gone again.

    The descriptor is ZeroMQ's: it may be closed and its number in use for something else by now, so that only
    what looks like a connection to our own port counts.
    """
    try:
        with sockets.socket(fileno=os.dup(descriptor)) as connection:
            if connection.getsockname()[1] != port:
                return ""
            return plain_host(str(connection.getpeername()[0]))
    except (OSError, ValueError, TypeError, IndexError):
        return ""
