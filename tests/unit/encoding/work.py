"""A worker process on a data directory, for tests that kill it; appends each announcement to announced.jsonl."""

import asyncio
import os
import sys
from pathlib import Path

import msgspec

from tests.unit.encoding.room import Room

if __name__ == "__main__":
    directory = Path(sys.argv[1])
    room = Room(directory)

    async def announce(title_id, publication):
        with (directory / "announced.jsonl").open("ab") as file:
            file.write(msgspec.json.encode((title_id, publication)) + b"\n")
            file.flush()
            os.fsync(file.fileno())

    async def work():
        async with room.worker(f"worker-{os.getpid()}", announce=announce) as task:
            await task

    asyncio.run(work())
