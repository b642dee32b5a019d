"""Tests of the worker without its shell."""

from __future__ import annotations

import gc

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from aiohpo.events.codec import encode_event
from aiohpo.events.lifecycle import MOST_LOSSES, Status
from aiohpo.events.log import Log
from aiohpo.events.schema import (
    EXTERNAL,
    QUEUED,
    Batch,
    Claimed,
    Ended,
    Goal,
    Left,
    Lost,
    Parent,
    Proposed,
    Reported,
    Saved,
)
from aiohpo.mesh.effects import Abort, Milestone, Notice, Persist, Publish, Reached, Send, TrialsEnded
from aiohpo.mesh.frames import FORMAT, Events, Hello, MemberNews, Ping, Vector, encode_frame
from aiohpo.mesh.membership import State
from aiohpo.peer.ending import is_quiet
from aiohpo.peer.state import PeerState
from aiohpo.plugin.objective import Objective
from aiohpo.view.view import View
from tests.support.event_strategies import events, frames, mutations
from tests.support.histories import SPACE, batch_of, events_of, remark, with_remarks

STUDY = "abcdef0123456789"
TAG = bytes.fromhex(STUDY)[:4]


def worker(me: str = "ann", study: str = STUDY, journal: str = "", gone: tuple[str, ...] = ()) -> PeerState:
    state = PeerState(
        me=me,
        view=View(SPACE, Objective("loss", "min")),
        log=Log(),
        study=study,
        address=f"addr-{me}",
        seed=0,
        now=0.0,
        shared_journal=journal,
        gone=gone,
    )
    state.begin(0.0, "host", 1, None)
    return state


def tell(state: PeerState, origin: str, *given_events, now: float = 1.0) -> list:
    """Let a peer tell the next events of ``origin``; return the effects."""
    first = state.log.count(origin) + 1
    batch = Batch(origin, first, tuple(map(encode_event, given_events)))
    state.receive(now, f"addr-{origin}", encode_frame(TAG, Events((batch,))))
    return state.drain()


def check(state: PeerState, own: int) -> None:
    """What must hold whatever arrived."""
    assert state.log.count("ann") == own
    view = View(SPACE, Objective("loss", "min"))
    for origin in state.log.origins:
        for _, seq, event in state.log.events(origin):
            view.apply(origin, seq, event)
    assert list(view.records()) == list(state.view.records())
    segment = state.propose(0.0, (0.5,))
    state.end(segment, "finished", step=0, seconds=1.0, value=0.5)
    peer = worker("bob")
    for batch in state.log.missing({}, 1 << 30):
        if batch.origin == "ann":
            tell(peer, "ann", *[seen.event for seen in state.log.events("ann")])
    assert peer.log.count("ann") == own + 2, "what this worker says must remain understandable to others"


@given(st.lists(frames.map(lambda f: encode_frame(TAG, f)).flatmap(lambda b: st.just(b) | mutations(b)), max_size=8))
@settings(max_examples=150)
def test_no_frame_breaks_a_worker(datas):
    """Arbitrary and damaged frames from anybody never raise, and the worker works on, understood by others."""
    state = worker()
    for i, data in enumerate(datas):
        state.receive(float(i), f"addr-{i % 3}", data)
        state.tick(i + 0.5)
        state.drain()
        assert state.next_deadline() > i - 10
    check(state, 1)


@given(st.lists(events, max_size=12), st.lists(events, max_size=12), st.data())
@settings(max_examples=150)
def test_no_event_breaks_a_worker(bobs, cids, data):
    """Any valid events of peers, about its own trials too, never raise, and what it runs can still be ended."""
    state = worker()
    segment = state.propose(0.0, (0.25,))
    for origin, given_events in (("bob", bobs), ("cid", cids)):
        aimed = [
            type(e)(
                *[
                    ("ann", 2) if n == "trial" and data.draw(st.booleans()) else getattr(e, n)
                    for n in e.__struct_fields__
                ]
            )
            for e in given_events
        ]
        tell(state, origin, *aimed)
    state.tick(5.0)
    state.yield_up(segment, step=1, seconds=1.0)
    if segment.trial in state.segments:
        state.end(segment, "finished", step=1, seconds=1.0, value=1.0)
    state.takeover(8.0)
    state.drain()
    gc.collect(0)


