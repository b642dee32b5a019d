"""Tests of introductions and links."""

from __future__ import annotations

import random

import pytest

from aiohpo.events.log import Log
from aiohpo.mesh.effects import (
    Connect,
    Disconnect,
    Effect,
    Milestone,
    Notice,
    Publish,
    Reached,
    Send,
    WorkerDied,
    WorkerSuspected,
)
from aiohpo.mesh.frames import (
    FORMAT,
    MAX_FRAME,
    Digest,
    Hello,
    MemberNews,
    Members,
    Ping,
    Pong,
    Refused,
    Vector,
    encode_frame,
)
from aiohpo.mesh.gossip import Gossip
from aiohpo.mesh.links import Mesh
from aiohpo.mesh.membership import State
from aiohpo.mesh.timing import Pace, Suspicion

STUDY = "abcdef0123456789"


def mesh(me: str, study: str = STUDY, now: float = 0.0) -> Mesh:
    rng = random.Random(me)
    gossip = Gossip(Log(), rng, now, Pace(), me)
    return Mesh(me, study, f"addr-{me}", gossip, rng, now, Suspicion())


def run(meshes: list[Mesh], sent: list[tuple[Mesh, list[Effect]]], now: float = 0.0) -> list[tuple[str, str]]:
    """Carry directed frames until there are none; return (worker, text) of each notice."""
    by_address = {m.address: m for m in meshes}
    notices: list[tuple[str, str]] = []
    frames = 0
    while sent:
        source, effects = sent.pop(0)
        for effect in effects:
            if isinstance(effect, Notice):
                notices.append((source.me, effect.text))
            elif isinstance(effect, Send) and effect.peer in by_address:
                frames += 1
                assert frames < 300, "the introductions do not end"
                target = by_address[effect.peer]
                if not isinstance(effect.frame, Vector):
                    sent.append((target, target.receive(now, source.address, effect.frame)))
    return notices


def greeted(me: Mesh, worker: str, reply: bool = False, study: str = STUDY, format_: int = FORMAT) -> list[Effect]:
    hello = Hello(format_, study, worker, 0, f"addr-{worker}", me.address, reply)
    return me.receive(0.0, f"addr-{worker}", hello)


def test_two_workers_introduce_themselves():
    """Joining by address links both ways and makes each a member of the other's table."""
    ann, bob = mesh("ann"), mesh("bob")
    effects = bob.join(["addr-ann"], 0.0)
    assert Connect("addr-ann") in effects
    assert run([ann, bob], [(bob, effects)]) == []
    for me, other in ((ann, bob), (bob, ann)):
        assert me.has_introduced_itself(other.address)
        assert me.membership.state(other.me) is State.ALIVE
        assert me.gossip.peers == [other.address]


def test_hearsay_makes_a_mesh_of_three():
    """Workers that joined by one address learn of each other and link."""
    ann, bob, cid = everyone = [mesh(n) for n in ("ann", "bob", "cid")]
    run(everyone, [(bob, bob.join(["addr-ann"], 0.0))])
    run(everyone, [(cid, cid.join(["addr-ann"], 0.0))])
    assert cid.membership.present == ["ann", "bob", "cid"]
    assert bob.membership.present == ["ann", "bob"] or bob.membership.present == ["ann", "bob", "cid"]
    assert cid.gossip.peers == ["addr-ann", "addr-bob"]
    assert ann.gossip.peers == ["addr-bob", "addr-cid"]


@pytest.mark.parametrize(
    ("study", "format_", "why"),
    [("0" * 16, FORMAT, "another study"), (STUDY, FORMAT + 1, f"format version {FORMAT + 1}")],
)
def test_what_does_not_fit_is_refused_with_one_notice(study, format_, why):
    """A hello of another study or version is answered with the reason, each time, and noticed once."""
    ann = mesh("ann")
    first = greeted(ann, "bob", study=study, format_=format_)
    assert [type(e) for e in first] == [Send, Notice]
    assert why in first[0].frame.reason
    assert why in first[1].text
    again = greeted(ann, "bob", study=study, format_=format_)
    assert [type(e) for e in again] == [Send]
    assert not ann.has_introduced_itself("addr-bob")
    assert ann.membership.members == {}


