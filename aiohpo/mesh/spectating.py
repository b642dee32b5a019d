"""What the mesh of a spectator does otherwise than that of a worker.

It has a member table of its own but stands in none. What it suspects it keeps to itself, so a sign of life is enough to
refute it. It links to all workers where they do not pass on what they hear, and passes on nothing itself.
"""

from __future__ import annotations

from .effects import Effect, Send
from .frames import MemberNews, Members
from .links import Mesh
from .membership import MemberEntry, Membership, State
from .overlay import floods_reach_all
from .timing import Suspicion


class SpectatorTable(Membership):
    """A member table whose owner is no member."""

    @property
    def present(self) -> list[str]:
        """Workers that count as here: alive or merely suspected."""
        return self.others.names

    def news(self) -> tuple[MemberNews, ...]:
        """The whole table."""
        return tuple(self._news(m) for m in self.members.values())

    def note_life_sign(self, worker: str, now: float) -> bool:
        """Take anything that arrived from ``worker`` as the refutation of what this spectator alone believes of it."""
        super().note_life_sign(worker, now)
        member = self.members.get(worker)
        if member is None or member.state not in (State.SUSPECT, State.DEAD) or member.accusers != {self.me}:
            return False
        self._set(member, State.ALIVE, member.incarnation, now)
        return True

    def _worth_a_ping(self, silent: float) -> bool:
        return True  # a spectator wants to know how long news travels also when there is much of it

    def _bury(self, member: MemberEntry, now: float) -> None:
        accusers = member.accusers
        super()._bury(member, now)
        member.accusers = accusers


class SpectatorMesh(Mesh):
    """The links of a spectator."""

    spectator = True

    def leave(self) -> list[Effect]:
        """Say goodbye to every worker linked, one by one: what a spectator publishes is not heard."""
        goodbye = Members((self.membership.leave(),))
        return [Send(address, goodbye) for address in sorted(self._linked)]

    def _make_table(self, me: str, address: str, now: float, suspicion: Suspicion) -> Membership:
        return SpectatorTable(me, address, now, suspicion)

    def _choose(self, present: int) -> tuple[set[str], bool]:
        others = self.membership.others
        return set(others.names) if floods_reach_all(present) else others.neighbours(self.me), False
