"""A service that speaks WebSocket, by the `websockets` library: run it as a process (it prints its port), or call `handle`."""

import asyncio
import sys

from websockets.asyncio.server import serve


async def handle(connection):
    """Echo; `count` and `flood` make it talk, `bye` makes it close."""
    async for message in connection:
        if message == "identity":
            await connection.send(connection.request.headers.get("x-kinema-identity", "none"))
        elif message == "flood":
            for _ in range(400):
                await connection.send(b"x" * 65_536)
        elif message == "bye":
            await connection.close(4000, "as you wish")
        elif message == "lose":
            connection.transport.abort()
        else:
            await connection.send(message)


def chosen(connection, offered):
    """Speak `chat` to whoever offers it, and nothing named to others."""
    return "chat" if "chat" in offered else None


async def main():
    async with serve(handle, "127.0.0.1", 0, max_size=1 << 26, select_subprotocol=chosen) as server:
        sys.stdout.write(f"{server.sockets[0].getsockname()[1]}\n")
        sys.stdout.flush()
        await server.serve_forever()


if __name__ == "__main__":
    asyncio.run(main())
