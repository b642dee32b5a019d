"""Sequences of frames that a hostile peer could send, drawn from a seed and played into a peer's state.

What is drawn follows from the classes of events and frames: each field gets values at, within and beyond its bounds,
and many that fit what was said before, so that a sequence gets somewhere. A class that is added is drawn from then on.

Nothing may leave the state, what it sends must be readable to others, what it shows must be JSON, and its schedulers
must be able to go on: what they choose is recorded, and recorded events must be acceptable to other peers.
"""

from __future__ import annotations

import json
import random
from functools import lru_cache
from typing import Any, get_args
from unittest import mock

import msgspec
import numpy as np
from msgspec import inspect

from aiohpo import Categorical, Float, Int, Space
from aiohpo.events import groups
from aiohpo.events import schema as ev
from aiohpo.events.codec import encode_event
from aiohpo.events.lifecycle import Status
from aiohpo.events.log import FAR_AHEAD, Log, LogImage
from aiohpo.mesh import frames as fr
from aiohpo.mesh.effects import Persist, Publish, Send
from aiohpo.peer.eligibility import Eligibility
from aiohpo.peer.ending import find_end
from aiohpo.peer.state import PeerState
from aiohpo.plugin import Identity, NewTrial, Resume, Scheduler
from aiohpo.plugin.objective import Objective
from aiohpo.plugin.registry import create
from aiohpo.storage.journal import pack_record, read_record
from aiohpo.view import details
from aiohpo.view.image import ViewImage, image_of, restore
from aiohpo.view.promotions import Promotions
from aiohpo.view.segments import all_segments
from aiohpo.view.summary import Summary
from aiohpo.view.view import View

STUDY = "0123456789abcdef"
TAG = bytes.fromhex(STUDY)[:4]
SPACE = Space(x=Float(0.0, 1.0), n=Int(1, 9), kind=Categorical(["a", "b"]))
MAX_STEPS = 27
SCHEDULERS = ("fifo", "asha", "sha", "hyperband", "median", "pbt:population=4")
ME = "0me"
WORKERS = (ME, "0a", "0b", "0c")
DIGESTS = ("0" * 64, "a" * 64)
WHOLE = (0, 1, 2, 3, 9, 27, 28, 1 << 20, 1 << 31, 1 << 32, 1 << 40, 1 << 53, 1 << 62, (1 << 64) - 1, -1, -(1 << 31))
REALS = (0.0, -0.0, 0.5, 1.0, 2.0, 27.0, -1.0, 1e11, 1e12, 1e308, -1e308, 5e-324, float("nan"), float("inf"))
TEXTS = ("", "loss", "x", "time is up", "\x1b[31m", "\ud7ff", "é" * 100, "m" * 256, "m" * 257, "y" * 8001, "tcp://a:1")

_type_info = lru_cache(maxsize=None)(inspect.type_info)


