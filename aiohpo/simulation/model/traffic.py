"""What a worker sends in a second, by the rules of production's gossip and membership, without what its start costs.

flood    Each batch of news goes to all links (:mod:`.news` has how many batches); each event is in one of them.
repair   Every ``digest`` seconds a hash goes to one peer. Where the two logs differ just then, as one has heard what
         has yet to come over the link, both send their version vectors, which name every worker. In large swarms one
         sends the hashes of groups of logs, the other its vectors of the groups that differ, and the first its own if
         it is the one that lacks something, as it is half of the time.
pings    A link on which nothing came for three quarters of a ``ping`` interval carries a ping and its answer.
"""

from __future__ import annotations

import math

from ...events.groups import group_count
from ...mesh.overlay import FULL_MESH, ring_count
from ...mesh.timing import COLLECT_FOR, Timing
from .news import batches_per_second, recent_share

_HEADER = 12  # bytes of a frame beside its content
_BATCH = 20  # bytes of a batch of events beside them: the worker's name, a number, lengths
_DIGEST = 32
_ORIGIN = 16  # bytes of a worker in a version vector
_HASH = 9
_GROUP = 3 + _HASH  # bytes of a group of logs that differs, beside those of its workers
_PING = 20


def traffic_of(workers: int, batches: float, event_bytes: float, latency: float, timing: Timing) -> dict[str, float]:
    """Return frames and bytes that a worker sends in a second.

    Args:
        workers: how many there are.
        batches: what all workers together record in a second, in batches of news.
        event_bytes: the same in bytes of events.
        latency: seconds that a frame travels.
        timing: of the exchange.
    """
    pace, suspicion = timing.pace, timing.suspicion
    forwards = workers > FULL_MESH
    degree = min(2 * ring_count(workers), workers - 1) if forwards else workers - 1
    passed, size = (batches, event_bytes) if forwards else (batches / workers, event_bytes / workers)
    interval = pace.interval_among(workers)
    flushes = batches_per_second(passed, interval)
    flood = flushes * degree
    hop = latency + COLLECT_FOR + recent_share(passed, interval) * interval / 2
    differ = 1.0 - math.exp(-batches * hop)
    digests = 1.0 / pace.digest if workers > 1 else 0.0
    silent = math.exp(-flushes * 0.75 * suspicion.ping) / suspicion.ping
    pings = degree * silent * 2  # and answers
    if groups := group_count(workers):
        vectors = 1.5
        compared = groups * _HASH + vectors * min(batches * hop, groups) * (_GROUP + workers / groups * _ORIGIN)
        frames = flood + digests * (1 + (1 + vectors) * differ) + pings
    else:
        compared = 2 * workers * _ORIGIN
        frames = flood + digests * (1 + 2 * differ) + pings
    content = degree * (size + passed * _BATCH) + digests * (_DIGEST + differ * compared) + pings * _PING
    return {
        "frames_per_worker_second": frames,
        "bytes_per_worker_second": content + frames * _HEADER,
        "lost": 0.0,
    }
