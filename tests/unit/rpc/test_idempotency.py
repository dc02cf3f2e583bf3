"""Idempotency-Key: the same request sent twice has its effect once, on a real SQLite file."""

import asyncio

import httpx
import msgspec
import pytest
import sqlalchemy as sa
from litestar import Request, Response, post
from litestar.datastructures import State

from kinema.core.clock import ManualClock
from kinema.core.errors import Unavailable
from kinema.core.identity import HEADER, Identity, seal
from kinema.core.keys import KeyRing
from kinema.rpc.idempotency import Idempotency
from kinema.rpc.idempotency_table import idempotency_table
from kinema.rpc.service import create_app
from kinema.storage.engines import open_sql


class Order(msgspec.Struct, frozen=True):
    item: str


class Receipt(msgspec.Struct, frozen=True):
    number: int


class Shop:
    def __init__(self):
        self.sold = 0
        self.broken = False
        self.open = asyncio.Event()
        self.open.set()
        self.entered = asyncio.Event()

    async def sell(self):
        self.entered.set()
        await self.open.wait()
        if self.broken:
            raise Unavailable("The shop is closed; try again later.")
        self.sold += 1
        return Receipt(self.sold)


@post("/orders")
async def order(
    request: Request[object, object, State], data: Order, identity: Identity, idempotency: Idempotency, shop: Shop
) -> Response[bytes]:
    return await idempotency.run(request, identity, shop.sell)


@pytest.fixture
def shop():
    return Shop()


@pytest.fixture
async def send(tmp_path, shop):
    clock, keys, metadata = ManualClock(), KeyRing(tmp_path), sa.MetaData()
    table = idempotency_table(metadata)
    sql = open_sql(tmp_path, "", "shop")
    async with sql.transaction() as connection:
        await connection.run_sync(metadata.create_all)
    app = create_app(
        service="shop",
        instance="shop-1",
        keys=keys,
        clock=clock,
        routes=[order],
        provide={"idempotency": Idempotency(sql, clock, table), "shop": shop},
    )
    async with httpx.AsyncClient(transport=httpx.ASGITransport(app), base_url="http://shop") as client:

        async def send(key=None, item="tea", account="acc_1", later=0.0):
            clock.advance(later)
            headers = {HEADER: seal(Identity(account, "viewer", "ses_1", clock.now() + 60), keys)}
            if key is not None:
                headers["idempotency-key"] = key
            reply = await client.post("/orders", json={"item": item}, headers=headers)
            return reply.status_code, reply.json().get("number")

        yield send
    await sql.close()


async def test_without_a_key_each_request_counts(send):
    assert [await send(), await send()] == [(201, 1), (201, 2)]


async def test_a_repeat_gets_the_first_answer(send):
    assert [await send("k"), await send("k"), await send("other")] == [(201, 1), (201, 1), (201, 2)]


async def test_a_key_belongs_to_an_account(send):
    assert [await send("k"), await send("k", account="acc_2")] == [(201, 1), (201, 2)]


async def test_a_key_used_for_another_request_is_a_conflict(send):
    await send("k")
    assert await send("k", item="coffee") == (409, None)


async def test_a_repeat_while_the_first_is_at_work_is_a_conflict(send, shop):
    shop.open.clear()
    first = asyncio.create_task(send("k"))
    await shop.entered.wait()
    assert await send("k") == (409, None)
    shop.open.set()
    assert await first == (201, 1)


async def test_a_failed_request_may_be_tried_again(send, shop):
    shop.broken = True
    assert (await send("k"))[0] == 503
    shop.broken = False
    assert await send("k") == (201, 1)


async def test_an_answer_is_kept_for_a_day(send):
    assert await send("k") == (201, 1)
    assert await send("k", later=23 * 3600) == (201, 1)
    assert await send("k", later=2 * 3600) == (201, 2)


@pytest.mark.parametrize("key", ["", "a" * 129, "two words"])
async def test_a_bad_key_is_400(send, key):
    assert (await send(key))[0] == 400
