"""How a worker is reached: its transport, made from what the user said about addresses and keys."""

from __future__ import annotations

from typing import Any

from ..errors import UsageError
from ..keys import StudyKey
from ..plugin import Transport
from ..plugin.registry import create, load_plugin, options_of


def transport_class(spec: Any) -> type[Transport]:
    """Return the class of the transport that ``spec`` names, or is an instance of."""
    return load_plugin("transports", spec.partition(":")[0]) if isinstance(spec, str) else type(spec)


def takes_key(spec: Any) -> bool:
    """Whether the transport that ``spec`` names has doors that need a key; an instance was given its own."""
    return isinstance(spec, str) and "key" in options_of(transport_class(spec))


def make_transport(
    spec: Any,
    *,
    worker: str,
    bind: str | None = None,
    advertise: str | None = None,
    key: StudyKey | None = None,
    insecure: bool = False,
) -> Transport:
    """Make the transport ``spec`` names (an instance is returned as it is).

    A key, ``bind``, ``advertise`` or ``insecure`` given to a transport that does not know it is an error, never
    ignored.
    """
    given = {"bind": bind, "advertise": advertise, "key": key, "insecure": insecure or None}
    given = {name: value for name, value in given.items() if value is not None}
    if not isinstance(spec, str):
        if given:
            raise UsageError(f"give {' and '.join(given)} to the transport itself, not along with {spec!r}")
        return create("transports", spec)  # type: ignore[no-any-return]  # an instance is what its class says
    known = options_of(transport_class(spec))
    for option in given:
        if option not in known:
            raise UsageError(
                f"the transport {spec.partition(':')[0]!r} has no {option}; leave it out, or use another transport "
                "(aiohpo plugins transports)"
            )
    return create("transports", spec, worker=worker, **given)  # type: ignore[no-any-return]  # as above