def test_what_is_said_is_journalled_first():
    """Persist comes before the same event's publication."""
    state = worker()
    state.receive(0.0, "addr-bob", encode_frame(TAG, Hello(FORMAT, STUDY, "bob", 0, "addr-bob", "addr-ann", False)))
    state.drain()
    state.propose(0.0, (0.5,))
    state.tick(10.0)
    kinds = [type(e) for e in state.drain()]
    assert kinds.index(Persist) < kinds.index(Publish)


def test_an_event_of_an_unknown_kind_is_kept_and_passed_on():
    """Its meaning is skipped, which is said once; the events behind it count, and all of it can be handed on."""
    state = worker()
    state.drain()
    raws = with_remarks()
    frame = Events((Batch("bob", 1, raws),))
    state.receive(1.0, "addr-bob", encode_frame(TAG, frame))
    state.receive(1.0, "addr-cid", encode_frame(TAG, Events((Batch("cid", 1, (remark(100),)),))))
    effects = state.drain()
    [notice] = [e.text for e in effects if isinstance(e, Notice)]
    assert "worker bob: events of kind 99 are kept and passed on" in notice
    assert state.log.batch_from("bob", 1).raws == raws
    assert state.view.n_ended == 2
    assert state.goal == 7
    written = [e.batch for e in effects if isinstance(e, Persist)]
    assert tuple(raw for batch in written if batch.origin == "bob" for raw in batch.raws) == raws
    state.propose(0.0, (0.5,))
    assert state.log.clock == 101, "what is recorded next comes after it"
    state.receive(2.0, "addr-dan", encode_frame(TAG, Vector({}, True, False)))
    sent = {
        b.origin: b.raws
        for e in state.drain()
        if isinstance(e, Send) and isinstance(e.frame, Events)
        for b in e.frame.batches
    }
    assert sent["bob"] == raws


def test_foreign_frames_are_answered_with_an_introduction():
    """Frames of another study are dropped and counted, and answered with a hello; nobody is told yet."""
    state = worker()
    state.drain()
    effects = []
    for i in range(5):
        state.receive(i * 0.1, "addr-bob", encode_frame(b"\xff\xff\xff\xff", Ping(0.0)))
        effects += state.drain()
    assert state.node.counters.foreign == 5
    assert len([e for e in effects if isinstance(e, Notice)]) == 0
    assert len([e for e in effects if isinstance(e, Send) and isinstance(e.frame, Hello)]) == 1


def test_malformed_frames_are_counted():
    """Junk is dropped with one notice."""
    state = worker()
    state.drain()
    for _ in range(3):
        state.receive(0.0, "addr-bob", bytes([FORMAT]) + TAG + b"\xc1\xc1")
    assert state.node.counters.malformed == 3
    assert len([e for e in state.drain() if isinstance(e, Notice)]) == 1


def test_an_earlier_claim_aborts_the_later():
    """When somebody's smaller claim of the same attempt is heard, the segment is given up without a word."""
    state = worker("zoe")
    tell(state, "bob", Goal(1, 9), Proposed(2, 0.0, (0.5,), 1))
    row = state.queued(1.0)
    assert row is not None
    segment = state.record_claim(1.0, row)
    effects = tell(state, "cid", Claimed(3, 0.0, ("bob", 2), 0))
    [abort] = [e for e in effects if isinstance(e, Abort)]
    assert abort.trial == ("bob", 2)
    assert "cid took it over" in abort.why
    count = state.log.count("zoe")
    state.yield_up(segment, step=0, seconds=1.0)
    assert state.log.count("zoe") == count
    assert state.view.status(row) is Status.RUNNING
    assert state.segments == {}


def test_a_result_from_elsewhere_aborts():
    """When the trial's result arrives from another worker, running on is pointless."""
    state = worker()
    segment = state.propose(0.0, (0.5,))
    effects = tell(state, "bob", Ended(9, segment.trial, 0, "finished", 0, 0.5))
    assert "its result arrived" in next(e for e in effects if isinstance(e, Abort)).why


