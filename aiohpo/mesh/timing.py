"""Every number of seconds by which peers keep in step, in one place.

:class:`Pace`, :class:`Suspicion` and :class:`Timing` are what a swarm of another size or on another network may want
otherwise, and are given to a peer when it is made. The constants below them hold everywhere. How long the user's code
may take to start, to answer or to end stands beside the evaluators; how long a worker puts up with a full disk, in
:mod:`aiohpo.peer.patience`.
"""

from __future__ import annotations

from dataclasses import dataclass, field

_HURRIED_UP_TO = 800  # members
_MOST_UNHURRIED = 5.0


@dataclass(frozen=True, slots=True)
class Pace:
    """Timing (seconds) and sizes (bytes) of the gossip.

    interval        between two batches of a flood, in swarms of up to 800 members; see :meth:`interval_among`
    digest          between two comparisons of version vectors, jittered by a quarter
    repair_timeout  until a question for missing events counts as unanswered
    """

    interval: float = 0.02
    digest: float = 2.0
    repair_timeout: float = 1.0
    batch_bytes: int = 256 << 10
    batch_events: int = 256
    round_bytes: int = 1 << 20

    def interval_among(self, members: int) -> float:
        """Return the seconds between two batches of a flood among so many members.

        In swarms of thousands something is new in every interval, and each batch is a frame to each of eight links,
        which costs ten times as much CPU time as what is in it. So the interval grows with the swarm, up to five
        times. With 68 trials of 60 s ending each second among 4,096 workers, and messages of 0.5 ms (news by
        :mod:`aiohpo.simulation.model.news`; CPU of one worker by ``tests/benchmarks/exchange.py``):

            interval                                 20 ms    50 ms   100 ms   200 ms
            news, median                             18 ms    63 ms   126 ms   248 ms
            frames a second, each way                  337      159       80       40
            the exchange itself, of a core          0.49 %            0.31 %
            the loop's part of ZeroMQ                3.3 %    1.9 %    0.7 %
        """
        return self.interval * min(max(members / _HURRIED_UP_TO, 1.0), _MOST_UNHURRIED)


@dataclass(frozen=True, slots=True)
class Suspicion:
    """Timing of the failure detector (seconds).

    A silent worker is declared dead after ``suspect + dead`` (with a second accuser) to ``suspect + 2 * dead``
    (alone), plus one ``ping`` interval.

    probe_dead  between two greetings of a member believed dead, jittered
    late        how much too late a tick may come before this worker doubts itself rather than the others
    """

    ping: float = 1.0
    suspect: float = 3.0
    dead: float = 3.0
    probe_dead: float = 10.0
    late: float = 0.5

    @property
    def longest(self) -> float:
        """The longest that a worker takes to find out that another is dead, give or take a ping interval."""
        return self.ping + self.suspect + 2 * self.dead


@dataclass(frozen=True, slots=True)
class Timing:
    """What may differ from swarm to swarm."""

    pace: Pace = field(default_factory=Pace)
    suspicion: Suspicion = field(default_factory=Suspicion)


# The flood
COLLECT_FOR = 0.001  # what is to leave is joined by what follows at once, as a result by a new trial

# Links
GREET_AGAIN = 1.0  # between two greetings of one address
LONGEST_ROUND_TRIP = 10.0  # a longer one is a clock that jumped, or nonsense

# Fetching blobs
HOLDER_SILENT = 2.0  # without progress, after which the next holder is asked
FETCH_AT_LEAST = 30.0  # for a blob to arrive, however small it is

# Claims and leases
FREED_OVER = 10.0  # what the rate of workers becoming free is averaged over
TURN = 0.5  # between two workers' turns to declare a loss
CLAIM_HEARD_WITHIN = 2.0  # peers that do not say by then whether they claimed a trial too are not waited for

# Failures
CAUTIOUS_FOR = 5.0  # the longest that a worker waits before a trial because all that ended have failed

# A peer's beginning and end
ANSWERED_WITHIN = 5.0  # after which people hear that an address that they gave has not answered
ACQUAINTED_WITHIN = 1.0  # a worker whose peers do not answer begins without them
HEAR_OUT_WITHIN = 2.0  # what the peers know may be on its way for so long when the search seems to be over
LEAVE_WITHIN = 2.0  # and so long a leaving worker waits for peers to take what it has
SYNC_EVERY = 1.0  # between two times that the journal is made durable
LOOK_AT_ONCE = 0.001  # the first pause before looking again for an answer that a slot waits for
LOOK_SOON = 0.01  # the first pause between two looks at something that a peer has to answer
LOOK_LATER = 0.2  # pauses double up to this one

# Spectators
ANSWER_WITHIN = 10.0  # for a worker to say what is searched, and for its log to arrive
ASK_AGAIN = 0.5
PONG_WITHIN = 1.5  # for the first ping to be answered
