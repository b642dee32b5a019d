"""MPI within a process, as far as the transport uses it: ranks that may not receive, and ranks that die.

A short message is gone at once, a long one when the other side receives it. What a rank that is ``stopped``
should take stays under way. A death is reported as Open MPI does with ``--with-ft ulfm``.
"""

from __future__ import annotations

from collections import deque
from dataclasses import dataclass, field
from typing import Any

EAGER = 4096


class MPIError(Exception):
    """What mpi4py calls MPI.Exception."""

    def __init__(self, code: int) -> None:
        super().__init__(code)
        self.code = code

    def Get_error_class(self) -> int:
        return self.code


class Status:
    source = 0
    size = 0

    def Get_source(self) -> int:
        return self.source

    def Get_count(self, datatype: object) -> int:
        return self.size


@dataclass(eq=False)
class Envelope:
    """A message under way."""

    source: int
    dest: int
    tag: int
    data: bytes
    world: World
    taken: bool = False

    def Test(self) -> bool:
        if self.dest in self.world.dead:
            raise MPIError(World.ERR_PROC_FAILED)
        return self.taken or (len(self.data) <= EAGER and self.dest not in self.world.stopped)

    def Irecv(self, buffer: bytearray) -> Receiving:
        return Receiving(self, buffer)


@dataclass(eq=False)
class Receiving:
    envelope: Envelope
    buffer: bytearray

    def Test(self) -> bool:
        envelope = self.envelope
        if envelope.source in envelope.world.slow:
            return False
        envelope.taken = True
        if len(envelope.data) > len(self.buffer):
            raise MPIError(World.ERR_TRUNCATE)
        self.buffer[:] = envelope.data
        return True


@dataclass
class World:
    """All ranks, and the names that the transport uses of the module ``mpi4py.MPI``."""

    size: int
    stopped: set[int] = field(default_factory=set)  # ranks that receive nothing
    slow: set[int] = field(default_factory=set)  # ranks from which no message arrives completely
    dead: set[int] = field(default_factory=set)
    messages: list[deque[Envelope]] = field(default_factory=list)
    sent: list[Envelope] = field(default_factory=list)

    ANY_SOURCE = -1
    BYTE = "byte"
    ERR_TRUNCATE = 15
    ERR_PROC_FAILED = 75
    Exception = MPIError
    Status = Status

    def __post_init__(self) -> None:
        self.messages = [deque() for _ in range(self.size)]

    def comm(self, rank: int) -> Comm:
        return Comm(self, rank)


class Group:
    def __init__(self, ranks: list[int]) -> None:
        self.ranks = ranks
        self.size = len(ranks)

    def Translate_ranks(self, ranks: range, group: Group) -> list[int]:
        return [group.ranks.index(self.ranks[k]) for k in ranks]


class Comm:
    """The communicator as one rank sees it."""

    def __init__(self, world: World, rank: int) -> None:
        self.world, self.rank, self.size = world, rank, world.size
        self.group = Group(list(range(world.size)))
        self.acknowledged: set[int] = set()

    def Isend(self, data: bytes, dest: int, tag: int) -> Envelope:
        if dest in self.world.dead:
            raise MPIError(World.ERR_PROC_FAILED)
        envelope = Envelope(self.rank, dest, tag, data, self.world)
        self.world.messages[dest].append(envelope)
        self.world.sent.append(envelope)
        return envelope

    def Improbe(self, source: int, tag: int, status: Any) -> Envelope | None:
        mine = self.world.messages[self.rank]
        if not mine or self.rank in self.world.stopped:
            if self.world.dead - self.acknowledged:
                raise MPIError(World.ERR_PROC_FAILED)
            return None
        envelope = next((one for one in mine if one.tag == tag and source in (World.ANY_SOURCE, one.source)), None)
        if envelope is None:
            return None
        mine.remove(envelope)
        status.source, status.size = envelope.source, len(envelope.data)
        return envelope

    def Ack_failed(self) -> int:
        self.acknowledged = set(self.world.dead)
        return len(self.acknowledged)

    def Get_failed(self) -> Group:
        return Group(sorted(self.world.dead))
