"""What the gateway keeps of answers and gives again, by the rules of a shared cache."""

import asyncio

import pytest
from hypothesis import given
from hypothesis import strategies as st

from kinema.http import Headers
from kinema.services.gateway.answer import Answer
from kinema.services.gateway.caching import Stored, directives, lifetime_of, may_use, stored
from kinema.services.gateway.filters.response_cache import Store
from tests.support.fabric import bearer, fabric, until
from tests.support.services import StoppedClock

PUBLIC = (b"cache-control", b"public, max-age=60")


class Origin:
    """Answers with a counter, so that an answer from memory can be told from a new one."""

    def __init__(self, *fields, status=200, body=b"answer"):
        self.fields, self.status, self.body = fields, status, body
        self.asked = 0

    def __call__(self, exchange):
        self.asked += 1
        exchange.reply(self.status, self.fields, self.body + b" %d" % self.asked)


async def ready(region, origin):
    region.origin_upstream = await region.upstream("catalog", origin)
    return bearer(await region.token())


def own_region(tmp_path, **options):
    return fabric(tmp_path, members=True, gateway=True, **options)


async def test_a_public_answer_is_given_again_to_whoever_is_signed_in(tmp_path):
    async with own_region(tmp_path) as region:
        origin = Origin(PUBLIC, (b"etag", b'"v1"'))
        token = await ready(region, origin)
        first = await region.get("/v1/home?a=1", token)
        again = await region.get("/v1/home?a=1", bearer(await region.token()))
        assert [first.body, again.body, origin.asked] == [b"answer 1", b"answer 1", 1]
        assert b"hit" in again.headers.get(b"cache-status")
        assert again.headers.get(b"age") == b"0"
        assert (await region.get("/v1/home?a=2", token)).body == b"answer 2"
        held = await region.get("/v1/home?a=1", token, (b"if-none-match", b'W/"v1"'))
        assert (held.status, held.body, held.headers.get(b"etag")) == (304, b"", b'"v1"')
        assert (await region.get("/v1/home?a=1")).status == 401
        assert (await region.get("/v1/home?a=1", token, (b"cache-control", b"no-cache"))).body == b"answer 3"


async def test_where_a_canary_is_tried_nobody_gets_what_another_version_answered(tmp_path):
    (tmp_path / "gateway.toml").write_text(
        '[[canary]]\nprefix = "/v1/home"\ninstances = {metadata = {track = "new"}}\nheader = "x-try"\n'
    )
    async with own_region(tmp_path, data_dir=tmp_path) as region:
        token = await ready(region, Origin(PUBLIC, body=b"old"))
        await region.upstream("catalog", Origin(PUBLIC, body=b"new"), 2, metadata={"track": "new"})
        await until(lambda: len(region.directory.instances("catalog")) == 2)
        bodies = [(await region.get("/v1/home", token, *extra)).body[:3] for extra in ((), ((b"x-try", b"1"),), ())]
        assert bodies == [b"old", b"new", b"old"]


@pytest.mark.parametrize(
    "fields",
    [
        (),
        ((b"cache-control", b"max-age=60"),),  # without public, it is for who asked with a credential
        ((b"cache-control", b"private, max-age=60"),),
        ((b"cache-control", b"public, no-store, max-age=60"),),
        ((b"cache-control", b"public, no-cache, max-age=60"),),
        ((b"cache-control", b"public, max-age=0"),),
        (PUBLIC, (b"age", b"60")),
        (PUBLIC, (b"set-cookie", b"a=b")),
        (PUBLIC, (b"vary", b"*")),
        (PUBLIC, (b"vary", b"Accept, Cookie")),
        (PUBLIC, (b"vary", b"x-kinema-identity")),
    ],
)
async def test_what_may_not_be_shared_is_asked_for_each_time(tmp_path, fields):
    async with own_region(tmp_path) as region:
        token = await ready(region, Origin(*fields))
        assert [(await region.get("/v1/home", token)).body for _ in range(3)] == [b"answer 1", b"answer 2", b"answer 3"]


async def test_answers_vary_by_the_fields_that_they_name(tmp_path):
    async with own_region(tmp_path) as region:
        origin = Origin(PUBLIC, (b"vary", b"accept-language"))
        token = await ready(region, origin)
        bodies = [
            (await region.get("/v1/home", token, *((b"accept-language", language),) * bool(language))).body
            for language in (b"en", b"de", b"en", b"", b"de", b"")
        ]
        assert bodies == [b"answer 1", b"answer 2", b"answer 1", b"answer 3", b"answer 2", b"answer 3"]


async def test_many_who_miss_together_ask_once(tmp_path):
    async with own_region(tmp_path) as region:
        waiting = []
        token = await ready(region, waiting.append)
        asked = [asyncio.ensure_future(region.get("/v1/home", token)) for _ in range(20)]
        await until(lambda: waiting)
        waiting[0].reply(200, (PUBLIC,), b"once")
        assert {(await one).body for one in asked} == {b"once"}
        assert len(waiting) == 1


async def test_nobody_waits_for_what_is_not_kept_or_whose_asker_is_gone(tmp_path):
    async with own_region(tmp_path) as region:
        waiting = []
        token = await ready(region, waiting.append)
        first = asyncio.ensure_future(region.get("/v1/home", token))
        await until(lambda: waiting)
        others = [asyncio.ensure_future(region.get("/v1/home", token)) for _ in range(3)]
        first.cancel()
        await until(lambda: len(waiting) == 4)
        for exchange in waiting[1:]:
            exchange.reply(200, (), b"own")
        assert {(await one).body for one in others} == {b"own"}


