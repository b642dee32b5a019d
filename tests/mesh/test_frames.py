"""Tests of the wire's codec: what is sent comes back, and nothing that arrives can do harm."""

from __future__ import annotations

import math
import tracemalloc

import msgspec
import pytest
from hypothesis import example, given, settings
from hypothesis import strategies as st

from aiohpo.events.schema import MAX_EVENT, Batch, Malformed
from aiohpo.mesh.frames import (
    FORMAT,
    MAX_EVENTS,
    MAX_FRAME,
    Digest,
    Events,
    Foreign,
    Hello,
    Inquire,
    MemberNews,
    Ping,
    Pong,
    Refused,
    Vector,
    decode_frame,
    encode_frame,
    pages_of_events,
    pages_of_news,
)
from tests.support.event_strategies import frames, mutations

TAG = b"\x01\x02\x03\x04"
HEAD = bytes([FORMAT]) + TAG


@given(frames)
@settings(max_examples=150)
def test_frames_come_back_as_they_were(frame):
    """Any frame decodes to an equal one."""
    assert decode_frame(TAG, encode_frame(TAG, frame)) == frame


@given(st.binary(max_size=200))
@settings(max_examples=150)
@example(b"\xdd\xff\xff\xff\xff")
@example(b"\x91" * 5000)
def test_arbitrary_bytes_raise_malformed_and_nothing_else(data):
    """Whatever arrives either decodes or raises Malformed."""
    for frame in (data, HEAD + data):
        try:
            decode_frame(TAG, frame)
        except Malformed:
            pass


@given(frames.flatmap(lambda frame: mutations(encode_frame(TAG, frame))))
@settings(max_examples=150)
def test_mutated_frames_raise_malformed_and_nothing_else(data):
    """A damaged frame either decodes to something valid, which encodes again, or raises Malformed."""
    try:
        frame = decode_frame(TAG, data)
    except Malformed:
        return
    assert repr(decode_frame(TAG, encode_frame(TAG, frame))) == repr(frame)


@pytest.mark.parametrize(
    "body",
    [
        b"\xdd\x7f\xff\xff\xff",
        b"\xdf\x7f\xff\xff\xff",
        b"\xc6\x7f\xff\xff\xff",
        b"\xdb\x7f\xff\xff\xff",
        b"\x94\x03\xdd\x7f\xff\xff\xff",
        b"\x94\x03\x91\x93\xa1a\x01\xdd\x7f\xff\xff\xff",
        b"\x94\x05\xdf\x7f\xff\xff\xff",
        (b"\xdd" + (8 << 20).to_bytes(4, "big")) * 500,
        b"\x94\x03" + (b"\xdd" + (1 << 20).to_bytes(4, "big")) * 500,
    ],
)
def test_length_fields_allocate_nothing_that_the_input_does_not_back(body):
    """Claimed lengths of gigabytes, also nested, cost next to no memory."""
    tracemalloc.start()
    try:
        with pytest.raises(Malformed):
            decode_frame(TAG, HEAD + body)
        _, peak = tracemalloc.get_traced_memory()
    finally:
        tracemalloc.stop()
    assert peak < 8 << 20


def test_nested_arrays_backed_by_a_large_frame_stay_bounded():
    """A frame large enough to back its length fields cannot multiply them by nesting."""
    size = 4 << 20
    frame = (HEAD + b"\x94\x03" + (b"\xdd" + size.to_bytes(4, "big")) * 400).ljust(size + 5, b"\0")
    tracemalloc.start()
    try:
        with pytest.raises(Malformed):
            decode_frame(TAG, frame)
        _, peak = tracemalloc.get_traced_memory()
    finally:
        tracemalloc.stop()
    assert peak < 40 * size


@pytest.mark.parametrize("size", [0, 1, 5, MAX_FRAME + 1])
def test_frames_of_impossible_size_are_malformed(size):
    """Frames that are too short to hold anything or longer than the limit are not parsed."""
    with pytest.raises(Malformed, match=f"{size} bytes"):
        decode_frame(TAG, bytes(size))


