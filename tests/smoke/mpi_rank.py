"""An MPI transport in a rank, driven from outside over a socket. ``mpi_rank.py PATH`` connects to PATH and obeys.

Each message, both ways, is four bytes of length and msgpack. Orders are ``[name, *arguments]`` and are answered
with ``["done", value]`` or ``["error", type, text]``; what the endpoint hears is told as ``["frame", peer, bytes]``.
"""

from __future__ import annotations

import asyncio
import struct
import sys
from typing import Any

import msgpack

from aiohpo_transports.mpi.transport import MPITransport

LENGTH = struct.Struct("<I")


def packed(message: list[Any]) -> bytes:
    data: bytes = msgpack.packb(message)
    return LENGTH.pack(len(data)) + data


async def obey(path: str) -> None:
    reader, writer = await asyncio.open_unix_connection(path)
    transport = MPITransport()
    while True:
        try:
            order = msgpack.unpackb(await reader.readexactly(*LENGTH.unpack(await reader.readexactly(4))))
        except asyncio.IncompleteReadError:
            break
        try:
            answer: list[Any] = ["done", None]
            match order:
                case ["start"]:
                    transport = MPITransport()
                    await transport.start(lambda peer, frame: writer.write(packed(["frame", peer, frame])))
                    answer = ["done", transport.address]
                case ["aclose"]:
                    await transport.aclose()
                case ["publish" | "send" | "connect" | "disconnect" as name, *arguments, as_bytearray]:
                    if as_bytearray:
                        arguments[-1] = bytearray(arguments[-1])
                    answer = ["done", getattr(transport, name)(*arguments)]
        except Exception as error:
            builtin = next(kind.__name__ for kind in type(error).__mro__ if kind.__module__ == "builtins")
            answer = ["error", builtin, str(error)]
        writer.write(packed(answer))
    await transport.aclose()


if __name__ == "__main__":
    asyncio.run(obey(sys.argv[1]))
