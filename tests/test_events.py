"""Tests of the codec: what is encoded comes back, and nothing that arrives can do harm."""

from __future__ import annotations

import math
import tracemalloc

import msgpack
import pytest
from event_strategies import events, frames, mutations, names
from hypothesis import example, given, settings
from hypothesis import strategies as st

from aiohpo.events import (
    FORMAT,
    MAX_FRAME,
    MAX_TEXT,
    Batch,
    Digest,
    Ended,
    Events,
    Foreign,
    Goal,
    Hello,
    Malformed,
    Ping,
    Predicted,
    Proposed,
    Refused,
    Reported,
    Saved,
    decode_events,
    decode_frame,
    encode_event,
    encode_frame,
    parse_trial,
    trial_name,
)

TAG = b"\x01\x02\x03\x04"


def packed(*fields: object) -> bytes:
    return bytes([FORMAT]) + TAG + msgpack.packb(fields)


def same(a: object, b: object) -> bool:
    """Equality under which NaN equals itself."""
    return repr(a) == repr(b)


@given(names, st.lists(events, max_size=5))
@settings(max_examples=300)
def test_events_come_back_as_they_were(origin, given_events):
    """Any run of events encodes to bytes that decode to equal events, with the offsets where each ends."""
    raws = [encode_event(origin, event) for event in given_events]
    decoded = list(decode_events(origin, b"".join(raws)))
    assert same([event for event, _ in decoded], given_events)
    assert [end for _, end in decoded] == [sum(map(len, raws[: i + 1])) for i in range(len(raws))]


@given(frames)
@settings(max_examples=300)
def test_frames_come_back_as_they_were(frame):
    """Any frame decodes to an equal one."""
    assert decode_frame(TAG, encode_frame(TAG, frame)) == frame


def test_a_trial_of_the_origin_itself_is_named_by_its_number():
    """Inside the log of its own origin a trial costs a number, not a name."""
    own = encode_event("a" * 12, Reported(1, ("a" * 12, 7), 0, 1, 0.5))
    other = encode_event("b", Reported(1, ("a" * 12, 7), 0, 1, 0.5))
    assert len(other) - len(own) >= 12
    assert b"aaaa" not in own


@given(st.binary(max_size=200))
@settings(max_examples=300)
@example(b"\xdd\xff\xff\xff\xff")
@example(b"\x91" * 2000)
@example(b"\xd6\xff\x00\x00\x00\x00")
def test_arbitrary_bytes_raise_malformed_and_nothing_else(data):
    """Whatever arrives either decodes or raises Malformed."""
    for parse in (
        lambda: decode_frame(TAG, data),
        lambda: decode_frame(TAG, bytes([FORMAT]) + TAG + data),
        lambda: list(decode_events("origin", data)),
    ):
        try:
            parse()
        except Malformed:
            pass


@given(frames.flatmap(lambda frame: mutations(encode_frame(TAG, frame))))
@settings(max_examples=500)
def test_mutated_frames_raise_malformed_and_nothing_else(data):
    """A damaged frame either decodes to something valid, which encodes again, or raises Malformed."""
    try:
        frame = decode_frame(TAG, data)
    except Malformed:
        return
    assert same(decode_frame(TAG, encode_frame(TAG, frame)), frame)


@given(events.flatmap(lambda event: mutations(encode_event("a", event))))
@settings(max_examples=500)
def test_mutated_events_raise_malformed_and_nothing_else(data):
    """Damaged events either decode to valid ones, which encode again, or raise Malformed."""
    try:
        decoded = [event for event, _ in decode_events("a", data)]
    except Malformed:
        return
    again = b"".join(encode_event("a", event) for event in decoded)
    assert same([event for event, _ in decode_events("a", again)], decoded)


@given(st.lists(events, min_size=1, max_size=3), st.data())
def test_a_blob_that_is_cut_short_is_malformed(given_events, data):
    """Events cut anywhere but between two of them raise Malformed, after those that were whole."""
    raws = [encode_event("a", event) for event in given_events]
    blob = b"".join(raws)
    ends = {sum(map(len, raws[:i])) for i in range(len(raws) + 1)}
    cut = data.draw(st.integers(1, len(blob)).filter(lambda n: n not in ends or n == len(blob)))
    if cut == len(blob):
        return
    with pytest.raises(Malformed):
        list(decode_events("a", blob[:cut]))


@pytest.mark.parametrize(
    "body",
    [
        b"\xdd\x7f\xff\xff\xff",
        b"\xdf\x7f\xff\xff\xff",
        b"\xc6\x7f\xff\xff\xff",
        b"\xdb\x7f\xff\xff\xff",
        b"\x94\x03" + b"\xdd\x7f\xff\xff\xff",
        (b"\xdd" + (60_000).to_bytes(4, "big")) * 500,
        (b"\xdd" + (8 << 20).to_bytes(4, "big")) * 500,
    ],
)
def test_length_fields_allocate_nothing_that_the_input_does_not_back(body):
    """Claimed lengths of gigabytes, also nested, cost next to no memory."""
    frame = bytes([FORMAT]) + TAG + body
    tracemalloc.start()
    try:
        with pytest.raises(Malformed):
            decode_frame(TAG, frame)
        with pytest.raises(Malformed):
            list(decode_events("a", body))
        _, peak = tracemalloc.get_traced_memory()
    finally:
        tracemalloc.stop()
    assert peak < 8 << 20


