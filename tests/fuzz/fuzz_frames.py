"""Fuzz what arrives from the network, coverage-guided, for as long as you like.

    pip install atheris
    python tests/fuzz/fuzz_frames.py -max_total_time=600

Every input goes to the frame decoder, to a worker's state as a frame from a peer (with and without the right tag, so
that the fuzzer gets past the header), and to the journal's reader of batches. Nothing but :class:`Malformed` may
leave a decoder and nothing at all the state; what it makes of garbage must be encodable again.
"""

from __future__ import annotations

import sys
import tempfile
from pathlib import Path

try:
    import atheris
except ImportError:
    sys.exit("this needs atheris: pip install atheris")

with atheris.instrument_imports():
    from aiohpo import Categorical, Float, Int, Space
    from aiohpo.events.codec import decode_batch, encode_event, pack_batch, unpack_batch
    from aiohpo.events.log import Log
    from aiohpo.events.schema import (
        Batch,
        Claimed,
        Ended,
        Goal,
        Left,
        Lost,
        Malformed,
        Over,
        Proposed,
        Reported,
        Saved,
        Started,
    )
    from aiohpo.mesh.frames import (
        FORMAT,
        Chunk,
        Digest,
        Events,
        Groups,
        GroupVector,
        Hello,
        Inquire,
        MemberNews,
        Members,
        Ping,
        Pong,
        Refused,
        Vector,
        Want,
        decode_frame,
        encode_frame,
    )
    from aiohpo.peer.state import PeerState
    from aiohpo.plugin.objective import Objective
    from aiohpo.view.view import View

STUDY = "0123456789abcdef"
TAG = bytes.fromhex(STUDY)[:4]
SPACE = Space(x=Float(0.0, 1.0), n=Int(1, 9), kind=Categorical(["a", "b"]))
INPUTS_PER_STATE = 500  # a state that lives for many inputs gets into corners that a fresh one does not


class Target:
    """One worker that hears what the fuzzer makes up."""

    def __init__(self) -> None:
        self.heard = 0
        self._renew()

    def _renew(self) -> None:
        view = View(SPACE, Objective("loss", "min"))
        self.now = 0.0
        self.state = PeerState(me="me", view=view, log=Log(), study=STUDY, address="sim://me", seed=0, now=self.now)
        self.state.begin(0.0, "host", 1, None)
        self.state.set_goal(5)
        self.state.propose(0.0, SPACE.pack({"x": 0.5, "n": 3, "kind": "a"}))

    def __call__(self, data: bytes) -> None:
        self.heard += 1
        if self.heard % INPUTS_PER_STATE == 0:
            self._renew()
        for frame in (data, bytes([FORMAT]) + TAG + data):
            try:
                again = encode_frame(TAG, decode_frame(TAG, frame))
            except Malformed:
                pass
            else:
                decode_frame(TAG, again)
            self.now += 0.1
            self.state.receive(self.now, f"sim://peer{len(data) % 3}", frame)
            self.state.tick(self.now)
            self.state.drain()
        list(self.state.view.records())
        self.state.view.observations()
        try:
            decode_batch(unpack_batch(data))
        except Malformed:
            pass


def seeds() -> list[bytes]:
    """One intact frame of each kind to start from, without header, and a batch as the journal has it."""
    events = (
        Started(1, 0.0, "host", 1, "journal", 0),
        Goal(2, 5),
        Proposed(3, 0.0, SPACE.pack({"x": 0.25, "n": 2, "kind": "b"})),
        Reported(4, 3, 0, 1, 0.5, {"other": 1.0}),
        Saved(5, 3, 0, 1, "0" * 64, 10),
        Ended(6, 3, 0, "finished", 1, 0.25, 1.0),
        Claimed(7, 0.0, ("me", 3), 1),
        Lost(8, ("me", 3), 0),
        Over(9, "the target is reached", 0, ("ann",)),
        Left(10, 0.0, "done"),
    )
    batch = Batch("peer", 1, tuple(map(encode_event, events)))
    frames = (
        Hello(FORMAT, STUDY, "peer", 0, "sim://peer0", "sim://me", True),
        Refused("no"),
        Events((batch,)),
        Events((batch,), repair=True, more=True),
        Digest(b"12345678", b"12345678"),
        Digest(b"12345678", b"12345678", 2),
        Groups((b"12345678", b"12345678"), True),
        GroupVector(2, {1: b"12345678"}, {"peer": 3, "me": 1}, True, True, b"12345678"),
        Vector({"peer": 3, "me": 1}, True, True),
        Members((MemberNews("peer", "sim://peer0", 1, 2, "other"),)),
        Ping(1.0),
        Pong(1.0),
        Inquire(),
        Want("0" * 64, 0),
        Chunk("0" * 64, 0, 10, b"0123456789"),
    )
    return [*(encode_frame(TAG, frame)[5:] for frame in frames), pack_batch(batch)]


def main() -> None:
    with tempfile.TemporaryDirectory() as corpus:
        for i, seed in enumerate(seeds()):
            Path(corpus, f"seed-{i}").write_bytes(seed)
        atheris.Setup([*sys.argv, corpus], Target())
        atheris.Fuzz()


if __name__ == "__main__":
    main()
