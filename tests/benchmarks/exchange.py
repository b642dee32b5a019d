"""What the exchange costs one worker of a swarm of thousands, under steady traffic.

    python tests/benchmarks/exchange.py [--workers 4096] [--seconds 60] [--trials 68] [--sockets] [--quick]

One production node of the mesh and its neighbours, production nodes too, that all know every worker as a member and as
an origin of events; time is virtual. What the rest of the swarm records reaches each neighbour after 100 to 200 ms, at
another time each, and the measured node through them, as in a swarm of 4,096. Decoding and encoding are included,
folding the events is not.

Printed for each part of the exchange: the share of a core (CPU time by virtual time), frames and bytes in and out. What
is published is encoded once and counts for each link. ``--sockets`` adds, in real time, what it costs an idle loop to
publish and receive as many frames over ZeroMQ, with a key: of its own thread, and of all of the process.
"""

from __future__ import annotations

import argparse
import asyncio
import heapq
import json
import random
import subprocess
import sys
import tempfile
import time
from collections import defaultdict
from collections.abc import Iterable
from itertools import count
from pathlib import Path

from aiohpo.events import codec
from aiohpo.events.codec import encode_event
from aiohpo.events.log import Log
from aiohpo.events.schema import Batch, Ended, Proposed, Started
from aiohpo.keys import StudyKey, write_key
from aiohpo.mesh import frames
from aiohpo.mesh.effects import Effect, Publish, Send
from aiohpo.mesh.frames import FORMAT, Events, Frame, Hello, MemberNews, Members, Ping, Pong, decode_frame, encode_frame
from aiohpo.mesh.node import Node
from aiohpo.mesh.overlay import Rings
from aiohpo.mesh.timing import COLLECT_FOR, Suspicion, Timing
from aiohpo_transports.zeromq.transport import ZeroMQTransport

STUDY = "0123456789abcdef"
TAG = bytes.fromhex(STUDY)[:4]
LATENCY = 0.0005
FASTEST, SLOWEST = 0.1, 0.2  # seconds until the neighbours know what others recorded
WARM_UP = 5.0
PARTS = ("flood", "repair", "membership")


def part_of(frame: Frame) -> str:
    match frame:
        case Events(repair=False):
            return "flood"
        case Hello() | Members() | Ping() | Pong():
            return "membership"
    return "repair"


class Cost:
    """What one part of the exchange took."""

    def __init__(self) -> None:
        self.cpu = self.frames_in = self.bytes_in = self.frames_out = self.bytes_out = 0

    def per_second(self, seconds: float) -> dict[str, float]:
        return {
            "core": self.cpu / 1e9 / seconds,
            "frames_in": self.frames_in / seconds,
            "kB_in": self.bytes_in / 1e3 / seconds,
            "frames_out": self.frames_out / seconds,
            "kB_out": self.bytes_out / 1e3 / seconds,
        }