def test_a_claim_is_heard_once_no_peer_can_have_another():
    """The peers are asked until each has the claim; what is queued leaves before the question."""
    state = worker()
    state.receive(0.5, "addr-bob", encode_frame(TAG, Hello(FORMAT, STUDY, "bob", 0, "addr-bob", "addr-ann", False)))
    tell(state, "bob", Goal(1, 9), Proposed(2, 0.0, (0.5,), 1))
    row = state.queued(1.0)
    assert row is not None
    segment = state.record_claim(1.0, row)
    state.drain()
    state.ask_who_else_claimed(segment, 1.0)
    published, asked = state.drain()
    assert isinstance(published, Publish)
    assert isinstance(asked, Send)
    assert isinstance(asked.frame, Vector)
    has = {"bob": 2, "ann": segment.claimed_by}
    state.receive(2.0, "addr-bob", encode_frame(TAG, Vector(has, False, False)))
    state.drain()
    state.ask_who_else_claimed(segment, 2.0)
    assert state.drain() == [Reached(Milestone.CLAIM_HEARD)]


def test_what_a_worker_still_has_to_say_is_superseded_by_those_who_came_first():
    """A segment counts until somebody else's smaller claim, or the trial's result, is heard."""
    state = worker("zoe")
    tell(state, "bob", Goal(1, 9), Proposed(2, 0.0, (0.5,), 1))
    row = state.queued(1.0)
    assert row is not None
    segment = state.record_claim(1.0, row)
    assert state.why_superseded(segment) == ""
    tell(state, "cid", Claimed(9, 0.0, ("bob", 2), 0))
    assert state.why_superseded(segment) == "", "a later claim of the same attempt"
    tell(state, "dan", Claimed(3, 0.0, ("bob", 2), 0))
    assert state.why_superseded(segment) == "dan took it over"
    tell(state, "dan", Ended(10, ("bob", 2), 0, "finished", 0, 0.5))
    assert state.why_superseded(segment) == "its result arrived from another worker"


def test_the_living_object_to_being_declared_lost():
    """A worker whose segment was declared lost claims the next attempt and goes on."""
    state = worker()
    segment = state.propose(0.0, (0.5,))
    tell(state, "bob", Lost(9, segment.trial, 0))
    assert segment.attempt == 1
    assert state.view.owner_of(segment.row) == "ann"
    assert state.view.status(segment.row) is Status.RUNNING
    state.end(segment, "finished", step=0, seconds=1.0, value=0.1)
    assert state.view.status(segment.row) is Status.FINISHED


def test_proposals_behind_the_line_are_withdrawn():
    """A worker that hears that the budget was filled by earlier proposals cancels its own."""
    state = worker("zoe")
    state.set_goal(1)
    segment = state.propose(0.0, (0.5,))
    effects = tell(state, "bob", Proposed(1, 0.0, (0.6,)))
    assert [e.trial for e in effects if isinstance(e, Abort)] == [segment.trial]
    state.yield_up(segment, step=0, seconds=1.0)
    assert state.view.status(segment.row) is Status.CANCELLED
    assert not state.may_propose()
    assert not is_quiet(state.view)  # bob's is running
    tell(state, "bob", Ended(2, 1, 0, "finished", 0, 0.5))
    assert is_quiet(state.view)


def test_the_dead_workers_trial_is_declared_lost_and_taken_over():
    """A segment whose owner left is released by another worker and can be claimed, from its next attempt."""
    state = worker(gone=("bob",))
    tell(state, "bob", *events_of(1)[:2])
    for now in (2.0, 3.0, 10.0):
        state.tick(now)
    row = state.takeover(11.0)
    assert row is not None
    assert state.view.status(row) is Status.LOST
    assert state.record_claim(11.0, row).attempt == 1
    assert not is_quiet(state.view)


def test_a_worker_that_answers_has_not_left():
    """What is written in its name by somebody else takes no trial from it; once it is silent, it counts."""
    state = worker()
    membership = state.node.mesh.membership
    membership.merge_news([MemberNews("bob", "addr-bob", State.ALIVE, 0, "bob")], 1.0)
    tell(state, "bob", *events_of(1)[:2], Left(3, 0.0, "done"))
    [row] = state.view.running
    for now in (2.0, 3.0):
        state.tick(now)
        assert state.view.status(row) is Status.RUNNING
    membership.merge_news([MemberNews("bob", "addr-bob", State.SUSPECT, 0, "cid")], 3.0)
    for now in (4.0, 5.0):
        state.tick(now)
    assert state.view.status(row) is Status.LOST


