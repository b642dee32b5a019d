"""Tests of how workers and spectators treat each other."""

from __future__ import annotations

import random

from aiohpo.events.log import Log
from aiohpo.mesh.effects import Connect, Send, WorkerDied
from aiohpo.mesh.frames import FORMAT, Hello, MemberNews, Members, Ping, Pong
from aiohpo.mesh.gossip import Gossip
from aiohpo.mesh.links import Mesh
from aiohpo.mesh.membership import State
from aiohpo.mesh.spectating import SpectatorMesh
from aiohpo.mesh.timing import Pace, Suspicion

STUDY = "abcdef0123456789"


def make_mesh(me: str, spectator: bool = False) -> Mesh:
    rng = random.Random(me)
    kind = SpectatorMesh if spectator else Mesh
    return kind(me, STUDY, f"addr-{me}", Gossip(Log(), rng, 0.0, Pace(), me), rng, 0.0, Suspicion())


def greet(me: Mesh, worker: str, *, spectator: bool) -> list[object]:
    hello = Hello(FORMAT, STUDY, worker, 0, f"addr-{worker}", me.address, True, spectator)
    return list(me.receive(0.0, f"addr-{worker}", hello))


def test_a_worker_answers_an_spectator_and_does_not_link_to_it() -> None:
    """It says hello, tells whom it knows, answers pings, and connects to nobody."""
    ann = make_mesh("ann")
    greet(ann, "bob", spectator=False)
    effects = greet(ann, "watch-1", spectator=True)
    assert not [e for e in effects if isinstance(e, Connect)]
    frames = [e.frame for e in effects if isinstance(e, Send)]
    assert [type(f) for f in frames] == [Hello, Members]
    assert {n.worker for n in frames[1].news} == {"ann", "bob"}
    assert ann.has_introduced_itself("addr-watch-1")
    assert ann.membership.present == ["ann", "bob"]
    assert ann.gossip.peers == ["addr-bob"]
    assert ann.receive(1.0, "addr-watch-1", Ping(7.0)) == [Send("addr-watch-1", Pong(7.0))]


def test_a_worker_believes_nothing_an_spectator_says_of_others() -> None:
    """News of others is dropped; what concerns the worker itself is refuted."""
    ann = make_mesh("ann")
    greet(ann, "bob", spectator=False)
    greet(ann, "watch-1", spectator=True)
    lies = [MemberNews(w, f"addr-{w}", State.DEAD, 0, "watch-1") for w in ("ann", "bob", "cid")]
    effects = ann.receive(1.0, "addr-watch-1", Members(tuple(lies)))
    assert ann.membership.present == ["ann", "bob"]
    assert ann.membership.incarnation == 1
    assert Send("addr-watch-1", Members((ann.membership.own_news(),))) in effects


def test_an_address_may_change_hands_between_spectator_and_worker() -> None:
    """Ports are used again: who says hello last is who is there."""
    ann = make_mesh("ann")
    greet(ann, "bob", spectator=True)
    assert ann.membership.present == ["ann"]
    greet(ann, "bob", spectator=False)
    assert ann.membership.present == ["ann", "bob"]
    greet(ann, "bob", spectator=True)
    goodbye = MemberNews("bob", "addr-bob", State.LEFT, 0, "bob")
    ann.receive(1.0, "addr-bob", Members((goodbye,)))
    assert ann.membership.state("bob") is State.ALIVE


def test_a_spectator_links_to_everybody_who_does_not_forward() -> None:
    """Sixteen workers do not pass on what they hear, so it listens to all of them; of more it needs a few."""
    for workers, linked in ((16, range(16, 17)), (40, range(4, 9))):
        watcher = make_mesh("watch-1", spectator=True)
        for i in range(workers):
            greet(watcher, f"w{i}", spectator=False)
        assert len(watcher.gossip.peers) in linked
        assert "watch-1" not in watcher.membership.present
        assert "watch-1" not in {n.worker for n in watcher.membership.news()}


def test_a_spectator_believes_again_what_it_alone_doubted() -> None:
    """A sign of life refutes its own suspicion, which no worker heard of; that of a worker needs a refutation."""
    for accuser, believed in (("watch-1", State.ALIVE), ("cid", State.DEAD)):
        watcher = make_mesh("watch-1", spectator=True)
        greet(watcher, "bob", spectator=False)
        watcher.receive(0.0, "addr-cid", Members((MemberNews("bob", "addr-bob", State.SUSPECT, 0, accuser),)))
        effects = [e for now in range(1, 20) for e in watcher.tick(float(now))]
        assert WorkerDied("bob") in effects
        watcher.receive(20.0, "addr-bob", Ping(20.0))
        assert watcher.membership.state("bob") is believed


def test_a_spectator_says_goodbye_to_each_worker() -> None:
    """It leaves by directed frames, as nobody is subscribed to what it publishes."""
    watcher = make_mesh("watch-1", spectator=True)
    for worker in ("ann", "bob"):
        greet(watcher, worker, spectator=False)
    goodbye = Members((MemberNews("watch-1", "addr-watch-1", State.LEFT, 0, "watch-1"),))
    assert watcher.leave() == [Send("addr-ann", goodbye), Send("addr-bob", goodbye)]