class Neighbourhood:
    """The measured node, the nodes linked to it, and the time."""

    def __init__(self, workers: int, rate: float, seed: int) -> None:
        self.rng = random.Random(seed)
        self.workers = [f"{self.rng.getrandbits(48):012x}" for _ in range(workers)]
        self.me = self.workers[0]
        self.rate = rate
        self.written = dict.fromkeys(self.workers, 0)
        self.lamport = 0
        self.now = 0.0
        self.agenda: list[tuple[float, int, str, object]] = []
        self.ticket = count()
        self.costs: dict[str, Cost] = defaultdict(Cost)
        past = [self.record(worker) for _ in range(3) for worker in self.workers]
        table = Members(tuple(MemberNews(worker, worker, 0, 0, worker) for worker in self.workers))
        self.nodes: dict[str, Node] = {}
        for worker in (self.me, *self.around(self.me)):
            log = Log()
            for batch in past:
                log.merge(batch)
            # What the neighbours' own neighbours would say is not played: they are not to be suspected for that.
            timing = Timing() if worker == self.me else Timing(suspicion=Suspicion(suspect=1e9))
            self.nodes[worker] = node = Node(worker, STUDY, worker, log, seed=seed, now=0.0, timing=timing)
            around = self.around(worker)
            for other in around:
                hello = Hello(FORMAT, STUDY, other, 0, other, worker, False)
                node.receive(0.0, other, encode_frame(TAG, hello))
            node.receive(0.0, around[0], encode_frame(TAG, table))
        self.due = dict.fromkeys(self.nodes, float("inf"))
        for worker in self.nodes:
            self.call_when_due(worker)
        self.at(0.0, "swarm", None)

    @property
    def links(self) -> int:
        return len(self.nodes) - 1

    def around(self, worker: str) -> list[str]:
        return sorted(Rings(set(self.workers) - {worker}).neighbours(worker))

    def record(self, worker: str) -> Batch:
        """What a worker writes when a trial ends: its result, and the next trial; at first, that it has started."""
        first, self.lamport = self.written[worker] + 1, self.lamport + 2
        if first == 1:
            begins: Started | Ended = Started(self.lamport, 1e9, "node0123", 4242, STUDY)
        else:
            begins = Ended(self.lamport, first - 1, 0, "finished", 0, self.rng.random(), 60.0)
        proposed = Proposed(self.lamport + 1, 1e9, tuple(self.rng.random() for _ in range(5)))
        self.written[worker] += 2
        return Batch(worker, first, (encode_event(begins), encode_event(proposed)))

    # --------------------------------------------------------------------------------------------- playing
    def at(self, when: float, who: str, what: object) -> None:
        heapq.heappush(self.agenda, (when, next(self.ticket), who, what))

    def call_when_due(self, who: str) -> None:
        due = max(self.nodes[who].next_deadline(), self.now + COLLECT_FOR)
        if due < self.due[who]:
            self.due[who] = due
            self.at(due, who, None)

    def play(self, seconds: float) -> None:
        end = self.now + seconds
        while self.agenda[0][0] < end:
            self.now, _, who, what = heapq.heappop(self.agenda)
            if who == "swarm":
                self.at(self.now + self.rng.expovariate(self.rate), "swarm", None)
                worker = self.rng.choice(self.workers)
                batch = self.record(worker)
                for node in [worker] if worker in self.nodes else self.nodes.keys() - {self.me}:
                    delay = 0.0 if node == worker else self.rng.uniform(FASTEST, SLOWEST)
                    self.at(self.now + delay, node, batch)
                continue
            match what:
                case Batch():
                    if what.first > self.nodes[who].log.count(what.origin) + 1:  # the one before is still on its way
                        self.at(self.now + 0.01, who, what)
                    else:
                        self.nodes[who].recover(what)
                case (str(peer), bytes(data)):
                    self.carry_out(who, self.receive(who, peer, data))
                case None if self.due[who] <= self.now:
                    self.due[who] = float("inf")
                    self.carry_out(who, self.tick(who))
            self.call_when_due(who)

    def receive(self, who: str, peer: str, data: bytes) -> Iterable[Effect]:
        if who != self.me:
            return self.nodes[who].receive(self.now, peer, data)[1]
        cost = self.costs[part_of(decode_frame(TAG, data))]
        # Nodes of one process share what they decode, which workers elsewhere cannot.
        frames._decode_shared.cache_clear()
        codec._decode_raws_shared.cache_clear()
        began = time.thread_time_ns()
        effects = self.nodes[who].receive(self.now, peer, data)[1]
        cost.cpu += time.thread_time_ns() - began
        cost.frames_in += 1
        cost.bytes_in += len(data)
        return effects

    def tick(self, who: str) -> list[Effect]:
        began = time.thread_time_ns()
        effects = self.nodes[who].tick(self.now)
        took = time.thread_time_ns() - began
        if who == self.me:
            sent = [part_of(effect.frame) for effect in effects if isinstance(effect, Publish | Send)]
            self.costs[sent[0] if sent else "membership"].cpu += took
        return effects

    def carry_out(self, who: str, effects: Iterable[Effect]) -> None:
        for effect in effects:
            if not isinstance(effect, Publish | Send):
                continue
            began = time.thread_time_ns()
            data = encode_frame(TAG, effect.frame)
            took = time.thread_time_ns() - began
            to = [effect.peer] if isinstance(effect, Send) else self.nodes[who].gossip.peers
            if who == self.me:
                cost = self.costs[part_of(effect.frame)]
                cost.cpu += took
                cost.frames_out += len(to)
                cost.bytes_out += len(data) * len(to)
            for peer in to:
                if peer in self.nodes and self.me in (who, peer):
                    self.at(self.now + LATENCY * self.rng.uniform(0.5, 1.5), peer, (who, data))


def measure(workers: int, seconds: float, rate: float, seed: int) -> dict[str, dict[str, float]]:
    swarm = Neighbourhood(workers, rate, seed)
    swarm.play(WARM_UP)
    swarm.costs.clear()
    node = swarm.nodes[swarm.me]
    duplicates, size = node.gossip.duplicates, node.log.size
    swarm.play(seconds)
    parts = {part: swarm.costs[part].per_second(seconds) for part in PARTS}
    parts["all"] = {figure: sum(part[figure] for part in parts.values()) for figure in parts["flood"]}
    copies = 1 + (node.gossip.duplicates - duplicates) / (node.log.size - size)
    return parts | {"swarm": {"links": swarm.links, "copies": copies}}