def test_another_study_or_format_is_foreign_but_introductions_are_read():
    """Frames with another tag or version are Foreign, all but those that let both sides say what is wrong."""
    other = b"\xff\xff\xff\xff"
    for frame in (Hello(FORMAT, "abcd", "w", 0, "addr", "addr", True), Refused("no"), Inquire()):
        assert decode_frame(TAG, encode_frame(other, frame)) == frame
    with pytest.raises(Foreign):
        decode_frame(TAG, encode_frame(other, Ping(1.0)))
    with pytest.raises(Foreign):
        decode_frame(TAG, bytes([FORMAT + 1]) + encode_frame(TAG, Ping(1.0))[1:])
    with pytest.raises(Foreign):
        decode_frame(TAG, bytes([FORMAT]) + other + b"\xc1\xc1")


@pytest.mark.parametrize("name", ["", "a" * 65, "../up", "a b", "a\n"])
def test_names_are_checked_wherever_they_occur(name):
    """No frame brings in a worker whose name could not be a file's."""
    for frame in (Events((Batch(name, 1, ()),)), Vector({name: 1}, False, False)):
        with pytest.raises(Malformed):
            decode_frame(TAG, encode_frame(TAG, frame))


@given(st.lists(st.tuples(st.sampled_from("abc"), st.integers(0, 30), st.integers(0, 60_000)), max_size=8))
@settings(max_examples=50)
def test_pages_of_events_are_bounded_and_lose_nothing(given_batches):
    """Whatever is to be sent is cut into frames of bounded size, in order."""
    batches = [Batch(origin, 1, (bytes(size),) * count) for origin, count, size in given_batches]
    pages = list(pages_of_events(batches, 100_000))
    for page in pages:
        assert sum(batch.size for batch in page) <= 100_000
    whole = [raw for batch in batches for raw in batch.raws]
    assert [raw for page in pages for batch in page for raw in batch.raws] == whole


def test_pages_of_events_are_read_by_receivers():
    """Very many very small events, and events as large as they may be, travel in frames that are not refused."""
    batches = [Batch("a", 1, (b"x",) * 100_000), Batch("b", 1, (bytes(MAX_EVENT),) * 300)]
    batches += [Batch(f"w{n}", 1, (b"x",)) for n in range(2000)]
    pages = list(pages_of_events(batches))
    assert sum(len(batch.raws) for page in pages for batch in page) == 102_300
    for page in pages:
        assert sum(len(batch.raws) for batch in page) <= MAX_EVENTS
        data = encode_frame(TAG, Events(page))
        assert len(data) < 2 << 20
        assert decode_frame(TAG, data) == Events(page)


def test_pages_of_members_are_bounded():
    """A table of any size is sent in frames of about a megabyte."""
    news = [MemberNews(f"w{n}", "é" * 512, 0, 1, "z") for n in range(5000)]
    pages = list(pages_of_news(news))
    assert [each for page in pages for each in page.news] == news
    assert all(len(encode_frame(TAG, page)) < 2 << 20 for page in pages)
    assert len(pages) > 4
    assert list(pages_of_news([])) == []


@pytest.mark.parametrize("nonce", [math.nan, math.inf, -math.inf, 1e300])
def test_clocks_that_are_none_are_malformed(nonce):
    """A ping's clock must be one with which something can be measured."""
    for frame in (Ping(nonce), Pong(nonce)):
        with pytest.raises(Malformed):
            decode_frame(TAG, encode_frame(TAG, frame))


def test_equal_bytes_decode_once_for_all_workers_of_a_process():
    """Small frames are parsed once and shared: peers in one process receive the very same bytes."""
    data = encode_frame(TAG, Digest(b"12345678", b"abcdefgh"))
    assert decode_frame(TAG, data) is decode_frame(TAG, data)


def test_frames_are_immutable():
    """What is shared cannot be changed by one of those who share it."""
    frame = decode_frame(TAG, encode_frame(TAG, Ping(1.0)))
    with pytest.raises(AttributeError):
        frame.nonce = 2.0
    assert msgspec.msgpack.decode(encode_frame(TAG, frame)[5:]) == [7, 1.0]
