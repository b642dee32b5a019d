"""Tests of the log: prefixes only, and replicas that agree whatever way they came by their events."""

from __future__ import annotations

import pytest
from hypothesis import settings
from hypothesis import strategies as st
from hypothesis.stateful import RuleBasedStateMachine, invariant, rule

from aiohpo.events.codec import encode_event
from aiohpo.events.log import FAR_AHEAD, Log
from aiohpo.events.origin_log import CHUNK_EVENTS
from aiohpo.events.schema import MAX_LAMPORT, MAX_NUMBER, Batch, Fresh, Goal, Malformed

ORIGINS = ("ann", "bob", "cid")


def goals(origin: str, first: int, count: int) -> Batch:
    """Events ``first`` … of a made-up history in which event n sets the goal to n."""
    return Batch(origin, first, tuple(encode_event(Goal(n, n)) for n in range(first, first + count)))


def seqs(fresh: Fresh | None) -> list[int]:
    return [seen.seq for seen in fresh or ()]


def held(log: Log, origin: str) -> list[int | None]:
    return [seen.event.trials for seen in log.events(origin)]


def test_only_what_is_next_in_line_is_taken():
    """A batch beyond a gap changes nothing; one that overlaps gives only what is new; a known one gives nothing."""
    log = Log()
    assert log.merge(goals("ann", 3, 2)) is None
    assert log.vector() == {}
    assert seqs(log.merge(goals("ann", 1, 3))) == [1, 2, 3]
    assert seqs(log.merge(goals("ann", 2, 4))) == [4, 5]
    assert log.merge(goals("ann", 1, 5)) is None
    assert held(log, "ann") == [1, 2, 3, 4, 5]
    assert log.clock == 5


def test_a_log_holds_what_is_in_line_with_the_same_bytes():
    """A flood brings most events again and again: those are passed over without a closer look."""
    log = Log()
    assert not log.holds(goals("ann", 1, 2))
    log.merge(goals("ann", 1, CHUNK_EVENTS + 3))
    assert log.holds(goals("ann", 2, 2))
    assert log.holds(goals("ann", CHUNK_EVENTS - 1, 4))
    assert not log.holds(goals("ann", CHUNK_EVENTS, 5))
    assert not log.holds(Batch("ann", 3, goals("ann", 4, 1).raws))


def test_a_batch_with_one_bad_event_changes_nothing():
    """Malformed bytes raise and leave the log as it was."""
    log = Log()
    good = goals("ann", 1, 2)
    for bad in (b"", b"\xc1", good.raws[0][:-1], good.raws[0] + b"\x00"):
        with pytest.raises(Malformed):
            log.merge(Batch("ann", 1, (*good.raws, bad)))
        with pytest.raises(Malformed):
            log.hold_back(Batch("ann", 9, (*good.raws, bad)))
        assert log.vector() == {}
        assert log.clock == 0
    assert log.merge(Batch("ann", 1, ())) is None
    assert seqs(log.merge(good)) == [1, 2]


def test_own_events_are_appended_as_the_bytes_that_peers_get():
    """What append_own returns is what missing() offers."""
    log = Log()
    own = [log.append_own("me", n, Goal(n, n)) for n in (1, 2, 3)]
    [batch] = log.missing({}, 1 << 20)
    assert batch == goals("me", 1, 3)
    assert [b.raws[0] for b in own] == list(batch.raws)


def test_missing_is_bounded_and_leads_to_equality_in_rounds():
    """Asking again and again with bounded answers copies a log, and upto leaves out what is newer."""
    source, copy = Log(), Log()
    for origin in ORIGINS:
        source.merge(goals(origin, 1, 500))
    rounds = 0
    while source.lacks_any_of(copy.vector()) or copy.vector() != source.vector():
        sent = list(source.missing(copy.vector(), 1000))
        assert sum(b.size for b in sent) < 1000 + CHUNK_EVENTS * 8
        for batch in sent:
            assert copy.merge(batch)
        rounds += 1
    assert rounds > 3
    assert copy.hash() == source.hash()
    capped = list(source.missing({}, 1 << 30, {"ann": 1, "bob": 0}))
    assert [b.origin for b in capped] == ["ann"]


def test_events_behind_a_gap_are_parked_until_it_is_filled():
    """Parked events are read but not counted or offered; filling the gap brings them into the prefix."""
    log = Log()
    log.merge(goals("ann", 1, 2))
    assert seqs(log.hold_back(goals("ann", 5, 3))) == [5, 6, 7]
    assert log.count("ann") == 2
    assert log.clock == 7
    assert [len(b.raws) for b in log.missing({}, 1 << 20)] == [2]
    assert seqs(log.merge(goals("ann", 3, 1))) == [3]
    assert log.count("ann") == 3
    assert seqs(log.merge(goals("ann", 3, 2))) == [4]
    assert log.count("ann") == 7
    assert held(log, "ann") == [1, 2, 3, 4, 5, 6, 7]


