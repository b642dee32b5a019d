"""Who may see the page, and what a browser may do with it.

A page on the network is one that every program and every web site of the machine can reach, so

- everything about a run takes a token, which is made anew for each server and stands in the address that it prints;
- the ``Host`` of a request must be this server: a web site can make its own name stand for this address (DNS
  rebinding), and its scripts would then count as the page's own;
- what changes something also takes a header that no form and no link can send;
- the page loads nothing from anywhere else, runs no script but its own files, and is not to be put into frames.
"""

from __future__ import annotations

import hmac
import ipaddress
import secrets
import socket
from collections.abc import Mapping

POLICY = "; ".join(
    (
        "default-src 'none'",
        "script-src 'self'",
        "style-src 'self' 'unsafe-inline'",  # charts set styles of their elements
        "img-src 'self' data: blob:",
        "connect-src 'self'",
        "base-uri 'none'",
        "form-action 'none'",
        "frame-ancestors 'none'",
    )
)
HEADERS: Mapping[str, str] = {
    "Content-Security-Policy": POLICY,
    "Cross-Origin-Opener-Policy": "same-origin",
    "Cross-Origin-Resource-Policy": "same-origin",
    "Referrer-Policy": "no-referrer",  # the token stands in the address
    "X-Content-Type-Options": "nosniff",
    "X-Frame-Options": "DENY",
}
CONFIRM = "X-Aiohpo-Confirm"


class Access:
    """Decides about requests to a server at ``host``; ``token`` is what they must bring."""

    def __init__(self, host: str, token: str | None = None) -> None:
        self.host = host
        self.token = secrets.token_urlsafe(24) if token is None else token
        self._names = {"localhost", host.lower()}
        if not self.is_local:
            self._names |= {socket.gethostname().lower(), socket.getfqdn().lower()}

    @property
    def is_local(self) -> bool:
        """Whether the server is reached from this machine alone."""
        return is_loopback(self.host)

    def admits(self, authorization: str | None, parameter: str | None) -> bool:
        """Whether a request brings the token, in its header or in its address. Takes as long for any wrong one."""
        given = parameter or ""
        if authorization is not None and authorization[:7].lower() == "bearer ":
            given = authorization[7:].strip()
        return hmac.compare_digest(given.encode("utf-8", "replace"), self.token.encode())

    def knows(self, host: str | None) -> bool:
        """Whether the ``Host`` of a request is this server: a name of this machine, or an address and no name at all.

        Where it listens at loopback only, an address of loopback.
        """
        name = _without_port(host or "").lower()
        if self.is_local:
            return name == "localhost" or name == self.host.lower() or is_loopback(name)
        return name in self._names or _is_address(name)


def is_loopback(host: str) -> bool:
    """Whether this is an address of this machine that no other one reaches."""
    if host.lower() == "localhost":
        return True
    try:
        return ipaddress.ip_address(host.strip("[]")).is_loopback
    except ValueError:
        return False


def _is_address(name: str) -> bool:
    try:
        ipaddress.ip_address(name.strip("[]"))
    except ValueError:
        return False
    return True


def _without_port(host: str) -> str:
    name, colon, port = host.rpartition(":")
    return name if colon and port.isdecimal() and (not name.count(":") or name.endswith("]")) else host