def test_both_sides_say_once_that_they_do_not_fit():
    """Two workers of different studies that meet give one notice each, and nothing more passes."""
    ann, bob = mesh("ann"), mesh("bob", study="0" * 16)
    notices = run([ann, bob], [(bob, bob.join(["addr-ann"], 0.0))])
    for now in range(1, 30):
        notices += run([ann, bob], [(m, m.tick(float(now))) for m in (ann, bob)], float(now))
    assert sorted(me for me, _ in notices) == ["ann", "bob"]
    assert ann.membership.present == ["ann"]
    assert bob.membership.present == ["bob"]


def test_who_was_refused_may_come_back_with_the_right_study():
    """An address that was refused is accepted once its hello fits."""
    ann = mesh("ann")
    greeted(ann, "bob", study="0" * 16)
    greeted(ann, "bob", reply=True)
    assert ann.has_introduced_itself("addr-bob")


def test_meeting_oneself_is_no_meeting():
    """A join address that turns out to be one's own, under another name, makes no member and no question."""
    ann = mesh("ann")
    ann.join(["other-name-of-ann"], 0.0)
    effects = ann.receive(0.0, "addr-ann", Hello(FORMAT, STUDY, "ann", 0, "addr-ann", "other-name-of-ann", True))
    assert effects == []
    assert ann.membership.members == {}
    assert ann.join(["addr-ann"], 0.0) == [Disconnect("other-name-of-ann")]


def test_pings_are_answered_and_measure_the_round_trip():
    """A ping's nonce comes back; from it the asker learns the delay, bounded against nonsense."""
    ann = mesh("ann")
    greeted(ann, "bob")
    assert Send("addr-bob", Pong(3.5)) in ann.receive(5.0, "addr-bob", Ping(3.5))
    for nonce in (4.8, -1e300, 1e300):
        ann.receive(5.0, "addr-bob", Pong(nonce))
        assert 0.0 <= ann.round_trip <= 10.0


def test_strangers_that_ping_are_greeted_at_most_once_a_second():
    """Whoever has not introduced itself is asked to, but not with every frame."""
    ann = mesh("ann")
    hellos = sum(
        isinstance(e, Send) and isinstance(e.frame, Hello)
        for i in range(50)
        for e in ann.receive(i * 0.1, "addr-zoe", Ping(0.0))
    )
    assert hellos == 5


def test_join_addresses_are_greeted_until_they_answer():
    """An address where nobody is yet hears from us again and again; a known one does not."""
    ann = mesh("ann")
    ann.join(["addr-bob"], 0.0)
    hellos = [e for t in range(1, 6) for e in ann.tick(float(t)) if isinstance(e, Send) and isinstance(e.frame, Hello)]
    assert len(hellos) == 5
    greeted(ann, "bob")
    assert not [e for t in range(6, 8) for e in ann.tick(t + 0.0) if isinstance(e, Send) and isinstance(e.frame, Hello)]


def test_the_dead_are_probed_now_and_then():
    """A dead member is connected to and greeted every ten seconds or so, and unlinked again."""
    ann = mesh("ann")
    ann.receive(0.0, "addr-bob", Members((MemberNews("bob", "addr-bob", State.DEAD, 0, "cid"),)))
    effects = [e for t in range(1, 60) for e in ann.tick(float(t))]
    probes = [e for e in effects if isinstance(e, Send) and isinstance(e.frame, Hello) and e.peer == "addr-bob"]
    assert 4 <= len(probes) <= 9
    assert effects.count(Connect("addr-bob")) - effects.count(Disconnect("addr-bob")) in (0, 1)


def test_a_greeting_from_the_dead_is_answered_with_the_rumour():
    """Somebody believed dead who says hello hears of it, so that it can refute."""
    ann = mesh("ann")
    ann.receive(0.0, "addr-cid", Members((MemberNews("bob", "addr-bob", State.DEAD, 2, "cid"),)))
    rumours = [e.frame for e in greeted(ann, "bob") if isinstance(e, Send) and isinstance(e.frame, Members)]
    assert any(n.worker == "bob" and n.state == State.DEAD for frame in rumours for n in frame.news)
    bob = mesh("bob")
    for frame in rumours:
        bob.receive(0.0, "addr-ann", frame)
    assert bob.membership.incarnation == 3


def test_a_refutation_reaches_whoever_doubted():
    """Hearing of one's own suspicion is answered to the one who said it, linked or not, and published."""
    ann = mesh("ann")
    effects = ann.receive(0.0, "addr-zoe", Members((MemberNews("ann", "addr-ann", State.SUSPECT, 0, "zoe"),)))
    mine = MemberNews("ann", "addr-ann", State.ALIVE, 1, "ann")
    assert Publish(Members((mine,))) in effects
    assert Send("addr-zoe", Members((mine,))) in effects


