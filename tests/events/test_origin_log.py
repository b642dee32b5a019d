"""Tests of one worker's log: chunks, slices, hashes, and numbers that two events bear."""

from __future__ import annotations

import pytest

from aiohpo.events.codec import encode_event
from aiohpo.events.origin_log import BLOCK_EVENTS, CHUNK_BYTES, CHUNK_EVENTS, OriginLog
from aiohpo.events.schema import MAX_EVENT, Batch, Goal


def raws_of(count: int, first: int = 1) -> tuple[bytes, ...]:
    return tuple(encode_event(Goal(n, n)) for n in range(first, first + count))


def log_of(*parts: tuple[bytes, ...]) -> OriginLog:
    log = OriginLog()
    for part in parts:
        log.append(part)
    return log


@pytest.mark.parametrize("count", [1, CHUNK_EVENTS - 1, CHUNK_EVENTS, CHUNK_EVENTS + 1, 3 * CHUNK_EVENTS + 7])
def test_slices_start_and_end_where_they_say(count):
    """Any slice of a log holds exactly the events it claims, at least one, whatever chunks they are kept in."""
    log = OriginLog()
    raws = raws_of(count)
    log.append(raws[: count // 2])
    for i in range(count // 2, count, 5):
        log.append(raws[i : i + 5])
    for first in {1, count // 2 + 1, count, min(CHUNK_EVENTS, count), min(CHUNK_EVENTS + 1, count)}:
        for most in (1, 100, 1 << 30):
            part = log.slice(first, most)
            assert 1 <= len(part) <= max(1, most) + CHUNK_EVENTS
            assert part == raws[first - 1 : first - 1 + len(part)]


def test_slices_hold_what_fits():
    """However large the events are, a slice holds what most_bytes allow, and at least one event."""
    log = OriginLog()
    raws = tuple(bytes([n]) * (1 + 3000 * (n % 7)) for n in range(250))
    log.append(raws[:90])
    log.append(raws[90:])
    for most in (1, 5_000, 50_000, 1 << 20):
        got: tuple[bytes, ...] = ()
        while len(got) < len(raws):
            part = log.slice(len(got) + 1, most)
            assert len(part) == 1 or sum(map(len, part)) <= most
            assert part
            got += part
        assert got == raws


def test_large_events_fill_chunks_by_bytes():
    """No chunk of packed events is much longer than CHUNK_BYTES, as large as events may be."""
    log = OriginLog()
    log.append((bytes(MAX_EVENT),) * 50)
    assert max(map(len, log._chunks)) < CHUNK_BYTES + MAX_EVENT
    assert len(log._tail) == 0
    assert log.slice(50, 1) == (bytes(MAX_EVENT),)


@pytest.mark.parametrize(("first", "last"), [(1, 1), (100, 300), (128, 129), (700, 700), (1, 700), (690, 700)])
def test_what_is_between_two_numbers(first, last):
    """Any part of a log is found, whether it is packed or not."""
    raws = raws_of(700)
    assert log_of(raws[:650], raws[650:]).between(first, last) == raws[first - 1 : last]


def test_hashes_follow_from_the_events_alone():
    """Logs hash alike however they were cut into batches and whenever they were asked; any other event shows."""
    raws = raws_of(3000)
    whole, grown = log_of(raws), OriginLog()
    for at in range(0, 3000, 70):
        grown.append(raws[at : at + 70])
        grown.hash()
    assert whole.hash() == grown.hash()
    assert whole.block_hashes() == grown.block_hashes()
    assert len(whole.block_hashes()) == -(-3000 // BLOCK_EVENTS)
    other = log_of((*raws[:1999], encode_event(Goal(2000, 1)), *raws[2000:]))
    assert other.hash() != whole.hash()
    differ = [i for i, (a, b) in enumerate(zip(other.block_hashes(), whole.block_hashes(), strict=True)) if a != b]
    assert differ == [1]


@pytest.mark.parametrize("number", [5, 131, 699])
def test_events_with_one_number_are_kept_in_an_order_of_their_own(number):
    """Whichever came first, the earliest by its stamp stands in line, and hashes agree."""
    raws = raws_of(700)
    rivals = [encode_event(Goal(number, 9000)), encode_event(Goal(number - 1, 1)), encode_event(Goal(number + 1, 1))]
    logs = []
    for order in ([0, 1, 2], [2, 1, 0], [1, 2, 0]):
        log = log_of(raws)
        log.hash()
        for i in order:
            log.add_other(number, rivals[i])
        logs.append(log)
    assert len({log.hash() for log in logs}) == 1
    assert len({tuple(log.block_hashes()) for log in logs}) == 1
    assert logs[0].all_of(number)[0] == rivals[1]
    assert logs[0].between(number - 1, number + 1) == (raws[number - 2], rivals[1], raws[number])
    assert list(logs[0].differs(Batch("a", number, (raws[number - 1],)))) == []
    assert list(logs[0].differs(Batch("a", number + 1, (b"x",)))) == [(number + 1, b"x")]
