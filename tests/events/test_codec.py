"""Tests of the codec of events: what is encoded comes back, and nothing that is read can do harm."""

from __future__ import annotations

import gc
import math

import msgspec
import pytest
from hypothesis import example, given, settings
from hypothesis import strategies as st

from aiohpo.events.codec import (
    decode_batch,
    encode_checked,
    encode_event,
    pack_batch,
    pack_raws,
    unpack_batch,
    unpack_raws,
)
from aiohpo.events.schema import (
    MAX_ATTEMPT,
    MAX_BRACKET,
    MAX_EVENT,
    MAX_NUMBER,
    MAX_TEXT,
    Batch,
    Ended,
    Goal,
    Malformed,
    Predicted,
    Proposed,
    Reported,
    Saved,
    Unknown,
    Unrecordable,
)
from tests.support.event_strategies import batches, events, mutations

NO_TIMES = (math.nan, math.inf, -math.inf, 1e308, -5.0, 1e11 * (1 + 1e-9))


def same(a: object, b: object) -> bool:
    """Equality under which NaN equals itself."""
    return repr(a) == repr(b)


def decode(*raws: bytes) -> list:
    return decode_batch(Batch("a", 1, raws))


@given(st.lists(events, max_size=40))
@settings(max_examples=150)
def test_events_come_back_as_they_were(given_events):
    """Any run of events encodes to bytes that decode to equal events."""
    assert same(decode(*map(encode_event, given_events)), given_events)


@given(batches)
def test_batches_come_back_as_they_were(batch):
    """A batch's journal form decodes to an equal batch, and so do events packed for memory."""
    assert unpack_batch(pack_batch(batch)) == batch
    assert unpack_raws(pack_raws(batch.raws)) == batch.raws
    assert batch.last == batch.first + len(batch.raws) - 1
    assert batch.size == sum(map(len, batch.raws))


def test_a_trial_of_the_origin_itself_takes_less_room():
    """In the log of a trial's own proposer the trial is named by its number alone."""
    own, other = (encode_event(Reported(1, ref, 0, 1, 0.5)) for ref in (7, ("a" * 12, 7)))
    assert len(other) - len(own) >= 12


@given(st.binary(max_size=200))
@settings(max_examples=150)
@example(b"\xdd\xff\xff\xff\xff")
@example(b"\x91" * 5000)
@example(b"\xd6\xff\x00\x00\x00\x00")
@example(b"\x93\x03\xcf\xff\xff\xff\xff\xff\xff\xff\xff\x01")
def test_arbitrary_bytes_raise_malformed_and_nothing_else(data):
    """Whatever is read either decodes or raises Malformed."""
    for parse in (lambda: decode(data), lambda: unpack_batch(data)):
        try:
            parse()
        except Malformed:
            pass


@given(events.flatmap(lambda event: mutations(encode_event(event))))
@settings(max_examples=150)
def test_mutated_events_raise_malformed_and_nothing_else(data):
    """A damaged event either decodes to a valid one, which encodes again, or raises Malformed."""
    try:
        [event] = decode(data)
    except Malformed:
        return
    if isinstance(event, Unknown):  # the damage made it another kind
        return
    assert same(decode(encode_event(event)), [event])


@given(events, st.data())
def test_events_that_are_cut_short_or_run_on_are_malformed(event, data):
    """Bytes missing at an event's end, or following it, are an error."""
    raw = encode_event(event)
    cut = data.draw(st.integers(0, len(raw) - 1))
    with pytest.raises(Malformed):
        decode(raw[:cut])
    with pytest.raises(Malformed):
        decode(raw + b"\x00")


@pytest.mark.parametrize(
    "fields",
    [
        [3],
        [3, True, 5],
        [3, -1, 5],
        [3, 1 << 60, 5],
        [3, 1, "5"],
        [99],
        [99, -1],
        [99, True, 5],
        [-1, 1],
        ["3", 1, 5],
        [6, 1, ["w", 1, 2], 0, 1, 0.5, None],
        [6, 1, ["", 1], 0, 1, 0.5, None],
        [6, 1, ["w", 0], 0, 1, 0.5, None],
        [9, 1, 1, 0, "exploded", 0, None, 0.0, None, None, None],
        [9, 1, 1, 0, "failed", 0, None, 0.0, None, "x" * (MAX_TEXT + 1), None],
        [4, 1, 0.0, ["text"], 0, None],
        [4, 1, 0.0, [1.0], 3, None],
        [6, 1, 1, 0, 1, 0.5, {str(i): 0.0 for i in range(1001)}],
        [6, 1, 1, 0, 1 << 60, 0.5, None],
        [6, 1, 1, MAX_ATTEMPT + 1, 1, 0.5, None],
        [6, 1, ["w", MAX_NUMBER + 1], 0, 1, 0.5, None],
        [4, 1, 0.0, [0.5], 0, None, MAX_BRACKET + 1],
        *([1, 1, time, "host", 1, "journal"] for time in NO_TIMES),
        *([2, 1, time, "done"] for time in NO_TIMES),
        *([4, 1, time, [0.5]] for time in NO_TIMES),
        *([5, 1, time, 1, 0] for time in NO_TIMES),
        *([9, 1, 1, 0, "paused", 0, None, seconds] for seconds in NO_TIMES),
        [9, 1, 1, 0, "failed", 0, None, 0.0, {f"{i:04}{'m' * 200}": 0.0 for i in range(1000)}],
    ],
)
def test_fields_of_the_wrong_type_or_range_are_malformed(fields):
    """Each field is checked for type, range and size."""
    with pytest.raises(Malformed):
        decode(msgspec.msgpack.encode(fields))