class Draw:
    """Draws events and frames. ``state`` is what they should fit, more or less."""

    def __init__(self, rng: random.Random, state: PeerState) -> None:
        self.rng = rng
        self.state = state
        self.wild = False  # whether values beyond the bounds are drawn too: one of them spoils a frame

    def frame(self) -> fr.Frame:
        rng = self.rng
        self.wild = rng.random() < 0.2
        if rng.random() < 0.6:
            batches = tuple(self.batch() for _ in range(rng.choice((1, 1, 1, 2, 3))))
            return fr.Events(batches, rng.random() < 0.3, rng.random() < 0.1)
        kind = rng.choice(get_args(fr.Frame))
        return self.struct(kind)  # type: ignore[no-any-return]

    def batch(self) -> ev.Batch:
        rng = self.rng
        origin = rng.choice(WORKERS[1:]) if rng.random() < 0.9 else self.name()
        first = self.state.log.count(origin) + 1 if rng.random() < 0.9 else self.whole(1, ev.MAX_NUMBER)
        return ev.Batch(origin, first, tuple(self.raw() for _ in range(rng.choice((1, 2, 3, 8)))))

    def raw(self) -> bytes:
        rng = self.rng
        if rng.random() < 0.35:
            row = SPACE.pack({"x": rng.random(), "n": rng.randint(1, 9), "kind": "a"})
            step = rng.choice((None, 1, 3, 9, self.whole(0, ev.MAX_STEPS)))
            source = rng.choice((ev.OWN, ev.OWN, ev.QUEUED, ev.EXTERNAL))
            bracket = rng.choice((0, 1, 1_000_000, 4_000_001, self.whole(0, ev.MAX_BRACKET)))
            return encode_event(ev.Proposed(self.lamport(), 1.0, row, source, step, bracket))
        event = self.struct(rng.choice(get_args(ev.Event)))
        try:
            raw = encode_event(event)
        except OverflowError:  # beyond what msgpack holds
            return b""
        return raw[: rng.randint(0, len(raw))] if self.wild and rng.random() < 0.1 else raw

    def struct(self, kind: type) -> Any:
        found = _type_info(kind)
        assert isinstance(found, inspect.StructType)
        given = {}
        for field in found.fields:
            if field.name == "lamport":
                given[field.name] = self.lamport()
            elif field.name in ("trial", "retry_of") and self.state.view.n_rows and self.rng.random() < 0.8:
                given[field.name] = self.state.view.id(self.rng.randrange(self.state.view.n_rows))
            elif field.required or self.rng.random() < 0.5:
                given[field.name] = self.value(field.type)
        if kind is fr.Hello and self.rng.random() < 0.9:
            given |= {"format": fr.FORMAT, "study": STUDY}
        return kind(**given)

    def lamport(self) -> int:
        clock = self.state.log.clock
        return clock + 1 if self.rng.random() < 0.9 else self.whole(0, min(clock + FAR_AHEAD, ev.MAX_LAMPORT))

    def name(self) -> str:
        names = (*WORKERS, *WORKERS, "nobody", f"n{self.rng.randrange(999)}")
        return self.rng.choice((*names, "../up", "") if self.wild else names)

    def whole(self, least: int, most: int) -> int:
        rng = self.rng
        if rng.random() < 0.8:
            return min(max(rng.choice((0, 1, 1, 2, 3, 9, 27)), least), most)
        if not self.wild:
            return rng.choice((least, most, min(max(rng.choice(WHOLE), least), most)))
        return rng.choice((least - 1, most + 1, *WHOLE))

    def value(self, kind: inspect.Type) -> Any:
        rng = self.rng
        match kind:
            case inspect.IntType():
                return self.whole(kind.ge or 0, kind.le if kind.le is not None else 64)
            case inspect.FloatType():
                if self.wild or kind.ge is None:
                    return rng.choice(REALS) if rng.random() < 0.4 else rng.random()
                return rng.choice((kind.ge, kind.le, 0.0, 0.5, 1.0))
            case inspect.StrType() if kind.pattern is not None and "64" in kind.pattern and "a-f" in kind.pattern:
                return rng.choice(DIGESTS)
            case inspect.StrType() if kind.pattern is not None:
                return self.name()
            case inspect.StrType():
                return rng.choice(TEXTS if self.wild else TEXTS[:5])
            case inspect.BytesType():
                return rng.randbytes(rng.choice((0, 8, 8, 9, 64) if self.wild else (0, 8, 8)))
            case inspect.BoolType():
                return rng.random() < 0.5
            case inspect.NoneType():
                return None
            case inspect.LiteralType():
                return rng.choice(kind.values)
            case inspect.UnionType():
                return self.value(rng.choice(kind.types))
            case inspect.VarTupleType():
                return tuple(self.value(kind.item_type) for _ in range(rng.choice((0, 1, 2, 3))))
            case inspect.TupleType():
                return tuple(self.value(item) for item in kind.item_types)
            case inspect.DictType():
                count = rng.choice((0, 1, 2))
                return {self.value(kind.key_type): self.value(kind.value_type) for _ in range(count)}
            case inspect.StructType():
                return self.struct(kind.cls)
        raise TypeError(f"no values for {kind}")


