"""One registry for the benchmark: `python -m benchmarks.registry_server PORT DIRECTORY`. SIGUSR1 moves its clock on by 200 s.

The registry counts leases in the time in which it ran, so the jump ends none; it only lets old changes leave the delta.
"""

import asyncio
import signal
import sys
from pathlib import Path

from kinema.core import log
from kinema.core.clock import SystemClock
from kinema.core.keys import KeyRing
from kinema.rpc.service import make_server, open_socket
from kinema.services.discovery import create_discovery


class _Clock(SystemClock):
    shift = 0.0

    def monotonic(self) -> float:
        return super().monotonic() + self.shift


async def _serve(port: int, directory: Path) -> None:
    clock = _Clock()
    app = create_discovery(instance="discovery-1", keys=KeyRing(directory), clock=clock)

    def jump() -> None:
        clock.shift += 200

    asyncio.get_running_loop().add_signal_handler(signal.SIGUSR1, jump)
    await make_server(app).serve(sockets=[open_socket("127.0.0.1", port)])


if __name__ == "__main__":
    log.configure(json=True)
    asyncio.run(_serve(int(sys.argv[1]), Path(sys.argv[2])))
