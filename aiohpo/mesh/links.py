"""The mesh: introductions, links and membership of one worker; what its transport connects to and why.

A link begins with a hello in each direction. It names the format version, the study and the worker; where one
of them does not fit, both sides say so once and nothing else passes. A peer known by a hello or by hearsay
goes into the member table; the overlay says which of them to link to. Addresses to join by are greeted until
they answer, members believed dead are greeted now and then: otherwise the halves of a healed partition would
never meet again.

A checkpoint may be anywhere in the swarm, and can be asked for only over a connection. So a worker *visits* those that
it fetches from: it connects to them without an introduction, which would cost each side the other's whole tables.

A spectator (:mod:`aiohpo.mesh.spectating`) greets and links like a worker, but one way only: it connects to workers and
none connects to it, so it need not be reachable. A worker answers it, tells it the members and believes nothing it says
of others. It is in no worker's member table: none pings it, waits for it or takes turns with it, or notices its crash.
"""

from __future__ import annotations

import math
import random
from collections.abc import Iterable, Sequence

from ..text import printable
from .effects import Connect, Disconnect, Effect, Milestone, Notice, Publish, Reached, Send, WorkerDied, WorkerSuspected
from .frames import FORMAT, Digest, Frame, Hello, MemberNews, Members, Ping, Pong, Refused, pages_of_news
from .gossip import Gossip
from .membership import Membership, State
from .overlay import floods_reach_all
from .quotas import MOST_OF_ALL, Quota
from .timing import GREET_AGAIN, LONGEST_ROUND_TRIP, Suspicion

_MOST_STRANGERS = 4096
_MOST_NOTICES = 50  # of refusals
_STRANGE_ENOUGH = 50  # frames that cannot be read before one stops to wait for an introduction
_MOST_SAID = 300  # characters of a stranger's reason


