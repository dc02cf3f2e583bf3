"""The frame of a service: identity, roles, problems, deadlines, conditional reads and cursors."""

import asyncio
import socket

import httpx
import msgspec
import pytest
from litestar import Request, Response, get, post
from litestar.datastructures import State
from litestar.testing import TestClient

from kinema.core.clock import ManualClock
from kinema.core.errors import BadInput, NotFound
from kinema.core.etag import matches
from kinema.core.identity import HEADER, Identity, seal, service_identity
from kinema.core.keys import KeyRing
from kinema.rpc.conditional import conditional
from kinema.rpc.cursor import decode_cursor, encode_cursor
from kinema.rpc.service import create_app, make_server, needs, open_socket
from tests.support.services import served


class Body(msgspec.Struct, frozen=True):
    number: int


class Named(msgspec.Struct, frozen=True):
    name: object


class Position(msgspec.Struct, frozen=True):
    after: str


@get("/who")
async def who(identity: Identity) -> Identity:
    return identity


@get("/public", opt={"public": True})
async def public() -> str:
    return "open"


@get("/operators", guards=[needs("operator")])
async def operators() -> str:
    return "operators"


@get("/missing")
async def missing() -> str:
    raise NotFound("There is no title ttl_x; look at /v1/titles.")


@get("/broken")
async def broken() -> str:
    raise ZeroDivisionError("the secret of the inside")


@get("/slow")
async def slow() -> str:
    await asyncio.Event().wait()
    return "never"


@post("/numbers")
async def numbers(data: Body) -> Body:
    return data


@post("/names")
async def names(data: Named) -> Named:
    return data


@get("/tagged")
async def tagged(request: Request[object, object, State]) -> Response[bytes]:
    return conditional(request, "v7", lambda: Body(7))


@pytest.fixture
def clock():
    return ManualClock()


@pytest.fixture
def keys(tmp_path):
    return KeyRing(tmp_path)


@pytest.fixture
def client(clock, keys):
    routes = [who, public, operators, missing, broken, slow, numbers, names, tagged]
    app = create_app(service="test", instance="test-1", keys=keys, clock=clock, routes=routes)
    with TestClient(app, raise_server_exceptions=False) as client:
        yield client


@pytest.fixture
def viewer(clock, keys):
    return {HEADER: seal(Identity("acc_1", "viewer", "ses_1", clock.now() + 60), keys)}


def test_a_service_called_directly_answers_401(client):
    reply = client.get("/who")
    assert reply.status_code == 401
    assert reply.headers["content-type"] == "application/problem+json"
    assert reply.json()["type"] == "urn:kinema:problem:unauthenticated"


def test_a_sealed_identity_reaches_the_handler(client, viewer):
    assert client.get("/who", headers=viewer).json()["account"] == "acc_1"


def test_an_expired_identity_is_refused(client, viewer, clock):
    clock.advance(60)
    assert client.get("/who", headers=viewer).status_code == 401


def test_an_identity_sealed_by_another_region_is_refused(client, clock, tmp_path):
    foreign = KeyRing(tmp_path / "other")
    forged = seal(Identity("acc_1", "operator", "ses_1", clock.now() + 60), foreign)
    assert client.get("/who", headers={HEADER: forged}).status_code == 401


def test_a_public_route_needs_no_identity(client):
    assert client.get("/public").text == "open"


def test_roles_are_enforced_by_the_service_itself(client, viewer, clock, keys):
    assert client.get("/operators", headers=viewer).status_code == 403
    sealed = seal(service_identity("encoding-1", clock.now()), keys)
    assert client.get("/operators", headers={HEADER: sealed}).text == "operators"


def test_an_error_is_a_problem_with_its_sentence(client, viewer):
    reply = client.get("/missing", headers=viewer)
    assert (reply.status_code, reply.json()["detail"]) == (404, "There is no title ttl_x; look at /v1/titles.")


