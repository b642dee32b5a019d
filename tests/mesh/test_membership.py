"""Tests of the failure detector: precedence, refutation, confirmation and self-doubt."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from aiohpo.mesh.frames import MemberNews
from aiohpo.mesh.membership import FAR_AHEAD, Membership, State
from aiohpo.mesh.timing import Suspicion

P = Suspicion()


def member(*others: str, me: str = "me", now: float = 0.0) -> Membership:
    m = Membership(me, f"addr-{me}", now, P)
    m.merge_news([MemberNews(o, f"addr-{o}", State.ALIVE, 0, o) for o in others], now)
    m.watch(others)
    return m


def advance(m: Membership, start: float, end: float, talking: tuple[str, ...] = ()) -> list[MemberNews]:
    """Tick once a second as the shell does; return all news."""
    news: list[MemberNews] = []
    now = start
    while now < end:
        now += 1.0
        for worker in talking:
            m.note_life_sign(worker, now)
        news += m.tick(now)[1]
    return news


news_of_one = st.builds(
    MemberNews,
    st.just("bob"),
    st.just("addr-bob"),
    st.integers(0, 3),
    st.integers(0, 3),
    st.sampled_from(["ann", "bob", "cid"]),
)


@given(st.lists(news_of_one, min_size=1, max_size=6), st.randoms(use_true_random=False))
def test_news_merge_in_any_order(news, rng):
    """The highest incarnation wins, within one the worst state: whatever the order, the table is the same."""
    tables = []
    for _ in range(3):
        rng.shuffle(news)
        m = member()
        for n in news:
            m.merge_news([n], 1.0)
        tables.append((m.members["bob"].state, m.members["bob"].incarnation, m.hash()))
    assert len(set(tables)) == 1
    assert tables[0][:2] == max((State(n.state), n.incarnation) for n in news if n.incarnation == tables[0][1])
    assert tables[0][1] == max(n.incarnation for n in news)


def test_only_what_is_new_spreads():
    """Old news changes nothing and is not passed on; a second accuser of a suspicion is."""
    m = member("bob")
    suspect = MemberNews("bob", "addr-bob", State.SUSPECT, 0, "cid")
    assert m.merge_news([suspect], 1.0) == ([suspect], ["bob"])
    assert m.merge_news([suspect], 1.0) == ([], [])
    another = MemberNews("bob", "addr-bob", State.SUSPECT, 0, "dan")
    assert m.merge_news([another], 1.0) == ([another], [])
    assert m.merge_news([MemberNews("bob", "addr-bob", State.ALIVE, 0, "bob")], 1.0) == ([], [])


@pytest.mark.parametrize("rumour", [State.SUSPECT, State.DEAD, State.LEFT])
def test_rumours_of_ones_own_death_are_refuted(rumour):
    """A worker that hears it is doubted raises its incarnation above the rumour's and says that it lives."""
    m = member()
    spread, changed = m.merge_news([MemberNews("me", "addr-me", rumour, 3, "cid")], 1.0)
    assert spread == [MemberNews("me", "addr-me", State.ALIVE, 4, "me")]
    assert changed == []
    assert m.merge_news([MemberNews("me", "addr-me", rumour, 3, "cid")], 1.0) == ([], [])


def test_a_refutation_revives_at_its_new_address():
    """Alive news of a higher incarnation brings back the dead, also from another address."""
    m = member("bob")
    m.merge_news([MemberNews("bob", "addr-bob", State.DEAD, 0, "cid")], 1.0)
    assert [d.worker for d in m.dead_members()] == ["bob"]
    m.merge_news([MemberNews("bob", "elsewhere", State.ALIVE, 1, "bob")], 50.0)
    assert m.state("bob") is State.ALIVE
    assert m.members["bob"].address == "elsewhere"
    assert advance(m, 50.0, 52.0) == []


def test_whoever_leaves_does_not_refute():
    """A worker that left in good order stays left, whatever is said of it."""
    m = member("bob")
    assert m.leave().state == State.LEFT
    assert m.merge_news([MemberNews("me", "addr-me", State.SUSPECT, 0, "cid")], 1.0) == ([], [])
    assert m.own_news().state == State.LEFT


def test_a_silent_neighbour_is_pinged_suspected_and_buried():
    """Silence leads to pings, suspicion and, with nobody else to agree, death after twice the patience."""
    m = member("bob")
    assert m.tick(1.0) == (["bob"], [], [])
    [suspicion, death] = advance(m, 1.0, 30.0)
    assert (suspicion.state, suspicion.by) == (State.SUSPECT, "me")
    assert death.state == State.DEAD
    assert m.present == ["me"]


