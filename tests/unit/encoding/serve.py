"""Serves the encoding API of a data directory until it is killed; prints its address first."""

import asyncio
import sys
from pathlib import Path

from kinema.rpc.service import make_server, open_socket
from tests.unit.encoding.room import Room

if __name__ == "__main__":
    listener = open_socket("127.0.0.1")
    server = make_server(Room(Path(sys.argv[1])).app)

    async def serve():
        task = asyncio.create_task(server.serve(sockets=[listener]))
        while not server.started:  # noqa: ASYNC110 -- uvicorn has no event for it
            await asyncio.sleep(0.01)
        print(f"http://127.0.0.1:{listener.getsockname()[1]}", flush=True)  # noqa: T201 -- the test reads it
        await task

    asyncio.run(serve())
