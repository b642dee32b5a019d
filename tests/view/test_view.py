"""Tests of the view: what algorithms read is a function of the set of events, not of their order."""

from __future__ import annotations

import itertools
import json
import random
from dataclasses import replace

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from aiohpo import Categorical, Constant, Float, Int, Space
from aiohpo.events.lifecycle import Status
from aiohpo.events.schema import (
    ENDINGS,
    EXTERNAL,
    MAX_ATTEMPT,
    MAX_LAMPORT,
    MAX_NUMBER,
    MAX_STEPS,
    OWN,
    QUEUED,
    Attached,
    Claimed,
    Died,
    Ended,
    Event,
    Goal,
    Left,
    Lost,
    Noted,
    Over,
    Parent,
    Predicted,
    Proposed,
    Reported,
    Saved,
    Started,
    Unanswered,
)
from aiohpo.plugin import Inherit
from aiohpo.plugin.objective import Objective
from aiohpo.view import columns
from aiohpo.view.view import View

SPACE = Space(x=Float(0.0, 1.0), k=Int(1, 5), c=Categorical(["a", "b"]), m=Float(0.0, 1.0, when={"c": "b"}))
ORIGINS = ("ann", "bob", "cid")
DIGEST = "c" * 64
History = list[tuple[str, int, Event]]


def view_of(history: History, mode: str = "min", space: Space = SPACE, max_steps: int | None = None) -> View:
    view = View(space, Objective("loss", mode), max_steps)  # type: ignore[arg-type]
    for origin, seq, event in history:
        view.apply(origin, seq, event)
    return view


def row(rng: random.Random) -> tuple[float | int | None, ...]:
    c = rng.randrange(2)
    return (rng.random(), rng.randint(1, 5), c, rng.random() if c else None)


def draw_history(rng: random.Random, n: int) -> dict[str, list[Event]]:
    """A wild history: every kind of event about a few trials, from workers that did not hear of each other."""
    logs: dict[str, list[Event]] = {origin: [] for origin in ORIGINS}
    clocks = dict.fromkeys(ORIGINS, 0)
    trials: list[tuple[str, int]] = []
    for _ in range(n):
        origin = rng.choice(ORIGINS)
        clocks[origin] += rng.randint(1, 3)
        t, seq = clocks[origin], len(logs[origin]) + 1
        event: Event
        kind = rng.choice("ppcrrseeeeelgxyontkf") if trials else "p"
        trial, attempt, step = rng.choice(trials or [("", 1)]), rng.choice([0, 0, 0, 1, 2]), rng.randint(0, 3)
        value = rng.choice([None, 0.25, rng.random()])
        extra = rng.choice([None, {"aux": rng.random()}, {"aux": rng.random(), "more": 0.5}])
        match kind:
            case "p":
                source = rng.choice([OWN, OWN, QUEUED, EXTERNAL])
                parent = Parent(rng.choice(trials), step, DIGEST, 1, origin) if trials and rng.random() < 0.2 else None
                event = Proposed(t, float(t), row(rng), source, rng.choice([None, 2]), rng.choice([0, 0, 5]), parent)
                trials.append((origin, seq))
            case "c":
                event = Claimed(
                    t, float(t), trial, attempt, rng.choice([None, 3]), rng.random() < 0.2, rng.choice([0, 7])
                )
            case "r":
                event = Reported(t, trial, attempt, step, value, extra)
            case "s":
                event = Saved(t, trial, attempt, step, rng.choice("abc") * 64, 1)
            case "e":
                how = rng.choice([*ENDINGS, "finished", "finished"])
                failed = how == "failed"
                event = Ended(
                    t, trial, attempt, how, step, None if failed else value, 1.5, extra, "boom" if failed else None
                )
            case "l":
                event = Lost(t, trial, attempt)
            case "k":
                event = Died(t, trial, attempt, rng.choice("ab"), rng.randint(0, 2))
            case "f":
                event = Attached(t, trial, rng.choice("ab"), rng.choice("abc") * 64, 3)
            case "t":
                event = Noted(t, trial, {rng.choice("ab"): str(rng.randint(0, 9))})
            case "y":
                event = Proposed(t, float(t), row(rng), QUEUED, retry_of=trial)
                trials.append((origin, seq))
            case "o":
                event = Over(t, "enough", rng.randint(0, 2), tuple(rng.sample(ORIGINS, 2)))
            case "n":
                event = Unanswered(t, tuple(rng.sample(["tcp://a:1", "tcp://b:2"], rng.randint(0, 2))))
            case "g":
                event = Goal(t, rng.randint(1, 4), rng.random() < 0.5)
            case _:
                event = Predicted(t, trial, attempt, {rng.choice(["valid", "test"]): rng.choice("abc") * 64})
        logs[origin].append(event)
    return logs


def interleave(rng: random.Random, logs: dict[str, list[Event]], gaps: bool = False) -> History:
    """The logs in some order of arrival that keeps each origin's own order (but for a gap filled later)."""
    queues = {o: [(o, i, e) for i, e in enumerate(log, start=1)] for o, log in logs.items()}
    if gaps:
        for queue in queues.values():
            cut = rng.randrange(len(queue) + 1)
            queue[:] = queue[cut:] + queue[:cut]
    out: History = []
    while any(queues.values()):
        out.append(queues[rng.choice([o for o in ORIGINS if queues[o]])].pop(0))
    return out


