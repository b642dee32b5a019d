"""Workers for tests: what a study puts together, with some of it exchanged."""

from __future__ import annotations

from collections import Counter
from dataclasses import replace
from typing import Any

from aiohpo import Study
from aiohpo.peer.limits import Limits
from aiohpo.runtime.assembly.services import Services
from aiohpo.runtime.peer import Peer

PLACE = ("transport", "join", "identity", "timing", "output", "notice")


def make_services(study: Study, *, limits: Limits, **given: Any) -> Services:
    """What a worker of ``study`` needs. ``given`` says where it stands (``transport``, ``join``, ``identity``, …) and
    what takes the place of the study's own services (``blobs``, ``wall``, …)."""
    place = {name: given.pop(name) for name in PLACE if name in given}
    return replace(study._services(limits=limits, **place), **given)


def make_peer(study: Study, *, limits: Limits, **given: Any) -> Peer:
    """A worker of ``study``; see :func:`make_services`."""
    return Peer(make_services(study, limits=limits, **given))


def counts(peer: Peer) -> dict[str, int]:
    """How many trials that people see have each status, as far as ``peer`` knows."""
    return dict(Counter(record.status for record in peer.view.records()))
