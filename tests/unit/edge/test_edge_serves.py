"""What viewers get from an edge: ranges, tokens, conditions, and no more than they may have."""

import hashlib
import json

import msgspec
import pytest

from kinema.core import identity
from kinema.core.media_token import MediaToken, seal
from kinema.model.encoding import ByteRange, Segment
from tests.unit.edge.conftest import HEADER, KIB, MIB, Film


async def test_a_whole_track(setup) -> None:
    for _ in range(2):
        reply = await setup.get()
        assert reply.status == 200
        assert reply.body == setup.film.data
        assert reply.headers["content-type"] == "video/mp4"
        assert reply.headers["accept-ranges"] == "bytes"
        assert reply.headers["etag"] == f'"{setup.film.track.digest}"'
        assert reply.headers["access-control-allow-origin"] == "*"
        assert "private" in reply.headers["cache-control"]
    assert sum(length for _, length in setup.origin.asked) == len(setup.film.data)


@pytest.mark.parametrize(
    ("kind", "codec", "ending", "media_type"),
    [
        ("image", "jpeg", "jpg", "image/jpeg"),
        ("text", "vtt", "vtt", "text/vtt"),
        ("text", "wvtt", "mp4", "application/mp4"),
    ],
)
async def test_a_file_without_an_index_has_its_own_type(launch, kind, codec, ending, media_type) -> None:
    other = Film(asset="ast_other", lengths=(70 * KIB,), seed=7)
    body = other.data
    segment = Segment(0, len(body), 4000, hashlib.sha256(body).hexdigest())
    nothing = ByteRange(0, 0)
    track = msgspec.structs.replace(
        other.track, name="extra", kind=kind, codec=codec, init=nothing, index=nothing, segments=(segment,)
    )
    other.manifest = msgspec.structs.replace(other.manifest, tracks=(track,))
    setup = await launch(other)
    for name in ("extra", f"extra.{ending}"):
        path = setup.path(setup.token("ast_other"), "ast_other", track=name)
        reply = await setup.get(path)
        assert (reply.status, reply.headers["content-type"], reply.body) == (200, media_type, body)


@pytest.mark.parametrize(
    ("span", "start", "end"),
    [
        ("bytes=0-0", 0, 1),
        ("bytes=0-4095", 0, HEADER),
        ("bytes=100-", 100, None),
        ("bytes=-7", -7, None),
        ("bytes=-99999999999", 0, None),
        ("bytes=1000000-3000000", 1_000_000, 3_000_001),
        ("bytes=5000-99999999999", 5000, None),
        ("BYTES=5000-5999 ", 5000, 6000),
        (f"bytes={HEADER}-{HEADER + 300 * KIB - 1}", HEADER, HEADER + 300 * KIB),
        (
            f"bytes={HEADER + 2100 * KIB}-{HEADER + 2100 * KIB + 3 * MIB - 1}",
            HEADER + 2100 * KIB,
            HEADER + 2100 * KIB + 3 * MIB,
        ),
    ],
)
async def test_a_range(setup, span: str, start: int, end: int | None) -> None:
    expected = setup.film.data[start:end]
    first = len(setup.film.data) + start if start < 0 else start
    for _ in range(2):  # through the cache, then from it
        reply = await setup.get(range=span)
        assert reply.status == 206
        assert reply.body == expected
        assert reply.headers["content-range"] == f"bytes {first}-{first + len(expected) - 1}/{len(setup.film.data)}"


async def test_a_query_changes_nothing_and_costs_nothing(setup) -> None:
    plain = await setup.get(range="bytes=5000-5999")
    asked = list(setup.origin.asked)
    for number in (1, 2):
        reply = await setup.get(f"{setup.path()}?{number}", range="bytes=5000-5999")
        assert (reply.status, reply.body) == (206, plain.body)
    assert setup.origin.asked == asked
    assert len(setup.edge._grants) == 1


@pytest.mark.parametrize("span", ["bytes=0-1,5-9", "items=0-1", "bytes=9-5", "bytes=-", "bytes=x-5", "bytes=5", ""])
async def test_a_range_that_is_ignored(setup, span: str) -> None:
    reply = await setup.get(range=span)
    assert (reply.status, reply.body) == (200, setup.film.data)


@pytest.mark.parametrize("span", ["bytes=99999999-", "bytes=-0"])
async def test_a_range_that_does_not_exist(setup, span: str) -> None:
    reply = await setup.get(range=span)
    assert reply.status == 416
    assert reply.headers["content-range"] == f"bytes */{len(setup.film.data)}"
    assert json.loads(reply.body)["status"] == 416


async def test_cache_status_tells_what_the_cache_did(setup) -> None:
    first = await setup.get(range="bytes=0-9")
    second = await setup.get(range="bytes=10-19")
    assert first.headers["cache-status"] == "edge-1; fwd=miss; stored"
    assert second.headers["cache-status"] == "edge-1; hit"
    assert (setup.edge.status.hits, setup.edge.status.misses) == (1, 1)


async def test_head_has_the_length_and_no_body(setup) -> None:
    client = await setup.client()
    for _ in range(2):
        reply = await client.get(setup.path(), "HEAD", range="bytes=0-5")
        assert reply.status == 200
        assert reply.headers["content-length"] == str(len(setup.film.data))
    assert (await client.get(setup.path(), range="bytes=0-3")).body == setup.film.data[:4]
    assert len(setup.origin.asked) == 1


