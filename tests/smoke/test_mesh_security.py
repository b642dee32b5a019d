"""A mesh of real worker processes, and those who must not get in."""

from __future__ import annotations

import asyncio
import re
import socket
import sys
from collections import Counter
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from glob import glob
from pathlib import Path

import pytest

import aiohpo
from aiohpo.errors import UsageError
from aiohpo.keys import StudyKey, write_key
from aiohpo.runtime.spectator import Spectator, spectator_id, spectator_transport
from tests.smoke.processes import ENVIRONMENT, GATED, Gate, shown, statuses, until

pytestmark = pytest.mark.smoke

OTHER_FORMAT = (
    "import sys, aiohpo.mesh.frames as f; f.FORMAT = 99; from aiohpo.cli.main import main; main(sys.argv[1:])"
)
KEY, WRONG = StudyKey(bytes(range(32))), StudyKey(bytes(range(1, 33)))


class Process:
    """A worker process that writes its stderr to a file."""

    def __init__(self, directory: Path, name: str, *args: str, program: tuple[str, ...] = ("-m", "aiohpo")) -> None:
        self.log = directory / f"{name}.err"
        self._arguments = [sys.executable, *program, "worker", *args, "--dir", name]
        self._directory = directory

    async def start(self) -> Process:
        with self.log.open("wb") as log:
            self.process = await asyncio.create_subprocess_exec(
                *self._arguments, cwd=self._directory, env=ENVIRONMENT, stdout=log, stderr=log
            )
        return self

    @property
    def lines(self) -> list[str]:
        """What it said but for its greeting, how to join it, and its goodbye."""
        lines = self.log.read_text().splitlines()
        usual = r"aiohpo: (worker \w+ \(pid|for one more|insecure:|done|stopped)"
        return [line for line in lines if not re.match(usual, line)]

    async def address(self) -> str:
        """Wait until it listens."""
        for _ in range(600):
            if found := re.search(r"listens on (\S+)", self.log.read_text()):
                return found[1]
            await asyncio.sleep(0.05)
        raise AssertionError(f"it never listened: {self.log.read_text()}")

    async def end(self) -> int:
        async with asyncio.timeout(600):
            return await self.process.wait()


@asynccontextmanager
async def ending(processes: list[Process]) -> AsyncIterator[None]:
    """Leave no process behind."""
    try:
        yield
    finally:
        for p in processes:
            if p.process.returncode is None:
                p.process.kill()
                await p.process.wait()


INTRUDERS = {
    # what the mesh uses, what the intruder uses, what the mesh says, what the intruder says
    "another key": ("ours.key", "wrong.key", "a different key", "a different key"),
    "no key": ("ours.key", None, "has no key|a different key .*, or none", "requires a key"),
    "a key too many": (None, "ours.key", "has a key", "has no key|or none"),
    "another study": ("ours.key", "ours.key", "another study", "refused us.*another study"),
    "another format": ("ours.key", "ours.key", "format version 99", "refused us.*format version"),
}


@pytest.mark.parametrize("kind", INTRUDERS)
async def test_intruders_change_nothing(tmp_path: Path, kind: str) -> None:
    """Who does not belong is refused with one line on each side; the mesh does its trials and nobody else's."""
    write_key(tmp_path / "ours.key", KEY)
    write_key(tmp_path / "wrong.key", WRONG)
    (tmp_path / "study.py").write_text(GATED)
    (tmp_path / "other.py").write_text(GATED.replace("aiohpo.Float(0, 1)", "aiohpo.Float(0, 2)"))
    gate = Gate(tmp_path)
    mesh_key, their_key, mesh_says, they_say = INTRUDERS[kind]
    with_key = ["--key", mesh_key] if mesh_key else ["--insecure"]
    first = await Process(tmp_path, "first", "study.py", "--trials", "20", *with_key).start()
    everybody = [first]
    async with ending(everybody):
        address = await first.address()
        second = Process(tmp_path, "second", "study.py", "--trials", "20", "--join", address, *with_key)
        everybody.append(await second.start())
        intruder = Process(
            tmp_path,
            "intruder",
            "other.py" if kind == "another study" else "study.py",
            *("--join", address, "--trials", "5"),
            *(["--key", their_key] if their_key else ["--insecure"]),
            program=("-c", OTHER_FORMAT) if kind == "another format" else ("-m", "aiohpo"),
        )
        everybody.append(await intruder.start())
        gate.gather(3)
        until(lambda: bool(first.lines and intruder.lines))
        gate.open()
        assert [await p.end() for p in everybody] == [0, 0, 0]
    # A worker that is refused and has to wait for five seconds, on a slow machine, says that too.
    refused = [line for line in intruder.lines if "has answered at" not in line]
    assert len(first.lines) == len(refused) == 1, (first.lines, intruder.lines)
    assert second.lines == []
    assert re.search(mesh_says, first.lines[0])
    assert re.search(they_say, refused[0])
    one, two, theirs = (shown(tmp_path, name) for name in ("first", "second", "intruder"))
    assert statuses(one)["finished"] == 20
    ids = [{trial["id"] for trial in show["trials"]} for show in (one, two, theirs)]
    assert ids[0] == ids[1]
    assert ids[2]
    assert not ids[0] & ids[2]
    for text in (first, second, intruder):
        assert not any(key.text[13:] in text.log.read_text() for key in (KEY, WRONG))
    journals = b"".join(Path(path).read_bytes() for path in glob(f"{tmp_path}/*/journal/*"))
    assert journals
    assert not any(secret in journals for key in (KEY, WRONG) for secret in (key.secret, key.text.encode()))


