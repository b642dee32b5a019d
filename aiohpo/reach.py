"""How a worker is reached: its transport, made from what the user said about addresses and keys."""

from __future__ import annotations

from pathlib import Path
from typing import Any

from .interfaces import Transport, UsageError
from .keys import StudyKey, find_key
from .registry import create, load, options_of


def make_transport(
    spec: Any,
    *,
    worker: str,
    bind: str | None = None,
    advertise: str | None = None,
    key: StudyKey | str | Path | None = None,
    insecure: bool = False,
) -> Transport:
    """Make the transport ``spec`` names (an instance is returned as it is).

    ``key`` falls back to the environment's (see :func:`aiohpo.keys.find_key`) for transports that take one; a key,
    ``advertise`` or ``insecure`` given to a transport that does not know it is an error, never ignored.
    """
    given = {"advertise": advertise, "key": key, "insecure": insecure or None}
    given = {name: value for name, value in given.items() if value is not None}
    if not isinstance(spec, str):
        if given:
            raise UsageError(f"give {' and '.join(given)} to the transport itself, not beside {spec!r}")
        return create("transports", spec)  # type: ignore[no-any-return]  # an instance is what its class says
    name, _, options = spec.partition(":")
    known = options_of(load("transports", name))
    for option in given:
        if option not in known:
            raise UsageError(f"the transport {name!r} takes no {option}; leave it out, or use --transport zmq")
    if "key" in known and not any(part.strip().startswith("key=") for part in options.split(",")):
        found = find_key(key)
        if found is not None:
            given["key"] = found
    return create("transports", spec, worker=worker, bind=bind, **given)  # type: ignore[no-any-return]  # as above
