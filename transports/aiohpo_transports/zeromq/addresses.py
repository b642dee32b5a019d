"""Addresses of ZeroMQ endpoints: which are well-formed, which others can reach, and what to tell them."""

from __future__ import annotations

import errno
import ipaddress
import re
import socket as sockets

import zmq

from aiohpo.errors import UsageError

_TCP = re.compile(r"tcp://(\[[0-9A-Fa-f:.]+(?:%\w+)?\]|[\w.*-]+):(\*|\d{1,5})")
_IPC = re.compile(r"ipc:///.+")
HERE = "this machine"
_IP = ipaddress.IPv4Address | ipaddress.IPv6Address
_FORMS = "write tcp://host:port, tcp://[ipv6]:port or ipc:///path"


def check_address(address: str) -> None:
    """Raise ``UsageError`` if one cannot connect to ``address``."""
    tcp = _TCP.fullmatch(address)
    if not (_IPC.fullmatch(address) or (tcp and tcp[2] != "*" and 0 < int(tcp[2]) < 65536 and tcp[1] != "*")):
        raise UsageError(f"{address!r} is not an address; {_FORMS}")


def check_bind(address: str) -> None:
    """Raise ``UsageError`` if one cannot listen on ``address``; port ``*`` (or 0) is any free one."""
    tcp = _TCP.fullmatch(address)
    if not (_IPC.fullmatch(address) or (tcp and (tcp[2] == "*" or int(tcp[2]) < 65536))):
        raise UsageError(f"{address!r} is not an address to listen on; {_FORMS}; the port * is any free one")


def check_advertised(address: str) -> None:
    """Raise ``UsageError`` if others cannot be told ``address``; port ``*`` is the one bound to."""
    check_bind(address)
    tcp = _TCP.fullmatch(address)
    if tcp and (tcp[1] == "*" or _is_wildcard(tcp[1])):
        raise UsageError(f"{address} says where to listen, not where others reach it; advertise a host or its address")
    if tcp and tcp[2] == "0":
        raise UsageError(f"{address} has no port; write :* for the port that it listens on")


def is_local(address: str) -> bool:
    """Whether only processes of this machine can reach ``address``."""
    tcp = _TCP.fullmatch(address)
    if not tcp or tcp[1] == "localhost":
        return True
    ip = _ip(tcp[1])
    return ip is not None and ip.is_loopback


def host_of(address: str) -> str:
    """The host of an address, for people; :data:`HERE` for this machine's own."""
    tcp = _TCP.fullmatch(address)
    return plain_host(tcp[1]) if tcp and not is_local(address) else HERE


def plain_host(host: str) -> str:
    """Write a host as people do: without brackets, and :data:`HERE` for loopback."""
    ip = _ip(host)
    return host if ip is None else HERE if ip.is_loopback else str(ip)


def public_address(endpoint: str, bind: str, advertise: str | None) -> str:
    """Return what to tell others, given what the socket is bound to (``endpoint``) and what was asked for.

    Raises ``UsageError`` when listening everywhere on a machine that has no address of its own to tell.
    """
    tcp = _TCP.fullmatch(endpoint)
    if tcp is None:
        return advertise or endpoint
    host, port = tcp.groups()
    if advertise is not None:
        return advertise.removesuffix("*") + port if advertise[-1] == "*" else advertise
    if _is_wildcard(host):
        ip = _own_address(prefer=6 if bind.startswith("tcp://[") else 4)
        if ip is None:
            raise UsageError(
                f"{bind} listens on all addresses of this machine, but it is not known which of them others can "
                "reach; name one: --advertise tcp://host:port (advertise=…)"
            )
    else:
        ip = _ip(host)
    if ip is None or "%" in host:
        return endpoint
    return f"tcp://[{ip}]:{port}" if ip.version == 6 else f"tcp://{ip}:{port}"


def _ip(host: str) -> _IP | None:
    """Read an address of either version, None for a name. ::ffff:10.0.0.5, as a socket for both versions says, is
    10.0.0.5, as everybody writes it."""
    try:
        ip = ipaddress.ip_address(host.strip("[]"))
    except ValueError:
        return None
    mapped = ip.ipv4_mapped if isinstance(ip, ipaddress.IPv6Address) else None
    return mapped or ip


def _is_wildcard(host: str) -> bool:
    ip = _ip(host)
    return ip is not None and ip.is_unspecified


def _own_address(prefer: int) -> _IP | None:
    """The address of the interface that leads elsewhere, else one that the machine's name has; never loopback."""
    routes = [_default_route(sockets.AF_INET), _default_route(sockets.AF_INET6)]
    found = sorted(filter(None, routes), key=lambda ip: ip.version != prefer)
    if not found:
        try:
            names = sockets.getaddrinfo(sockets.gethostname(), None)
        except OSError:  # the machine's name says nothing
            return None
        found = [ip for entry in names if (ip := _ip(str(entry[4][0]))) is not None]
    return next((ip for ip in found if not ip.is_loopback and not ip.is_link_local), None)


def _default_route(family: sockets.AddressFamily) -> _IP | None:
    """The address of the interface with the default route. Sends nothing: connecting UDP only looks it up."""
    elsewhere = "192.0.2.1" if family == sockets.AF_INET else "2001:db8::1"  # for documentation, RFC 5737 and 3849
    try:
        with sockets.socket(family, sockets.SOCK_DGRAM) as probe:
            probe.connect((elsewhere, 9))
            return _ip(str(probe.getsockname()[0]))
    except OSError:
        return None


def listen(socket: zmq.Socket[bytes], address: str) -> None:
    """Bind; raise ``UsageError`` that says why it cannot be done."""
    path = address.removeprefix("ipc://")
    if path != address and _is_served(path):  # ZeroMQ would take the path away from the one who serves it
        raise UsageError(f"{address} is in use; bind to another path")
    try:
        socket.bind(address)
    except zmq.ZMQError as error:
        if error.errno == zmq.EADDRINUSE:
            raise UsageError(f"{address} is in use; bind to another port, or to :* for any free one") from error
        hint = "; is it an address of this machine?" if error.errno in (zmq.EADDRNOTAVAIL, errno.ENODEV) else ""
        raise UsageError(f"cannot listen on {address}: {zmq.strerror(error.errno or 0)}{hint}") from error


def _is_served(path: str) -> bool:
    with sockets.socket(sockets.AF_UNIX) as probe:
        try:
            probe.connect(path)
        except OSError:
            return False
    return True