async def test_conditions(setup) -> None:
    etag = f'"{setup.film.track.digest}"'
    assert (await setup.get(if_none_match=f'"other", W/{etag}')).status == 304
    assert (await setup.get(if_none_match="*")).status == 304
    assert (await setup.get(if_none_match='"other"', range="bytes=0-0")).status == 206
    assert (await setup.get(if_match=etag, range="bytes=0-0")).status == 206
    assert (await setup.get(if_match='"other"', range="bytes=0-0")).status == 412
    assert (await setup.get(if_range=etag, range="bytes=0-0")).status == 206
    assert (await setup.get(if_range='"other"', range="bytes=0-0")).status == 200


async def test_pages_of_other_origins_may_ask(setup) -> None:
    reply = await setup.get(method="OPTIONS", origin="http://127.0.0.1:8080", access_control_request_method="GET")
    assert reply.status == 204
    assert reply.headers["access-control-allow-origin"] == "*"
    assert "range" in reply.headers["access-control-allow-headers"]
    assert int(reply.headers["access-control-max-age"]) > 3600


@pytest.mark.parametrize(
    "spoil",
    [
        lambda token: token[:-1] + ("A" if token[-1] != "A" else "B"),
        lambda token: ("A" if token[0] != "A" else "B") + token[1:],
        lambda token: token.split(".")[0],
        lambda _: "x",
        lambda _: "..",
    ],
)
async def test_a_forged_token_is_refused(setup, spoil) -> None:
    reply = await setup.get(setup.path(spoil(setup.token())))
    assert reply.status == 403
    assert reply.headers["content-type"] == "application/problem+json"
    assert reply.headers["access-control-allow-origin"] == "*"  # else the player cannot see that it should renew
    assert reply.headers["cache-control"] == "no-store"
    assert setup.origin.manifests_asked == 0


async def test_another_assets_token_is_refused(setup, launch) -> None:
    other = Film("ast_other", (5,), seed=9)
    setup = await launch(other)
    assert (await setup.get(setup.path(setup.token("ast_other")))).status == 403
    assert (await setup.get(setup.path(setup.token("ast_other"), "ast_other"))).body == other.data


async def test_a_token_that_expires_during_a_pause_is_refused_then(setup) -> None:
    path = setup.path(setup.token(seconds=60))
    assert (await setup.get(path, range="bytes=0-0")).status == 206
    setup.clock.advance(61)
    reply = await setup.get(path, range="bytes=0-0")
    assert reply.status == 403
    assert "expired" in json.loads(reply.body)["detail"]
    assert (await setup.get(setup.path(), range="bytes=0-0")).status == 206
    assert setup.edge.status.refused == 1


async def test_a_key_rotated_in_mid_play_disturbs_nobody(setup, tmp_path) -> None:
    from kinema.core.keys import KeyRing

    before = setup.path()
    assert (await setup.get(before, range="bytes=0-0")).status == 206
    elsewhere = KeyRing(tmp_path)  # another process rotates and signs
    elsewhere.rotate("media")
    setup.keys._read_at.clear()  # the second after which a key set is read again has passed
    renewed = seal(MediaToken(setup.film.asset, "acc_1", int(setup.clock.now()) + 60), elsewhere)
    assert (await setup.get(setup.path(renewed), range="bytes=0-0")).status == 206
    assert (await setup.get(before, range="bytes=0-0")).status == 206


@pytest.mark.parametrize(
    ("changes", "status"),
    [
        ({"track": "video-999p"}, 404),
        ({"version": 2}, 404),
        ({"version": 0}, 404),
        ({"version": "1e3"}, 404),
        ({"track": "../video-360p"}, 404),
        ({"track": "VIDEO"}, 404),
        ({"track": "a" * 200}, 404),
        ({"asset": "ast_film%2f.."}, 404),
    ],
)
async def test_what_is_not_there(setup, changes, status: int) -> None:
    reply = await setup.get(setup.path(**changes))
    assert reply.status == status
    assert json.loads(reply.body)["title"]


async def test_other_methods_and_addresses(setup) -> None:
    assert (await setup.get(method="DELETE")).headers["allow"] == "GET, HEAD, OPTIONS"
    assert (await setup.get(method="DELETE")).status == 405
    assert (await setup.get("/")).status == 404
    assert json.loads((await setup.get("/healthz")).body) == {"status": "ok"}


async def test_the_counters_are_for_services(setup) -> None:
    await setup.get(range="bytes=0-9")
    assert (await setup.get("/status")).status == 401
    assert (await setup.get("/status", x_kinema_identity="forged")).status == 401
    sealed = identity.seal(identity.service_identity("gateway-1", setup.clock.now()), setup.keys)
    counters = json.loads((await setup.get("/status", x_kinema_identity=sealed)).body)
    assert counters["misses"] == 1
    assert counters["slices"] == 1


async def test_pipelined_requests_are_answered_in_order(setup) -> None:
    client = await setup.client()
    spans = [(0, 9), (2_000_000, 2_000_009), (5_000_000, 5_100_000), (10, 19)]
    for first, last in spans:
        client.send(setup.path(), range=f"bytes={first}-{last}")
    for first, last in spans:
        reply = await client.head()
        assert (
            await client.reader.readexactly(int(reply.headers["content-length"])) == setup.film.data[first : last + 1]
        )
