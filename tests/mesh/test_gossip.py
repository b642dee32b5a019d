"""Tests of the exchange: flood for speed, repair for correctness."""

from __future__ import annotations

import random

import msgspec
import pytest
from hypothesis import settings
from hypothesis import strategies as st
from hypothesis.stateful import RuleBasedStateMachine, invariant, rule

from aiohpo.events.codec import encode_event
from aiohpo.events.log import FAR_AHEAD, Log
from aiohpo.events.schema import MAX_EVENT, Batch, Goal, Malformed
from aiohpo.mesh.effects import Milestone, Notice, Publish, Reached, Send
from aiohpo.mesh.frames import (
    Blocks,
    Digest,
    Events,
    Groups,
    GroupVector,
    Heads,
    Ping,
    Vector,
    decode_frame,
    encode_frame,
)
from aiohpo.mesh.gossip import Gossip
from aiohpo.mesh.timing import Pace


class Unknowable(msgspec.Struct, array_like=True, tag=99):
    """An event of a later version."""

    lamport: int
    content: bytes


NAMES = ("ann", "bob", "cid")
HASH = bytes  # an empty member table


def goals(origin: str, first: int, count: int) -> Batch:
    return Batch(origin, first, tuple(encode_event(Goal(n, n)) for n in range(first, first + count)))


def gossip(me: str, *peers: str, pace: Pace | None = None) -> Gossip:
    g = Gossip(Log(), random.Random(me), 0.0, pace or Pace(), me)
    g.relink(list(peers), forward=False)
    return g


def write(g: Gossip, n: int = 1) -> None:
    for _ in range(n):
        seq = g.log.count(g._mine) + 1
        g.flood(g.log.append_own(g._mine, seq, Goal(seq, seq)))


def test_the_first_event_after_a_quiet_time_leaves_at_once():
    """Floods wait at most one interval, and not at all if the last one is longer ago."""
    g = gossip("ann", "bob")
    write(g)
    assert g.next_deadline() <= 0.0
    [effect] = g.tick(0.0, HASH)[:1]
    assert isinstance(effect, Publish)
    write(g, 3)
    assert [e for e in g.tick(0.001, HASH) if isinstance(e, Publish)] == []
    assert g.next_deadline() == g.pace.interval
    [effect] = [e for e in g.tick(g.pace.interval, HASH) if isinstance(e, Publish)]
    assert [(b.origin, b.first, len(b.raws)) for b in effect.frame.batches] == [("ann", 2, 3)]


def test_a_worker_of_a_large_swarm_floods_less_often():
    """How long a batch waits for more follows from the number of members."""
    g = gossip("ann", "bob")
    g.relink(["bob"], forward=True, members=4096)
    write(g)
    g.tick(1.0, HASH)
    write(g)
    assert g.next_deadline() == pytest.approx(1.1)


def test_floods_are_cut_into_bounded_frames():
    """No flooded frame is much longer than batch_bytes."""
    g = gossip("ann", "bob", pace=Pace(batch_bytes=200, batch_events=20))
    write(g, 500)
    frames = [e.frame for e in g.tick(1.0, HASH) if isinstance(e, Publish)]
    assert len(frames) > 5
    assert all(sum(b.size for b in frame.batches) < 400 for frame in frames)
    assert sum(len(b.raws) for frame in frames for b in frame.batches) == 500


def test_a_gap_makes_the_receiver_ask_the_sender():
    """What lies beyond a gap is not taken; the peer it came from is asked for what is missing, once."""
    g = gossip("ann", "bob")
    new, effects = g.on_events("bob", Events((goals("bob", 3, 2),)), 0.0)
    assert new == []
    assert effects == [Send("bob", Vector({}, eager=True, reply=False, log=g.log.hash()))]
    assert g.on_events("bob", Events((goals("bob", 5, 1),)), 0.1)[1] == []
    assert g.on_events("bob", Events((goals("bob", 6, 1),)), 2.0)[1] != []


