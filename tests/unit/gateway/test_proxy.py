"""Requests through a real gateway to real services over real sockets."""

import asyncio
import hashlib
import resource
import time

import msgspec
import pytest

from kinema.core.identity import HEADER, unseal
from kinema.http import ConnectionLost, Upload
from kinema.services.gateway.routes import Route
from tests.support.fabric import bearer, fabric, until


def answer(name):
    def handle(exchange):
        exchange.reply(200, ((b"content-type", b"text/plain"),), name)

    return handle


def detail(response):
    return msgspec.json.decode(response.body)["detail"]


async def test_a_signed_in_request_reaches_the_service_with_a_sealed_identity(tmp_path):
    async with fabric(tmp_path, members=True, gateway=True) as region:
        catalog = await region.upstream("catalog", answer(b"home"))
        token = await region.token("operator")

        response = await region.get(
            "/v1/home?x=1", bearer(token), (b"x-kinema-identity", b"forged"), (b"te", b"trailers")
        )

        assert (response.status, response.body) == (200, b"home")
        assert response.headers.get(b"x-content-type-options") == b"nosniff"
        [seen] = catalog.seen
        assert seen.target == "/v1/home?x=1"
        identity = unseal(seen.headers.get(HEADER.encode()).decode(), region.keys, region.clock.now())
        assert identity.role == "operator"
        assert len(seen.headers.get_all(HEADER.encode())) == 1
        assert seen.headers.get(b"authorization") is None
        assert seen.headers.get(b"te") is None
        assert seen.headers.get(b"x-forwarded-host") == region.origin.encode()
        assert seen.headers.get(b"x-kinema-deadline") == b"30000;retries=3"
        trace = response.headers.get(b"x-request-id")
        assert trace in seen.headers.get(b"traceparent")


async def test_who_is_not_signed_in_gets_401_and_the_service_hears_nothing(tmp_path):
    async with fabric(tmp_path, members=True, gateway=True) as region:
        catalog = await region.upstream("catalog", answer(b"home"))
        for headers in ((), (bearer("wrong"),), ((b"cookie", b"kinema_session=wrong"),)):
            response = await region.get("/v1/home", *headers)
            assert response.status == 401
            assert response.headers.get(b"www-authenticate") == b'Bearer realm="kinema"'
            assert response.headers.get(b"content-type") == b"application/problem+json"
        assert catalog.seen == []


async def test_paths_that_are_not_public_do_not_exist(tmp_path):
    async with fabric(tmp_path, members=True, gateway=True) as region:
        token = bearer(await region.token("operator"))
        for path in ("/v1/internal/sessions/verify", "/v1", "/v1/titlesx", "/v1/schema/openapi.json"):
            assert (await region.get(path, token)).status == 404, path
        for path in ("/v1/titles/../internal", "/v1/titles/%2e%2e/internal", "/v1/titles/a%2fb", "/v1//titles"):
            assert (await region.get(path, token)).status == 400, path


async def test_a_cookie_may_change_things_from_our_own_pages_only(tmp_path):
    async with fabric(tmp_path, members=True, gateway=True) as region:
        await region.upstream("catalog", answer(b"changed"))
        # A bearer token's secret verifies as a cookie too: it is the same question to members.
        cookie = (b"cookie", f"other=1; kinema_session={await region.token()}".encode())
        host = region.origin.encode()
        expected = {
            (): 403,
            ((b"origin", b"http://evil.example"),): 403,
            ((b"origin", b"null"),): 403,
            ((b"sec-fetch-site", b"cross-site"),): 403,
            ((b"origin", b"http://" + host), (b"sec-fetch-site", b"same-origin")): 200,
            ((b"sec-fetch-site", b"same-origin"),): 200,
        }
        for headers, status in expected.items():
            response = await region.get("/v1/titles/x", cookie, *headers, method="PUT", body=b"{}")
            assert response.status == status, headers
        response = await region.get("/v1/sessions", (b"origin", b"http://evil.example"), method="POST", body=b"{}")
        assert response.status == 403


async def test_the_next_instance_answers_when_one_refuses_connections(tmp_path):
    async with fabric(tmp_path, members=True, gateway=True) as region:
        first = await region.upstream("catalog", answer(b"one"), 1)
        await region.upstream("catalog", answer(b"two"), 2)
        token = bearer(await region.token())
        assert {(await region.get("/v1/home", token)).body for _ in range(30)} == {b"one", b"two"}

        await first.kill()

        for method, body in (("GET", b""), ("POST", b'{"a": 1}'), ("PATCH", b"x" * 300_000)) * 5:
            response = await region.get("/v1/titles", token, method=method, body=body)
            assert (response.status, response.body) == (200, b"two")


async def test_a_safe_request_is_sent_again_after_503_or_a_lost_connection(tmp_path):
    async with fabric(tmp_path, members=True, gateway=True) as region:
        bad = await region.upstream("catalog", lambda exchange: exchange.reply(503, (), b"busy"), 1)
        good = await region.upstream("catalog", answer(b"good"), 2)
        token = bearer(await region.token())
        for handler in (bad.handler, lambda exchange: exchange.abort()):
            bad.handler = handler
            for _ in range(8):
                assert (await region.get("/v1/home", token)).body == b"good"
        good.handler = bad.handler = lambda exchange: exchange.reply(503, (), b"busy")
        response = await region.get("/v1/home", token)
        assert (response.status, response.body) == (503, b"busy")
        assert region.rpc.balancer.in_flight == 0