def test_tables_that_differ_are_exchanged():
    """A digest with another member hash is answered with the table."""
    ann = mesh("ann")
    greeted(ann, "bob")
    assert ann.receive(0.0, "addr-bob", Digest(b"", ann.membership.hash())) == []
    [answer] = ann.receive(0.0, "addr-bob", Digest(b"", b"different"))
    assert isinstance(answer.frame, Members)


def test_suspicion_and_death_are_effects():
    """Each change for the worse of what is believed of a worker is told once; a death also to people."""
    ann = mesh("ann")
    assert Reached(Milestone.MET) in greeted(ann, "bob")
    news = [Members((MemberNews("bob", "addr-bob", state, 0, "cid"),)) for state in (State.SUSPECT, State.DEAD)]
    suspected, died = (ann.receive(1.0, "addr-cid", frame) for frame in news)
    assert WorkerSuspected("bob") in suspected
    assert WorkerDied("bob") in died
    assert Notice("worker bob is dead") in died
    for frame in news:
        again = ann.receive(2.0, "addr-cid", frame)
        assert not [e for e in again if isinstance(e, WorkerSuspected | WorkerDied | Notice | Reached)]


def test_refusals_are_noticed_once():
    """A peer that refuses us is named once, with its reason."""
    ann = mesh("ann")
    [notice] = ann.receive(0.0, "addr-bob", Refused("another study"))
    assert "addr-bob refused us" in notice.text
    assert "another study" in notice.text
    assert ann.receive(0.0, "addr-bob", Refused("another study")) == []


def test_goodbyes_unlink():
    """A worker that left is no peer any more and is neither pinged nor probed."""
    ann, bob = mesh("ann"), mesh("bob")
    run([ann, bob], [(bob, bob.join(["addr-ann"], 0.0))])
    [goodbye] = bob.leave()
    assert Disconnect("addr-bob") in ann.receive(1.0, "addr-bob", goodbye.frame)
    assert ann.gossip.peers == []
    assert [e for t in range(2, 60) for e in ann.tick(float(t))] == []
    assert repr(ann) == "<Mesh of ann at addr-ann: 0 links, <Membership of ann: 1 left>>"


def test_reasons_of_strangers_do_not_control_the_terminal():
    """What a stranger gives as its reason is cut short and shown without control characters."""
    ann = mesh("ann")
    [notice] = ann.receive(0.0, "addr-bob", Refused("\x1b[2Jformat\n\x07" + "9" * 5000))
    assert "format" in notice.text
    assert notice.text.isprintable()
    assert len(notice.text) < 400


def test_refusals_are_told_a_bounded_number_of_times():
    """However many strangers there are, the lines about them are bounded."""
    ann = mesh("ann")
    told = [effect for k in range(9000) for effect in ann.receive(0.0, f"addr-{k}", Refused("another study"))]
    assert len(told) == 50


def test_strangers_without_an_introduction_are_named_in_the_end():
    """Frames that cannot be read are answered by a hello; who sends nothing else is named once, then ignored."""
    ann = mesh("ann")
    effects = [effect for k in range(200) for effect in ann.stranger("addr-bob", k * 0.1)]
    notices = [effect for effect in effects if isinstance(effect, Notice)]
    assert [n.text for n in notices] == ["refused addr-bob: its frames are of another study or format version"]
    assert 1 < sum(isinstance(effect, Send) for effect in effects) < 20


def test_one_peer_fills_no_member_table(monkeypatch: pytest.MonkeyPatch) -> None:
    """Made-up members are taken up to a bound, which is said once; news of those that are known is still taken."""
    monkeypatch.setattr("aiohpo.mesh.quotas.MOST_FROM_ONE", 10)
    ann = mesh("ann")
    greeted(ann, "bob")
    news = tuple(MemberNews(f"w{n}", f"addr-w{n}", State.LEFT, 0, "zoe") for n in range(25))
    effects = ann.receive(1.0, "addr-bob", Members(news))
    [notice] = [e.text for e in effects if isinstance(e, Notice)]
    assert notice.startswith("addr-bob announces more members than can be kept (10 from one peer")
    assert len(ann.membership.members) == 10
    [spread] = [e.frame for e in effects if isinstance(e, Publish)]
    assert len(spread.news) == 9  # bob is the tenth
    again = ann.receive(1.0, "addr-bob", Members((*news, MemberNews("bob", "addr-bob", State.LEFT, 0, "bob"))))
    assert not any(isinstance(e, Notice) for e in again)
    assert ann.membership.state("bob") is State.LEFT
    assert ann.members.refused == 32


