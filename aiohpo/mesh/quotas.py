"""Quotas: how much of what costs memory one peer may bring in, and all of them together.

Every worker that is heard of is kept for good, as an origin of events and as a member, so their number needs a bound.
It is far above what an honest swarm needs, restarts included; what is refused beyond it is counted, and said once for
each peer.
"""

from __future__ import annotations

from ..text import printable

MOST_FROM_ONE = 1 << 15
MOST_OF_ALL = 1 << 16
_MOST_NOTICES = 50


class Quota:
    """Counts what each peer brings in of one kind; ``what`` names it in the plural."""

    def __init__(self, what: str) -> None:
        self.refused = 0
        self._what = what
        self._brought: dict[str, int] = {}
        self._told: set[str] = set()

    def admit(self, peer: str, held: int) -> bool:
        """Whether ``peer`` may bring in one more where ``held`` are here already. What may come in counts."""
        brought = self._brought.get(peer, 0)
        if brought >= MOST_FROM_ONE or held >= MOST_OF_ALL:
            self.refused += 1
            return False
        self._brought[peer] = brought + 1
        return True

    def complaint(self, peer: str) -> str | None:
        """What to tell people of the refusals so far; None if it was said of this peer before, or of too many."""
        if peer in self._told or len(self._told) >= _MOST_NOTICES:
            return None
        self._told.add(peer)
        return (
            f"{printable(peer)} announces more {self._what} than can be kept ({MOST_FROM_ONE} from one peer, "
            f"{MOST_OF_ALL} in all): the rest is ignored"
        )

    def __repr__(self) -> str:
        return f"<Quota of {self._what}: {sum(self._brought.values())} taken, {self.refused} refused>"