def test_parked_events_that_arrive_again_are_not_counted_twice():
    """Filling a gap with a batch that overlaps what is parked keeps the numbering."""
    log = Log()
    log.hold_back(goals("ann", 4, 4))
    log.merge(goals("ann", 1, 5))
    assert held(log, "ann") == [1, 2, 3, 4, 5, 6, 7]
    assert log.merge(goals("ann", 1, 7)) is None


def test_a_stamp_far_ahead_holds_nobodys_clock():
    """An event with an absurd stamp is left out with what follows it; what came before it is taken."""
    log = Log()
    goals = [encode_event(Goal(n, 5)) for n in (1, 2, 2 + FAR_AHEAD + 1, 4)]
    assert log.refused() == []
    assert seqs(log.merge(Batch("ann", 1, tuple(goals)))) == [1, 2]
    assert log.merge(Batch("ann", 3, tuple(goals[2:]))) is None
    assert (log.clock, log.count("ann")) == (2, 2)
    [why] = log.refused()
    assert why.startswith("events of worker ann are ignored: their stamp 268435459 is implausibly far ahead")
    with pytest.raises(Malformed, match="the stamp 9007199254740992"):
        log.merge(Batch("bob", 1, (encode_event(Goal(3, 5)), encode_event(Goal(MAX_LAMPORT, 3)))))
    with pytest.raises(Malformed, match="stamps far above"):
        log.hold_back(Batch("ann", 9, tuple(goals[2:])))
    assert log.vector() == {"ann": 2}


def test_a_stamp_that_was_far_ahead_is_taken_once_the_clock_is_near():
    """Replicas whose clocks differed when they heard of it end with the same events."""
    early, late = Log(), Log()
    late.merge(Batch("bob", 1, (encode_event(Goal(100, 1)),)))
    far = Batch("ann", 1, (encode_event(Goal(100 + FAR_AHEAD, 1)),))
    assert early.merge(far) is None
    assert late.merge(far)
    early.merge(Batch("bob", 1, (encode_event(Goal(100, 1)),)))
    assert early.merge(far)
    assert early.vector() == late.vector()


def test_only_what_is_held_moves_the_clock():
    """What was read and turned out to be known does not count: the clock follows from the events of the log."""
    log = Log()
    first = log.read(goals("ann", 1, 2))
    other = log.read(Batch("ann", 1, (encode_event(Goal(99, 1)), encode_event(Goal(2, 1)), encode_event(Goal(3, 1)))))
    log.take(first)
    assert seqs(log.take(other)) == [3]
    assert log.clock == 3


def test_numbers_end_where_the_columns_do():
    """An event with a number that no log reaches is malformed."""
    with pytest.raises(Malformed):
        Log().hold_back(Batch("ann", MAX_NUMBER, goals("ann", 1, 2).raws))


def test_reading_changes_nothing():
    """What is read is taken only by take, as far as it is next in line then."""
    log = Log()
    first, second = log.read(goals("ann", 1, 3)), log.read(goals("ann", 2, 4))
    assert log.vector() == {}
    assert log.take(second) is None
    assert seqs(log.take(first)) == [1, 2, 3]
    assert seqs(log.take(second)) == [4, 5]
    assert log.take(first) is None
    assert log.read(goals("ann", 1, 5)) is None


def fork(origin: str, number: int, trials: int, lamport: int | None = None) -> Batch:
    return Batch(origin, number, (encode_event(Goal(lamport or number, trials)),))


def test_forks_are_kept_whichever_side_came_first():
    """Replicas that heard two events with one number, in either order, have the same log and the same hash."""
    a, b = Log(), Log()
    a.merge(goals("ann", 1, 300))
    b.merge(goals("ann", 1, 99))
    b.merge(fork("ann", 100, 7))
    b.merge(goals("ann", 101, 200))
    assert a.vector() == b.vector()
    assert a.hash() != b.hash()
    [fresh] = a.merge_forks(fork("ann", 100, 7))
    assert (fresh.origin, fresh.first, fresh.again, next(iter(fresh)).event) == ("ann", 100, True, Goal(100, 7))
    assert len(b.merge_forks(goals("ann", 50, 100))) == 1
    assert a.hash() == b.hash()
    assert held(a, "ann") == held(b, "ann")
    assert a.all_of("ann", 100) == b.all_of("ann", 100)
    assert list(a.beside({"ann": 99})) == list(b.beside({})) == a.all_of("ann", 100)[1:]
    assert list(a.beside({"ann": 100})) == []
    assert a.merge_forks(fork("ann", 100, 7)) == b.merge_forks(goals("ann", 1, 300)) == []
    assert a.merge_forks(fork("ann", 301, 7)) == a.merge_forks(fork("bob", 1, 7)) == []