def test_news_of_members_that_comes_together_leaves_together() -> None:
    """The first news leaves at once, what comes within an interval of it in one frame at its end or with a goodbye."""

    def published(effects: list) -> list[list[str]]:
        return [[news.worker for news in e.frame.news] for e in effects if isinstance(e, Publish)]

    ann = mesh("ann")
    greeted(ann, "bob")
    zoe = MemberNews("zoe", "addr-zoe", State.ALIVE, 0, "zoe")
    hear = [(0.1, "cid"), (0.101, "dan"), (0.102, "eve")]
    said = [
        published(
            ann.receive(now, "addr-bob", Members((MemberNews(worker, f"addr-{worker}", State.ALIVE, 0, worker),)))
        )
        for now, worker in hear
    ]
    assert said == [[["cid"]], [], []]
    due = ann.next_deadline()
    assert due == pytest.approx(0.1 + ann.gossip.interval)
    assert published(ann.tick(due)) == [["dan", "eve"]]
    assert published(ann.receive(due, "addr-bob", Members((zoe,)))) == []
    assert published(ann.leave()) == [["zoe", "ann"]]


def test_a_large_member_table_is_sent_in_pages() -> None:
    """A table that would not fit a frame is sent, and passed on, in several."""
    ann = mesh("ann")
    news = tuple(MemberNews(f"w{n}", "é" * 512, State.LEFT, 0, "zoe") for n in range(20_000))
    effects = ann.receive(0.0, "addr-zoe", Members(news))
    tables = [e.frame for e in ann.receive(0.0, "addr-zoe", Digest(b"", b"")) if isinstance(e, Send)]
    for pages in (tables, [e.frame for e in effects if isinstance(e, Publish)]):
        assert sum(len(page.news) for page in pages) >= 20_000
        assert max(len(encode_frame(b"tag.", page)) for page in pages) < MAX_FRAME / 8


def test_very_many_deaths_are_summed_up() -> None:
    """A hundred workers that are heard to be dead do not take a hundred lines."""
    ann = mesh("ann")
    news = tuple(MemberNews(f"w{n}", f"addr-w{n}", State.DEAD, 0, "zoe") for n in range(100))
    told = [e.text for e in ann.receive(0.0, "addr-zoe", Members(news)) if isinstance(e, Notice)]
    assert len(told) == 51
    assert told[-1] == "and so are 50 more"


def test_a_worker_that_sends_what_cannot_be_read_is_taken_for_dead_once() -> None:
    """Its trials are released, since it may never end them; if it refutes its death it is not accused again."""
    ann = mesh("ann")
    greeted(ann, "bob")
    assert WorkerDied("bob") in ann.accuse("addr-bob", 1.0)
    assert ann.accuse("addr-bob", 1.0) == []
    ann.receive(2.0, "addr-bob", Members((MemberNews("bob", "addr-bob", State.ALIVE, 1, "bob"),)))
    assert ann.membership.state("bob") is State.ALIVE
    assert ann.accuse("addr-bob", 3.0) == []
    assert ann.accuse("addr-nobody", 3.0) == []


def test_a_visit_connects_without_an_introduction():
    """Whom a worker fetches from it connects to, says no hello to, and leaves again."""
    me = mesh("ann")
    assert me.visit({"addr-bob"}) == [Connect("addr-bob")]
    assert me.receive(0.0, "addr-bob", Digest(b"", me.membership.hash())) == []
    assert me.greet("addr-bob", 0.0) == []
    assert me.visit({"addr-bob", "addr-cid"}) == [Connect("addr-cid")]
    assert me.visit(set()) == [Disconnect("addr-bob"), Disconnect("addr-cid")]


def test_a_visit_leaves_links_as_they_are():
    """A link stays when a visit over it ends, and what is visited stays connected when it is linked no more."""
    me = mesh("ann")
    greeted(me, "bob")
    assert me.visit({"addr-bob"}) == []
    assert me.visit(set()) == []
    me.visit({"addr-bob"})
    left = me.receive(0.0, "addr-bob", Members((MemberNews("bob", "addr-bob", State.LEFT, 0, "bob"),)))
    assert Disconnect("addr-bob") not in left
    assert me.visit(set()) == [Disconnect("addr-bob")]
