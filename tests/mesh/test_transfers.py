"""Tests of fetching blobs from peers."""

from __future__ import annotations

import asyncio
import hashlib
import math
from collections.abc import Callable
from pathlib import Path

import pytest

from aiohpo import Float, Space, Study, Worker
from aiohpo.keys import StudyKey
from aiohpo.mesh.effects import Effect, Fetched, Milestone, Send, Serve, Store
from aiohpo.mesh.frames import Chunk, Want
from aiohpo.mesh.timing import FETCH_AT_LEAST, HOLDER_SILENT
from aiohpo.mesh.transfers import CHUNK_BYTES, LEAST_RATE, MOST_BYTES, Transfers
from aiohpo.storage.blob_store import DirectoryBlobs

DATA = bytes(range(256)) * 2000  # eight chunks
DIGEST = hashlib.sha256(DATA).hexdigest()
FALSE = bytes(len(DATA))


def serve(want: Want, data: bytes | None = DATA) -> Chunk:
    if data is None:
        return Chunk(want.digest, want.offset, None, b"")
    return Chunk(want.digest, want.offset, len(data), data[want.offset : want.offset + CHUNK_BYTES])


def drive(
    transfers: Transfers, effects: list[Effect], answer: Callable[[str, Want], Chunk | None]
) -> tuple[bytes, list[Fetched], list[tuple[str, int]]]:
    """Answer every question; return what was stored, how it ended, and who was asked for what."""
    stored, ends, asked, now = bytearray(), [], [], 0.0
    while effects or transfers.open:
        for effect in effects:
            match effect:
                case Send(peer, Want() as want):
                    asked.append((peer, want.offset))
                case Store(_, offset, data):
                    stored[offset:] = data
                case Fetched():
                    ends.append(effect)
        if any(end.complete for end in ends):
            return bytes(stored), ends, asked
        todo = [(e.peer, e.frame) for e in effects if isinstance(e, Send) and isinstance(e.frame, Want)]
        effects = []
        for peer, want in todo:
            chunk = answer(peer, want)
            if chunk is not None:
                effects += transfers.on_chunk(now, peer, chunk)
        if not effects:
            now += HOLDER_SILENT
            effects = transfers.tick(now)
    return bytes(stored), ends, asked


def test_a_blob_arrives_in_order_and_whole() -> None:
    """All parts are asked from the first holder, a few at a time, and written in order."""
    transfers = Transfers()
    stored, ends, asked = drive(
        transfers, transfers.begin(0.0, DIGEST, ["a", "b"], len(DATA)), lambda peer, want: serve(want)
    )
    assert stored == DATA
    assert ends == [Fetched(DIGEST, complete=True)]
    assert asked == [("a", offset) for offset in range(0, len(DATA), CHUNK_BYTES)]
    transfers.verified(0.0, DIGEST, ok=True)
    assert not transfers.open


def test_another_holder_goes_on_where_the_first_one_died() -> None:
    """What was received before the holder fell silent is not asked for again."""

    def answer(peer: str, want: Want) -> Chunk | None:
        return None if peer == "a" and want.offset >= 3 * CHUNK_BYTES else serve(want)

    transfers = Transfers()
    stored, _, asked = drive(transfers, transfers.begin(0.0, DIGEST, ["a", "b"], len(DATA)), answer)
    assert stored == DATA
    assert min(offset for peer, offset in asked if peer == "b") == 3 * CHUNK_BYTES


@pytest.mark.parametrize("silent", [True, False])
def test_a_blob_that_nobody_has_is_given_up(silent: bool) -> None:
    """When all holders said no, or stayed silent, the fetch ends incomplete after a bounded time."""
    transfers = Transfers()
    effects = transfers.begin(0.0, DIGEST, ["a", "b", "c"], None)
    _, ends, asked = drive(transfers, effects, lambda peer, want: None if silent else serve(want, None))
    assert ends == [Fetched(DIGEST, complete=False)]
    assert {peer for peer, _ in asked} == {"a", "b", "c"}
    assert transfers.begin(0.0, DIGEST, [], None) == [Fetched(DIGEST, complete=False)]


def test_wrong_bytes_are_fetched_again_from_somebody_else() -> None:
    """A blob that does not match its name is thrown away and asked for elsewhere, from the beginning."""
    transfers = Transfers()
    drive(transfers, transfers.begin(0.0, DIGEST, ["liar", "b"], len(DATA)), lambda peer, want: serve(want, FALSE))
    stored, _, asked = drive(transfers, transfers.verified(0.0, DIGEST, ok=False), lambda peer, want: serve(want))
    assert stored == DATA
    assert asked[0] == ("b", 0)