async def test_a_stale_answer_is_confirmed_and_helps_out_in_an_error(tmp_path):
    clock = StoppedClock()
    async with own_region(tmp_path) as region:
        cache = next(one for one in region.gateway.reloading._built_in._made if type(one).__name__ == "ResponseCache")
        cache._now = clock.monotonic
        origin = Origin((b"cache-control", b"public, max-age=60, stale-if-error=600"), (b"etag", b'"v1"'))
        token = await ready(region, origin)
        assert (await region.get("/v1/home", token)).body == b"answer 1"
        clock.shift += 61
        confirming = []

        def confirm(exchange):
            confirming.append(exchange.headers.get(b"if-none-match"))
            exchange.reply(304, origin.fields)

        region.origin_upstream.handler = confirm
        for _ in range(2):
            response = await region.get("/v1/home", token)
            assert (response.status, response.body, confirming) == (200, b"answer 1", [b'"v1"'])
        clock.shift += 61
        region.origin_upstream.handler = lambda exchange: exchange.reply(500, (), b"broken")
        response = await region.get("/v1/home", token)
        assert (response.status, response.body) == (200, b"answer 1")
        region.origin_upstream.handler = lambda exchange: (
            exchange.start(502, (), 200_000),
            exchange.write(b"x" * 100_000),
        )
        response = await region.get("/v1/home", token)
        assert (response.status, response.body) == (200, b"answer 1")
        clock.shift += 600
        region.origin_upstream.handler = lambda exchange: exchange.reply(500, (), b"broken")
        assert (await region.get("/v1/home", token)).status == 500


async def test_a_change_drops_what_was_kept_and_large_answers_are_kept_too(tmp_path):
    async with own_region(tmp_path) as region:
        origin = Origin(PUBLIC, body=b"x" * 300_000)
        token = await ready(region, origin)
        assert {(await region.get("/v1/titles/a", token)).body[-2:] for _ in range(3)} == {b" 1"}
        assert (await region.get("/v1/titles/a", token, method="PUT", body=b"{}")).status == 200
        assert (await region.get("/v1/titles/a", token)).body[-2:] == b" 3"
        origin.body = b"x" * 2_000_000
        assert len({(await region.get("/v1/titles/b", token)).body for _ in range(3)}) == 3


async def test_what_is_kept_is_compressed_for_each_client(tmp_path):
    async with own_region(tmp_path) as region:
        origin = Origin(PUBLIC, (b"content-type", b"text/plain"), body=b"words " * 1000)
        token = await ready(region, origin)
        codings = [
            (await region.get("/v1/home", token, (b"accept-encoding", coding))).headers.get(b"content-encoding")
            for coding in (b"gzip", b"br", b"identity", b"gzip")
        ]
        assert codings == [b"gzip", b"br", None, b"gzip"]
        assert origin.asked == 1


# -- the rules, pure ---------------------------------------------------------------------------------------------------


def answer(*fields, status=200):
    return Answer(status, list(fields), b"", 0, [])


def test_lifetimes_are_read_in_the_order_of_the_standard():
    date, later = (b"date", b"Tue, 15 Nov 1994 08:00:00 GMT"), (b"expires", b"Tue, 15 Nov 1994 08:01:00 GMT")
    cases = {
        (date, later): 60.0,
        (date, later, (b"cache-control", b"max-age=5")): 5.0,
        (date, later, (b"cache-control", b"max-age=5, s-maxage=7")): 7.0,
        (date, (b"expires", b"0")): 0.0,
        (later,): None,
        ((b"cache-control", b"max-age=many"),): 0.0,
        ((b"cache-control", b'max-age="9"'),): 9.0,
        ((b"cache-control", b"max-age=99999999999999999999"),): 366 * 86_400.0,
    }
    for fields, seconds in cases.items():
        one = answer(*fields)
        assert lifetime_of(one, directives(one.get_all(b"cache-control"))) == seconds, fields


def test_requests_that_want_something_else_pass_by():
    passing = [
        (b"range", b"bytes=0-1"),
        (b"cache-control", b"no-cache"),
        (b"cache-control", b"max-age=0"),
        (b"pragma", b"no-cache"),
    ]
    assert not any(may_use(Headers.of([field])) for field in passing)
    assert may_use(Headers.of([(b"if-none-match", b'"a"'), (b"cache-control", b"only-if-cached")]))


@given(
    st.lists(
        st.tuples(
            st.sampled_from([b"cache-control", b"vary", b"age", b"expires", b"date", b"set-cookie"]),
            st.binary(max_size=40),
        )
    )
)
def test_whatever_a_service_sends_is_kept_or_not_but_never_an_error(fields):
    one = stored(answer(*fields), b"", Headers.of([]), 0.0, signed_in=True)
    assert one is None or (
        one.fresh_until > 0 and b"private" not in directives([v for n, v in fields if n == b"cache-control"])
    )


@given(st.lists(st.tuples(st.integers(0, 9), st.integers(0, 5000), st.booleans()), max_size=60))
def test_the_store_never_holds_more_than_it_may_and_counts_right(steps):
    store = Store(20_000)
    for target, size, drop in steps:
        key = (b"host", f"/{target}")
        if drop:
            store.drop(key)
        else:
            store.put(key, Stored(200, Headers.of([]), bytes(size), None, 0.0, 1.0, 1.0, ((b"x", b"%d" % (size % 3)),)))
        assert store.bytes <= 20_000
        assert store.bytes == sum(one.size for kept in store._kept.values() for one in kept)