async def test_an_unsafe_request_that_may_have_had_its_effect_is_not_repeated(tmp_path):
    async with fabric(tmp_path, members=True, gateway=True) as region:
        seen = []

        def lose(exchange):
            seen.append(exchange)
            exchange.abort()

        await region.upstream("playback", lose, 1)
        await region.upstream("playback", lose, 2)
        response = await region.get("/v1/plays", bearer(await region.token()), method="POST", body=b"{}")
        assert response.status == 502
        assert "playback" in detail(response)
        assert len(seen) == 1


async def test_without_an_instance_the_answer_is_503_with_retry_after(tmp_path):
    async with fabric(tmp_path, members=True, gateway=True) as region:
        response = await region.get("/v1/jobs", bearer(await region.token()))
        assert response.status == 503
        assert response.headers.get(b"retry-after") == b"1"
        assert "encoding" in detail(response)


async def test_a_connection_goes_on_after_a_body_that_no_instance_took(tmp_path):
    async with fabric(tmp_path, members=True, gateway=True) as region:
        only = await region.upstream("playback", answer(b"never"))
        token = bearer(await region.token())
        await only.kill()
        for _ in range(3):
            assert (await region.get("/v1/plays", token, method="POST", body=b"{}")).status == 502
            assert (await region.get("/v1/plays", token)).status == 502


