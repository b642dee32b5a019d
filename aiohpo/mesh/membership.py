"""Membership: who is there, as far as this worker can tell.

The states and their precedence are SWIM's (Das et al., 2002, sections 3 and 4): alive, suspect, dead, left.
News of a higher incarnation beats any news of a lower one; within one incarnation the worse state wins. Only a
worker itself raises its incarnation, and it does so when it hears that it is suspected or dead: so the
suspicion of a live worker is refuted, and a worker that was merely slow comes back by itself.

Who watches whom follows from the overlay: a worker pings its neighbours, and anything heard from one counts
as a sign of life. A silent neighbour becomes suspect; when a second accuser agrees, or when no other member could
and the suspicion has lasted twice as long, it is dead.

Self-doubt: when this worker's own clock shows that *it* was not running (a stopped process, a blocked loop),
the silence of the others proves nothing, so all their timers are moved by as much as it was late.

Pure: time comes in as an argument, news goes out as return values.
"""

from __future__ import annotations

import enum
import hashlib
from bisect import insort
from collections.abc import Iterable
from dataclasses import dataclass, field

from .frames import MemberNews
from .overlay import Rings
from .timing import Suspicion

FAR_AHEAD = 1 << 20  # no worker refutes its death so often: such news is dropped, since it could never be refuted


class State(enum.IntEnum):
    """What is believed of a worker, from best to worst."""

    ALIVE = 0
    SUSPECT = 1
    DEAD = 2
    LEFT = 3


@dataclass(slots=True)
class MemberEntry:
    """One worker as this one sees it; ``since`` is when it entered its state."""

    worker: str
    address: str
    state: State
    incarnation: int
    heard: float
    since: float
    accusers: set[str] = field(default_factory=set)


