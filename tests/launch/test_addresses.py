"""Making a worker's transport from what the user said."""

from __future__ import annotations

from typing import Any

import pytest

from aiohpo.errors import UsageError
from aiohpo.keys import StudyKey
from aiohpo.launch.addresses import make_transport, takes_key, transport_class
from aiohpo_transports.inproc import InprocTransport

KEY = StudyKey(bytes(range(32)))


def keyed(spec: str, **options: Any) -> bool:
    """Whether the transport has a key, as its repr says once it is open."""
    return "encrypted" in repr(make_transport(spec, worker="w", **options))


def test_doors_that_take_a_key() -> None:
    """A transport that takes a key gets it, and is known to need one; there is no second way to give it."""
    assert takes_key("zmq")
    assert takes_key("zmq:outbox=7")
    assert not takes_key("inproc")
    assert not takes_key(InprocTransport())
    assert keyed("zmq", key=KEY)
    assert not keyed("zmq")
    with pytest.raises(UsageError, match="has no option 'key'"):
        make_transport("zmq:key=k", worker="w", key=KEY)
    with pytest.raises(UsageError, match="leave out one of insecure and key"):
        make_transport("zmq:insecure=true", worker="w", key=KEY)


@pytest.mark.parametrize("option", [{"key": KEY}, {"advertise": "tcp://h:1"}, {"insecure": True}])
def test_what_a_transport_does_not_know_is_refused(option: dict[str, Any]) -> None:
    """An option that cannot be honoured is an error, and the key is not in it."""
    with pytest.raises(UsageError, match=f"the transport 'inproc' has no {next(iter(option))}") as error:
        make_transport("inproc", worker="w", **option)
    assert KEY.text not in str(error.value)
    with pytest.raises(UsageError, match="to the transport itself"):
        make_transport(InprocTransport(), worker="w", **option)


def test_instances_are_kept() -> None:
    """A transport that somebody made is used as it is."""
    transport = InprocTransport()
    assert make_transport(transport, worker="w") is transport


def test_insecure_and_advertise_reach_the_transport() -> None:
    """What is given about addresses is checked and used."""
    with pytest.raises(UsageError, match="--insecure"):
        make_transport("zmq", worker="w", bind="tcp://*:*")
    make_transport("zmq", worker="w", bind="tcp://*:*", insecure=True)
    with pytest.raises(UsageError, match="not where others reach it"):
        make_transport("zmq", worker="w", advertise="tcp://0.0.0.0:5555")


def test_a_transport_says_what_its_addresses_are_like() -> None:
    """By its class, from a name with or without options, or from an instance."""
    assert transport_class("zmq:outbox=7") is transport_class("zmq")
    assert transport_class(InprocTransport()) is InprocTransport
    zeromq = transport_class("zmq")
    assert zeromq.any_address is not None
    assert not zeromq.is_local(zeromq.any_address)
    assert zeromq.is_local("tcp://127.0.0.1:5555")
    assert zeromq.is_local("tcp://[::1]:5555")
    assert zeromq.is_local("ipc:///tmp/worker")
    assert zeromq.undialled_address("watch-0a") != zeromq.undialled_address("watch-0b")
    assert InprocTransport.any_address is None