def test_a_trial_that_takes_worker_after_worker_with_it_is_given_up():
    """After five losses nobody takes a trial over, and it keeps no search from ending; releases do not count."""
    state = worker()
    tell(state, "bob", Proposed(1, 0.0, (0.5,)))
    for attempt in range(10):
        tell(
            state,
            "bob",
            Ended(3 * attempt + 3, 1, attempt, "released", 0),
            Claimed(3 * attempt + 4, 0.0, 1, attempt + 1),
        )
    for attempt in range(10, 10 + MOST_LOSSES + 1):
        t = 3 * attempt + 50
        tell(state, "bob", Lost(t, 1, attempt))
        taken = state.takeover(2.0) is not None
        assert taken == (attempt < 10 + MOST_LOSSES)
        assert is_quiet(state.view) != taken
        if taken:
            tell(state, "bob", Claimed(t + 1, 0.0, 1, attempt + 1))


@pytest.mark.parametrize(("reported", "end", "start"), [(True, 3, 2), (True, None, 3), (False, None, 2)])
def test_a_takeover_begins_after_the_last_complete_step(reported, end, start):
    """What was saved and not reported is done again, and so is the last step before the rung."""
    ann = worker()
    events = [Proposed(2, 0.0, (0.5,), to_step=3), Reported(3, 1, 0, 2, 0.5), Saved(4, 1, 0, 2, "ab" * 32, 1)]
    events += [Saved(5, 1, 0, 3, "cd" * 32, 1), *([Reported(6, 1, 0, 3, 0.25)] if reported else []), Lost(7, 1, 0)]
    tell(ann, "bob", *events)
    assignment = ann.assignment(ann.record_claim(0.0, ann.takeover(1.0), to_step=end), 9)
    assert assignment.start == start
    assert assignment.reported == (0.25 if reported else 0.5)


def test_recovered_events_are_taken_and_passed_on():
    """What a dead peer's journal holds beyond what was heard is merged and flooded; junk is counted."""
    state = worker()
    state.recover(1.0, batch_of("bob", events_of(2)))
    assert state.view.n_ended == 2
    state.recover(1.0, Batch("bob", 6, (b"\xc1",)))
    assert state.node.counters.malformed == 1


@pytest.mark.parametrize(("journal", "kept"), [("shared", False), ("elsewhere", True)])
def test_only_events_that_nobody_else_writes_here_are_journalled(journal, kept):
    """Events of a worker that writes to the same directory are not written twice."""
    state = worker(journal="shared")
    state.drain()
    effects = tell(state, "bob", *events_of(1, journal=journal))
    assert any(isinstance(e, Persist) for e in effects) == kept


def test_a_vector_question_is_answered_with_everything():
    """An eager, empty vector gets all that is held."""
    state = worker()
    state.drain()
    state.receive(0.0, "addr-bob", encode_frame(TAG, Vector({}, True, False)))
    sent = [e.frame for e in state.drain() if isinstance(e, Send) and isinstance(e.frame, Events)]
    assert [len(b.raws) for frame in sent for b in frame.batches] == [1]
    assert repr(state) == "<PeerState ann: <View 0 ended, 0 running>, <Membership of ann: alone>>"


def test_a_segment_that_a_loser_was_done_with_is_not_run_twice():
    """The owner of a segment hears that another worker completed it before it knew: it stops, and says nothing."""
    state = worker("ann")
    tell(state, "bob", Proposed(1, 0.0, (0.5,), to_step=1), Ended(2, 1, 0, "paused", 1))
    row = state.view.row(("bob", 1))
    assert row is not None
    segment = state.record_claim(1.0, row, 3)
    tell(state, "cid", Claimed(900, 0.0, ("bob", 1), 1, 3))
    assert not segment.doomed
    effects = tell(state, "cid", Ended(901, ("bob", 1), 1, "paused", 3))
    assert [e.trial for e in effects if isinstance(e, Abort)] == [("bob", 1)]
    state.yield_up(segment, step=2, seconds=1.0)
    assert state.view.status(row) is Status.PAUSED
    assert not state.segments