@pytest.mark.parametrize("rest", [[], [None], ["text", {"a": [1, 2.5]}], [b"\xff" * 1000]])
def test_a_kind_that_is_not_known_is_skipped(rest):
    """An event of a later version decodes to its kind and time, whatever follows them, and spoils no other."""
    raw = msgspec.msgpack.encode([99, 7, *rest])
    assert decode(encode_event(Goal(1, 5)), raw, encode_event(Goal(2, 6))) == [Goal(1, 5), Unknown(99, 7), Goal(2, 6)]
    with pytest.raises(Malformed):
        decode(raw, encode_event(Goal(2, 6))[:-1])
    with pytest.raises(Malformed):
        decode(raw + b"\x00")


@pytest.mark.parametrize("name", ["", "a" * 65, "../up", "/etc/x", "a b", "a\nb", "a\n", "a\0", "é"])
def test_names_are_safe_as_file_names(name):
    """Workers and digests, which become parts of paths, are refused with separators, blanks or control characters."""
    with pytest.raises(Malformed):
        unpack_batch(msgspec.msgpack.encode([name, 1, [b""]]))
    with pytest.raises(Malformed):
        decode(encode_event(Reported(1, (name, 1), 0, 1, 0.5)))
    with pytest.raises(Malformed):
        decode(encode_event(Saved(1, 1, 0, 1, name, 1)))
    with pytest.raises(Malformed):
        decode(encode_event(Predicted(1, 1, 0, {"valid": name})))


@pytest.mark.parametrize("count", [1, 40])
def test_an_event_has_a_greatest_size(count):
    """Bytes beyond it are malformed whatever they hold, also those of a kind that is not known."""
    largest = msgspec.msgpack.encode([99, 7, bytes(MAX_EVENT - 8)])
    assert len(largest) == MAX_EVENT
    assert decode(*[largest] * count) == [Unknown(99, 7)] * count
    for raw in (msgspec.msgpack.encode([99, 7, bytes(MAX_EVENT - 7)]), encode_event(Proposed(1, 0.0, (0.5,) * 20_000))):
        with pytest.raises(Malformed, match="an event of"):
            decode(*[largest] * (count - 1), raw)


def test_what_is_recorded_can_be_read_again():
    """An event that others would drop is refused when it is written, with what is wrong with it and what helps."""
    assert decode(encode_checked(Goal(1, 5))) == [Goal(1, 5)]
    named = {f"{i:04}{'m' * 250}": 1.0 for i in range(1000)}
    with pytest.raises(Unrecordable, match=r"\(Reported\) of 26\d{4} bytes: it may have 131072; report fewer metrics"):
        encode_checked(Reported(1, 1, 0, 1, 0.5, named))
    with pytest.raises(Unrecordable, match=r"\(Ended\) with a value out of range: .*seconds|\[8\]|\$"):
        encode_checked(Ended(1, 1, 0, "finished", 1, 0.5, -1.0))
    with pytest.raises(Unrecordable, match="invalid text"):
        encode_checked(Reported(1, 1, 0, 1, 0.5, {"\ud800": 1.0}))


def test_events_are_small():
    """A 10-parameter proposal and its result take under 130 and 45 bytes."""
    proposal = Proposed(100_000, 1.7e9, tuple(0.1 * i for i in range(10)))
    result = Ended(100_001, 50_000, 0, "finished", 0, 0.123, 1.5)
    assert len(encode_event(proposal)) < 130
    assert len(encode_event(result)) < 45
    assert len(encode_event(Goal(1, 100))) < 8


def test_the_decoders_survive_garbage_collection():
    """The schema avoids what crashes msgspec in the collector: a bounded int in a union with a tuple."""
    gc.collect()
    assert decode(encode_event(Goal(1, 2))) == [Goal(1, 2)]


def test_nan_is_kept_where_it_is_somebodys_information():
    """Metrics besides the objective's may be NaN or infinite."""
    [event] = decode(encode_event(Reported(1, 1, 0, 1, 0.5, {"aux": math.nan, "other": math.inf})))
    assert same(event.extra, {"aux": math.nan, "other": math.inf})
