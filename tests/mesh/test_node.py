"""Tests of a node of the mesh: which frames count as what, and what it measures."""

from __future__ import annotations

import math

from aiohpo.events.codec import encode_event
from aiohpo.events.log import FAR_AHEAD, Log
from aiohpo.events.schema import Batch, Ended, Goal
from aiohpo.mesh.effects import Connect, Describe, Disconnect, Fetched, Notice, Reached, Send, Serve
from aiohpo.mesh.frames import (
    FORMAT,
    Chunk,
    Digest,
    Events,
    Hello,
    Inquire,
    MemberNews,
    Members,
    Ping,
    Pong,
    Want,
    encode_frame,
)
from aiohpo.mesh.health import Health
from aiohpo.mesh.membership import State
from aiohpo.mesh.node import Node
from aiohpo.mesh.timing import COLLECT_FOR, Timing
from tests.support.histories import batch_of, events_of, with_remarks

STUDY = "abcdef0123456789"
BLOB = "d" * 64


def make_node(me: str = "ann") -> Node:
    return Node(me, STUDY, f"addr-{me}", Log(), seed=0, now=0.0, timing=Timing())


def hello(worker: str) -> Hello:
    return Hello(FORMAT, STUDY, worker, 0, f"addr-{worker}", "addr-ann", False)


def test_new_events_are_returned_once():
    """What a frame brings is returned as fresh events, and nothing when it comes again."""
    node = make_node()
    frame = encode_frame(node.tag, Events((batch_of("bob", events_of(1)),)))
    [fresh], _ = node.receive(0.0, "addr-bob", frame)
    assert (fresh.origin, fresh.first, len(fresh)) == ("bob", 1, 3)
    assert node.receive(0.0, "addr-bob", frame)[0] == []


def test_a_question_of_what_is_searched_is_an_effect():
    """Anybody may ask, whatever its study; the shell has the answer."""
    node = make_node()
    assert Describe("addr-zoe") in node.receive(0.0, "addr-zoe", encode_frame(bytes(4), Inquire()))[1]


def test_a_blob_is_fetched_from_whoever_saved_it():
    """Also from one that is not linked: it is visited for as long as that takes."""
    node = make_node()
    others = [f"w{i:02}" for i in range(40)]
    news = tuple(MemberNews(w, f"addr-{w}", State.ALIVE, 0, w) for w in others)
    node.receive(0.0, "addr-bob", encode_frame(node.tag, Members(news)))
    saver = next(f"addr-{w}" for w in others if f"addr-{w}" not in node.gossip.peers)
    assert node.fetch(0.0, BLOB, saver[5:], 3) == [Connect(saver), Send(saver, Want(BLOB, 0))]
    _, effects = node.receive(0.0, saver, encode_frame(node.tag, Chunk(BLOB, 0, 3, b"abc")))
    assert Fetched(BLOB, complete=True) in effects
    assert node.verified(0.0, BLOB, ok=True) == [Disconnect(saver)]


def test_a_fetch_that_is_given_up_ends_the_visit():
    """As when there is no room here for the blob."""
    node = make_node()
    news = tuple(MemberNews(w, f"addr-{w}", State.ALIVE, 0, w) for w in (f"w{i:02}" for i in range(40)))
    node.receive(0.0, "addr-bob", encode_frame(node.tag, Members(news)))
    saver = next(n for n in news if n.address not in node.gossip.peers)
    node.fetch(0.0, BLOB, saver.worker, 3)
    assert node.give_up_fetch(BLOB) == [Disconnect(saver.address)]


def test_a_visitor_is_answered_without_an_introduction():
    """It asks for a blob and goes again; a hello would cost both sides the other's tables."""
    node = make_node()
    _, effects = node.receive(0.0, "addr-zoe", encode_frame(node.tag, Want(BLOB, 0)))
    assert [type(effect) for effect in effects] == [Serve]