def test_one_worker_runs_several_segments():
    """Each segment is reported, aborted, ended and held on to by itself; the budget counts all of them."""
    state = worker()
    state.set_goal(3)
    first, second, third = (state.propose(0.0, (x,)) for x in (0.1, 0.2, 0.3))
    assert not state.may_propose()
    tell(state, "bob", Lost(20, first.trial, 0), Ended(21, second.trial, 0, "finished", 0, 0.5))
    assert [s.doomed for s in (first, second, third)] == [False, True, False]
    assert [s.attempt for s in (first, second, third)] == [1, 0, 0]
    assert state.view.owner_of(first.row) == "ann"
    state.yield_up(second, step=0, seconds=1.0)
    assert list(state.segments) == [first.trial, third.trial]
    assert not is_quiet(state.view)
    state.end(third, "finished", step=0, seconds=1.0, value=0.25)
    assert not is_quiet(state.view)
    state.end(first, "finished", step=0, seconds=1.0, value=0.125)
    assert is_quiet(state.view)
    assert (state.ended_here, state.view.n_ended) == (2, 3)
    assert state.drain()[-1] == TrialsEnded((third.row, first.row)), "once in a round, after everything else"


def test_all_segments_behind_the_line_are_withdrawn():
    """When earlier proposals fill the budget, every segment of this worker behind the line is aborted, no other."""
    state = worker("zoe")
    state.set_goal(2)
    segments = [state.propose(0.0, (x,)) for x in (0.1, 0.2)]
    effects = tell(state, "bob", Proposed(3, 0.0, (0.6,)))
    assert [e.trial for e in effects if isinstance(e, Abort)] == [segments[1].trial]
    effects = tell(state, "bob", Proposed(2, 0.0, (0.7,)))
    assert [e.trial for e in effects if isinstance(e, Abort)] == [segments[0].trial]
    for segment in segments:
        state.yield_up(segment, step=0, seconds=1.0)
        assert state.view.status(segment.row) is Status.CANCELLED
    assert state.segments == {}


def test_of_two_trials_of_one_configuration_the_first_proposed_stands():
    """The other is withdrawn unless it has reported; what a user queued or a scheduler copied may repeat."""
    state = worker("zoe")
    tell(state, "ann", Proposed(50, 0.0, (0.9,)))  # the clock is ahead of what bob proposes now
    first, second, third = (state.propose(0.0, (x,)) for x in (0.1, 0.2, 0.3))
    state.report(second, 1, 0.5, {})
    later = Proposed(90, 0.0, (0.3,))
    effects = tell(state, "bob", *[Proposed(40, 0.0, (x,)) for x in (0.1, 0.2)], later)
    assert [e.trial for e in effects if isinstance(e, Abort)] == [first.trial]
    state.yield_up(first, step=0, seconds=1.0)
    assert state.view.status(first.row) is Status.CANCELLED
    assert [s.doomed for s in (second, third)] == [False, False]
    parent = Parent(("ann", 1), 1, "0" * 64, 1, "ann")
    tell(
        state,
        "cid",
        Proposed(41, 0.0, (0.3,), QUEUED),
        Proposed(42, 0.0, (0.3,), EXTERNAL),
        Proposed(43, 0.0, (0.3,), parent=parent),
    )
    assert not third.doomed


def test_what_was_reported_behind_the_line_is_kept():
    """It is surplus once the budget is met, and goes on from there if the budget is raised; not a word is no result."""
    state = worker("zoe")
    state.set_goal(1)
    spoke, mute = (state.propose(0.0, (x,)) for x in (0.1, 0.2))
    state.report(spoke, 3, 0.5, {})
    tell(state, "bob", Proposed(1, 0.0, (0.6,)))
    for segment in (spoke, mute):
        state.yield_up(segment, step=3, seconds=1.0)
    assert not state.may_propose()
    tell(state, "bob", Ended(40, 1, 0, "finished", 0, 0.25))
    records = {record.id: record for record in state.view.records()}
    assert {name: (r.status, r.ended_as, r.value) for name, r in records.items()} == {
        "bob-1": ("finished", "finished", 0.25),
        "zoe-3": ("surplus", None, 0.5),
    }
    assert is_quiet(state.view)
    state.set_goal(2)
    assert state.view.record(spoke.row).status == "lost"
    assert state.takeover(50.0) == spoke.row


def test_a_slot_more_finds_the_next_lost_trial():
    """What one slot takes over is no longer there for the next, and all of it is released when the worker leaves."""
    state = worker(gone=("bob",))
    tell(state, "bob", *[Proposed(t, 0.0, (t / 10,)) for t in (1, 2)])
    for now in (2.0, 3.0, 10.0):
        state.tick(now)
    taken = []
    while (row := state.takeover(11.0)) is not None:
        taken.append(state.record_claim(11.0, row))
    assert [s.trial for s in taken] == [("bob", 1), ("bob", 2)]
    for segment in list(state.segments.values()):
        state.yield_up(segment, step=0, seconds=1.0)
    assert [state.view.status(s.row) for s in taken] == [Status.LOST, Status.LOST]


