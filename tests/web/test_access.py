"""Who is let in."""

from __future__ import annotations

import socket

import pytest

from aiohpo.web.access import Access, is_loopback


@pytest.mark.parametrize(
    ("authorization", "parameter", "admitted"),
    [
        ("Bearer secret", None, True),
        ("bearer  secret", None, True),
        (None, "secret", True),
        (None, "secre", False),
        (None, "sécret", False),
        (None, "\udcff", False),
        ("Basic secret", None, False),
        ("Bearer wrong", "secret", False),
        (None, None, False),
        (None, "", False),
    ],
)
def test_a_request_brings_the_token_in_its_header_or_its_address(
    authorization: str | None, parameter: str | None, admitted: bool
) -> None:
    """Exactly the token; the header counts where there is one."""
    assert Access("127.0.0.1", "secret").admits(authorization, parameter) is admitted


def test_every_server_has_a_token_of_its_own() -> None:
    """Long enough not to be guessed, and made of what an address may hold."""
    first, second = Access("127.0.0.1").token, Access("127.0.0.1").token
    assert first != second
    assert len(first) >= 32
    assert first.replace("-", "").replace("_", "").isalnum()


@pytest.mark.parametrize(
    ("listens_at", "host", "known"),
    [
        ("127.0.0.1", "127.0.0.1:8787", True),
        ("127.0.0.1", "localhost:8787", True),
        ("127.0.0.1", "[::1]:8787", True),
        ("::1", "[::1]:8787", True),
        ("127.0.0.1", "evil.example:8787", False),
        ("127.0.0.1", "localhost.evil.example", False),
        ("127.0.0.1", None, False),
        ("0.0.0.0", "192.168.1.5:8787", True),
        ("0.0.0.0", "evil.example", False),
        ("0.0.0.0", f"{socket.gethostname()}:8787", True),
        ("0.0.0.0", f"{socket.gethostname()}.evil.example", False),
        ("node1.cluster", "node1.cluster:8787", True),
        ("node1.cluster", "evil.example", False),
    ],
)
def test_a_host_is_known_if_no_stranger_can_have_that_name(listens_at: str, host: str | None, known: bool) -> None:
    """An address, or a name of this machine; at loopback, addresses of loopback alone."""
    assert Access(listens_at, "secret").knows(host) is known


@pytest.mark.parametrize(
    ("host", "loopback"), [("127.0.0.1", True), ("127.8.8.8", True), ("::1", True), ("[::1]", True), ("0.0.0.0", False)]
)
def test_loopback_is_told_from_what_others_reach(host: str, loopback: bool) -> None:
    """Whatever way it is written."""
    assert is_loopback(host) is loopback
