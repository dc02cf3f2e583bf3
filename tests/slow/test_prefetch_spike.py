"""The published proof once for real: a service in a process of its own, twelve times its usual prefetches from another one.

Its handler works on the event loop: nothing else is done meanwhile, and whoever comes lies unseen in the kernel.
"""

import asyncio
import contextlib
import sys
import time
from collections import Counter

import pytest

from kinema.http import Client, ClientLimits

pytestmark = pytest.mark.slow

SERVICE = """
import asyncio, sys, time
from pathlib import Path
from litestar import get
from kinema.core.clock import SystemClock
from kinema.core.keys import KeyRing
from kinema.rpc.service import create_app, make_server, open_socket

@get("/work", opt={"public": True})
async def work() -> str:
    time.sleep(0.016)  # holds the loop as computing would, and as long on a busy machine: 60 of these a second
    return "done"

app = create_app(service="s", instance="s-1", keys=KeyRing(Path(sys.argv[1])), clock=SystemClock(), routes=[work])
listener = open_socket("127.0.0.1")
print(listener.getsockname()[1], flush=True)
asyncio.run(make_server(app).serve(sockets=[listener]))
"""


@contextlib.asynccontextmanager
async def service(path):
    process = await asyncio.create_subprocess_exec(
        sys.executable, "-c", SERVICE, str(path), stdout=asyncio.subprocess.PIPE
    )
    try:
        origin = f"127.0.0.1:{int(await process.stdout.readline())}"
        yield origin
    finally:
        process.kill()
        await process.wait()


async def send(client, origin, priority, rate, seconds, statuses):
    """Send so many requests a second, whether they are answered or not."""
    fields = ((b"x-kinema-priority", priority), (b"x-kinema-deadline", b"10000"))
    tasks = set()

    async def one():
        statuses[(await client.fetch(origin, "GET", "/work", fields)).status] += 1

    began, sent = time.monotonic(), 0
    while (passed := time.monotonic() - began) < seconds:
        while sent < passed * rate:
            task = asyncio.create_task(one())
            tasks.add(task)
            task.add_done_callback(tasks.discard)
            sent += 1
        await asyncio.sleep(0.002)
    await asyncio.gather(*tasks)
    return statuses


def availability(statuses):
    return statuses[200] / sum(statuses.values())


async def test_a_twelvefold_spike_of_prefetches_leaves_user_initiated_requests_alone(tmp_path):
    client = Client(ClientLimits(connections=512, waiting=100_000))
    async with service(tmp_path) as origin:
        await client.fetch(origin, "GET", "/healthz")
        usual = await asyncio.gather(
            send(client, origin, b"critical", 15, 5.0, Counter()),
            send(client, origin, b"best_effort", 15, 5.0, Counter()),
        )
        assert availability(usual[0]) == 1.0
        assert availability(usual[1]) > 0.8  # a busy machine may hold the service up for a moment
        critical, prefetch = await asyncio.gather(
            send(client, origin, b"critical", 15, 20.0, Counter()),
            send(client, origin, b"best_effort", 180, 20.0, Counter()),
        )
        assert set(prefetch) <= {200, 503}
        sys.stdout.write(f"critical {availability(critical):.4f}, prefetches {availability(prefetch):.4f}\n")
        assert availability(critical) > 0.994
        assert availability(prefetch) < 0.3, prefetch  # of 60 a second, 15 are for starts: 25 % is all that there is
        after = await send(client, origin, b"best_effort", 15, 5.0, Counter())
        assert availability(after) > 0.9
    await client.close()