class Player:
    """A peer that hears a sequence, with a scheduler that decides on what it heard."""

    def __init__(self, seed: int) -> None:
        self.rng = random.Random(seed)
        self.view = View(SPACE, Objective("loss", self.rng.choice(("min", "max"))), MAX_STEPS)
        self.now = 0.0
        self.state = PeerState(me=ME, view=self.view, log=Log(), study=STUDY, address=ME, seed=seed, now=0.0)
        self.state.node.survive = _raise  # type: ignore[method-assign]
        self.state.begin(0.0, "host", 1, None)
        self.state.set_goal(self.rng.choice((1, 5, 100)))
        self.claims = Eligibility(self.view, self.state.claims, lambda digest: False)
        self.scheduler: Scheduler = create("schedulers", self.rng.choice(SCHEDULERS))
        self.scheduler.setup(MAX_STEPS, seed, Identity(ME))
        self.draw = Draw(self.rng, self.state)
        self.rungs = Promotions(self.view)
        self.frames = self.events = 0

    def play(self, frames: int) -> None:
        """Hear so many frames, act now and then, and look at everything in the end."""
        for _ in range(frames):
            self.hear(self.draw.frame())
            if self.rng.random() < 0.3:
                self.act()
            if self.rng.random() < 0.3:
                self.state.tick(self.now)
            self.check_effects()
        self.look()

    def hear(self, frame: fr.Frame) -> None:
        try:
            data = fr.encode_frame(TAG, frame)
        except OverflowError:  # a number that msgpack has no room for
            return
        self.frames += 1
        heard = self.state.log.size
        self.now += self.rng.choice((0.0, 0.01, 0.5, 3.0))
        self.state.receive(self.now, self.rng.choice(WORKERS[1:]), data)
        self.events += self.state.log.size - heard

    def act(self) -> None:
        """Do what the scheduler wants, or go on with a segment."""
        state, view = self.state, self.view
        if state.segments and self.rng.random() < 0.6:
            segment = self.rng.choice(list(state.segments.values()))
            step = min(view.step(segment.row) + 1, MAX_STEPS)
            if self.rng.random() < 0.5:
                state.report(segment, step, 0.5, {"other": 1.0})
                if not segment.doomed:
                    self.scheduler.on_report(view, ev.trial_name(segment.trial), step)
            elif segment.doomed:
                state.yield_up(segment, step=step, seconds=0.5)
            else:
                state.end(segment, "finished", step=step, seconds=0.5, value=self.rng.random())
            return
        generator = np.random.default_rng(self.frames)
        with self.claims.at(self.now):
            for status, row in ((Status.LOST, state.takeover(self.now)), (Status.QUEUED, state.queued(self.now))):
                if row is not None and view.status(row) is status and self.rng.random() < 0.5:
                    state.assignment(state.record_claim(1.0, row), MAX_STEPS)
                    return
            choice = self.scheduler.next(view, self.claims, generator)
        if isinstance(choice, NewTrial):
            if state.may_propose():
                values = SPACE.pack({"x": self.rng.random(), "n": 3, "kind": "b"})
                segment = state.propose(1.0, values, choice.to_step, choice.bracket)
                state.assignment(segment, MAX_STEPS)
        elif isinstance(choice, Resume) and (row := view.row(ev.parse_trial(choice.trial))) is not None:
            state.assignment(state.record_claim(1.0, row, choice.to_step), MAX_STEPS)

    def check_effects(self) -> None:
        """What goes out can be read by others, and what is written down can be read again."""
        for effect in self.state.drain():
            if isinstance(effect, Publish | Send):
                fr.decode_frame(TAG, fr.encode_frame(TAG, effect.frame))
            elif isinstance(effect, Persist):
                assert read_record(pack_record(effect.batch), 0)[0] == effect.batch

    def look(self) -> None:
        """Read everything that people and algorithms read; bring the log to another replica, which must agree."""
        view, log = self.view, self.state.log
        for record in Summary(view, self.state.states()).records():
            json.dumps(record.as_dict(), allow_nan=False)
        view.observations().curves.X  # noqa: B018
        view.leader()
        find_end(view, workers=list(view.workers), target=None, is_work_left=lambda: True)
        told = self.rungs.reached(), self.rungs.promoted, self.rungs.moved_segments
        all_segments(log)
        repr((self.state, self.state.node, self.state.health(self.now, 0, 0)))
        copy, other = Log(), View(SPACE, view.objective, MAX_STEPS)
        while copy.lacks_any_of(log.vector()) is not log.lacks_any_of(copy.vector()):
            before = copy.hash()
            for batch in log.missing(copy.vector(), 1 << 20):
                for origin, seq, event in copy.merge(batch) or ():
                    other.apply(origin, seq, event)
            merge_forks(log, copy, other)
            assert copy.hash() != before, "a log that another replica cannot take"
        merge_forks(log, copy, other)
        assert copy.hash() == log.hash()
        records = [r.as_dict() for r in view.records()]
        assert [r.as_dict() for r in other.records()] == records
        restored_log, restored = Log(), View(SPACE, view.objective, MAX_STEPS)
        restored_log.restore(msgspec.msgpack.decode(msgspec.msgpack.encode(log.image()), type=LogImage))
        restore(restored, msgspec.msgpack.decode(msgspec.msgpack.encode(image_of(view)), type=ViewImage))
        assert restored_log.hash() == log.hash()
        assert [r.as_dict() for r in restored.records()] == records
        rungs = Promotions(restored)
        assert (rungs.reached(), rungs.promoted, rungs.moved_segments) == told


def merge_forks(log: Log, copy: Log, view: View) -> None:
    for batch in log.beside({}):
        for fork in copy.merge_forks(batch):
            for origin, seq, event in fork:
                view.apply(origin, seq, event, again=True)


def _raise(peer: str, error: Exception) -> list[Any]:
    raise error


def play(seed: int, frames: int = 12) -> int:
    """Play the sequence of this seed; return how many events of it were taken. An exception is a bug: it names the
    seed."""
    player = Player(seed)
    try:
        with (
            mock.patch.object(details, "MOST_OBJECTS", 4),  # so that most are packed and unpacked
            mock.patch.multiple(groups, WHOLE_UP_TO=1, _GROUP_SIZE=1),  # so that logs are compared by groups
        ):
            player.play(frames)
    except Exception as error:
        error.add_note(f"reproduce with: tests/fuzz/fuzz_sequences.py --seed {seed} --sequences 1 --frames {frames}")
        raise
    return player.events
