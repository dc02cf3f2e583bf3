"""Every process of a region is replaced under 500 requests a second: not one request fails."""

import asyncio
import json
import sys
import time
from collections import Counter
from pathlib import Path

import pytest

from kinema.http import Client
from tests.support.clips import make_clip
from tests.support.regions import RegionUnderTest

CLIENTS = 30
PAUSE_SECONDS = 0.05  # of each client from one request to the next: 600 requests/s less what answers take
KINEMA = Path(sys.executable).parent / "kinema"
JSON = (b"content-type", b"application/json")


@pytest.mark.slow
@pytest.mark.timeout(180)
async def test_a_rolling_restart_of_everything_fails_no_request(tmp_path):
    region = RegionUnderTest(tmp_path / "data")
    await asyncio.to_thread(region.start)
    try:
        await asyncio.to_thread(region.wait_whole)
        clip = make_clip(tmp_path / "clip.mp4", seconds=4, size="320x180")
        title = await asyncio.to_thread(region.add, clip, "Rolling")
        old = {name: region.pid(name) for name in ("cell-1", "cell-2", "gateway-1", "gateway-2", "edge-1", "worker-1")}
        outcomes, failures, seconds = await under_load(region, title)
        sys.stdout.write(f"{sum(outcomes.values())} requests, {sum(outcomes.values()) / seconds:.0f}/s, {outcomes}\n")
        assert failures == []
        assert set(outcomes) == {200, 201}
        assert sum(outcomes.values()) / seconds >= 300  # a busy machine may not give all of the 500
        assert all(region.pid(name) not in (0, pid) for name, pid in old.items())
    finally:
        await asyncio.to_thread(region.stop)


async def under_load(region, title):
    """Send requests while `kinema restart` runs; return the statuses counted, what failed, and how long it took."""
    client, outcomes, failures = Client(), Counter(), []
    bearer = (b"authorization", b"Bearer " + region.token.encode())
    origin = f"127.0.0.1:{region.port}"
    ended = asyncio.Event()
    paths = ("/v1/home", "/v1/titles", f"/v1/titles/{title}", "/v1/session", "/v1/jobs")

    async def ask(number):
        if number % 10 == 0:
            body = json.dumps({"title_id": title}).encode()
            return await client.fetch(origin, "POST", "/v1/plays", [bearer, JSON], body, timeout=10)
        return await client.fetch(origin, "GET", paths[number % 5], [bearer], timeout=10)

    async def visit(number):
        while not ended.is_set():
            due = time.monotonic() + PAUSE_SECONDS
            try:
                answer = await ask(number)
                outcomes[answer.status] += 1
                if answer.status >= 400:
                    failures.append((number % 10, answer.status, answer.body[:200]))
            except Exception as error:  # noqa: BLE001 -- whatever it is, the request failed
                failures.append((number % 10, repr(error)))
            number += 1
            await asyncio.sleep(max(0.0, due - time.monotonic()))

    begun = time.monotonic()
    visitors = [asyncio.create_task(visit(number)) for number in range(CLIENTS)]
    restart = await asyncio.create_subprocess_exec(KINEMA, "restart", "--data", str(region.data_dir))
    assert await restart.wait() == 0
    ended.set()
    await asyncio.gather(*visitors)
    await client.close()
    return outcomes, failures, time.monotonic() - begun
