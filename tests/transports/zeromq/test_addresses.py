"""Addresses of ZeroMQ endpoints."""

from __future__ import annotations

import ipaddress
import socket

import pytest

from aiohpo.errors import UsageError
from aiohpo_transports.zeromq import addresses
from aiohpo_transports.zeromq.addresses import HERE, check_advertised, check_bind, host_of, is_local, public_address


@pytest.mark.parametrize("bind", ["tcp://*:5555", "tcp://0.0.0.0:*", "tcp://[::]:0", "tcp://eth0:5555", "ipc:///tmp/s"])
def test_binds(bind: str) -> None:
    """All interfaces, one of them, any free port and paths can be listened at."""
    check_bind(bind)


@pytest.mark.parametrize("bind", ["tcp://*", "tcp://h:66000", "tcp://::1:5", "5555", "ipc://relative"])
def test_what_is_no_bind(bind: str) -> None:
    """Anything else is refused with the forms there are."""
    with pytest.raises(UsageError, match=r"write tcp://host:port, tcp://\[ipv6\]:port or ipc:///path"):
        check_bind(bind)


@pytest.mark.parametrize("address", ["tcp://0.0.0.0:5555", "tcp://*:*", "tcp://[::]:5555", "tcp://[::ffff:0.0.0.0]:1"])
def test_wildcards_are_not_advertised(address: str) -> None:
    """Nobody can connect to all interfaces."""
    with pytest.raises(UsageError, match="says where to listen, not where others reach it"):
        check_advertised(address)


def test_advertised_port() -> None:
    """A port 0 is nobody's; the star stands for the one that is listened at."""
    with pytest.raises(UsageError, match=r"write :\*"):
        check_advertised("tcp://h:0")
    check_advertised("tcp://h:*")
    assert public_address("tcp://0.0.0.0:1234", "tcp://*:*", "tcp://h:*") == "tcp://h:1234"
    assert public_address("tcp://0.0.0.0:1234", "tcp://*:*", "tcp://h:80") == "tcp://h:80"


def test_what_is_local() -> None:
    """Loopback in any notation and paths are local; names and everything else are not."""
    for address in ("tcp://127.0.0.1:1", "tcp://127.1.2.3:1", "tcp://[::1]:1", "tcp://localhost:1", "ipc:///s"):
        assert is_local(address)
        assert host_of(address) == HERE
    assert is_local("tcp://[::ffff:127.0.0.1]:1")
    for address in ("tcp://10.0.0.5:1", "tcp://*:1", "tcp://0.0.0.0:1", "tcp://[::]:1", "tcp://node1:1"):
        assert not is_local(address)
    assert host_of("tcp://[2001:db8::7]:1") == "2001:db8::7"
    assert host_of("tcp://[::ffff:10.0.0.5]:1") == "10.0.0.5"
    assert host_of("tcp://node1:1") == "node1"


def test_address_bound_to_is_told() -> None:
    """One address is told as it is, in the notation that people use."""
    assert public_address("tcp://10.0.0.5:80", "tcp://10.0.0.5:80", None) == "tcp://10.0.0.5:80"
    assert public_address("tcp://[::ffff:10.0.0.5]:80", "tcp://10.0.0.5:80", None) == "tcp://10.0.0.5:80"
    assert public_address("tcp://[2001:db8::7]:80", "tcp://[2001:db8::7]:80", None) == "tcp://[2001:db8::7]:80"
    assert public_address("ipc:///tmp/s", "ipc:///tmp/s", None) == "ipc:///tmp/s"


def routes(monkeypatch: pytest.MonkeyPatch, names: list[str], **by_family: str) -> None:
    """Let this machine have these default routes and addresses of its name."""
    known = {socket.AF_INET: by_family.get("v4"), socket.AF_INET6: by_family.get("v6")}
    monkeypatch.setattr(
        addresses, "_default_route", lambda family: ipaddress.ip_address(a) if (a := known[family]) else None
    )
    monkeypatch.setattr(socket, "getaddrinfo", lambda *_: [(0, 0, 0, "", (name, 0)) for name in names])


@pytest.mark.parametrize(
    ("bind", "expected"),
    [
        ("tcp://*:*", "tcp://10.0.0.5:80"),
        ("tcp://0.0.0.0:*", "tcp://10.0.0.5:80"),
        ("tcp://[::]:*", "tcp://[2001:db8::7]:80"),
    ],
)
def test_wildcard_is_told_by_the_default_route(monkeypatch: pytest.MonkeyPatch, bind: str, expected: str) -> None:
    """Who listens everywhere tells the address of the default route, of the version that was asked for."""
    routes(monkeypatch, [], v4="10.0.0.5", v6="2001:db8::7")
    assert public_address("tcp://[::]:80", bind, None) == expected


def test_wildcard_without_a_default_route(monkeypatch: pytest.MonkeyPatch) -> None:
    """In a network without a way out the machine's name is looked up; loopback and link-local are not told."""
    routes(monkeypatch, ["127.0.1.1", "fe80::1", "10.7.0.3"])
    assert public_address("tcp://[::]:80", "tcp://*:*", None) == "tcp://10.7.0.3:80"
    routes(monkeypatch, [], v6="2001:db8::7")
    assert public_address("tcp://[::]:80", "tcp://*:*", None) == "tcp://[2001:db8::7]:80"


def test_machine_without_an_address(monkeypatch: pytest.MonkeyPatch) -> None:
    """Where there is nothing to tell, one is asked to say it."""
    routes(monkeypatch, ["127.0.1.1"])
    with pytest.raises(UsageError, match="name one: --advertise"):
        public_address("tcp://[::]:80", "tcp://*:*", None)