@pytest.mark.parametrize("size", [len(DATA), None])
@pytest.mark.parametrize("false", [b"", b"x", FALSE[:-1], FALSE + b"x", FALSE * 50])
def test_a_holder_that_has_something_else_is_passed_over(size: int | None, false: bytes) -> None:
    """Bytes of another length than was announced are not even stored; where nothing was, the hash tells in the end."""
    transfers = Transfers()

    def answer(peer: str, want: Want) -> Chunk:
        return serve(want, false if peer == "liar" else DATA)

    stored, ends, _ = drive(transfers, transfers.begin(0.0, DIGEST, ["liar", "b"], size), answer)
    if size is None:
        assert stored == false
        stored, ends, _ = drive(transfers, transfers.verified(0.0, DIGEST, ok=False), answer)
    assert stored == DATA
    assert ends == [Fetched(DIGEST, complete=True)]


def test_no_holder_fills_the_disk() -> None:
    """A blob of unknown size is refused where it has more than a gigabyte."""
    transfers = Transfers()
    transfers.begin(0.0, DIGEST, ["a"], None)
    chunk = Chunk(DIGEST, 0, MOST_BYTES + 1, bytes(CHUNK_BYTES))
    assert transfers.on_chunk(0.0, "a", chunk) == [Fetched(DIGEST, complete=False)]


def test_a_holder_cannot_answer_little_by_little() -> None:
    """A part that is shorter than it was asked for, without being the last, is the end of asking this holder."""
    transfers = Transfers()
    transfers.begin(0.0, DIGEST, ["drips", "b"], len(DATA))
    effects = transfers.on_chunk(0.0, "drips", Chunk(DIGEST, 0, len(DATA), DATA[:1]))
    assert effects == [Send("b", Want(DIGEST, 0))]


def test_a_slow_fetch_has_a_deadline() -> None:
    """However steadily a holder answers, what takes much longer than its size explains is given up."""
    transfers, now = Transfers(), 0.0
    effects = transfers.begin(now, DIGEST, ["slow"], 100 << 20)
    data = bytes(CHUNK_BYTES)
    while not any(isinstance(effect, Fetched) for effect in effects):
        offset = transfers.open[DIGEST].received
        now = min(now + 1.9, transfers.next_deadline())
        effects = transfers.on_chunk(now, "slow", Chunk(DIGEST, offset, 100 << 20, data)) + transfers.tick(now)
    assert effects[-1] == Fetched(DIGEST, complete=False)
    assert now == pytest.approx(FETCH_AT_LEAST + (100 << 20) / LEAST_RATE)
    assert not transfers.open


def test_holders_that_disagree_about_a_size_do_not_mix() -> None:
    """Where the next holder names another size, all is asked of it from the beginning."""

    def answer(peer: str, want: Want) -> Chunk | None:
        if peer == "b":
            return serve(want)
        return serve(want, FALSE * 2) if want.offset < 9 * CHUNK_BYTES else None

    transfers = Transfers()
    stored, ends, _ = drive(transfers, transfers.begin(0.0, DIGEST, ["liar", "b"], None), answer)
    assert (stored, ends) == (DATA, [Fetched(DIGEST, complete=True)])


def test_what_is_being_verified_is_not_asked_for() -> None:
    """A fetch that is complete waits for its verification as long as that takes."""
    transfers = Transfers()
    drive(transfers, transfers.begin(0.0, DIGEST, ["a"], len(DATA)), lambda peer, want: serve(want))
    assert transfers.next_deadline() == math.inf
    assert transfers.tick(1e6) == []
    assert list(transfers.open) == [DIGEST]


def test_what_was_not_asked_for_is_dropped() -> None:
    """Chunks of other blobs, from other peers or out of turn change nothing."""
    transfers = Transfers()
    transfers.begin(0.0, DIGEST, ["a"], len(DATA))
    for peer, chunk in (
        ("b", serve(Want(DIGEST, 0))),
        ("a", serve(Want(DIGEST, CHUNK_BYTES))),
        ("a", Chunk("0" * 64, 0, 5, b"other")),
    ):
        assert transfers.on_chunk(0.0, peer, chunk) == []
    assert transfers.answer("a", Want(DIGEST, 7)) == [Serve("a", DIGEST, 7, CHUNK_BYTES)]


async def test_a_blob_crosses_real_sockets(tmp_path: Path) -> None:
    """A worker fetches a blob of a megabyte from a peer in another directory, and verifies it."""

    async def wait(trial: object) -> float:
        await asyncio.sleep(0.05)
        return 1.0

    def study(name: str) -> Study:
        return Study(wait, Space(x=Float(0, 1)), searcher="random", directory=tmp_path / name)

    data, key = DATA * 2, StudyKey.generate()
    async with asyncio.timeout(600):
        async with Worker(study("one"), transport="zmq", key=key, time=20) as one:
            digest = DirectoryBlobs(tmp_path / "one" / "blobs").put(data)
            async with Worker(study("two"), transport="zmq", key=key, join=[one.address], time=20) as two:
                while Milestone.CAUGHT_UP not in two._peer.exchange.reached:
                    await asyncio.sleep(0.01)
                assert await two._peer.exchange.fetch(digest, one.id)
                assert two._peer.services.blobs.get(digest) == data
                assert not await two._peer.exchange.fetch("0" * 64, None)
                two.stop()
