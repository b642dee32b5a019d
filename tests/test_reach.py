"""Making a worker's transport from what the user said."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest

from aiohpo.interfaces import UsageError
from aiohpo.keys import StudyKey, write_key
from aiohpo.reach import make_transport
from aiohpo_transports.inproc import InprocTransport

KEY = StudyKey(bytes(range(32)))


def keyed(spec: str, **options: Any) -> bool:
    """Whether the transport has a key, as its repr says once it is open."""
    return "encrypted" in repr(make_transport(spec, worker="w", **options))


def test_key_given(tmp_path: Path) -> None:
    """A key is passed on as an object, its text or its file, and also as an option in the name."""
    write_key(tmp_path / "k", KEY)
    for key in (KEY, KEY.text, str(tmp_path / "k"), tmp_path / "k"):
        assert keyed("zmq", key=key)
    assert keyed(f"zmq:key={tmp_path / 'k'}")
    assert not keyed("zmq")


def test_key_of_the_environment(monkeypatch: pytest.MonkeyPatch) -> None:
    """The environment's key is used where a transport takes one and none was given, and ignored elsewhere."""
    monkeypatch.setenv("AIOHPO_KEY", KEY.text)
    assert keyed("zmq")
    assert isinstance(make_transport("inproc", worker="w"), InprocTransport)


@pytest.mark.parametrize("option", [{"key": KEY}, {"advertise": "tcp://h:1"}, {"insecure": True}])
def test_what_a_transport_does_not_know_is_refused(option: dict[str, Any]) -> None:
    """An option that cannot be honoured is an error, and the key is not in it."""
    with pytest.raises(UsageError, match=f"the transport 'inproc' takes no {next(iter(option))}") as error:
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