class Membership:
    """This worker's member table."""

    def __init__(self, me: str, address: str, now: float, suspicion: Suspicion) -> None:
        self.me = me
        self.address = address
        self.incarnation = 0
        self.suspicion = suspicion
        self.members: dict[str, MemberEntry] = {}
        self.others = Rings()  # those of them that are present
        self._watched: frozenset[str] = frozenset()
        self.version = 0
        self._due = now + suspicion.ping
        self._leaving = False
        self._hash: tuple[int, bytes] | None = None

    # ------------------------------------------------------------------------------------------- reading
    @property
    def present(self) -> list[str]:
        """Workers that count as here: alive or merely suspected, this one included."""
        present = self.others.names
        insort(present, self.me)
        return present

    def state(self, worker: str) -> State | None:
        """What is believed of ``worker``; None if it was never heard of."""
        if worker == self.me:
            return State.ALIVE
        member = self.members.get(worker)
        return member.state if member else None

    def news(self) -> tuple[MemberNews, ...]:
        """The whole table, this worker included."""
        return (self.own_news(), *(self._news(m) for m in self.members.values()))

    def own_news(self) -> MemberNews:
        state = State.LEFT if self._leaving else State.ALIVE
        return MemberNews(self.me, self.address, state, self.incarnation, self.me)

    def hash(self) -> bytes:
        """Differs when two tables do; suspicion's accusers do not count."""
        if self._hash is None or self._hash[0] != self.version:
            rows = [(n.worker, int(n.state), n.incarnation) for n in self.news()]
            digest = hashlib.blake2b(repr(sorted(rows)).encode(), digest_size=8).digest()
            self._hash = self.version, digest
        return self._hash[1]

    def dead_members(self) -> list[MemberEntry]:
        return [m for m in self.members.values() if m.state is State.DEAD]

    def watch(self, workers: Iterable[str]) -> None:
        """Watch these workers from now on: ping them, and suspect those that fall silent."""
        self._watched = frozenset(workers)

    # ------------------------------------------------------------------------------------------- hearing
    def note_life_sign(self, worker: str, now: float) -> bool:
        """Anything at all arrived from ``worker`` itself; returns whether that changed what is believed of it."""
        member = self.members.get(worker)
        if member is None:
            return False
        member.heard = now
        return False

    def merge_news(self, news: Iterable[MemberNews], now: float) -> tuple[list[MemberNews], list[str]]:
        """Merge news; return (what is new and should be passed on, workers whose state changed)."""
        spread: list[MemberNews] = []
        changed: list[str] = []
        for n in news:
            if n.worker == self.me:
                if n.incarnation > self.incarnation + FAR_AHEAD:
                    continue
                if n.incarnation >= self.incarnation and n.state != State.ALIVE and not self._leaving:
                    self.incarnation = n.incarnation + 1
                    self.version += 1
                    spread.append(self.own_news())
                continue
            member = self.members.get(n.worker)
            if n.incarnation > (member.incarnation if member is not None else 0) + FAR_AHEAD:
                continue
            if member is None:
                member = MemberEntry(n.worker, n.address, State(n.state), n.incarnation, now, now)
                self.members[n.worker] = member
                if member.state <= State.SUSPECT:
                    self.others.add(n.worker)
            elif (n.incarnation, n.state) > (member.incarnation, member.state):
                if n.incarnation > member.incarnation and n.address:
                    member.address = n.address
                self._set(member, State(n.state), n.incarnation, now)
            elif n.state == State.SUSPECT == member.state and n.by not in member.accusers:
                member.accusers.add(n.by)
                spread.append(n)
                continue
            else:
                continue
            if member.state is State.SUSPECT:
                member.accusers = {n.by}
            self.version += 1
            spread.append(n)
            changed.append(n.worker)
        return spread, changed

    def leave(self) -> MemberNews:
        """This worker goes in good order; returns the news to spread."""
        self._leaving = True
        self.version += 1
        return self.own_news()

    # -------------------------------------------------------------------------------------------- ticking
    def tick(self, now: float) -> tuple[list[str], list[MemberNews], list[str]]:
        """Return (workers to ping, news to spread, workers whose state changed)."""
        late = now - self._due
        if late > self.suspicion.late:
            for member in self.members.values():
                # No later than now: what was heard since waking up needs no credit.
                member.heard = min(member.heard + late, now)
                member.since = min(member.since + late, now)
        self._due = now + self.suspicion.ping
        ping: list[str] = []
        news: list[MemberNews] = []
        changed: list[str] = []
        for worker in sorted(self._watched):
            watched = self.members.get(worker)
            if watched is None or watched.state > State.SUSPECT:
                continue
            silent = now - watched.heard
            if self._worth_a_ping(silent):
                ping.append(worker)
            if silent < self.suspicion.suspect:
                continue
            if watched.state is State.ALIVE:
                self._set(watched, State.SUSPECT, watched.incarnation, now)
                changed.append(worker)
            if self.me not in watched.accusers:
                watched.accusers.add(self.me)
                news.append(self._news(watched, by=self.me))
        suspect = State.SUSPECT
        for member in [member for member in self.members.values() if member.state is suspect]:
            if member.worker in self._watched and now - member.heard < self.suspicion.suspect:
                member.since = now  # it is talking to us: its refutation is on the way
                continue
            agreed = len(member.accusers) > 1
            if now - member.since >= self.suspicion.dead * (1 if agreed else 2):
                self._bury(member, now)
                news.append(self._news(member))
                changed.append(member.worker)
        return ping, news, changed

    @property
    def next_tick(self) -> float:
        return self._due

    def _worth_a_ping(self, silent: float) -> bool:
        return silent >= self.suspicion.ping * 0.75

    def _bury(self, member: MemberEntry, now: float) -> None:
        self._set(member, State.DEAD, member.incarnation, now)

    def _set(self, member: MemberEntry, state: State, incarnation: int, now: float) -> None:
        if state is State.ALIVE:
            member.heard = now
        if (state <= State.SUSPECT) is not (member.state <= State.SUSPECT):
            (self.others.add if state <= State.SUSPECT else self.others.remove)(member.worker)
        member.state, member.incarnation, member.since = state, incarnation, now
        member.accusers = set()
        self.version += 1

    def _news(self, member: MemberEntry, by: str | None = None) -> MemberNews:
        return MemberNews(member.worker, member.address, member.state, member.incarnation, by or self.me)

    def __repr__(self) -> str:
        count = dict.fromkeys(State, 0)
        for m in self.members.values():
            count[m.state] += 1
        parts = ", ".join(f"{n} {s.name.lower()}" for s, n in count.items() if n)
        return f"<Membership of {self.me}: {parts or 'alone'}>"