# ------------------------------------------------------------------------------------------------ sockets
async def publish(transport: ZeroMQTransport, rate: float, interval: float, size: int, until: float) -> None:
    """Publish at random, with at least ``interval`` between two frames."""
    loop = asyncio.get_running_loop()
    due = loop.time()
    while time.time() < until:
        due += interval + random.expovariate(1.0 / max(1.0 / rate - interval, 1e-3))
        await asyncio.sleep(max(due - loop.time(), 0.0))
        transport.publish(bytes(size))


def endpoint(key: str) -> ZeroMQTransport:
    return ZeroMQTransport(key=Path(key), bind="tcp://127.0.0.1:0")


async def play_neighbours(key: str, address: str, links: int, rate: float, interval: float, size: int) -> None:
    """Publish until the process is ended."""
    transports = [endpoint(key) for _ in range(links)]
    for transport in transports:
        await transport.start(lambda peer, frame: None)
        transport.connect(address)
    print(json.dumps([transport.address for transport in transports]), flush=True)
    await asyncio.gather(*(publish(transport, rate, interval, size, float("inf")) for transport in transports))


async def measure_sockets(links: int, rate: float, interval: float, size: int, seconds: float) -> str:
    with tempfile.TemporaryDirectory() as place:
        key = f"{place}/study.key"
        write_key(Path(key), StudyKey.generate())
        got = 0

        def count_frame(peer: str, frame: bytes) -> None:
            nonlocal got
            got += 1

        transport = endpoint(key)
        await transport.start(count_frame)
        rest = [key, transport.address, str(links), str(rate), str(interval), str(size)]
        command = [sys.executable, __file__, "--neighbours", *rest]
        child = await asyncio.create_subprocess_exec(*command, stdout=subprocess.PIPE)
        assert child.stdout is not None
        for address in json.loads(await child.stdout.readline()):
            transport.connect(address)
        await publish(transport, rate, interval, size, time.time() + 3.0)
        thread, process, began, got = time.thread_time(), time.process_time(), time.time(), 0
        await publish(transport, rate, interval, size, began + seconds)
        seconds = time.time() - began
        thread, process = (time.thread_time() - thread) / seconds, (time.process_time() - process) / seconds
        child.kill()
        await child.wait()
        await transport.aclose()
    return f"{'sockets':<12}{thread:>12.2%}{got / seconds:>12.1f}   with ZeroMQ's own threads {process:.2%}"


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--workers", type=int, default=4096)
    parser.add_argument("--seconds", type=float, default=60.0)
    parser.add_argument("--trials", type=float, default=68.0, help="that end in a second, in the whole swarm")
    parser.add_argument("--seed", type=int, default=0)
    parser.add_argument("--sockets", action="store_true")
    parser.add_argument("--quick", action="store_true", help="10 seconds")
    parser.add_argument("--neighbours", nargs=6, help=argparse.SUPPRESS)
    options = parser.parse_args()
    if options.neighbours:
        key, address, links, rate, interval, size = options.neighbours
        asyncio.run(play_neighbours(key, address, int(links), float(rate), float(interval), int(size)))
        return
    seconds = 10.0 if options.quick else options.seconds
    found = measure(options.workers, seconds, options.trials, options.seed)
    links, copies = int(found["swarm"]["links"]), found["swarm"]["copies"]
    print(f"{options.workers} workers, {links} links, {copies:.1f} copies of an event")
    print(f"{'':<12}{'% of a core':>12}{'frames in/s':>12}{'kB in/s':>10}{'frames out/s':>14}{'kB out/s':>10}")
    for part in (*PARTS, "all"):
        cost = found[part]
        print(
            f"{part:<12}{cost['core']:>12.2%}{cost['frames_in']:>12.1f}{cost['kB_in']:>10.1f}"
            f"{cost['frames_out']:>14.1f}{cost['kB_out']:>10.1f}"
        )
    if options.sockets:
        rate, size = found["all"]["frames_out"] / links, 1e3 * found["all"]["kB_out"] / found["all"]["frames_out"]
        interval = Timing().pace.interval_among(options.workers)
        print(asyncio.run(measure_sockets(links, rate, interval, int(size), min(seconds, 20.0))))


if __name__ == "__main__":
    main()
