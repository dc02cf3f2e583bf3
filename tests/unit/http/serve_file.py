"""Serves one file on a port that it prints, until it is killed: argv is the path and "uvloop" or "asyncio"."""

import asyncio
import socket
import sys
from pathlib import Path

import uvloop

from kinema.http import Exchange, MappedFile, Server


async def serve(path: Path) -> None:
    file = MappedFile(path)

    def handler(exchange: Exchange) -> None:
        if exchange.path == "/alive":
            exchange.reply(200, (), b"alive")
        else:
            exchange.send_file(200, (), file, 0, file.size)

    sock = socket.socket()
    sock.bind(("127.0.0.1", 0))
    server = Server(handler)
    await server.start(sock)
    print(server.port, flush=True)
    await asyncio.Event().wait()


if __name__ == "__main__":
    run = uvloop.run if sys.argv[2] == "uvloop" else asyncio.run
    run(serve(Path(sys.argv[1])))