def test_a_frame_with_one_bad_event_is_taken_not_at_all():
    """Whatever else a frame holds, one batch that is malformed or too large keeps all of it out."""
    for raws in ((b"\xc1",), (encode_event(Goal(1, 1)), b"\xc1"), (b"\x92\x63\x01" + bytes(MAX_EVENT),)):
        g = gossip("ann", "bob")
        with pytest.raises(Malformed):
            g.on_events("bob", Events((goals("bob", 1, 1), Batch("cid", 1, raws))), 0.0)
        assert g.log.vector() == {}
    with pytest.raises(Malformed, match="frame of"):
        g.on_events("bob", Events((Batch("bob", 1, (b"",) * 40_000), Batch("cid", 1, (b"",) * 40_000))), 0.0)


def test_batches_of_one_frame_may_continue_each_other():
    """What lies behind a gap when a frame arrives is taken if the frame itself fills the gap."""
    g = gossip("ann", "bob")
    new, _ = g.on_events("bob", Events((goals("bob", 1, 2), goals("bob", 1, 2), goals("bob", 3, 1))), 0.0)
    assert [(f.origin, f.first, len(f)) for f in new] == [("bob", 1, 2), ("bob", 3, 1)]


def test_what_others_write_in_ones_name_takes_its_number():
    """Events that claim to be this worker's own are taken like any others, so that it goes on behind them."""
    g = gossip("ann", "bob")
    new, _ = g.on_events("bob", Events((goals("ann", 1, 2), goals("ann", 9, 1))), 0.0)
    assert [(f.first, len(f)) for f in new] == [(1, 2)]
    write(g)
    assert g.log.vector() == {"ann": 3}


def forked(*numbers: int) -> tuple[Gossip, Gossip]:
    """Two that heard different events of "eve" under these numbers, and the same ones otherwise."""
    a, b = gossip("ann", "bob"), gossip("bob", "ann")
    for g, other in ((a, 1), (b, 2)):
        raws = [encode_event(Goal(n, n * (other if n in numbers else 1))) for n in range(1, 3001)]
        g.log.merge(Batch("eve", 1, tuple(raws)))
        g.log.merge(goals("zoe", 1, 5))
    return a, b


@pytest.mark.parametrize("numbers", [(7,), (1, 2, 1024, 1025, 3000), tuple(range(5, 2900, 7))])
def test_forks_that_arrived_apart_are_found_by_the_digest(numbers):
    """Replicas with different events under one number end with both, after a round of repair for each block."""
    a, b = forked(*numbers)
    assert a.log.vector() == b.log.vector()
    assert a.log.hash() != b.log.hash()
    for now in range(0, 40, 10):
        exchange(a, b, [Send("bob", Digest(a.log.hash(), b""))], float(now))
        for source, target in ((a, b), (b, a)):
            for effect in source.tick(now + 5.0, HASH):
                if isinstance(effect, Publish):
                    target.on_events(source._mine, effect.frame, now + 5.0)
    assert a.log.hash() == b.log.hash()
    for g in (a, b):
        assert g.log.forks == {"eve": len(numbers)}
        assert g.log.all_of("eve", numbers[0]) == a.log.all_of("eve", numbers[0])
    assert exchange(a, b, [Send("bob", Digest(a.log.hash(), b""))], 99.0) == 1


def test_a_fork_is_flooded_by_whoever_hears_both_sides():
    """Where two events with one number arrive, both are passed on, also in a full mesh; once."""
    g = gossip("ann", "bob", "cid")
    g.log.merge(goals("eve", 1, 3))
    other = Batch("eve", 2, (encode_event(Goal(2, 99)),))
    [fresh], _ = g.on_events("bob", Events((other,)), 0.0)
    assert (fresh.first, fresh.again, fresh.events) == (2, True, [Goal(2, 99)])
    sent = [batch for e in g.tick(1.0, HASH) if isinstance(e, Publish) for batch in e.frame.batches]
    assert sorted(batch.raws[0] for batch in sent) == sorted([other.raws[0], goals("eve", 2, 1).raws[0]])
    assert g.on_events("cid", Events((other, goals("eve", 1, 3))), 2.0) == ([], [])


def test_a_joiner_gets_both_sides_of_a_fork():
    """What stands beside the events in line is sent with them."""
    old, new = gossip("ann", "bob"), gossip("bob", "ann")
    old.log.merge(goals("eve", 1, 300))
    for number in (3, 200):
        assert old.log.merge_forks(Batch("eve", number, (encode_event(Goal(number, 1)),)))
    exchange(new, old, new.ask_for_missing("ann", 0.0), 0.0)
    exchange(new, old, [Send("ann", Digest(new.log.hash(), b""))], 9.0)
    assert new.log.hash() == old.log.hash()


