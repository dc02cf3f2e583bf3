"""Serves one file (the argument) from a map, on a port that it prints, until it is killed."""

import asyncio
import mmap
import socket
import sys
from pathlib import Path

import uvloop

from kinema.http import Exchange, Server


async def serve(path: Path) -> None:
    with path.open("rb") as file:
        view = memoryview(mmap.mmap(file.fileno(), 0, prot=mmap.PROT_READ))

    def handler(exchange: Exchange) -> None:
        exchange.reply(200, (), b"alive" if exchange.path == "/alive" else view)

    sock = socket.socket()
    sock.bind(("127.0.0.1", 0))
    server = Server(handler)
    await server.start(sock)
    sys.stdout.write(f"{server.port}\n")
    sys.stdout.flush()
    await asyncio.Event().wait()


if __name__ == "__main__":
    uvloop.run(serve(Path(sys.argv[1])))
