"""The bytes of every kind of event and of frame, of a journal, and what identifies a study."""

from __future__ import annotations

import tempfile
from pathlib import Path
from typing import Any, get_args

from aiohpo import Study
from aiohpo.events import schema as ev
from aiohpo.events.codec import encode_event
from aiohpo.mesh import frames as fr
from aiohpo.storage.journal import Journal
from tests.support.run_directories import SPACE

TRIAL = ("0a1b2c", 7)
DIGEST = "0123456789abcdef" * 4
METRICS = {"loss": 0.25, "size": -1.5}

EVENTS: list[ev.Event] = [
    ev.Started(1, 1_700_000_000.5, "host", 4242, "journal", 3),
    ev.Left(2, 1_700_000_001.0, "done"),
    ev.Goal(3, 100),
    ev.Proposed(4, 1_700_000_002.0, (0.001, 1, None, 3), ev.QUEUED, 3, 2, ev.Parent(TRIAL, 3, DIGEST, 99, "ffeedd")),
    ev.Proposed(4, 1_700_000_002.0, (0.001,)),
    ev.Claimed(5, 1_700_000_003.0, TRIAL, 1, 9, True, 2),
    ev.Reported(6, 4, 0, 2, 0.5, METRICS),
    ev.Saved(7, TRIAL, 1, 3, DIGEST, 12345),
    ev.Predicted(8, 4, 0, {"valid": DIGEST, ev.TARGETS + "valid": DIGEST[::-1]}),
    *[ev.Ended(9, TRIAL, 1, how, 9, 0.125, 2.5, METRICS) for how in ev.ENDINGS],
    ev.Ended(9, 4, 0, "failed", 1, None, 0.5, None, "ValueError: no", "Traceback …"),
    ev.Lost(10, TRIAL, 1),
    ev.Over(11, "the target is reached", 0, ("a0c1b2", "a0c1b3")),
    ev.Unanswered(12, ("tcp://node1:5555",)),
    ev.Died(14, TRIAL, 1, "the objective's process was killed by SIGKILL", 2),
    ev.Attached(15, TRIAL, "model.pt", DIGEST, 12345),
    ev.Noted(13, TRIAL, {"layers": "[64,32]"}),
]
RAWS = tuple(map(encode_event, EVENTS))
BATCH = ev.Batch("0a1b2c", 1, RAWS[:3])

FRAMES: list[fr.Frame] = [
    fr.Hello(1, "study", "0a1b2c", 2, "tcp://10.0.0.1:5555", "tcp://node1:5555", True, False),
    fr.Refused("it has another space"),
    fr.Events((BATCH,), True, False),
    fr.Digest(b"\x01\x02\x03\x04", b"\x05\x06\x07\x08"),
    fr.Digest(b"\x01\x02\x03\x04", b"\x05\x06\x07\x08", 256),
    fr.Groups((b"\x01\x02\x03\x04\x05\x06\x07\x08", b"\x08\x07\x06\x05\x04\x03\x02\x01"), True),
    fr.GroupVector(
        2, {1: b"\x01\x02\x03\x04\x05\x06\x07\x08"}, {"0a1b2c": 3}, True, False, b"\x01\x02\x03\x04\x05\x06\x07\x08"
    ),
    fr.Vector({"0a1b2c": 3, "ffeedd": 9}, True, False, b"\x01\x02\x03\x04\x05\x06\x07\x08"),
    fr.Heads({"0a1b2c": b"\x01\x02\x03\x04\x05\x06\x07\x08"}),
    fr.Blocks("0a1b2c", (b"\x01\x02\x03\x04\x05\x06\x07\x08", b"\x08\x07\x06\x05\x04\x03\x02\x01"), True),
    fr.Members((fr.MemberNews("0a1b2c", "tcp://10.0.0.1:5555", 1, 2, "ffeedd"),)),
    fr.Ping(12.5),
    fr.Pong(12.5),
    fr.Inquire(),
    fr.Definition('{"metric": "loss"}'),
    fr.Want(DIGEST, 65536),
    fr.Chunk(DIGEST, 0, 5, b"bytes"),
    fr.Chunk(DIGEST, 0, None, b""),
]


def observe() -> dict[str, Any]:
    assert {type(event) for event in EVENTS} == set(get_args(ev.Event)), "an event of each kind"
    assert {type(frame) for frame in FRAMES} == set(get_args(fr.Frame)), "a frame of each kind"
    return {
        "events": [[type(event).__name__, raw.hex()] for event, raw in zip(EVENTS, RAWS, strict=True)],
        "frames": [[type(frame).__name__, fr.encode_frame(b"tag.", frame).hex()] for frame in FRAMES],
        "journal": _journal().hex(),
        "study": Study(None, SPACE, metric="loss", searcher="random")._definition.as_dict()["study"],
        "space": SPACE.to_dict(),
    }


def _journal() -> bytes:
    with tempfile.TemporaryDirectory() as place:
        path = Path(place) / "one.log"
        journal = Journal(path)
        journal.append([BATCH, ev.Batch("ffeedd", 1, RAWS[3:5])])
        journal.close()
        return path.read_bytes()
