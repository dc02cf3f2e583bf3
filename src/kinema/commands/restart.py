"""`kinema restart`: replace the processes of a running region one after the other, without a failed request."""

import asyncio

from kinema.cluster.control import Command, send
from kinema.commands.options import Data, data_dir


def restart(*processes: str, data: Data = None) -> None:
    """Restart these processes in turn (see `kinema status`), or all of them; the region serves on meanwhile."""
    command = Command("restart", processes)
    asyncio.run(send(data_dir(data), command, lambda text: print(text, flush=True)))
    print("Every process is back.")
