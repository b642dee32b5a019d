"""What is known of how far the peers are: which of them has what this worker has, and more.

It is known from their version vectors. A peer of a swarm of thousands sends only the part of groups that differ
(:mod:`aiohpo.events.groups`), as an answer: of the others it has what this worker had when it asked. So the last few
vectors that were asked with are kept, by the hash of the log, which comes back in the answer.
"""

from __future__ import annotations

from ..events.log import Log
from .frames import GroupVector, Vector

_QUESTIONS_KEPT = 4  # each a version vector; peers are asked again every 0.2 s at most


class PeerProgress:
    """The last version vector of each of the ``peers``; what others send is not kept.

    ``mine`` is the origin that only this worker writes to.
    """

    def __init__(self, log: Log, mine: str) -> None:
        self.peers: list[str] = []
        self._log = log
        self._mine = mine
        self._theirs: dict[str, dict[str, int]] = {}  # the last version vector heard from each peer
        self._heard: dict[str, float] = {}  # when that was
        self._groups: dict[str, int] = {}  # into how many groups each peer divides its log
        self._questions: dict[bytes, dict[str, int]] = {}  # by the hash of the log then, this worker's vectors

    # ------------------------------------------------------------------------------------------- hearing
    def on_vector(self, peer: str, frame: Vector, now: float) -> None:
        """Note what a peer has."""
        if peer in self.peers:
            self._theirs[peer] = dict(frame.counts)
            self._heard[peer] = now

    def on_group_vector(self, peer: str, frame: GroupVector, now: float) -> None:
        """Note the same, if this is an answer to a question that was kept."""
        groups = self._log.groups
        if peer not in self.peers or not groups.divide_by(frame.count) or frame.asked not in self._questions:
            return
        unless_said = dict.fromkeys(groups.origins(frame.count, frame.hashes), 0)
        self._theirs[peer] = self._questions[frame.asked] | unless_said | frame.counts
        self._heard[peer] = now

    def divides_by(self, peer: str, groups: int) -> None:
        """Note into how many groups a peer divides its log."""
        if peer in self.peers:
            self._groups[peer] = groups

    # ------------------------------------------------------------------------------------------- asking
    def ask(self, peer: str) -> int:
        """Return the number of groups whose hashes to ask ``peer`` with, and keep what is here now; 0: ask it with the
        whole version vector."""
        count = self._log.groups.common_count(self._groups.get(peer, 0))
        if count and (asked := self._log.hash()) not in self._questions:
            self._questions[asked] = self._log.vector()
            if len(self._questions) > _QUESTIONS_KEPT:
                del self._questions[next(iter(self._questions))]
        return count

    def lagging(self) -> list[str]:
        """Peers that are not known to have everything that this worker's log has."""
        mine = self._log.vector()
        self._forget_strangers()
        return [
            peer
            for peer in self.peers
            if any(self._theirs.get(peer, {}).get(origin, 0) < n for origin, n in mine.items())
        ]

    def ahead(self, since: float) -> list[str]:
        """Peers that have not said since then what they have, or that have something that this log lacks."""
        self._forget_strangers()
        return [
            peer
            for peer in self.peers
            if self._heard.get(peer, since - 1.0) < since or self._log.lacks_any_of(self._theirs[peer])
        ]

    def unaware(self, number: int) -> list[str]:
        """Peers that are not known to have this worker's own events up to ``number``, or that had something then that
        this log lacks."""
        self._forget_strangers()
        return [
            peer
            for peer in self.peers
            if (theirs := self._theirs.get(peer)) is None
            or theirs.get(self._mine, 0) < number
            or self._log.lacks_any_of(theirs)
        ]

    def _forget_strangers(self) -> None:
        for peer in (self._theirs.keys() | self._groups.keys()) - set(self.peers):
            self._theirs.pop(peer, None)
            self._heard.pop(peer, None)
            self._groups.pop(peer, None)

    def __repr__(self) -> str:
        return f"<PeerProgress of {len(self._theirs)} of {len(self.peers)} peers>"
