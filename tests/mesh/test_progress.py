"""Tests of what is known of how far the peers are."""

from __future__ import annotations

import pytest

from aiohpo.mesh.effects import Send
from aiohpo.mesh.frames import Digest, Events, Groups, GroupVector, Vector
from aiohpo.mesh.gossip import Gossip
from tests.mesh.test_gossip import goals, gossip, write


def test_lagging_peers_are_known_by_their_vectors():
    """Before leaving, a worker knows who lacks something, asks them, and forgets who is no peer any more."""
    g = gossip("ann", "bob", "cid")
    write(g)
    g.on_vector("bob", Vector({"ann": 1}, False, False), 0.0)
    g.on_vector("stranger", Vector({"ann": 1}, False, False), 0.0)
    assert g.progress.lagging() == ["cid"]
    assert g.compare(g.progress.lagging()) == [Send("cid", Vector({"ann": 1}, True, True, g.log.hash()))]
    g.relink(["cid"], forward=False)
    assert g.progress.lagging() == ["cid"]
    assert len(g.progress._theirs) == 0


def test_peers_are_ahead_until_they_have_said_what_they_have():
    """What a peer said before the question does not count, nor does an answer that names what is not here yet."""
    g = gossip("ann", "bob", "cid")
    write(g)
    g.on_vector("bob", Vector({"ann": 1}, False, False), 0.9)
    assert g.progress.ahead(1.0) == ["bob", "cid"]
    g.on_vector("bob", Vector({"ann": 1}, False, False), 1.1)
    g.on_vector("cid", Vector({"ann": 0, "cid": 1}, False, False), 1.2)
    assert g.progress.ahead(1.0) == ["cid"]
    g.on_events("cid", Events((goals("cid", 1, 1),)), 1.3)
    assert g.progress.ahead(1.0) == []
    g.relink(["dan"], forward=False)
    assert g.progress.ahead(1.0) == ["dan"]


def test_peers_are_unaware_until_they_have_what_this_worker_said_and_all_of_theirs_is_here():
    """A peer that has an own event of this worker's, and had nothing that is not here, has nothing to object."""
    g = gossip("ann", "bob", "cid")
    write(g, 2)
    assert g.progress.unaware(2) == ["bob", "cid"]
    g.on_vector("bob", Vector({"ann": 1}, False, False), 1.0)
    g.on_vector("cid", Vector({"ann": 2, "cid": 1}, False, False), 1.0)
    assert g.progress.unaware(1) == ["cid"]
    g.on_vector("bob", Vector({"ann": 2}, False, False), 2.0)
    assert g.progress.unaware(2) == ["cid"]
    g.on_events("cid", Events((goals("cid", 1, 1),)), 3.0)
    assert g.progress.unaware(2) == []


@pytest.fixture
def divided(monkeypatch: pytest.MonkeyPatch) -> tuple[Gossip, Gossip]:
    """Two that hold the same 40 logs, in groups of two, and know that of each other."""
    monkeypatch.setattr("aiohpo.events.groups.WHOLE_UP_TO", 4)
    monkeypatch.setattr("aiohpo.events.groups._GROUP_SIZE", 2)
    ann, bob = gossip("ann", "bob"), gossip("bob", "ann")
    for g, peer in ((ann, "bob"), (bob, "ann")):
        for n in range(40):
            g.log.merge(goals(f"worker{n}", 1, 3))
        assert g.on_digest(peer, Digest(g.log.hash(), b"", g.log.groups.count)) != []
    return ann, bob


def answer(asking: Gossip, asked: Gossip, now: float) -> GroupVector:
    [question] = asking.compare([asked._mine])
    assert isinstance(question, Send)
    assert isinstance(question.frame, Groups)
    [effect] = asked.on_groups(asking._mine, question.frame)
    assert isinstance(effect, Send)
    assert isinstance(effect.frame, GroupVector)
    return effect.frame


def test_an_answer_tells_what_the_peer_has_in_every_group(divided):
    """Of groups that do not differ a peer has what was here when it was asked, of the others what it says."""
    ann, bob = divided
    ann.on_group_vector("bob", answer(ann, bob, 1.0), 1.0)
    assert ann.progress.lagging() == []
    write(ann)
    assert ann.progress.lagging() == ["bob"]  # it was asked before
    assert ann.progress.unaware(1) == ["bob"]
    bob.log.merge(goals("worker7", 4, 1))
    frame = answer(ann, bob, 2.0)
    assert len(frame.counts) < 10
    ann.on_group_vector("bob", frame, 2.0)
    assert ann.progress.lagging() == ["bob"]  # ann's group differs, and bob has nothing of ann's in it
    assert ann.progress.ahead(2.0) == ["bob"]  # it has more of worker7's
    ann.log.merge(goals("worker7", 4, 1))
    assert ann.progress.ahead(2.0) == []
    bob.log.merge(goals("ann", 1, 1))
    ann.on_group_vector("bob", answer(ann, bob, 3.0), 3.0)
    assert ann.progress.lagging() == ann.progress.ahead(3.0) == ann.progress.unaware(1) == []


def test_an_answer_to_what_was_not_asked_tells_nothing(divided):
    """Only together with the vector that was asked with does a part tell the whole; a few of those are kept."""
    ann, bob = divided
    frame = answer(ann, bob, 1.0)
    for n in range(6):
        ann.log.merge(goals("zoe", n + 1, 1))
        ann.compare(["bob"])
    ann.on_group_vector("bob", frame, 1.0)
    assert ann.progress.ahead(0.0) == ["bob"]
    assert repr(ann.progress) == "<PeerProgress of 0 of 1 peers>"
    bob.on_group_vector("ann", frame, 1.0)
    assert bob.progress.ahead(0.0) == ["ann"]


def test_a_peer_of_an_earlier_version_is_asked_with_the_whole_vector(divided):
    """A peer whose digest names no groups, and one not heard of yet, get what every version understands."""
    ann, _ = divided
    ann.on_digest("bob", Digest(b"", b""))
    assert [type(effect.frame) for effect in ann.compare(["bob", "cid"])] == [Vector, Vector]