class Mesh:
    """Owns the member table and decides on links; tells the gossip whom to talk to."""

    spectator = False

    def __init__(
        self,
        me: str,
        study: str,
        address: str,
        gossip: Gossip,
        rng: random.Random,
        now: float,
        suspicion: Suspicion,
    ) -> None:
        self.me = me
        self.study = study
        self.address = address
        self.gossip = gossip
        self.membership = self._make_table(me, address, now, suspicion)
        self.members = Quota("members")
        self.round_trip = 0.0
        self._rng = rng
        self._suspicion = suspicion
        self._worker_at: dict[str, str] = {}  # address -> worker, by its own hello
        self._linked: set[str] = set()
        self._visited: set[str] = set()  # addresses that this worker connects to for as long as it fetches from there
        self._join: set[str] = set()
        self._greeted: dict[str, float] = {}
        self._refused: set[str] = set()
        self._refusals = 0
        self._strange: dict[str, int] = {}  # address -> frames of another study or format
        self._audience: set[str] = set()  # addresses of spectators
        self._accused: set[str] = set()  # workers that sent what cannot be read
        self._news: list[MemberNews] = []  # of members, to be passed on
        self._news_sent = -math.inf
        self._met = False
        self._probing: str | None = None
        self._probe_due = now + suspicion.probe_dead * rng.uniform(0.5, 1.5)

    def _make_table(self, me: str, address: str, now: float, suspicion: Suspicion) -> Membership:
        return Membership(me, address, now, suspicion)

    # --------------------------------------------------------------------------------------------- joining
    def join(self, addresses: Iterable[str], now: float) -> list[Effect]:
        """Greet these addresses until they answer."""
        self._join.update(a for a in addresses if a != self.address and a not in self._worker_at)
        return self._relink(now)

    def unanswered(self, addresses: Iterable[str]) -> list[str]:
        """Those of these addresses that have not answered yet."""
        return sorted(self._join.intersection(addresses) - self._refused)

    def visit(self, addresses: set[str]) -> list[Effect]:
        """Be connected to these addresses, linked or not, and no longer to those visited before."""
        before, self._visited = self._visited, addresses
        effects: list[Effect] = [Connect(address) for address in sorted(addresses - before - self._linked)]
        return effects + [Disconnect(address) for address in sorted(before - addresses - self._linked)]

    def leave(self) -> list[Effect]:
        """Say goodbye to everybody linked."""
        return [Publish(page) for page in pages_of_news([*self._news, self.membership.leave()])]

    # --------------------------------------------------------------------------------------------- frames
    def receive(self, now: float, peer: str, frame: Frame) -> list[Effect]:
        """Handle every frame but those that carry events or version vectors."""
        if peer in self._audience:
            return self._on_spectator(now, peer, frame)
        worker = self._worker_at.get(peer)
        if worker is not None and self.membership.note_life_sign(worker, now):
            return [*self._relink(now), *self._on_frame(now, peer, worker, frame)]
        return self._on_frame(now, peer, worker, frame)

    def _on_frame(self, now: float, peer: str, worker: str | None, frame: Frame) -> list[Effect]:
        effects: list[Effect]
        match frame:
            case Hello():
                return self._on_hello(now, peer, frame)
            case Refused(reason):
                return self._on_refused(peer, reason)
            case Members(news):
                before = self.membership.incarnation
                effects = self._learn(peer, news, now)
                if self.membership.incarnation > before:  # we refuted; the accuser may not be linked
                    effects.append(Send(peer, Members((self.membership.own_news(),))))
                return effects
            case Ping(nonce):
                effects = [Send(peer, Pong(nonce))]
                if worker is None:
                    effects += self.greet(peer, now)
                elif (state := self.membership.state(worker)) is not None and state > State.ALIVE:
                    effects += self._table_for(peer)  # so that it can refute
                return effects
            case Pong(nonce):
                sample = min(max(now - nonce, 0.0), LONGEST_ROUND_TRIP)
                first = not self.round_trip
                self.round_trip += (1.0 if first else 0.2) * (sample - self.round_trip)
                return [Reached(Milestone.MEASURED)] if first and self.round_trip else []
            case Digest(_, members) if members != self.membership.hash():
                return self._table_for(peer)
        return []

    def _on_spectator(self, now: float, peer: str, frame: Frame) -> list[Effect]:
        match frame:
            case Hello():
                return self._on_hello(now, peer, frame)
            case Ping(nonce):
                return [Send(peer, Pong(nonce))]
            case Members(news):
                # It may tell this worker that it is suspected: everybody may hear the refutation.
                before = self.membership.incarnation
                effects = self._learn(peer, [n for n in news if n.worker == self.me], now)
                if self.membership.incarnation > before:
                    effects.append(Send(peer, Members((self.membership.own_news(),))))
                if any(n.state == State.LEFT and n.address == peer for n in news):
                    self._audience.discard(peer)
                return effects
            case Digest(_, members) if members != self.membership.hash():
                return self._table_for(peer)
        return []

    def has_introduced_itself(self, peer: str) -> bool:
        """Whether ``peer`` has introduced itself."""
        return peer in self._worker_at or peer in self._audience

    def greet(self, peer: str, now: float) -> list[Effect]:
        """Introduce this worker to ``peer`` and ask it to do the same, at most once a second."""
        if peer in self._refused or now < self._greeted.get(peer, now):
            return []
        if peer in self._visited and peer not in self._linked:
            return []
        if len(self._greeted) > _MOST_STRANGERS:
            self._greeted.clear()
        self._greeted[peer] = now + GREET_AGAIN
        return [Send(peer, self._hello(peer, reply=True))]

    def stranger(self, peer: str, now: float) -> list[Effect]:
        """Answer a frame of another study or format version with a hello, so that both sides can say what is wrong.
        A peer that goes on, as it does not understand our hello nor we its own, is named in the end."""
        if peer in self._refused:
            return []
        effects = self.greet(peer, now)
        if len(self._strange) > _MOST_STRANGERS:
            self._strange.clear()
        self._strange[peer] = self._strange.get(peer, 0) + 1
        if self._strange[peer] >= _STRANGE_ENOUGH:
            del self._strange[peer]
            effects += self._refuse(peer, f"refused {peer}: its frames are of another study or format version")
        return effects

    def _hello(self, greeted: str, reply: bool) -> Hello:
        return Hello(
            FORMAT, self.study, self.me, self.membership.incarnation, self.address, greeted, reply, self.spectator
        )

    def _on_hello(self, now: float, peer: str, hello: Hello) -> list[Effect]:
        why = None
        if hello.format != FORMAT:
            why = f"format version {hello.format}, this is version {FORMAT}: use one aiohpo version everywhere"
        elif hello.study != self.study:
            why = (
                f"another study ({hello.study}, this is {self.study}): space, metric, mode and max_steps must be "
                "the same on all workers"
            )
        if why is not None:
            return [Send(peer, Refused(why)), *self._refuse(peer, f"refused {peer}: {why}")]
        if hello.worker == self.me:
            self._join -= {peer, hello.greeted}
            return []
        if peer not in self._worker_at and len(self._worker_at) >= MOST_OF_ALL:
            return []
        self._refused.discard(peer)
        if hello.spectator:
            return self._welcome_spectator(peer, hello)
        self._audience.discard(peer)  # a port is used again
        self._join -= {peer, hello.greeted if not hello.reply else peer}
        new = self._worker_at.get(peer) != hello.worker
        self._worker_at[peer] = hello.worker
        news = MemberNews(hello.worker, hello.address, State.ALIVE, hello.incarnation, hello.worker)
        effects = self._learn(peer, [news], now)
        self.membership.note_life_sign(hello.worker, now)
        if hello.reply:
            effects.append(Send(peer, self._hello(hello.greeted, reply=False)))
        believed = self.membership.state(hello.worker)
        if new or (believed is not None and believed > State.ALIVE):
            # A newcomer needs the table; one that we believe dead must hear of it to refute it.
            effects += self._table_for(peer)
            effects += self.gossip.ask_for_missing(peer, now)
            effects += self._relink(now)
        return effects

    def _welcome_spectator(self, peer: str, hello: Hello) -> list[Effect]:
        if len(self._audience) > _MOST_STRANGERS:
            self._audience.clear()
        self._audience.add(peer)
        table = self._table_for(peer)
        return [Send(peer, self._hello(hello.greeted, reply=False)), *table] if hello.reply else table

    def _on_refused(self, peer: str, reason: str) -> list[Effect]:
        return self._refuse(peer, f"{peer} refused us, saying: {printable(reason, _MOST_SAID)}")

    def _refuse(self, peer: str, text: str) -> list[Effect]:
        """Have nothing more to do with ``peer`` until it says a hello that fits; say so once, and to people not more
        often than they read."""
        if peer in self._refused:
            return []
        if len(self._refused) > _MOST_STRANGERS:
            self._refused.clear()
        self._refused.add(peer)
        self._refusals += 1
        return [Notice(text)] if self._refusals <= _MOST_NOTICES else []

    def _learn(self, peer: str, news: Sequence[MemberNews], now: float) -> list[Effect]:
        """Merge what ``peer`` says of members, and pass on what is new."""
        held, refused = self.membership.members, self.members.refused
        known = [n for n in news if n.worker in held or n.worker == self.me or self.members.admit(peer, len(held))]
        spread, changed = self.membership.merge_news(known, now)
        effects = self._spread(spread, now)
        if self.members.refused > refused and (complaint := self.members.complaint(peer)) is not None:
            effects.append(Notice(complaint))
        return effects + self._follow(changed, now)

    def _spread(self, news: Sequence[MemberNews], now: float) -> list[Effect]:
        """Pass news of members on, at once after a quiet time and else in batches as events: in a swarm that comes
        together everybody hears of everybody from each neighbour."""
        self._news += news
        if not self._news or now < self._news_sent + self.gossip.interval:
            return []
        news, self._news, self._news_sent = self._news, [], now
        return [Publish(page) for page in pages_of_news(news)]

    def _table_for(self, peer: str) -> list[Effect]:
        """Send the whole member table, in pages."""
        return [Send(peer, page) for page in pages_of_news(self.membership.news())]

    def _follow(self, changed: Sequence[str], now: float) -> list[Effect]:
        """Draw the consequences of what is believed of these workers from now on."""
        if not changed:
            return []
        effects = self._relink(now)
        dead = []
        for worker in changed:
            state = self.membership.state(worker)
            if state is State.SUSPECT:
                effects.append(WorkerSuspected(worker))
            elif state is State.DEAD:
                effects.append(WorkerDied(worker))
                dead.append(worker)
        effects += [Notice(f"worker {worker} is dead") for worker in dead[:_MOST_NOTICES]]
        if len(dead) > _MOST_NOTICES:
            effects.append(Notice(f"and so are {len(dead) - _MOST_NOTICES} more"))
        if not self._met:
            self._met = True
            effects.append(Reached(Milestone.MET))
        return effects

    def declare_dead(self, worker: str, now: float) -> list[Effect]:
        """Declare dead a worker of which this one knows for certain that it is."""
        member = self.membership.members.get(worker)
        if member is None or member.state >= State.DEAD:
            return []
        return self._learn("", [MemberNews(worker, member.address, State.DEAD, member.incarnation, self.me)], now)

    def accuse(self, peer: str, now: float) -> list[Effect]:
        """Take the worker at ``peer`` for dead, once, because what it sends cannot be read: whatever it is running may
        never end. If it is alive and hears of it, it refutes that."""
        worker = self._worker_at.get(peer)
        if worker is None or worker in self._accused:
            return []
        self._accused.add(worker)
        return self.declare_dead(worker, now)

    # --------------------------------------------------------------------------------------------- ticking
    def tick(self, now: float) -> list[Effect]:
        """Ping, suspect, bury, greet again those that have not answered, and probe the dead."""
        effects: list[Effect] = []
        if now >= self.membership.next_tick:
            ping, news, changed = self.membership.tick(now)
            effects += [Send(self.membership.members[w].address, Ping(now)) for w in ping]
            effects += self._spread(news, now)
            effects += self._follow(changed, now)
            for address in sorted(self._linked):
                if address not in self._worker_at:
                    effects += self.greet(address, now)
        if now >= self._probe_due:
            effects += self._probe(now)
        return effects + self._spread((), now)

    def next_deadline(self) -> float:
        """When :meth:`tick` has something to do next."""
        spread = self._news_sent + self.gossip.interval if self._news else math.inf
        return min(self.membership.next_tick, self._probe_due, spread)

    def _probe(self, now: float) -> list[Effect]:
        self._probe_due = now + self._suspicion.probe_dead * self._rng.uniform(0.75, 1.25)
        effects: list[Effect] = []
        if self._probing is not None and self._probing not in self._linked | self._visited:
            effects.append(Disconnect(self._probing))
        self._probing = None
        dead = self.membership.dead_members()
        if dead:
            address = self._rng.choice(dead).address
            self._probing = address
            if address not in self._linked:
                effects.append(Connect(address))
            effects.append(Send(address, self._hello(address, reply=True)))
        return effects

    def _relink(self, now: float) -> list[Effect]:
        present = self.membership.present
        chosen, forward = self._choose(len(present))
        self.membership.watch(chosen)
        addresses = {self.membership.members[w].address for w in chosen}
        wanted = addresses | self._join
        effects: list[Effect] = []
        for address in sorted(wanted - self._linked):
            effects.append(Connect(address))
            if address not in self._worker_at:
                effects += self.greet(address, now)
        for address in sorted(self._linked - wanted - self._visited):
            effects.append(Disconnect(address))
        self._linked = wanted
        self.gossip.relink(sorted(addresses), forward=forward, members=len(present))
        return effects

    def _choose(self, present: int) -> tuple[set[str], bool]:
        """Which members to link to, of so many, and whether to pass on to them what others tell."""
        return self.membership.others.neighbours(self.me), not floods_reach_all(present)

    def __repr__(self) -> str:
        return f"<Mesh of {self.me} at {self.address}: {len(self._linked)} links, {self.membership!r}>"