def test_what_is_new_is_forwarded_only_where_the_overlay_needs_it():
    """In a full mesh receivers keep quiet; above it they pass on what was new to them, and nothing twice."""
    for forward in (False, True):
        g = gossip("ann", "bob", "cid")
        g.relink(g.peers, forward=forward)
        g.on_events("bob", Events((goals("bob", 1, 2),)), 0.0)
        g.on_events("bob", Events((goals("bob", 1, 2),)), 0.0)
        sent = [e.frame for e in g.tick(1.0, HASH) if isinstance(e, Publish)]
        assert [len(b.raws) for frame in sent for b in frame.batches] == ([2] if forward else [])


def test_digests_that_agree_cost_nothing_more():
    """Equal hashes end the round; different ones are answered with the version vector."""
    g = gossip("ann", "bob")
    assert g.on_digest("bob", Digest(g.log.hash(), b"")) == [Reached(Milestone.CAUGHT_UP)]
    assert g.on_digest("bob", Digest(g.log.hash(), b"")) == []
    write(g)
    assert g.on_digest("bob", Digest(b"12345678", b"")) == [Send("bob", Vector({"ann": 1}, False, True, g.log.hash()))]


def test_what_is_still_being_flooded_is_not_sent_to_a_mere_mismatch():
    """A peer that lacks only what came after the last digest round is sent nothing, unless it asks eagerly."""
    g = gossip("ann", "bob")
    write(g)
    g.tick(10.0, HASH)  # a round of digests: what there is now counts as settled
    write(g)
    assert g.on_vector("bob", Vector({"ann": 1}, eager=False, reply=False), 10.0) == []
    [answer] = g.on_vector("bob", Vector({"ann": 1}, eager=True, reply=False), 10.0)
    assert [(b.first, len(b.raws)) for b in answer.frame.batches] == [(2, 1)]
    [answer, _] = g.on_vector("bob", Vector({}, eager=False, reply=True), 10.0)
    assert [(b.first, len(b.raws)) for b in answer.frame.batches] == [(1, 2)]


def test_a_peer_with_nothing_to_give_closes_the_question():
    """Asked eagerly by somebody who lacks nothing, a peer says so."""
    g = gossip("ann", "bob")
    assert g.on_vector("bob", Vector({}, True, False), 0.0) == [Send("bob", Events((), repair=True))]


def exchange(a: Gossip, b: Gossip, effects: list, now: float) -> int:
    """Deliver directed frames between two until there are none; return how many there were."""
    queue, count = [(a, b, e) for e in effects if isinstance(e, Send)], 0
    while queue:
        source, target, effect = queue.pop(0)
        count += 1
        assert count < 500, "the exchange does not end"
        match effect.frame:
            case Vector():
                out = target.on_vector(source._mine, effect.frame, now)
            case Digest():
                out = target.on_digest(source._mine, effect.frame)
            case Groups():
                out = target.on_groups(source._mine, effect.frame)
            case GroupVector():
                out = target.on_group_vector(source._mine, effect.frame, now)
            case Heads():
                out = target.on_heads(source._mine, effect.frame)
            case Blocks():
                out = target.on_blocks(source._mine, effect.frame)
            case Events():
                out = target.on_events(source._mine, effect.frame, now)[1]
        queue += [(target, source, e) for e in out if isinstance(e, Send)]
    return count


def test_a_joiner_gets_everything_in_bounded_chunks():
    """An empty log asks once and is led through all of it, in frames of about round_bytes."""
    old, new = gossip("ann", "bob", pace=Pace(round_bytes=2000)), gossip("bob", "ann")
    write(old, 3000)
    frames = exchange(new, old, new.ask_for_missing("ann", 0.0), 0.0)
    assert new.log.hash() == old.log.hash()
    assert frames > 5


def test_a_question_to_a_peer_that_is_linked_no_more_is_closed():
    """Its answer would not arrive, so the next peer is asked at once."""
    new = gossip("cid", "ann")
    assert new.ask_for_missing("ann", 0.0) != []
    assert new.ask_for_missing("bob", 0.0) == []
    new.relink(["ann", "bob"], forward=True)
    assert new.ask_for_missing("bob", 0.0) == []
    new.relink(["bob"], forward=True)
    assert [effect.peer for effect in new.ask_for_missing("bob", 0.0)] == ["bob"]