def test_forks_are_checked_like_any_event(monkeypatch):
    """A fork that is no event raises, one with a stamp far ahead is left out, and there may be only so many."""
    monkeypatch.setattr("aiohpo.events.log.MOST_FORKS", 5)
    log = Log()
    log.merge(goals("ann", 1, 3))
    with pytest.raises(Malformed):
        log.merge_forks(Batch("ann", 2, (b"\xc1",)))
    assert log.merge_forks(fork("ann", 2, 7, FAR_AHEAD + 9)) == []
    assert log.forks == {}
    for n in range(5):
        assert log.merge_forks(fork("ann", 2, n + 10))
    assert log.merge_forks(fork("ann", 2, 9)) == []
    assert log.forks == {"ann": 5}


def test_a_log_covers_another_if_it_certainly_has_all_of_it():
    """It has as many events of each worker, and the other has nothing that numbers do not tell of."""
    log, other = Log(), Log()
    assert log.covers(other)
    other.merge(goals("ann", 1, 3))
    assert not log.covers(other)
    assert other.covers(log)
    log.merge(goals("ann", 1, 4))
    assert log.covers(other)
    other.hold_back(goals("ann", 5, 1))
    assert not log.covers(other)
    forked = Log()
    forked.merge(goals("ann", 1, 1))
    forked.merge_forks(Batch("ann", 1, (encode_event(Goal(7, 7)),)))
    assert not log.covers(forked)


def test_version_vectors_have_short_hashes():
    """The hash tells different vectors apart and does not depend on the order of arrival."""
    a, b = Log(), Log()
    assert a.hash() == b.hash()
    a.merge(goals("ann", 1, 1))
    assert a.hash() != b.hash()
    b.merge(goals("bob", 1, 2))
    b.merge(goals("ann", 1, 1))
    a.merge(goals("bob", 1, 2))
    assert a.hash() == b.hash()
    assert len(a.hash()) == 8


def test_repr_is_a_status_line():
    """The repr says how much is held."""
    log = Log()
    log.merge(goals("ann", 1, 3))
    assert repr(log) == "<Log 3 events of 1 workers, clock 3>"


class Replicas(RuleBasedStateMachine):
    """Three workers append to their own logs; a lossy, doubling, reordering wire carries batches between them."""

    def __init__(self) -> None:
        super().__init__()
        self.logs = {origin: Log() for origin in ORIGINS}
        self.wire: list[tuple[str, Batch]] = []
        self.parked: set[tuple[str, str]] = set()

    @rule(origin=st.sampled_from(ORIGINS), n=st.integers(1, 4))
    def append(self, origin: str, n: int) -> None:
        log = self.logs[origin]
        for _ in range(n):
            seq = log.count(origin) + 1
            log.append_own(origin, seq, Goal(seq, seq))

    @rule(
        source=st.sampled_from(ORIGINS),
        to=st.sampled_from(ORIGINS),
        about=st.sampled_from(ORIGINS),
        first=st.integers(1, 20),
    )
    def send(self, source: str, to: str, about: str, first: int) -> None:
        log = self.logs[source]
        if source != to and first <= log.count(about):
            self.wire.append((to, log.batch_from(about, first)))

    @rule(i=st.integers(0, 1 << 30), keep=st.booleans(), lose=st.booleans())
    def deliver(self, i: int, keep: bool, lose: bool) -> None:
        if not self.wire:
            return
        i %= len(self.wire)
        target, batch = self.wire[i] if keep else self.wire.pop(i)
        if not lose:
            before = self.logs[target].count(batch.origin)
            new = seqs(self.logs[target].merge(batch))
            assert new == [*range(before + 1, before + len(new) + 1)]

    @rule(i=st.integers(0, 1 << 30))
    def park(self, i: int) -> None:
        if not self.wire:
            return
        target, batch = self.wire[i % len(self.wire)]
        if batch.first > self.logs[target].count(batch.origin) + 1:
            self.logs[target].hold_back(batch)

    @invariant()
    def prefixes_only(self) -> None:
        for log in self.logs.values():
            for origin in ORIGINS:
                assert held(log, origin) == [*range(1, log.count(origin) + 1)]
                assert log.count(origin) <= self.logs[origin].count(origin)

    def teardown(self) -> None:
        for _ in range(2):
            for a in self.logs.values():
                for b in self.logs.values():
                    for batch in a.missing(b.vector(), 1 << 30):
                        b.merge(batch)
        assert len({log.hash() for log in self.logs.values()}) == 1
        assert len({str(sorted(log.vector().items())) for log in self.logs.values()}) == 1


Replicas.TestCase.settings = settings(max_examples=60, stateful_step_count=30, deadline=None)
test_replicas_agree_whatever_the_wire_does = Replicas.TestCase