# ------------------------------------------------------------------------------------------ man in the middle
def free_port() -> int:
    """A port that nobody listens at."""
    with socket.create_server(("127.0.0.1", 0)) as server:
        return int(server.getsockname()[1])


class Wire:
    """A relay in front of an endpoint, that writes down all bytes of both directions."""

    def __init__(self) -> None:
        self.seen = bytearray()
        self.address = ""
        self.target = free_port()  # to relay to
        self._tasks: set[asyncio.Task[None]] = set()
        self._writers: list[asyncio.StreamWriter] = []

    async def open(self) -> None:
        self._server = await asyncio.start_server(self._serve, "127.0.0.1", 0)
        self.address = f"tcp://127.0.0.1:{self._server.sockets[0].getsockname()[1]}"

    async def _serve(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        there, to_there = await asyncio.open_connection("127.0.0.1", self.target)
        self._writers += [writer, to_there]
        for pair in ((reader, to_there), (there, writer)):
            self._tasks.add(asyncio.create_task(self._relay(*pair)))

    async def _relay(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        try:
            while data := await reader.read(1 << 16):
                self.seen += data
                writer.write(data)
                await writer.drain()
        except OSError:
            pass
        writer.close()

    async def close(self) -> None:
        self._server.close()
        for task in self._tasks:
            task.cancel()
        await asyncio.gather(*self._tasks, return_exceptions=True)
        for writer in self._writers:
            writer.close()
        await self._server.wait_closed()


async def behind(wire: Wire, key: StudyKey | None, *join: str) -> aiohpo.Worker:
    """Make a worker that others reach through a wire."""
    await wire.open()
    return aiohpo.Worker(
        aiohpo.Study(objective, aiohpo.Space(learning_rate=aiohpo.Float(0, 1)), searcher="random"),
        transport="zmq",
        bind=f"tcp://127.0.0.1:{wire.target}",
        advertise=wire.address,
        join=join,
        key=key,
        insecure=key is None,
        trials=20,
    )


async def objective(trial: aiohpo.Trial) -> float:
    await asyncio.sleep(0.02)
    return float(trial["learning_rate"])


@pytest.mark.parametrize("key", [KEY, None], ids=["with a key", "without"])
async def test_the_wire_shows_nothing(key: StudyKey | None) -> None:
    """On the wires between two workers and a spectator no name, no worker and no event can be read with a key; all
    of them can without."""
    wires = [Wire(), Wire()]
    first = await behind(wires[0], key)
    second = await behind(wires[1], key, wires[0].address)
    watcher = spectator_id()
    try:
        async with first as one, second as two:
            spectator = Spectator(
                spectator_transport("zmq", watcher, key), watcher, lambda: [one.address], notice=lambda text: None
            )
            await spectator.start()
            async with asyncio.timeout(600):
                results = await asyncio.gather(one.wait(), two.wait())
            await spectator.aclose()
    finally:
        for wire in wires:
            await wire.close()
    counts = [Counter(trial.status for trial in result.trials) for result in results]
    assert [count["finished"] for count in counts] == [20, 20], counts
    assert {trial.worker for trial in results[0].trials} == {one.id, two.id}
    seen = b"".join(wire.seen for wire in wires)
    events = [raw for batch in one._peer.services.log.missing({}, 1 << 30) for raw in batch.raws if len(raw) > 8]
    assert len(events) > 40
    words = [b"learning_rate", one.id.encode(), two.id.encode(), one.address.encode()]
    assert [word in seen for word in words] == [key is None] * len(words)
    readable = sum(event in seen for event in events)
    assert readable == 0 if key else readable > len(events) / 2


async def test_spectators_need_the_key() -> None:
    """Nobody can watch a search without its key; who has it can."""
    space = aiohpo.Space(learning_rate=aiohpo.Float(0, 1))
    study = aiohpo.Study(objective, space, searcher="random")
    async with aiohpo.Worker(study, transport="zmq", key=KEY, time=30) as worker:
        for key, allowed in ((None, False), (WRONG, False), (KEY, True)):
            watcher, told = spectator_id(), []
            carrier = spectator_transport("zmq", watcher, key)
            spectator = Spectator(carrier, watcher, lambda: [worker.address], notice=told.append)
            if allowed:
                await spectator.start()
                assert spectator.study["space"]
                await spectator.aclose()
            else:
                with pytest.raises(UsageError):
                    await spectator.start(within=2.0)
                assert len(told) == 1
        worker.stop()