def test_one_digest_mismatch_mends_both_sides():
    """After one digest, two logs that each lack something of the other are equal."""
    a, b = gossip("ann", "bob"), gossip("bob", "ann")
    write(a, 5)
    write(b, 7)
    a.tick(10.0, HASH)
    b.tick(10.0, HASH)
    exchange(a, b, [Send("bob", Digest(a.log.hash(), b""))], 20.0)
    assert a.log.hash() == b.log.hash()


@pytest.fixture
def divided(monkeypatch):
    """Logs are divided as if there were thousands: in groups of two from the fifth on."""
    monkeypatch.setattr("aiohpo.events.groups.WHOLE_UP_TO", 4)
    monkeypatch.setattr("aiohpo.events.groups._GROUP_SIZE", 2)


def frames_of(a: Gossip, b: Gossip) -> list:
    """What ``b`` and then ``a`` say at first when ``a`` sends a digest."""
    [first] = b.on_digest(a._mine, Digest(a.log.hash(), b"", a.log.groups.count))
    if not isinstance(first.frame, Groups):
        return [first.frame]
    [second] = a.on_groups(b._mine, first.frame)
    return [first.frame, second.frame]


def test_repair_costs_what_differs_not_what_is_held():
    """With 4,096 origins, of which 14 differ, 7 kB say which, and everything missing arrives."""
    a, b = gossip("ann", "bob"), gossip("bob", "ann")
    raw = (encode_event(Goal(1, 1)),)
    for n in range(4096):
        for g in (a, b):
            g.log.merge(Batch(f"{n:012x}", 1, raw))
    for n in range(14):
        (a if n % 2 else b).log.merge(goals(f"{n:012x}", 2, 1))
    assert sum(len(encode_frame(b"tag.", frame)) for frame in frames_of(a, b)) < 7000
    exchange(a, b, [Send("bob", Digest(a.log.hash(), b"", a.log.groups.count))], 0.0)
    assert (a.log.size, b.log.size) == (4096 + 7, 4096 + 14)  # what may still come is sent to those who ask for it
    a.tick(10.0, HASH)
    b.tick(10.0, HASH)
    exchange(a, b, [Send("bob", Digest(a.log.hash(), b"", a.log.groups.count))], 20.0)
    assert a.log.hash() == b.log.hash()
    assert a.log.size == 4096 + 14


@pytest.mark.parametrize("held", [0, 3, 30])
def test_logs_of_any_size_are_mended_by_groups_or_whole(divided, held):
    """A newcomer, one with few logs and one with most of them have everything after a round of digests each way."""
    a, b = gossip("ann", "bob", pace=Pace(round_bytes=200)), gossip("bob", "ann", pace=Pace(round_bytes=200))
    for n in range(40):
        a.log.merge(goals(f"worker{n}", 1, 1 + n % 3))
        if n < held:
            b.log.merge(goals(f"worker{n}", 1, 1 + n % 2))
    write(b, 3)
    for g in (a, b):
        g.tick(10.0, HASH)
    assert isinstance(frames_of(a, b)[0], Groups if held > 4 else Vector)
    exchange(a, b, [Send("bob", Digest(a.log.hash(), b"", a.log.groups.count))], 20.0)
    exchange(b, a, [Send("ann", Digest(b.log.hash(), b"", b.log.groups.count))], 30.0)
    assert a.log.hash() == b.log.hash()


def test_forks_are_found_by_groups_while_others_differ(divided):
    """Logs of one length with different events are found although news of other workers is on its way."""
    a, b = forked(7, 2000)
    for g in (a, b):
        for n in range(40):
            g.log.merge(goals(f"worker{n}", 1, 3))
    for now in range(0, 60, 10):
        a.log.merge(goals(f"worker{now}", a.log.count(f"worker{now}") + 1, 1))
        exchange(a, b, [Send("bob", Digest(a.log.hash(), b"", a.log.groups.count))], float(now))
    assert a.log.forks == b.log.forks == {"eve": 2}