def test_recovered_events_of_a_later_version_are_said_once():
    """A dead worker's journal is read like a frame: unknown kinds are kept, and one notice says so."""
    node = make_node()
    raws = with_remarks()
    first, effects = node.recover(Batch("bob", 1, raws[:2]))
    assert first is not None
    assert [type(e) for e in effects] == [Notice]
    rest, effects = node.recover(Batch("bob", 3, raws[2:]))
    assert rest is not None
    assert effects == []


def test_health_adds_up_what_arrived():
    """Links, round trip, silence, duplicates and dropped frames are those of this node; the shell adds what it sent."""
    node = make_node()
    assert node.health(3.0, 0, 0) == Health(0, None, 0.0, 0, 0, 0, 0, 0, 0, 0)
    assert node.delay is None
    node.receive(0.0, "addr-bob", encode_frame(node.tag, hello("bob")))
    events = encode_frame(node.tag, Events((batch_of("bob", events_of(1)),)))
    frames = [encode_frame(node.tag, Pong(0.9)), events, events, b"junk of nobody", events[:1] + b"....." + events[6:]]
    for data in frames:
        node.receive(1.0, "addr-bob", data)
    health = node.health(5.0, 7, 700)
    assert (health.links, health.silent, health.duplicates, health.dropped) == (1, 4.0, 3, 2)
    assert (health.frames_in, health.frames_out, health.bytes_out) == (6, 7, 700)
    assert health.bytes_in > sum(map(len, frames))
    assert health.round_trip is not None
    assert 0.09 < health.round_trip < 0.11
    assert node.delay == health.round_trip / 2 + Timing().pace.interval + COLLECT_FOR


def test_each_milestone_is_reached_once():
    """Meeting the first worker, measuring, and catching up are told when they first happen."""
    node = make_node()
    digest = Digest(node.log.hash(), node.mesh.membership.hash())
    heard = []
    for _ in range(2):
        for frame in (hello("bob"), Pong(0.5), digest, Ping(0.0)):
            heard += node.receive(1.0, "addr-bob", encode_frame(node.tag, frame))[1]
    reached = [effect.milestone.name for effect in heard if isinstance(effect, Reached)]
    assert sorted(reached) == ["CAUGHT_UP", "MEASURED", "MET"]
    assert any(isinstance(effect, Send) for effect in heard)
    assert "<Node <Mesh of ann at addr-ann: 1 links" in repr(node)


def test_a_frame_is_taken_whole_or_not_at_all():
    """One event out of range keeps out all that came with it; it is counted, and said once."""
    node = make_node()
    bad = Batch("zoe", 1, (encode_event(Ended(1, 1, 0, "paused", 1, 0.5, math.inf)),))
    frame = encode_frame(node.tag, Events((batch_of("bob", events_of(1)), bad)))
    told = [[e for e in node.receive(0.0, "addr-bob", frame)[1] if isinstance(e, Notice)] for _ in range(3)]
    assert [len(notices) for notices in told] == [1, 0, 0]
    assert told[0][0].text.startswith("dropping malformed frames from addr-bob (Expected `float` <= ")
    assert node.log.vector() == {}
    assert node.health(0.0, 0, 0).dropped == 3


def test_stamps_far_ahead_are_said_once():
    """Whose events are left out because of their stamps, and why, is one notice."""
    node = make_node()
    frames = [Events((Batch("bob", 1, (encode_event(Goal(FAR_AHEAD + n, 3)),)),)) for n in (1, 2)]
    told = [
        e.text for f in frames for e in node.receive(0.0, "b", encode_frame(node.tag, f))[1] if isinstance(e, Notice)
    ]
    assert told == node.log.refused()
    assert "bob" in told[0]


def test_a_bug_does_not_end_the_node(caplog):
    """What should never happen is counted, logged with its traceback, and said once."""
    node = make_node()
    told = [node.survive("addr-bob", ValueError("\x1b[31mboom")) for _ in range(3)]
    assert [len(effects) for effects in told] == [1, 0, 0]
    [notice] = told[0]
    assert notice.text.startswith(
        "a frame from addr-bob could not be handled: a bug of aiohpo, please report it (Value"
    )
    assert "\x1b" not in notice.text
    assert node.counters.faults == 3
    assert "could not be handled" in caplog.text