@pytest.mark.parametrize("agreed", [False, True])
def test_a_second_accuser_speeds_up_a_death(agreed):
    """A suspicion that another accuser shares is confirmed in half the time."""
    m = member("bob")
    died = None
    for now in range(1, 30):
        m.tick(float(now))
        if agreed and m.state("bob") is State.SUSPECT:
            m.merge_news([MemberNews("bob", "addr-bob", State.SUSPECT, 0, "cid")], float(now))
        if m.state("bob") is State.DEAD:
            died = now
            break
    assert died == P.suspect + P.dead * (1 if agreed else 2)


def test_a_neighbour_that_talks_is_never_buried_here():
    """A suspicion from hearsay about somebody who talks to us waits for its refutation."""
    m = member("bob", "cid")
    m.merge_news([MemberNews("bob", "addr-bob", State.SUSPECT, 0, "cid")], 0.5)
    advance(m, 0.5, 60.0, talking=("bob", "cid"))
    assert m.state("bob") is State.SUSPECT


def test_who_is_not_watched_is_not_suspected_by_us():
    """Only neighbours are observed; of the others one learns by hearsay, and buries them in the end."""
    m = member("bob")
    m.watch(())
    advance(m, 0.0, 100.0)
    assert m.state("bob") is State.ALIVE
    m.merge_news([MemberNews("bob", "addr-bob", State.SUSPECT, 0, "cid")], 100.0)
    advance(m, 100.0, 100.0 + 2 * P.dead)
    assert m.state("bob") is State.DEAD


def test_own_lateness_is_not_held_against_the_others():
    """After this worker itself was stopped for a minute nobody is suspected for that minute's silence."""
    m = member("bob")
    advance(m, 0.0, 2.0, talking=("bob",))
    _, news, _ = m.tick(62.0)
    assert news == []
    assert m.state("bob") is State.ALIVE
    assert [n.state for n in advance(m, 62.0, 90.0)] == [State.SUSPECT, State.DEAD]


def test_lateness_gives_no_credit_to_those_heard_since():
    """Who spoke after this worker woke up is watched from then on, not from a lateness further."""
    m = member("bob")
    m.note_life_sign("bob", 3600.0)
    m.tick(3600.5)
    died = 3600.5
    while m.state("bob") is not State.DEAD:
        died += 1.0
        m.tick(died)
        assert died < 3620.0


def test_suspicion_also_waits_for_the_late():
    """A suspicion does not ripen while this worker was not running."""
    m = member("bob")
    advance(m, 0.0, 3.0)
    assert m.state("bob") is State.SUSPECT
    m.tick(500.0)
    assert m.state("bob") is State.SUSPECT


def test_tables_hash_alike_whoever_holds_them():
    """Two workers with the same beliefs have the same hash; a change of anybody's state changes it."""
    a, b = member("bob", me="ann"), member("ann", me="bob")
    assert a.hash() == b.hash()
    a.merge_news([MemberNews("cid", "x", State.ALIVE, 0, "cid")], 1.0)
    assert a.hash() != b.hash()
    b.merge_news(a.news(), 1.0)
    assert a.hash() == b.hash()


def test_the_present_are_the_alive_and_the_suspected():
    """Present counts oneself and everybody not known to be dead or gone; strangers have no state."""
    m = member("ann", "bob", "cid", "dan")
    for worker, state in (("bob", State.SUSPECT), ("cid", State.DEAD), ("dan", State.LEFT)):
        m.merge_news([MemberNews(worker, "x", state, 0, "ann")], 1.0)
    assert m.present == ["ann", "bob", "me"]
    assert m.state("zoe") is None
    assert m.state("me") is State.ALIVE
    assert repr(m) == "<Membership of me: 1 alive, 1 suspect, 1 dead, 1 left>"
    assert repr(member()) == "<Membership of me: alone>"


def test_an_incarnation_absurdly_far_ahead_is_not_believed():
    """News that its subject could not refute is dropped, of others and of this worker itself."""
    m = member(me="ann")
    for incarnation in (1 << 53, FAR_AHEAD + 1):
        for worker in ("bob", "ann"):
            assert m.merge_news([MemberNews(worker, "addr", State.DEAD, incarnation, "zoe")], 0.0) == ([], [])
    assert (m.incarnation, m.members) == (0, {})
    m.merge_news([MemberNews("ann", "addr", State.DEAD, FAR_AHEAD, "zoe")], 0.0)
    assert m.incarnation == FAR_AHEAD + 1