def test_an_earlier_version_gets_whole_vectors_whatever_is_held(divided):
    """A digest as it was before there were groups has none, and is answered as it was then."""
    a, b = gossip("ann", "bob"), gossip("bob", "ann")
    for n in range(40):
        a.log.merge(goals(f"worker{n}", 1, 2))
    earlier = msgspec.msgpack.encode([4, b.log.hash(), b""])
    digest = decode_frame(b"tag.", encode_frame(b"tag.", Ping(0.0))[:5] + earlier)
    [answer] = a.on_digest("bob", digest)
    assert isinstance(answer.frame, Vector)
    sent = encode_frame(b"tag.", Digest(b"12345678", b"", 256))[5:]

    class EarlierDigest(msgspec.Struct, frozen=True, array_like=True, tag=4):
        log: bytes
        members: bytes

    assert msgspec.msgpack.decode(sent, type=EarlierDigest) == EarlierDigest(b"12345678", b"")


def test_groups_that_are_not_here_are_answered_by_what_is(divided):
    """A peer that met an earlier process at this address, or talks nonsense, gets the whole vector, or nothing."""
    g = gossip("ann", "bob")
    g.log.merge(goals("worker1", 1, 2))
    [answer] = g.on_groups("bob", Groups((b"",) * 4096, False))
    assert isinstance(answer.frame, Vector)
    assert answer.frame.reply
    assert g.on_group_vector("bob", GroupVector(64, {1: b"", 80: b""}, {"worker1": 9}, True, True), 0.0) == []
    assert [type(e.frame) for e in g.on_group_vector("bob", GroupVector(1, {9: b""}, {}, True, False), 0.0)] == [Events]
    assert g.on_groups("bob", Groups((g.log.hash(),), False)) == [Reached(Milestone.CAUGHT_UP)]


def test_a_lonely_worker_does_not_hoard_its_floods():
    """With nobody linked, what is queued is dropped: whoever comes later asks for it."""
    g = gossip("ann")
    write(g, 10)
    assert g.tick(1.0, HASH) == []
    g.relink(["bob"], forward=False)
    assert [e for e in g.tick(2.0, HASH) if isinstance(e, Publish)] == []


class Swarm(RuleBasedStateMachine):
    """Three workers gossip over a wire that loses, doubles and reorders; then it gets quiet."""

    def __init__(self) -> None:
        super().__init__()
        self.now = 0.0
        self.workers = {n: gossip(n, *(o for o in NAMES if o != n), pace=Pace(round_bytes=60)) for n in NAMES}
        self.wire: list[tuple[str, str, object]] = []

    def emit(self, source: str, effects: list) -> None:
        for effect in effects:
            if isinstance(effect, Send):
                self.wire.append((source, effect.peer, effect.frame))
            elif isinstance(effect, Publish):
                self.wire += [(source, n, effect.frame) for n in NAMES if n != source]

    @rule(name=st.sampled_from(NAMES), n=st.integers(1, 5))
    def write(self, name: str, n: int) -> None:
        write(self.workers[name], n)

    @rule(name=st.sampled_from(NAMES), later=st.sampled_from([0.0, 0.01, 0.5, 3.0]))
    def tick(self, name: str, later: float) -> None:
        self.now += later
        self.emit(name, self.workers[name].tick(self.now, HASH))

    @rule(i=st.integers(0, 1 << 30), fate=st.sampled_from(["deliver", "deliver", "deliver", "lose", "double"]))
    def carry(self, i: int, fate: str) -> None:
        if not self.wire:
            return
        i %= len(self.wire)
        source, to, frame = self.wire[i] if fate == "double" else self.wire.pop(i)
        if fate != "lose":
            self.deliver(source, to, frame)

    def deliver(self, source: str, to: str, frame: object) -> None:
        worker = self.workers[to]
        match frame:
            case Events():
                effects = worker.on_events(source, frame, self.now)[1]
            case Vector():
                effects = worker.on_vector(source, frame, self.now)
            case Digest():
                effects = worker.on_digest(source, frame)
            case Groups():
                effects = worker.on_groups(source, frame)
            case GroupVector():
                effects = worker.on_group_vector(source, frame, self.now)
            case Heads():
                effects = worker.on_heads(source, frame)
            case Blocks():
                effects = worker.on_blocks(source, frame)
        self.emit(to, effects)

    @invariant()
    def nobody_knows_more_than_its_author(self) -> None:
        for worker in self.workers.values():
            for name, n in worker.log.vector().items():
                assert n <= self.workers[name].log.count(name)

    def teardown(self) -> None:
        for _ in range(25):  # quiet: digests and their consequences arrive
            for name in NAMES:
                self.now += 1.0
                self.emit(name, self.workers[name].tick(self.now, HASH))
                for _ in range(400):
                    if not self.wire:
                        break
                    self.deliver(*self.wire.pop(0))
        vectors = {str(sorted(w.log.vector().items())) for w in self.workers.values()}
        assert len(vectors) == 1, vectors