def state(view: View) -> dict[str, object]:
    """All that can be read from a view, free of row numbers."""
    obs = view.observations()
    ids = {name: sorted(map(view.id, getattr(view, name))) for name in ("running", "waiting", "paused")}
    return {
        **ids,
        "beyond": sorted(map(view.id, view.beyond_line())),
        "records": [json.dumps(r.as_dict(), sort_keys=True) for r in view.records()],
        "counts": (view.counts, view.n_external, view.n_trials, view.n_observed, view.n_counted, view.n_ended),
        "best": None if view.best is None else view.id(view.best),
        "goal": view.goal,
        "unanswered": {name: info.unanswered for name, info in view.workers.items()},
        "over": (view.called_off, view.succeeded),
        "retries": (view.n_retried, sorted((view.id(r), view.retry_of(r) or ()) for r in range(view.n_rows))),
        "failures": [view.failures_of((origin,)) for origin in ORIGINS],
        "settled": view.n_settled,
        "X": obs.X.tobytes(),
        "y": obs.y.tobytes(),
        "failed": obs.failed.tobytes(),
        "pending": (obs.pending.tobytes(), obs.pending_to.tobytes()),
        "curves": tuple(getattr(obs.curves, name).tobytes() for name in ("X", "trial", "step", "loss")),
        "trials": sorted(
            repr(replace(view.state(r), curve=sorted(view.state(r).curve.items()))) for r in range(view.n_rows)
        ),
        "leader": None if (leader := view.leader()) is None else view.id(leader),
        "owners": sorted(
            (view.id(r), view.owner_of(r), view.attempt(r), view.checkpoint(r)) for r in range(view.n_rows)
        ),
    }


@given(st.integers(0, 1 << 32), st.integers(2, 30), st.sampled_from(["min", "max"]))
@settings(max_examples=400)
def test_the_order_of_arrival_does_not_matter(seed, n, mode):
    """Any interleaving of the origins' logs, also with gaps that are filled later, gives an equal view."""
    rng = random.Random(seed)
    logs = draw_history(rng, n)
    reference = state(view_of(interleave(rng, logs), mode))
    for gaps in (False, False, True):
        other = state(view_of(interleave(rng, logs, gaps), mode))
        for key in reference:
            assert other[key] == reference[key], key


@given(st.integers(0, 1 << 32))
@settings(max_examples=50)
def test_reading_in_between_changes_nothing(seed):
    """Cached answers never outlive the events that change them."""
    rng = random.Random(seed)
    history = interleave(rng, draw_history(rng, 20))
    view = view_of([])
    for i, (origin, seq, event) in enumerate(history, start=1):
        view.apply(origin, seq, event)
        view.seen(view.observations().pending)
        assert state(view) == state(view_of(history[:i]))


def test_events_that_arrive_again_are_ignored():
    """Applying an event twice changes neither the view nor its version."""
    rng = random.Random(1)
    history = interleave(rng, draw_history(rng, 30))
    view = view_of(history)
    before, version = state(view), view.version
    for origin, seq, event in history:
        assert view.apply(origin, seq, event) is None
    assert state(view) == before
    assert view.version == version


def test_an_error_without_words_is_none_in_any_order():
    """What an odd peer says beside a result reads the same whatever else of the trial was known before."""
    proposed = ("ann", 1, Proposed(1, 1.0, (0.5, 1, 0, None)))
    ended = ("ann", 2, Ended(2, 1, 0, "finished", 0, 0.5, 1.0, error="", detail=""))
    claimed = ("bob", 1, Claimed(3, 0.0, ("ann", 1), 1))
    records = [view_of(history).record(0) for history in ([proposed, ended, claimed], [proposed, claimed, ended])]
    assert records[0] == records[1]
    assert (records[0].error, records[0].detail) == (None, None)


def finished(*values: float, origin: str = "ann") -> History:
    """A simple history: each value is the result of one trial."""
    history: History = []
    for i, value in enumerate(values):
        t = 2 * i + 1
        history.append((origin, t, Proposed(t, float(t), (i / len(values), 1, 0, None))))
        history.append((origin, t + 1, Ended(t + 1, (origin, t), 0, "finished", 0, value, 0.5)))
    return history


def test_columns_are_in_canonical_order_and_losses_are_minimised():
    """X and y come by (lamport, worker); a maximised metric's sign is flipped for searchers only."""
    history = [*finished(0.5, 0.9, origin="bob"), *finished(0.1, 0.7, origin="ann")]
    view = view_of(history, "max")
    assert view.observations().y.tolist() == [-0.1, -0.5, -0.7, -0.9]
    assert view.best is not None
    record = view.record(view.best)
    assert (record.value, record.metrics, record.worker, record.number) == (0.9, {"loss": 0.9}, "bob", 3)
    assert [r.value for r in view.records()] == [0.1, 0.5, 0.7, 0.9]


