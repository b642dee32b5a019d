"""Two versions of aiohpo in one swarm: what only the later one understands does the earlier one no harm."""

from __future__ import annotations

import asyncio
from contextlib import AbstractContextManager, nullcontext
from typing import Any
from unittest.mock import patch

import msgspec
import pytest

from aiohpo.events.codec import decode_batch
from aiohpo.events.groups import OriginGroups
from aiohpo.events.log import Log
from aiohpo.events.schema import Batch, Event, Unknown
from aiohpo.mesh import node
from aiohpo.mesh.frames import Groups, GroupVector, Vector
from aiohpo.view.view import View
from tests.support.histories import Remark
from tests.swarm.harness import SCHEDULED, Scenario, Swarm, play


class LaterLog(Log):
    """The log of a version that knows of remarks."""

    __slots__ = ()

    def append_own(self, origin: str, seq: int, event: Event | Remark) -> Batch:
        if not isinstance(event, Remark):
            return super().append_own(origin, seq, event)
        raws = (msgspec.msgpack.encode(event),)
        self._extend(origin, raws)
        self.clock = max(self.clock, event.lamport)
        return Batch(origin, seq, raws)

    @staticmethod
    def _decode(batch: Batch) -> list[Any]:
        decode = msgspec.msgpack.Decoder(Remark).decode
        events = zip(decode_batch(batch), batch.raws, strict=True)
        return [decode(raw) if isinstance(event, Unknown) else event for event, raw in events]


class LaterView(View):
    """The view of a version that collects remarks."""

    def __init__(self, *given: Any) -> None:
        super().__init__(*given)
        self.remarks: set[tuple[str, str]] = set()

    def apply(self, origin: str, seq: int, event: Event | Remark) -> int | None:
        if not isinstance(event, Remark):
            return super().apply(origin, seq, event)
        self.remarks.add((origin, event.text))
        return None


def version(place: int) -> AbstractContextManager[object]:
    """Every other worker is of the later version."""
    return (
        patch.multiple("aiohpo.runtime.assembly.definition", Log=LaterLog, View=LaterView)
        if place % 2
        else nullcontext()
    )


class WholeGroups(OriginGroups):
    """Of a version that divides no logs."""

    __slots__ = ()
    count = 0  # type: ignore[assignment]


class WholeLog(Log):
    """The log of a version that exchanges whole version vectors."""

    __slots__ = ()

    def __init__(self) -> None:
        super().__init__()
        self._groups = WholeGroups()


def without_groups(place: int) -> AbstractContextManager[object]:
    """Every third worker is of the earlier version."""
    return nullcontext() if place % 3 else patch("aiohpo.runtime.assembly.definition.Log", WholeLog)


async def remarks(swarm: Swarm) -> None:
    """The later workers make a remark now and then, long before and after their trials."""
    number = 0
    while True:
        for peer in list(swarm.alive.values()):
            if isinstance(peer.view, LaterView):
                number += 1
                peer.state._record(lambda t: Remark(t, f"remark {number}"))  # type: ignore[arg-type]  # noqa: B023
                peer.exchange.carry_out()
        await asyncio.sleep(swarm.scenario.mean_seconds)


@pytest.mark.parametrize("seed", [2, 6, 9, 15, SCHEDULED + 1, SCHEDULED + 4])
def test_two_versions_converge(seed: int) -> None:
    """All invariants hold, the budget among them; every worker keeps every remark, and the earlier ones say so once."""
    swarm, _ = play(seed, version=version, beside=remarks)
    peers = list(swarm.alive.values())
    later = [peer.view.remarks for peer in peers if isinstance(peer.view, LaterView)]
    assert 0 < len(later) < len(peers), f"this scenario leaves one version: {Scenario.draw(seed)}"
    assert all(made == later[0] for made in later)
    assert len(later[0]) > 3
    for peer in peers:
        assert peer.services.log.unknown_kinds == (set() if isinstance(peer.view, LaterView) else {99})
    said = [text for text in swarm.study.notices if "events of kind 99" in text]
    assert 1 <= len(said) <= swarm.starts


@pytest.mark.parametrize("seed", [3, 5, SCHEDULED + 1])
def test_swarms_that_compare_by_groups_converge_with_those_that_do_not(
    seed: int, monkeypatch: pytest.MonkeyPatch
) -> None:
    """All invariants hold where logs are compared by groups, as in swarms of thousands; an earlier version is sent no
    frame that it could not read."""
    heard: list[tuple[type, bool]] = []
    decode = node.decode_frame

    def receive(self: node.Node, *given: Any) -> Any:
        frame = decode(self.tag, given[-1])
        heard.append((type(frame), isinstance(self.log, WholeLog)))
        return original(self, *given)

    original = node.Node.receive
    monkeypatch.setattr(node.Node, "receive", receive)
    monkeypatch.setattr("aiohpo.events.groups.WHOLE_UP_TO", 1)
    monkeypatch.setattr("aiohpo.events.groups._GROUP_SIZE", 1)
    play(seed, version=without_groups)
    later = {kind for kind, is_earlier in heard if not is_earlier}
    earlier = {kind for kind, is_earlier in heard if is_earlier}
    assert {Groups, GroupVector, Vector} <= later
    assert earlier
    assert not {Groups, GroupVector} & earlier