async def test_a_service_that_dies_in_mid_answer_never_looks_whole(tmp_path):
    async with fabric(tmp_path, members=True, gateway=True) as region:

        def half(exchange):
            length = 200_000 if "long" in exchange.query else 2_000
            exchange.start(200, (), None if "chunked" in exchange.query else length)
            exchange.write(b"x" * (length // 2))
            asyncio.get_running_loop().call_later(0.1, exchange.abort)

        await region.upstream("catalog", half)
        token = bearer(await region.token())
        for query in ("long", "long-chunked", "short-chunked"):
            with pytest.raises(ConnectionLost):
                await region.get(f"/v1/home?{query}", token)
        assert (await region.get("/v1/home?short", token)).status == 502


class Waiting:
    """A sink that keeps the size and digest of what it hears."""

    def __init__(self):
        self.done = asyncio.get_running_loop().create_future()
        self.size = 0
        self.digest = hashlib.sha256()

    def on_head(self, status, headers):
        self.status, self.headers = status, headers

    def on_data(self, chunk):
        self.size += len(chunk)
        self.digest.update(chunk)

    def on_end(self):
        self.done.set_result(None)

    def on_error(self, error):
        self.done.set_exception(error)


async def test_a_large_upload_streams_through_without_being_held(tmp_path):
    size, piece = 200 << 20, bytes(range(256)) * 256
    async with fabric(tmp_path, members=True, gateway=True) as region:

        def take(exchange):
            digest = hashlib.sha256()
            exchange.read_body(digest.update, lambda: exchange.reply(201, (), digest.hexdigest().encode()), limit=size)

        await region.upstream("encoding", take)
        token = bearer(await region.token("operator"))
        assert (await region.get("/v1/jobs", token, method="POST", body=b"small")).status == 201
        before = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
        sink = Waiting()
        call = region.caller.send(region.origin, "PATCH", "/v1/uploads/u", (token,), sink, body=Upload(size))
        writable = asyncio.Event()
        call.on_writable = writable.set
        sent = hashlib.sha256()
        for _ in range(size // len(piece)):
            sent.update(piece)
            if not call.write(piece):
                writable.clear()
                await writable.wait()
        call.finish()
        await sink.done
        assert sink.status == 201
        assert (resource.getrusage(resource.RUSAGE_SELF).ru_maxrss - before) < 40 << 10  # kibibytes


async def test_the_time_that_a_body_takes_to_come_does_not_count(tmp_path):
    hurried = [Route(prefix="/v1/titles", service="catalog", seconds=1.0)]
    async with fabric(tmp_path, members=True, gateway=True, routes=hurried) as region:

        def take(exchange):
            exchange.read_body(lambda _: None, lambda: exchange.reply(200, (), b"taken"), limit=1 << 20)

        catalog = await region.upstream("catalog", take)
        token = bearer(await region.token("operator"))
        sink = Waiting()
        call = region.caller.send(region.origin, "PUT", "/v1/titles/t", (token,), sink, body=Upload(100_000))
        call.write(b"x" * 50_000)
        begun = time.monotonic()
        await until(lambda: time.monotonic() > begun + 1.5)
        call.write(b"x" * 50_000)
        call.finish()
        await sink.done
        assert sink.status == 200
        assert catalog.seen[0].headers.get(b"x-kinema-deadline") is None


async def test_anybody_may_ask_what_uploads_are_spoken(tmp_path):
    async with fabric(tmp_path, members=True, gateway=True) as region:
        encoding = await region.upstream(
            "encoding", lambda exchange: exchange.reply(204, ((b"tus-version", b"1.0.0"),))
        )
        for path in ("/v1/uploads", "/v1/uploads/upl_x"):
            response = await region.get(path, method="OPTIONS")
            assert (response.status, response.headers.get(b"tus-version")) == (204, b"1.0.0")
            for method in ("POST", "PATCH", "DELETE", "HEAD"):
                assert (await region.get(path, method=method)).status == 401
        assert {exchange.method for exchange in encoding.seen} == {"OPTIONS"}


async def test_a_player_on_another_site_may_read_why_a_manifest_was_refused(tmp_path):
    async with fabric(tmp_path, members=True, gateway=True) as region:
        path = "/v1/manifests/token/ast_x/1/hls.m3u8"
        allowed = []
        allowed.append(await region.get(path))
        playback = await region.upstream("playback", lambda exchange: exchange.reply(403, (), b"{}"))
        allowed.append(await region.get(path))
        assert [response.status for response in allowed] == [503, 403]
        for response in allowed:
            assert response.headers.get_all(b"access-control-allow-origin") == [b"*"]
        playback.handler = lambda exchange: exchange.reply(200, ((b"access-control-allow-origin", b"*"),), b"m")
        assert (await region.get(path)).headers.get_all(b"access-control-allow-origin") == [b"*"]


async def test_a_slow_reader_slows_the_service_down(tmp_path):
    async with fabric(tmp_path, members=True, gateway=True) as region:
        written = 0

        def pour(exchange):
            exchange.start(200, (), 64 << 20)

            def more():
                nonlocal written
                while written < 64 << 20:
                    written += 65_536
                    if not exchange.write(b"y" * 65_536):
                        return
                exchange.finish()

            exchange.on_writable = more
            more()

        await region.upstream("catalog", pour)
        sink = Waiting()
        call = region.caller.send(region.origin, "GET", "/v1/artwork/x", (bearer(await region.token()),), sink)
        await until(lambda: sink.size > 0)
        call.pause()
        stopped = -1
        while stopped != written:
            stopped = written
            await asyncio.sleep(0.3)
        assert written < 32 << 20
        call.resume()
        await sink.done
        assert sink.size == 64 << 20


async def test_a_client_that_leaves_ends_the_call(tmp_path):
    async with fabric(tmp_path, members=True, gateway=True) as region:
        gone = asyncio.Event()

        def hang(exchange):
            exchange.on_disconnect = gone.set

        catalog = await region.upstream("catalog", hang)
        sink = Waiting()
        call = region.caller.send(region.origin, "GET", "/v1/home", (bearer(await region.token()),), sink)
        await until(lambda: catalog.seen)
        call.cancel()
        await asyncio.wait_for(gone.wait(), 5)
        await until(lambda: not region.rpc.balancer.in_flight)


async def test_bodies_over_the_limit_are_refused_announced_or_not(tmp_path):
    async with fabric(tmp_path, members=True, gateway=True, upload_limit_bytes=100) as region:
        await region.upstream("encoding", lambda exchange: exchange.read_body(lambda _: None, lambda: None))
        token = bearer(await region.token())
        response = await region.get("/v1/uploads", token, method="POST", body=b"x" * 101)
        assert response.status == 413
        sink = Waiting()
        call = region.caller.send(region.origin, "POST", "/v1/uploads", (token,), sink, body=Upload())
        call.write(b"x" * 101)
        await asyncio.wait({sink.done}, timeout=5)
        assert sink.status == 413


async def test_heads_and_empty_answers_keep_their_framing(tmp_path):
    async with fabric(tmp_path, members=True, gateway=True) as region:

        def handle(exchange):
            if exchange.method == "HEAD":
                exchange.start(200, ((b"upload-offset", b"7"),), 1234)
                exchange.finish()
            elif exchange.method == "DELETE":
                exchange.reply(204)
            else:
                exchange.reply(304, ((b"etag", b'"a"'),))

        await region.upstream("encoding", handle)
        token = bearer(await region.token())
        for _ in range(2):
            head = await region.get("/v1/uploads/u", token, method="HEAD")
            assert (head.status, head.headers.get(b"upload-offset"), head.headers.get(b"content-length")) == (
                200,
                b"7",
                b"1234",
            )
            assert (await region.get("/v1/uploads/u", token, method="DELETE")).status == 204
            assert (await region.get("/v1/uploads/u", token)).status == 304


async def test_members_may_be_away_for_a_while_once_a_session_is_known(tmp_path):
    async with fabric(tmp_path, members=True, gateway=True) as region:
        await region.upstream("catalog", answer(b"home"))
        token = bearer(await region.token())
        assert (await region.get("/v1/home", token)).status == 200
        region.members.server.force_exit = True
        await region.members.stop()
        sessions = next(iter(region.gateway.reloading._parts.sessions._known.values()))
        sessions.verified_at -= 30
        assert (await region.get("/v1/home", token)).status == 200
        sessions.verified_at -= 60
        assert (await region.get("/v1/home", token)).status in {502, 503}
