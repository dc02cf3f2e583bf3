"""A page made of the answers of several services, one of which is slow and one dead: the page comes in time, with what there is."""

import asyncio
import statistics
import time

import msgspec
import pytest
from litestar import get

from kinema.core import faults
from kinema.core.faults import Fault
from tests.support.fabric import bearer, fabric, until

SLOW = Fault("rpc/ratings/*", delay=2.0)
DEAD = Fault("rpc/continue/*", failure="connect")
ROWS = ("popular", "ratings", "continue")
DEADLINE = 1.0  # of each row: half of what the slow one would take, and far more than a busy machine adds to the others
ROW_SECONDS = 0.02  # what a service that is well takes: less would measure this process's loop, which all of them share


class Row(msgspec.Struct, frozen=True):
    name: str
    fallback: str = ""


class Home(msgspec.Struct, frozen=True):
    rows: tuple[Row, ...]


class Page:
    """The services of the page, and the gateway in front."""

    def __init__(self, region):
        self.region = region

    async def start(self):
        region = self.region

        async def row(name):
            return await region.rpc.call(
                name, "GET", "/row", type=Row, deadline_seconds=DEADLINE, fallback=lambda error: Row(name, error.code)
            )

        @get("/v1/home", opt={"public": True})
        async def home() -> Home:
            return Home(tuple(await asyncio.gather(*(row(name) for name in ROWS))))

        @get("/v1/titles", opt={"public": True})
        async def popular() -> Row:
            return await row("popular")

        for name in ROWS:
            await region.upstream(name, _answering(msgspec.json.encode(Row(name))))
        await region.service("catalog", home, popular)
        self.token = bearer(await region.token())
        return self

    async def ask(self, *wanted, path="/v1/home"):
        """Return the answer and how long it took; `wanted` are the faults that this request brings."""
        headers = [self.token]
        if wanted:
            sealed = faults.seal(wanted, self.region.keys, self.region.clock.now())
            headers.append((b"x-kinema-fault", sealed.encode()))
        began = time.monotonic()
        response = await self.region.get(path, *headers)
        assert response.status == 200
        return response.body, time.monotonic() - began

    async def rows(self, *wanted):
        body, _ = await self.ask(*wanted)
        return {row.name: row.fallback for row in msgspec.json.decode(body, type=Home).rows}

    def breaker(self, service):
        [state] = [one for one in self.region.rpc.balancer.snapshot().instances if one.service == service]
        return state.breaker


def _answering(body):
    """Return a handler that answers after a while, as a service does that asks a database."""

    def handler(exchange):
        asyncio.get_running_loop().call_later(ROW_SECONDS, exchange.reply, 200, (), body)

    return handler


async def test_the_page_comes_in_time_with_fallbacks_and_the_breakers_open_half_open_and_close(tmp_path):
    async with fabric(tmp_path, members=True, gateway=True) as region:
        page = await Page(region).start()
        assert await page.rows() == {"popular": "", "ratings": "", "continue": ""}
        body, took = await page.ask(SLOW, DEAD)
        assert took < 2.0  # not the two seconds of the slow one
        assert b'"popular"' in body
        assert await page.rows(SLOW, DEAD) == {"popular": "", "ratings": "timed-out", "continue": "connect-failed"}
        assert await page.rows() == {"popular": "", "ratings": "", "continue": ""}  # nobody else feels it
        await asyncio.gather(*(page.ask(SLOW, DEAD) for _ in range(30)))
        assert (page.breaker("ratings"), page.breaker("continue"), page.breaker("popular")) == (
            "open",
            "open",
            "closed",
        )
        assert await page.rows(SLOW) == {"popular": "", "ratings": "unavailable", "continue": "unavailable"}
        await until(lambda: page.region.rpc.balancer.pick("ratings") is not None, 20)
        assert page.breaker("ratings") == "open"  # until the first call comes
        assert await page.rows(SLOW, DEAD) == {"popular": "", "ratings": "timed-out", "continue": "connect-failed"}
        assert page.breaker("ratings") == "open"  # its probe failed

        async def healed():
            return await page.rows() == {"popular": "", "ratings": "", "continue": ""}

        deadline = time.monotonic() + 30
        while not await healed():
            assert time.monotonic() < deadline
            await asyncio.sleep(0.1)
        assert (page.breaker("ratings"), page.breaker("continue")) == ("closed", "closed")


@pytest.mark.slow
@pytest.mark.timeout(180)
async def test_other_calls_stay_within_a_fifth_of_their_usual_p99(tmp_path):
    async with fabric(tmp_path, members=True, gateway=True) as region:
        page = await Page(region).start()

        async def p99(*wanted):
            """Ask for titles at a steady pace, and for pages with these faults beside them."""
            took, pages = [], set()
            for _ in range(300):
                pages.add(asyncio.create_task(page.ask(*wanted)))
                took.append((await page.ask(path="/v1/titles"))[1])
                await asyncio.sleep(0.01)
            await asyncio.gather(*pages)
            return sorted(took)[int(len(took) * 0.99)]

        await p99()
        usual, ill = [], []
        for _ in range(3):
            usual.append(await p99())
            ill.append(await p99(SLOW, DEAD))
        assert statistics.median(ill) < 1.2 * statistics.median(usual), (usual, ill)