Swarm.TestCase.settings = settings(max_examples=40, stateful_step_count=40, deadline=None)
test_gossip_converges_whatever_the_wire_did = Swarm.TestCase


class DividedSwarm(Swarm):
    """The same workers, who all know of a dozen others and compare their logs by groups of two."""

    def __init__(self) -> None:
        super().__init__()
        self.parts = 0
        for number, worker in enumerate(self.workers.values()):
            for n in range(12):
                worker.log.merge(goals(f"worker{n}", 1, 1 + (n + number) % 3))

    def nobody_knows_more_than_its_author(self) -> None:
        """Nobody here has written the logs of the others."""

    def deliver(self, source: str, to: str, frame: object) -> None:
        self.parts += isinstance(frame, GroupVector)
        super().deliver(source, to, frame)

    def teardown(self) -> None:
        super().teardown()
        assert self.parts
        assert all(worker.log.vector()["worker1"] == 3 for worker in self.workers.values())


DividedSwarm.TestCase.settings = settings(max_examples=10, stateful_step_count=40, deadline=None)


@pytest.mark.usefixtures("divided")
class TestDividedSwarm(DividedSwarm.TestCase):  # type: ignore[misc,name-defined]
    """Gossip converges by groups, whatever the wire did."""


def test_one_peer_makes_up_no_end_of_workers(monkeypatch):
    """Events of unknown workers are taken up to a bound, which is said once; those of known ones are still taken."""
    monkeypatch.setattr("aiohpo.mesh.quotas.MOST_FROM_ONE", 10)
    g = gossip("ann", "bob")
    made_up = tuple(goals(f"w{n}", 1, 1) for n in range(25))
    new, effects = g.on_events("bob", Events((goals("bob", 1, 1), *made_up)), 0.0)
    assert len(new) == len(g.log) == 10
    assert [type(e) for e in effects] == [Notice]
    new, effects = g.on_events("bob", Events((*made_up, goals("bob", 2, 1))), 0.0)
    assert [(f.origin, f.first) for f in new] == [("bob", 2)]
    assert effects == []
    assert g.on_events("cid", Events((goals("cid", 1, 1),)), 0.0)[0]
    assert g.origins.refused == 32


def test_what_is_refused_is_not_asked_for_at_once_again():
    """A peer that has more, of which nothing can be taken, is left alone until the next round."""
    g = gossip("ann", "bob")
    far = Batch("bob", 1, (encode_event(Goal(FAR_AHEAD + 1, 1)),))
    assert g.on_events("bob", Events((far,), repair=True, more=True), 0.0) == ([], [])
    assert [type(e) for e in g.on_events("bob", Events((goals("bob", 1, 1),), True, True), 0.0)[1]] == [Send]


def test_answers_are_cut_by_bytes():
    """A log of the largest events is sent in frames of bounded size, and all of it arrives."""
    old, new = gossip("ann", "bob"), gossip("bob", "ann")
    raws = tuple(encode_event(Unknowable(n, bytes(MAX_EVENT - 64))) for n in range(1, 40))
    old.log.merge(Batch("cid", 1, raws))
    effects = old.on_vector("bob", Vector({}, True, False), 0.0)
    assert all(sum(b.size for b in e.frame.batches) <= old.pace.round_bytes for e in effects)
    exchange(new, old, new.ask_for_missing("ann", 0.0), 0.0)
    assert new.log.vector() == {"cid": 39}
    new.flood(new.log.batch_from("cid", 1))
    floods = [e.frame for e in new.tick(9.0, HASH) if isinstance(e, Publish)]
    assert all(sum(b.size for b in frame.batches) <= new.pace.batch_bytes for frame in floods)
    assert sum(len(b.raws) for frame in floods for b in frame.batches) == 39