def test_a_segment_lost_to_another_worker_does_not_hide_a_dead_one():
    """A worker that still runs what others took over goes on watching over the segments of others."""
    state = worker("zoe", gone=("cid",))
    tell(state, "bob", Goal(1, 9), Proposed(2, 0.0, (0.5,), 1))
    mine = state.record_claim(1.0, state.queued(1.0))
    tell(state, "cid", Claimed(3, 0.0, ("bob", 2), 0))
    assert mine.doomed
    assert mine.trial in state.segments
    for now in (2.0, 4.0, 6.0):
        state.tick(now)
    assert state.view.status(mine.row) is Status.LOST


def test_slots_near_the_budgets_end_propose_one_after_another():
    """Each slot that wants to propose waits for the news of the one before it, where peers might propose the same."""
    state = worker()
    state.receive(0.0, "addr-bob", encode_frame(TAG, Hello(FORMAT, STUDY, "bob", 0, "addr-bob", "addr-ann", False)))
    state.set_goal(3)
    assert state.pause_before_proposing(100.0) == 0.0
    state.note_proposal(100.0)
    pause = state.pause_before_proposing(100.0)
    assert pause > 0.0
    assert state.pause_before_proposing(100.0 + pause / 2) == pytest.approx(pause / 2)
    assert state.pause_before_proposing(100.0 + pause) == 0.0


def test_what_is_written_in_ones_name_is_kept_and_said() -> None:
    """A worker whose next number somebody else used goes on behind it, writes it down, and says so once."""
    state = worker()
    state.drain()
    count = state.log.count("ann")
    forged = tell(state, "ann", Goal(9, 7), Goal(10, 8))
    assert [e.batch.first for e in forged if isinstance(e, Persist)] == [count + 1]
    [notice] = [e.text for e in forged if isinstance(e, Notice)]
    assert notice.startswith("the log of this worker holds events that it did not record: someone with the key")
    segment = state.propose(0.0, (0.5,))
    assert segment.trial == ("ann", count + 3)
    assert not any(isinstance(e, Notice) for e in tell(state, "ann", Goal(11, 7)))
    assert state.view.goal == ((11, "ann"), 7)


def test_both_of_two_events_with_one_number_count() -> None:
    """An event that arrives under a number that another one has is applied, written down with it, and said."""
    state = worker()
    tell(state, "bob", Proposed(3, 1.0, (0.25,)), Goal(4, 9))
    other = Batch("bob", 2, (encode_event(Ended(5, 1, 0, "finished", 1, 0.5, 1.0)),))
    state.receive(2.0, "addr-bob", encode_frame(TAG, Events((other,))))
    effects = state.drain()
    assert [e.batch for e in effects if isinstance(e, Persist)] == state.log.all_of("bob", 2)
    [notice] = [e.text for e in effects if isinstance(e, Notice)]
    assert notice.startswith("the log of worker bob holds events that it did not record")
    assert [record.status for record in state.view.records()] == ["finished"]
    assert state.view.goal == ((4, "bob"), 9)


def test_a_bug_in_what_a_peer_sends_does_not_end_a_worker(monkeypatch) -> None:
    """Should applying an event raise after all, it is counted and said, and the worker works on."""
    state = worker()

    def fail(*given: object) -> None:
        raise OverflowError("a bug")

    monkeypatch.setattr(state.view, "_about_trial", fail)
    effects = tell(state, "bob", Proposed(3, 1.0, (0.25,)), Ended(4, 1, 0, "finished", 1, 0.5, 1.0))
    assert ["OverflowError: a bug" in e.text for e in effects if isinstance(e, Notice)] == [True]
    assert state.node.counters.faults == 1
    monkeypatch.undo()
    tell(state, "bob", Proposed(5, 1.0, (0.75,)))
    assert state.view.n_rows == 2


def test_a_call_off_of_very_many_workers_is_several_events():
    """Each names a thousand, so that none is too large to be recorded; all of them hear it."""
    state = worker()
    names = [f"{n:012x}" for n in range(2500)]
    state.record_call_off("the target is reached", [*names, "ann"])
    assert all(name in state.view.called_off for name in names)
    assert state.called_off
    state.record_call_off("once more", ["bob"])
    assert "bob" not in state.view.called_off