@pytest.mark.parametrize("seed", range(10))
def test_the_numbers_of_several_trials_are_those_of_each(seed):
    """Whichever are asked for, in the order in which they are asked for, also where lamport times are equal."""
    rng = random.Random(seed)
    view = view_of(interleave(rng, draw_history(rng, 30)))
    for rows in ([], [view.n_rows - 1], list(range(view.n_rows)), rng.sample(range(view.n_rows), view.n_rows // 2)):
        assert view.numbers(rows) == [view.number(row) for row in rows]


def test_numbers_follow_the_canonical_order_whatever_order_trials_arrive_in(monkeypatch):
    """A trial's number is its place among all, though only the latest rows are looked through."""
    monkeypatch.setattr(columns, "_BLOCK", 4)
    for seed in range(40):
        rng = random.Random(seed)
        logs = {origin: [Proposed(1, 0.0, row(rng))] for origin in ORIGINS}
        for log in logs.values():
            for _ in range(20):
                log.append(Proposed(log[-1].lamport + rng.randint(1, 3), 0.0, row(rng)))
        view = view_of(interleave(rng, logs))
        places = {r: number for number, r in enumerate(view.canonical_rows())}
        assert [view.number(r) for r in range(view.n_rows)] == [places[r] for r in range(view.n_rows)]
        some = rng.sample(range(view.n_rows), 5)
        assert view.numbers(some) == [places[r] for r in some]


def test_configurations_come_back_exactly():
    """Native rows keep what was packed: whole numbers stay whole, inactive parameters absent."""
    config = {"x": 0.1 + 0.2, "k": 5, "c": "a"}
    view = view_of([("ann", 1, Proposed(1, 0.0, SPACE.pack(config)))])
    assert view.config(0) == config
    assert [type(v) for v in view.config(0).values()] == [float, int, str]


def test_proposals_of_another_space_are_not_taken():
    """A row of the wrong length or out of range is no trial, and what is said about it later is kept aside."""
    view = view_of(
        [
            ("ann", 1, Proposed(1, 0.0, (0.5,))),
            ("ann", 2, Proposed(2, 0.0, (7.0, 1, 0, None))),
            ("ann", 3, Proposed(3, 0.0, (0.5, 1, 0, 0.5))),
            ("ann", 4, Ended(4, ("ann", 2), 0, "finished", 0, 0.0)),
        ]
    )
    assert view.n_rows == 0
    assert view.best is None
    assert list(view.records()) == []


def test_numbers_that_fit_a_frame_fit_the_columns():
    """Steps and seconds as large as the wire allows are taken like any others."""
    view = view_of(
        [
            ("ann", 1, Proposed(1, 0.0, (0.5, 1, 0, None))),
            ("ann", 2, Reported(2, ("ann", 1), MAX_ATTEMPT, MAX_STEPS, 0.5)),
            *(("ann", n, Ended(n, ("ann", 1), n, "paused", 1, 0.5, 1e11)) for n in (3, 4, 5)),
            ("ann", 6, Ended(MAX_LAMPORT, ("ann", 1), MAX_ATTEMPT, "finished", MAX_STEPS, 0.5, 1e11)),
        ]
    )
    [record] = view.records()
    assert (record.step, record.status) == (MAX_STEPS, "finished")
    assert record.seconds == pytest.approx(4e11)


def test_a_gap_costs_nothing_however_wide():
    """An event behind two thousand million missing ones is read, and so are those that fill the gap."""
    view = view_of([("ann", MAX_NUMBER, Proposed(1, 0.0, (0.5, 1, 0, None)))])
    view.apply("ann", MAX_NUMBER, Proposed(1, 0.0, (0.5, 1, 0, None)))
    for seq in (1, 4, 3, 2, 5, 4):
        view.apply("ann", seq, Proposed(seq + 1, 0.0, (0.5, seq, 0, None)))
    assert [view.config(view.row(("ann", seq)))["k"] for seq in (1, 2, 3, 4, 5)] == [1, 2, 3, 4, 5]
    assert view.row(("ann", MAX_NUMBER)) == 0
    assert view.row(("ann", 6)) is view.row(("ann", -1)) is view.row(("ann", 0)) is None
    assert view.n_rows == 6


FORKS: list[list[Event]] = [
    [Proposed(3, 1.0, (0.5, 1, 0, None)), Proposed(3, 1.0, (0.5, 2, 0, None))],
    [Proposed(3, 1.0, (0.5, 1, 0, None)), Proposed(2, 1.0, (0.5, 1, 0, None), QUEUED, bracket=4)],
    [Proposed(3, 1.0, (0.5, 1, 0, None), EXTERNAL), Proposed(3, 2.0, (0.1, 1, 0, None)), Left(1, 1.0, "done")],
    [Goal(3, 5), Goal(3, 9), Goal(3, None)],
    [Over(3, "time is up"), Over(3, "enough", 7)],
    [Started(3, 1.0, "here", 1, "a"), Started(3, 1.0, "there", 2, "b")],
    [Ended(9, ("ann", 1), 0, "finished", 3, 0.5, 1.0), Ended(9, ("ann", 1), 0, "finished", 3, 0.4, 2.0)],
    [Claimed(9, 1.0, ("ann", 1), 1, 3), Claimed(9, 1.0, ("ann", 1), 1, 9)],
    [Reported(9, ("ann", 1), 0, 2, 0.5, {"m": 1.0}), Reported(9, ("ann", 1), 0, 2, 0.5, {"m": 2.0})],
]


@pytest.mark.parametrize("rivals", FORKS)
def test_events_with_one_number_mean_the_same_in_any_order(rivals):
    """Whichever of the events that bear one number arrives first, and whatever came before, the view is the same."""
    others: History = [
        ("ann", 1, Proposed(1, 0.0, (0.2, 1, 0, None))),
        ("cid", 1, Ended(7, ("bob", 1), 0, "finished", 3, 0.3, 1.5)),
        ("cid", 2, Claimed(8, 1.0, ("bob", 1), 1, 3)),
    ]
    seen = set()
    for order in itertools.permutations(rivals):
        for at in range(len(others) + 1):
            view = view_of(others[:at])
            for n, event in enumerate(order):
                view.apply("bob", 1, event, again=n > 0)
            for origin, seq, event in others[at:]:
                view.apply(origin, seq, event)
            records = [record.as_dict() for record in view.records()]
            info = view.workers["bob"]
            seen.add(
                repr((records, view.goal, sorted(view.called_off.items()), view.counts, view.n_external, info.started))
            )
            view.observations()
    assert len(seen) == 1


def test_the_line_of_the_budget():
    """The first N counted proposals by (lamport, worker) are within; ended ones behind it are surplus."""
    history = [*finished(0.3, 0.2, origin="bob"), *finished(0.4, 0.1, origin="ann"), ("ann", 5, Goal(9, 3))]
    view = view_of(history)
    assert [view.id(r) for r in view.beyond_line()] == [("bob", 3)]
    assert [r.status for r in view.records()] == ["finished", "finished", "finished", "surplus"]
    view.apply("bob", 5, Goal(10, None))
    assert view.beyond_line() == set()
    assert view.goal == ((10, "bob"), None)


def test_a_budget_that_was_set_without_knowing_the_others_is_only_raised():
    """The latest holds, whatever the order of arrival, but for one of a worker that had not met its peers yet."""
    goals = [
        ("ann", 1, Goal(2, 40)),
        ("bob", 1, Goal(3, 1, True)),
        ("cat", 1, Goal(4, 60, True)),
        ("dan", 1, Goal(9, 7)),
    ]

    def budget(*history: tuple[str, int, Event]) -> int | None:
        view = view_of(list(history))
        assert view.goal is not None
        return view.goal[1]

    assert budget(*goals[:2]) == budget(*goals[1::-1]) == 40
    assert budget(*goals[:3]) == budget(*goals[2::-1]) == 60
    assert budget(*goals) == budget(*goals[::-1]) == 7
    assert budget(goals[1]) == 1


def test_what_is_settled_is_what_a_smaller_budget_would_leave_out():
    """Trials that ended, within the line of the budget; those that run are cancelled rather than lost."""
    history = [*finished(0.3, 0.2, origin="bob"), *finished(0.4, 0.1, origin="ann")]
    assert view_of(history).n_settled == 4
    assert view_of([*history, ("ann", 5, Goal(9, 3))]).n_settled == 3
    assert view_of([*history, ("ann", 5, Proposed(9, 0.0, (0.5, 1, 0, None)))]).n_settled == 4


def test_lost_queued_withdrawn_and_added_trials_do_not_count():
    """The budget counts what runs, paused or ended; queued and withdrawn trials are not shown."""
    values = (0.5, 1, 0, None)
    history: History = [
        ("ann", 1, Proposed(1, 0.0, values)),
        ("ann", 2, Proposed(2, 0.0, values)),
        ("ann", 3, Proposed(3, 0.0, values, QUEUED)),
        ("ann", 4, Proposed(4, 0.0, values)),
        ("ann", 5, Proposed(5, 0.0, values, EXTERNAL)),
        ("ann", 6, Ended(6, ("ann", 5), 0, "finished", 0, 0.5)),
        ("ann", 7, Lost(7, ("ann", 2), 0)),
        ("ann", 8, Ended(8, ("ann", 4), 0, "cancelled", 0)),
    ]
    view = view_of(history)
    assert (view.n_counted, view.n_trials, view.n_observed, view.n_ended) == (1, 2, 1, 0)
    assert [r.status for r in view.records()] == ["running", "lost", "finished"]
    assert sorted(view.waiting) == [1, 2]
    assert view.observations().X.shape == (1, 4)


def test_a_retried_trial_leaves_the_budget_and_its_retry_takes_the_place():
    """The failed one is still shown, but counts no more, informs no searcher, and is withdrawn for schedulers."""
    values = (0.5, 1, 0, None)
    retry = ("bob", 1, Proposed(9, 0.0, values, QUEUED, retry_of=("ann", 1)))
    history: History = [
        ("ann", 1, Proposed(1, 0.0, values)),
        ("ann", 2, Ended(2, 1, 0, "failed", 0, error="boom")),
        ("ann", 3, Goal(3, 1)),
        ("ann", 4, Proposed(4, 0.0, (0.25, 1, 0, None))),
        ("ann", 5, Ended(5, 4, 0, "failed", 0, error="boom")),
    ]
    for order in ([*history, retry], [retry, *history]):
        view = view_of(order)
        first, other, again = (view.row(trial) for trial in (("ann", 1), ("ann", 4), ("bob", 1)))
        assert (view.n_counted, view.n_ended, view.n_retried, view.failures_of(("ann",))) == (1, 1, 1, 1)
        assert view.beyond_line() == set()  # the second one has moved into the budget
        assert [r.status for r in view.records()] == ["failed", "failed"]
        assert view.state(first).status == "cancelled"
        assert view.observations().failed.shape == (1, 4)
        assert (view.retry_of(again), view.retry_of(first)) == (("ann", 1), None)
        assert "ann-1" in view.changed(0)[0]
        assert list(view.asked_for(0)) == []  # a retry is nobody's wish
        assert view.seen(SPACE.encode_native(np.array([[0.5, 1, 0, np.nan]]))).all()
        view.apply("bob", 2, Claimed(10, 0.0, 1, 0))
        view.apply("bob", 3, Ended(11, 1, 0, "finished", 0, 0.5))
        assert view.record(again).retry_of == "ann-1"
        assert view.beyond_line() == {again}
        assert other is not None


def test_only_failed_trials_leave_the_budget():
    """A late result of the trial that is retried makes it count again; nothing is lost."""
    values = (0.5, 1, 0, None)
    view = view_of(
        [
            ("ann", 1, Proposed(1, 0.0, values)),
            ("ann", 2, Ended(8, 1, 0, "failed", 0, error="boom")),
            ("bob", 1, Proposed(9, 0.0, values, QUEUED, retry_of=("ann", 1))),
        ]
    )
    assert (view.n_counted, view.n_retried, view.succeeded) == (0, 1, False)
    view.apply("cid", 1, Ended(5, ("ann", 1), 0, "finished", 0, 0.5))
    assert (view.n_counted, view.n_retried, view.succeeded) == (1, 0, True)


def test_seen_covers_everything_ever_proposed():
    """A configuration counts as seen from its proposal on, whatever became of it."""
    view = view_of(finished(0.3, 0.2))
    X = view.observations().X
    assert view.seen(X).all()
    assert not view.seen(X + np.array([0.001, 0, 0, 0])).any()
    view.apply("ann", 5, Proposed(5, 0.0, (0.77, 2, 1, 0.5), QUEUED))
    assert view.seen(SPACE.encode_native(np.array([[0.77, 2, 1, 0.5]]))).all()


def test_both_sides_of_a_race_merge_to_the_worse_report():
    """Two reports of one step and attempt merge to the worse value in either order and mode."""
    for mode, worse in (("min", 0.9), ("max", 0.1)):
        for a, b in itertools.permutations([0.1, 0.9]):
            view = view_of(
                [
                    ("ann", 1, Proposed(1, 0.0, (0.5, 1, 0, None))),
                    ("ann", 2, Reported(2, ("ann", 1), 0, 1, a)),
                    ("ann", 3, Reported(3, ("ann", 1), 0, 1, b)),
                ],
                mode,
            )
            assert view.record(0).curve == {1: worse}
            assert view.record(0).value == worse


def test_a_trials_seconds_are_those_of_all_its_segments():
    """Whatever the order in which they are heard of; None before one has ended."""
    begin = ("ann", 1, Proposed(1, 0.0, (0.5, 1, 0, None), to_step=1))
    assert view_of([begin]).record(0).seconds is None
    ends: History = [
        ("ann", 2, Ended(5, 1, 0, "paused", 1, seconds=1.5)),
        ("bob", 1, Claimed(6, 0.0, ("ann", 1), 1, None)),
        ("bob", 2, Ended(7, ("ann", 1), 1, "finished", 9, 0.5, seconds=4.0)),
    ]
    for order in ([0, 1, 2], [1, 0, 2], [1, 2, 0]):
        assert view_of([begin, *(ends[i] for i in order)]).record(0).seconds == 5.5
    assert view_of([begin, ends[0]]).record(0).seconds == 1.5


def test_a_restart_does_not_rewrite_what_was_decided_by():
    """Of a step's reports in several attempts the first attempt's stands, in either order."""
    reports = [Reported(3, ("ann", 1), 0, 1, 0.5), Reported(9, ("ann", 1), 1, 1, 0.1)]
    for first, second in itertools.permutations(reports):
        view = view_of(
            [
                ("ann", 1, Proposed(1, 0.0, (0.5, 1, 0, None), to_step=1)),
                ("ann", 2, Ended(5, ("ann", 1), 0, "paused", 1)),
                ("ann", 3, Claimed(6, 0.0, ("ann", 1), 1, 3, True)),
                ("ann", 4, first),
                ("ann", 5, second),
            ]
        )
        assert view.record(0).curve == {1: 0.5}


def test_checkpoints_from_before_a_restart_are_of_no_use():
    """A trial that began again from scratch is never resumed from what it had saved before, in either order."""
    digest = "ab" * 32
    history: History = [
        ("ann", 1, Proposed(1, 0.0, (0.5, 1, 0, None), to_step=1)),
        ("ann", 2, Saved(3, 1, 0, 9, digest, 5)),
        ("ann", 3, Ended(5, 1, 0, "paused", 9)),
    ]
    assert view_of(history).checkpoint(0) == (9, digest, 5, "ann")
    restart: History = [("bob", 1, Claimed(6, 0.0, ("ann", 1), 1, 3, True))]
    for order in (history + restart, restart + history):
        view = view_of(order)
        assert view.checkpoint(0) is None
        assert view.trial("ann-1").checkpoints == []
        view.apply("bob", 2, Saved(7, ("ann", 1), 1, 2, digest, 5))
        assert view.checkpoint(0) == (2, digest, 5, "bob")


def test_the_value_that_a_pause_is_compared_by_is_the_last_report():
    """A trial's own last report counts, else the last one before the checkpoint of the trial that it began with."""
    values, digest = (0.5, 1, 0, None), "ab" * 32
    history: History = [
        ("ann", 1, Proposed(1, 0.0, values)),
        ("ann", 2, Reported(2, 1, 0, 5, 0.5)),
        ("ann", 3, Reported(3, 1, 0, 10, 0.1)),
        ("bob", 1, Proposed(9, 0.0, values, parent=Parent(("ann", 1), 9, digest, 5, "ann"))),
        ("cid", 1, Proposed(10, 0.0, values, parent=Parent(("bob", 1), 9, digest, 5, "ann"))),
        ("cid", 2, Proposed(11, 0.0, values, parent=Parent(("cid", 2), 9, digest, 5, "cid"))),
        ("cid", 3, Proposed(12, 0.0, values)),
    ]
    view = view_of(history)
    assert [view.last_reported(row) for row in range(5)] == [0.1, 0.5, 0.5, None, None]
    view.apply("bob", 2, Reported(20, 1, 0, 12, 0.7))
    assert [view.last_reported(row) for row in range(3)] == [0.1, 0.7, 0.5]


def points(events: list[Event], end: int | None = 9) -> list[int]:
    """The steps from which ann's trial could go on, after these events of hers or of (origin, event)."""
    view = view_of([("ann", 1, Proposed(1, 0.0, (0.5, 1, 0, None)))])
    counts = {"ann": 1}
    for event in events:
        origin, event = event if isinstance(event, tuple) else ("ann", event)
        counts[origin] = counts.get(origin, 0) + 1
        view.apply(origin, counts[origin], event)
    found = [point[0] for point in view.resume_points(0, end)]
    first = view.resume_point(0, end)
    assert ([] if first is None else [first[0]]) == found[:1]
    return found


def resumes_at(events: list[Event], end: int | None = 9) -> int | None:
    """The first of them."""
    return next(iter(points(events, end)), None)


def saved(step: int, attempt: int = 0) -> Saved:
    return Saved(step + 1, ("ann", 1), attempt, step, f"{step:064x}", 5)


def reported(step: int, value: float | None = 0.5, attempt: int = 0) -> Reported:
    return Reported(step + 1, ("ann", 1), attempt, step, value)


def test_a_trial_is_resumed_after_its_last_complete_step():
    """Saved and not reported, a step is done again, whichever of the two comes first; reported, it is not."""
    assert resumes_at([]) is None
    assert resumes_at([saved(1)]) is None
    assert resumes_at([saved(1), reported(1)]) == 1
    assert resumes_at([reported(1), saved(1)]) == 1
    assert resumes_at([saved(1), reported(1), saved(2)]) == 1
    assert resumes_at([saved(1), reported(1), saved(2), reported(2, None)]) == 1  # only another metric
    assert resumes_at([reported(1), saved(1), reported(2)]) == 1


def test_steps_that_are_never_reported_are_complete_once_a_later_one_is_heard_of():
    """An objective that reports rarely, or only returns its value, loses one step at most."""
    assert resumes_at([saved(1), saved(2), saved(3)]) == 2
    assert resumes_at([saved(1), saved(2), saved(3), reported(5)]) == 3


def test_the_last_step_of_a_segment_is_done_again():
    """What the objective does after its loop builds on it; where a segment has no end, no step is the last."""
    events = [event for step in (1, 2, 3) for event in (saved(step), reported(step))]
    assert resumes_at(events, 3) == 2
    assert resumes_at(events, 4) == resumes_at(events, None) == 3


def test_what_was_saved_in_a_segment_that_paused_is_complete():
    """The objective came to the end of its segment, so nothing of it is missing."""
    assert resumes_at([saved(3), Ended(9, 1, 0, "paused", 3)]) == 3
    assert resumes_at([saved(3), Ended(9, 1, 0, "released", 0)]) is None


def test_a_takeover_that_dies_between_checkpoint_and_report_changes_nothing():
    """What its predecessor reported for a step stands, and what nobody reported is done a third time."""
    first = [saved(1), reported(1), saved(2), Lost(9, 1, 0)]
    second = [("bob", Claimed(10, 0.0, ("ann", 1), 1)), ("bob", saved(2, 1))]
    assert resumes_at([*first, *second]) == 1
    assert resumes_at([*first, reported(2), *second]) == 2


def test_older_checkpoints_are_there_should_the_newest_be_damaged():
    """Newest first, those of steps that are complete; nothing that was saved before a restart."""
    events = [event for step in (1, 2, 3) for event in (saved(step), reported(step))]
    assert points([*events, saved(4)]) == [3, 2, 1]
    assert points(events, 3) == [2, 1]
    restarted = Claimed(20, 0.0, ("ann", 1), 1, None, restart=True)
    assert points([*events, Ended(9, 1, 0, "paused", 3), restarted, saved(1, 1), reported(1, attempt=1)]) == [1]


def test_a_child_begins_with_its_parents_checkpoint():
    """An inherited checkpoint is the child's own first one, and says where the trial comes from."""
    parent = Parent(("ann", 1), 4, "cd" * 32, 7, "ann")
    view = view_of(
        [
            ("ann", 1, Proposed(1, 0.0, (0.5, 1, 0, None))),
            ("bob", 1, Proposed(5, 0.0, (0.6, 1, 0, None), to_step=8, bracket=3, parent=parent)),
        ]
    )
    assert view.checkpoint(1) == (4, "cd" * 32, 7, "ann")
    child = view.trial("bob-1")
    assert (child.parent, child.bracket, child.to_step, child.checkpoints) == (Inherit("ann-1", 4), 3, 8, [4])
    assert view.record(1).as_dict()["parent"] == {"trial": "ann-1", "step": 4}


def test_what_changed_is_told_once():
    """changed() names each touched trial once, and only those touched since the moment given."""
    view = view_of([("ann", 1, Proposed(1, 0.0, (0.5, 1, 0, None))), ("ann", 2, Proposed(2, 0.0, (0.6, 1, 0, None)))])
    ids, moment = view.changed(0)
    assert sorted(ids) == ["ann-1", "ann-2"]
    assert view.changed(moment) == ([], moment)
    view.apply("ann", 3, Reported(3, 2, 0, 1, 0.5))
    view.apply("ann", 4, Reported(4, 2, 0, 2, 0.4))
    ids, moment = view.changed(moment)
    assert ids == ["ann-2"]
    assert view.trial("ann-2").curve == {1: 0.5, 2: 0.4}
    with pytest.raises(KeyError, match="ann-9"):
        view.trial("ann-9")


def test_curves_hold_partial_trials_and_results_at_their_last_step():
    """Paused and stopped trials are learned from, failed ones not; a complete trial's result stands at max_steps."""
    values = (0.5, 1, 0, None)
    view = view_of(
        [
            *[("ann", i, Proposed(i, 0.0, (0.1 * i, 1, 0, None))) for i in (1, 2, 3)],
            ("ann", 4, Reported(4, 1, 0, 1, 0.9)),
            ("ann", 5, Ended(5, 1, 0, "paused", 1)),
            ("ann", 6, Reported(6, 2, 0, 1, 0.8)),
            ("ann", 7, Ended(7, 2, 0, "finished", 1, 0.3)),
            ("ann", 8, Reported(8, 3, 0, 1, 0.1)),
            ("ann", 9, Ended(9, 3, 0, "failed", 1)),
            ("ann", 10, Proposed(10, 0.0, values, to_step=3)),
        ],
        max_steps=9,
    )
    o = view.observations()
    assert o.curves.trial.tolist() == [0, 1, 1]
    assert o.curves.step.tolist() == [1, 1, 9]
    assert o.curves.loss.tolist() == [0.9, 0.8, 0.3]
    assert o.pending_to.tolist() == [3]
    assert len(o.curves.X) == 2


def test_the_leader_is_complete_or_else_the_farthest():
    """Until a trial is complete the best of those that got farthest leads; a failed one never does."""
    view = view_of([("ann", i, Proposed(i, 0.0, (0.1 * i, 1, 0, None))) for i in (1, 2, 3, 4)], max_steps=9)
    assert view.leader() is None
    for seq, (ref, step, value) in enumerate([(1, 1, 0.1), (2, 3, 0.6), (3, 3, 0.5), (4, 5, 0.0)], 5):
        view.apply("ann", seq, Reported(seq, ref, 0, step, value))
    view.apply("ann", 9, Ended(9, 4, 0, "failed", 5))
    assert view.leader() == 2
    view.apply("ann", 10, Ended(10, 1, 0, "finished", 9, 0.9))
    assert view.leader() == 0


def test_workers_are_known_by_their_own_events():
    """Host, start and departure come from a worker's own log."""
    view = view_of([("ann", 1, Started(1, 5.0, "host", 42, "dir", 0)), ("ann", 2, Left(2, 6.0, "done"))])
    assert view.host_of("ann") == "host"
    assert view.host_of("bob") is None
    info = view.workers["ann"]
    assert info.started is not None
    assert info.left is not None
    assert info.left.reason == "done"


def test_records_are_json():
    """as_dict has no NaN: what is none becomes null, curves are lists of pairs."""
    view = view_of(
        [
            ("ann", 1, Proposed(1, 0.0, (0.5, 1, 0, None))),
            ("ann", 2, Reported(2, ("ann", 1), 0, 2, 0.5, {"aux": float("nan")})),
            ("ann", 3, Reported(3, ("ann", 1), 0, 1, 0.7)),
        ]
    )
    plain = view.record(0).as_dict()
    assert json.loads(json.dumps(plain, allow_nan=False)) == plain
    assert plain["metrics"] == {"aux": None, "loss": 0.5}
    assert plain["curve"] == [[1, 0.7], [2, 0.5]]
    assert plain["id"] == "ann-1"


def test_simple_trials_are_cheap():
    """A finished 10-parameter trial takes under 400 bytes of columns."""
    space = Space({f"x{i}": Float(0.0, 1.0) for i in range(10)})
    view = View(space, Objective("loss", "min"))
    n = 2000
    for i in range(n):
        t = 2 * i + 1
        view.apply("ann", t, Proposed(t, 0.0, (0.5,) * 10))
        view.apply("ann", t + 1, Ended(t + 1, ("ann", t), 0, "finished", 0, 0.5, 0.1))
    assert not any(row in view._details for row in range(n))
    columns = [v for v in vars(view).values() if hasattr(v, "itemsize")]
    assert sum(len(c) * c.itemsize for c in columns) / n < 250


def test_repr_is_a_status_line():
    """The repr says what is known at a glance."""
    assert repr(view_of(finished(0.3, 0.25))) == "<View 2 ended, 0 running, best loss 0.25>"
    assert repr(view_of([])) == "<View 0 ended, 0 running>"


def test_best_follows_the_canonical_result():
    """When an earlier-stamped result replaces the best trial's, the best is found anew."""
    view = view_of([*finished(0.3, 0.1), ("bob", 1, Ended(2, ("ann", 3), 0, "failed", 0, error="boom"))])
    assert view.best is not None
    assert view.id(view.best) == ("ann", 1)
    assert view.status(1) is Status.FAILED
    assert view.record(1).error == "boom"


@pytest.mark.parametrize("status", ["finished", "stopped", "failed"])
def test_a_space_without_columns_works(status):
    """A space of constants only has trials with empty rows."""
    space = Space(c=Constant(1))
    view = view_of([("ann", 1, Proposed(1, 0.0, ())), ("ann", 2, Ended(2, ("ann", 1), 0, status, 0, 0.5))], space=space)
    assert next(view.records()).status == status
    assert view.observations().X.shape[1] == 0


@pytest.mark.parametrize("bad", [float("nan"), float("inf"), float("-inf")])
@pytest.mark.parametrize("mode", ["min", "max"])
def test_values_that_are_not_finite_are_no_values(mode, bad):
    """A result or report without a finite value is never the best, never in y, and shown as none."""
    history: History = [
        ("bob", 1, Proposed(1, 0.0, (0.5, 1, 0, None))),
        ("bob", 2, Reported(2, ("bob", 1), 0, 1, bad)),
        ("bob", 3, Ended(3, ("bob", 1), 0, "finished", 1, bad)),
        *finished(0.5),
    ]
    view = view_of(history, mode)
    assert view.best is not None
    assert view.id(view.best) == ("ann", 1)
    assert len(view.observations().y) == 1
    assert [r.value for r in view.records()] == [0.5, None]
    json.dumps([r.as_dict() for r in view.records()], allow_nan=False)


@pytest.mark.parametrize("bad", [float("nan"), float("inf"), 10**30, -(10**30), 1 << 63])
def test_configurations_that_are_not_finite_are_no_trials(bad):
    """A proposal with a value that no parameter can take is not taken."""
    for at in range(4):
        values: list[float | int | None] = [0.5, 1, 1, 0.5]
        values[at] = bad
        assert view_of([("ann", 1, Proposed(1, 0.0, tuple(values)))]).n_rows == 0


def test_what_is_pending_and_what_was_proposed_is_read_without_the_observations():
    """Pending rows are those of the observations, the latest last; what was proposed since a moment comes once."""
    view = view_of([*finished(0.5, 0.9), ("bob", 1, Proposed(7, 7.0, (0.3, 1, 0, None)))])
    moment = view.observations().moment
    view.apply("bob", 2, Proposed(6, 6.0, (0.6, 1, 0, None)))
    pending = view.observations().pending
    assert pending[:, 0].tolist() == pytest.approx([0.6, 0.3])
    assert np.array_equal(view.pending(), pending, equal_nan=True)
    assert np.array_equal(view.pending(1), pending[1:], equal_nan=True)
    assert len(view.pending(0)) == 0
    rows, running, moment = view.proposed(moment)
    assert rows[:, 0].tolist() == pytest.approx([0.6])
    assert running.tolist() == [True]
    assert len(view.proposed(moment)[0]) == 0
    assert view.proposed(0)[1].tolist() == [False, False, True, True]


def test_results_that_come_together_take_their_places():
    """Observations made once after many results are those made after each."""
    history = [*finished(0.5, 0.9, 0.1, origin="bob"), *finished(0.2, 0.7, 0.4, origin="ann")]
    often, once = view_of(history[:2]), view_of(history[:2])
    once.observations()
    for event in history[2:]:
        often.apply(*event)
        once.apply(*event)
        often.observations()
    assert once.observations().y.tolist() == often.observations().y.tolist()
    assert np.array_equal(once.observations().X, often.observations().X, equal_nan=True)


def test_observations_that_grew_are_those_that_were_made_at_once():
    """Whenever they were asked for in between, and whatever ended, paused or failed, nothing differs in the end."""
    for seed in range(30):
        rng = random.Random(seed)
        history = interleave(rng, draw_history(rng, 80))
        view = view_of([], max_steps=3)
        for event in history:
            view.apply(*event)
            if rng.random() < 0.5:
                view.observations()
        grown, whole = view.observations(), view_of(history, max_steps=3).observations()
        for name in ("X", "y", "failed", "pending", "pending_to"):
            np.testing.assert_array_equal(getattr(grown, name), getattr(whole, name))


def test_every_metric_has_a_curve():
    """By step, of several reports of one step the last, of a restart only the steps that the first attempt did not do;
    numbers that are none stay, and JSON has null for them."""
    nan = float("nan")
    history: History = [
        ("ann", 1, Proposed(1, 1.0, (0.5, 1, 0, None))),
        ("ann", 2, Reported(2, 1, 0, 1, 0.5, {"acc": 0.1})),
        ("ann", 3, Reported(3, 1, 0, 1, 0.5, {"acc": 0.2, "grad": nan})),
        ("ann", 4, Reported(4, 1, 0, 1, 0.5, {"acc": 0.3, "grad": nan})),
        ("bob", 1, Reported(9, ("ann", 1), 1, 1, 0.7, {"acc": 0.9})),
        ("bob", 2, Reported(10, ("ann", 1), 1, 2, 0.6, {"acc": 0.8})),
    ]
    for order in (history, [*history[:1], *history[4:], *history[1:4]]):
        record = view_of(order).record(0)
        assert record.curves["acc"] == {1: 0.3, 2: 0.8}
        assert record.curves["loss"] == record.curve == {1: 0.5, 2: 0.6}
        assert record.as_dict()["curves"]["grad"] == [[1, None]]


def test_the_latest_note_of_a_name_holds():
    """Whichever arrives first; notes on a trial that is over count, too."""
    history: History = [
        *finished(0.5),
        ("ann", 3, Noted(4, 1, {"a": "1", "b": "[2]"})),
        ("bob", 1, Noted(3, ("ann", 1), {"a": "0", "c": '"x"'})),
    ]
    for order in (history, [history[3], *history[:3]]):
        assert view_of(order).record(0).notes == {"a": 1, "b": [2], "c": "x"}