def test_an_unexpected_error_says_nothing_about_our_insides(client, viewer):
    reply = client.get("/broken", headers=viewer)
    assert reply.status_code == 500
    assert "secret" not in reply.text


def test_a_passed_deadline_is_504(client, viewer):
    reply = client.get("/slow", headers={**viewer, "x-kinema-deadline": "20"})
    assert (reply.status_code, reply.json()["type"]) == (504, "urn:kinema:problem:deadline-exceeded")


@pytest.mark.parametrize("body", [b"", b"{", b"[]", b'{"number": "x"}', b"\xff\xfe", b'{"number": 1e400}'])
def test_bad_bodies_are_400_with_a_sentence(client, viewer, body):
    reply = client.post("/numbers", content=body, headers={**viewer, "content-type": "application/json"})
    assert reply.status_code == 400
    assert reply.json()["detail"]


@pytest.mark.parametrize(
    "body", [b'{"name": "\xff"}', b'{"name": "\xed\xa0\x80"}', b"\xff\xfe", b'{"name": ' + b"[" * 100_000]
)
def test_a_body_that_is_not_utf_8_or_nested_too_deeply_is_400(client, viewer, body):
    reply = client.post("/names", headers=viewer, content=body)
    assert reply.status_code == 400
    assert reply.headers["content-type"] == "application/problem+json"


def test_a_body_over_the_limit_is_413(client, viewer):
    reply = client.post("/numbers", content=b" " * (2 << 20), headers={**viewer, "content-type": "application/json"})
    assert reply.status_code == 413


def test_conditional_reads(client, viewer):
    fresh = client.get("/tagged", headers=viewer)
    assert (fresh.status_code, fresh.json(), fresh.headers["etag"]) == (200, {"number": 7}, '"v7"')
    known = client.get("/tagged", headers={**viewer, "if-none-match": '"v6", W/"v7"'})
    assert (known.status_code, known.content) == (304, b"")


def test_entity_tags_compare_weakly():
    assert matches("*", "a")
    assert matches('W/"a"', "a")
    assert not matches('"b"', "a")
    assert not matches("", "a")


def test_health_needs_no_identity(client):
    assert client.get("/healthz").json()["state"] == "ready"


def test_a_cursor_comes_back_and_a_forged_one_does_not(keys):
    text = encode_cursor(keys, Position("ttl_9"))
    assert decode_cursor(keys, text, Position) == Position("ttl_9")
    with pytest.raises(BadInput):
        decode_cursor(keys, text[:-2] + "xx", Position)


def test_head_is_get_without_a_body_on_a_real_socket(clock, keys, viewer):
    app = create_app(service="test", instance="test-1", keys=keys, clock=clock, routes=[tagged, numbers])
    with served(app) as address:
        whole = httpx.get(f"{address}/tagged", headers=viewer)
        head = httpx.head(f"{address}/tagged", headers=viewer)
        assert (head.status_code, head.content) == (200, b"")
        assert head.headers["etag"] == whole.headers["etag"]
        assert head.headers["content-length"] == whole.headers["content-length"]
        assert httpx.head(f"{address}/numbers", headers=viewer).status_code == 405
        assert httpx.head(f"{address}/tagged").status_code == 401


async def test_a_body_does_not_wait_for_the_acknowledgement_of_its_head(clock, keys):
    app = create_app(service="test", instance="test-1", keys=keys, clock=clock, routes=[tagged])
    listener = open_socket("127.0.0.1")
    server = make_server(app)
    serving = asyncio.create_task(server.serve(sockets=[listener]))
    try:
        async with httpx.AsyncClient(base_url=f"http://127.0.0.1:{listener.getsockname()[1]}") as caller:
            await caller.get("/healthz")
            (connection,) = server.server_state.connections
            accepted = connection.transport.get_extra_info("socket")
            assert accepted.getsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY)
    finally:
        server.should_exit = True
        await serving
