"""The transports' conformance check accepts the simulated transport and names what a bad one violates."""

from __future__ import annotations

import itertools
from collections.abc import Callable

import pytest

from aiohpo.plugin import OnFrame
from aiohpo.testing import SimNetwork, SimTransport, check_transport, run


def check(make: Callable[..., SimTransport], seed: int = 0, **faults: float) -> None:
    """Check a kind of simulated endpoint in virtual time."""

    async def main() -> None:
        network = SimNetwork(seed, **faults)
        numbers = itertools.count()
        await check_transport(lambda: make(network, worker=f"w{next(numbers)}"))

    run(main, seed=seed)


@pytest.mark.parametrize("seed", range(5))
def test_simulated_transport_conforms(seed: int) -> None:
    """A simulated endpoint keeps the promises of a transport."""
    check(SimTransport, seed)


class TakesAnything(SimTransport):
    def connect(self, address: str) -> None:
        if address.startswith("sim://"):
            super().connect(address)


class ReachesItselfOnly(SimTransport):
    any_address = "sim://*"

    @staticmethod
    def is_local(address):
        return True


class NamesAllAlike(SimTransport):
    @staticmethod
    def undialled_address(worker):
        return "sim://watch"


class Broadcasts(SimTransport):
    def publish(self, frame: bytes) -> None:
        for address in list(self.network.traffic):
            self.connect(address)
        super().publish(frame)
        for address in self.network._endpoints:
            if address != self.address:
                self.send(address, frame)


class CannotReply(SimTransport):
    def send(self, peer: str, frame: bytes) -> bool:
        return peer in self.connected and super().send(peer, frame)


class Claims(SimTransport):
    def send(self, peer: str, frame: bytes) -> bool:
        super().send(peer, frame)
        return True


class Truncates(SimTransport):
    def publish(self, frame: bytes) -> None:
        super().publish(frame[:9999])


class Impatient(SimTransport):
    def send(self, peer: str, frame: bytes) -> bool:
        if not super().send(peer, frame):
            return False
        self.network._endpoints[peer]._receive(self.address, frame)
        return True


class NeverDisconnects(SimTransport):
    def disconnect(self, address: str) -> None: ...


class ConnectsTwice(SimTransport):
    def publish(self, frame: bytes) -> None:
        super().publish(frame)
        if frame == b"once":
            super().publish(frame)


class LosesLastWords(SimTransport):
    async def aclose(self) -> None:
        self.network.crash(self.address)


class HearsGhosts(SimTransport):
    async def aclose(self) -> None: ...


class Raises(SimTransport):
    def send(self, peer: str, frame: bytes) -> bool:
        if peer not in self.network._endpoints:
            raise ConnectionError(peer)
        return super().send(peer, frame)


class Deaf(SimTransport):
    async def start(self, on_frame: OnFrame) -> None:
        await super().start(lambda peer, frame: None)


@pytest.mark.parametrize(
    ("make", "message"),
    [
        (ReachesItselfOnly, r"is_local\('sim://\*'\) is true for what other machines are to reach"),
        (NamesAllAlike, r"undialled_address\(\) gave sim://watch to two workers"),
        (TakesAnything, r"connect\(''\) did not raise ValueError"),
        (Broadcasts, "not connected|out of order|had not connected|unknown peer"),
        (CannotReply, "a peer that a frame came from returned False"),
        (Claims, r"send\(\) to an unknown peer returned True"),
        (Truncates, "publish: a frame arrived changed"),
        (Impatient, "called from within"),
        (NeverDisconnects, r"after disconnect\(\) there arrived"),
        (ConnectsTwice, "connected twice"),
        (LosesLastWords, r"b'last words 0', said just before aclose\(\), did not arrive"),
        (HearsGhosts, r"after aclose\(\)"),
        (Deaf, "nothing published was heard"),
        (object, "lacks methods"),
    ],
)
def test_names_what_is_violated(make: Callable[..., SimTransport], message: str) -> None:
    """A transport that breaks a promise fails, and the error says which."""
    with pytest.raises(AssertionError, match=message):
        check(make if make is not object else lambda network, worker: object())  # type: ignore[arg-type, return-value]


@pytest.mark.parametrize(
    ("faults", "message"),
    [({"duplicate": 0.2}, "arrived twice"), ({"reorder": 0.2}, "out of order"), ({"loss": 0.8}, "arrive|heard")],
)
def test_notices_a_bad_network(faults: dict[str, float], message: str) -> None:
    """Duplication, reordering and heavy loss go beyond what a transport may do, and are noticed."""
    with pytest.raises(AssertionError, match=message):
        check(SimTransport, **faults)


def test_errors_pass_through() -> None:
    """A transport that raises for a peer's fault fails with its own error."""
    with pytest.raises(ConnectionError):
        check(Raises)