def test_nested_arrays_backed_by_a_large_frame_stay_bounded():
    """A frame large enough to back its length fields cannot multiply them by nesting."""
    size = 4 << 20
    evil = (b"\xdd" + size.to_bytes(4, "big")) * 400
    frame = (bytes([FORMAT]) + TAG + evil).ljust(size + 5, b"\0")
    tracemalloc.start()
    try:
        with pytest.raises(Malformed):
            decode_frame(TAG, frame)
        _, peak = tracemalloc.get_traced_memory()
    finally:
        tracemalloc.stop()
    assert peak < 4 * size


@pytest.mark.parametrize("size", [0, 1, 5, MAX_FRAME + 1])
def test_frames_of_impossible_size_are_malformed(size):
    """Frames that are too short to hold anything or longer than the limit are not parsed."""
    with pytest.raises(Malformed, match=f"{size} bytes"):
        decode_frame(TAG, bytes(size))


def test_another_study_or_format_is_foreign_but_introductions_are_read():
    """Frames with another tag or version are Foreign, all but hellos and refusals, which say what is wrong."""
    other = b"\xff\xff\xff\xff"
    hello = Hello(FORMAT, "abcd", "w", 0, "addr", "addr", True)
    assert decode_frame(TAG, encode_frame(other, hello)) == hello
    assert decode_frame(TAG, encode_frame(other, Refused("no"))) == Refused("no")
    with pytest.raises(Foreign):
        decode_frame(TAG, encode_frame(other, Ping(1.0)))
    with pytest.raises(Foreign):
        decode_frame(TAG, bytes([FORMAT + 1]) + encode_frame(TAG, Ping(1.0))[1:])
    with pytest.raises(Foreign):
        decode_frame(TAG, bytes([FORMAT]) + other + b"\xc1\xc1")


def test_what_is_not_finite_is_refused_where_it_would_do_harm():
    """The metric's value and a configuration must be finite; other metrics may be NaN."""
    for bad in (math.nan, math.inf):
        with pytest.raises(Malformed):
            list(decode_events("a", msgpack.packb([6, 1, 1, 0, 1, bad, None])))
        with pytest.raises(Malformed):
            list(decode_events("a", msgpack.packb([4, 1, 0.0, [bad], 0, None])))
        [(event, _)] = decode_events("a", msgpack.packb([6, 1, 1, 0, 1, 0.5, {"aux": bad}]))
        assert same(event.extra, {"aux": bad})


@pytest.mark.parametrize(
    "fields",
    [
        [3, 1],
        [3, 1, 2, 3],
        [3, True, 5],
        [3, -1, 5],
        [3, 1 << 60, 5],
        [3, 1, "5"],
        [99, 1],
        ["3", 1, 5],
        [6, 1, 0, 0, 1, 0.5, None],
        [6, 1, ["w", 1, 2], 0, 1, 0.5, None],
        [6, 1, ["", 1], 0, 1, 0.5, None],
        [9, 1, 1, 0, 6, 0, None, 0.0, None, None, None],
        [9, 1, 1, 0, 0, 0, None, 0.0, None, "x" * (MAX_TEXT + 1), None],
        [4, 1, 0.0, ["text"], 0, None],
        [4, 1, 0.0, [1.0], 3, None],
        [6, 1, 1, 0, 1, 0.5, {str(i): 0.0 for i in range(1001)}],
    ],
)
def test_fields_of_the_wrong_type_or_range_are_malformed(fields):
    """Each field is checked for type, range and size."""
    with pytest.raises(Malformed):
        list(decode_events("a", msgpack.packb(fields)))


@pytest.mark.parametrize("name", ["", "a" * 65, "../up", "/etc/x", "a b", "a\nb", "a\0", "é"])
def test_names_are_safe_as_file_names(name):
    """Workers and digests, which become parts of paths, are refused with separators, blanks or control characters."""
    with pytest.raises(Malformed):
        decode_frame(TAG, encode_frame(TAG, Events((Batch(name, 1, 1, b""),))))
    with pytest.raises(Malformed):
        list(decode_events("a", encode_event("a", Saved(1, ("a", 1), 0, 1, name, 1))))
    with pytest.raises(Malformed):
        list(decode_events("a", encode_event("a", Predicted(1, ("a", 1), 0, {"valid": name}))))


def test_equal_bytes_decode_once_for_all_workers_of_a_process():
    """Small frames are parsed once and shared: peers in one process receive the very same bytes."""
    data = encode_frame(TAG, Digest(b"12345678", b"abcdefgh"))
    assert decode_frame(TAG, data) is decode_frame(TAG, data)


def test_trial_names_go_both_ways():
    """A public trial id names its event; anything else is a ValueError that says so."""
    assert parse_trial(trial_name(("a-b", 12))) == ("a-b", 12)
    for bad in ("", "12", "-12", "a-", "a-x"):
        with pytest.raises(ValueError):  # noqa: PT011  # int()'s own message is as good
            parse_trial(bad)


def test_events_are_small():
    """A 10-parameter proposal and its result take under 130 and 40 bytes."""
    proposal = Proposed(100_000, 1.7e9, tuple(0.1 * i for i in range(10)))
    result = Ended(100_001, ("a" * 12, 50_000), 0, "finished", 0, 0.123, 1.5)
    assert len(encode_event("a" * 12, proposal)) < 130
    assert len(encode_event("a" * 12, result)) < 40
    assert len(encode_event("a" * 12, Goal(1, 100))) < 8
