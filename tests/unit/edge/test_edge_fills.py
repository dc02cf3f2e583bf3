"""How an edge fills its cache: once for all, verified, and without depending on any one client."""

import asyncio
import json
import os
import resource

import pytest

from kinema.core.errors import NotFound, Unavailable
from kinema.services.edge import filling
from tests.unit.edge.conftest import HEADER, KIB, MIB, Film, descriptors, until


def files(setup) -> list:
    return sorted(path for path in setup.edge._cache._directory.rglob("*") if path.is_file() and path.name != ".lock")


async def test_many_who_ask_at_once_are_served_by_one_fetch(setup) -> None:
    setup.origin.gate.clear()
    clients = [await setup.client() for _ in range(30)]
    for client in clients:
        client.send(setup.path(), range="bytes=0-99999")
    await until(lambda: setup.origin.asked and setup.edge.status.collapsed == 29)
    setup.origin.gate.set()
    statuses = []
    for client in clients:
        reply = await client.head()
        statuses.append(reply.headers["cache-status"])
        assert await client.reader.readexactly(100_000) == setup.film.data[:100_000]
    assert len(setup.origin.asked) == 1
    assert setup.origin.manifests_asked == 1
    assert statuses.count("edge-1; fwd=miss; stored") == 1
    assert statuses.count("edge-1; fwd=miss; collapsed") == 29


async def test_those_who_wait_are_served_as_bytes_arrive(setup) -> None:
    setup.origin.hold_after = 512 * KIB
    setup.origin.gate.clear()
    client = await setup.client()
    client.send(setup.path(), range="bytes=0-999999")
    assert (await client.head()).status == 206
    assert await client.reader.readexactly(400_000) == setup.film.data[:400_000]
    setup.origin.gate.set()
    assert await client.reader.readexactly(600_000) == setup.film.data[400_000:1_000_000]


async def test_a_client_that_leaves_fails_nobody(setup) -> None:
    setup.origin.gate.clear()
    leader, follower = await setup.client(), await setup.client()
    leader.send(setup.path(), range="bytes=0-999")
    await until(lambda: setup.origin.asked)
    follower.send(setup.path(), range="bytes=0-999")
    await until(lambda: setup.edge.status.collapsed == 1)
    leader.cut()
    setup.origin.gate.set()
    assert (await follower.head()).status == 206
    assert await follower.reader.readexactly(1000) == setup.film.data[:1000]
    await until(lambda: setup.edge.status.slices == 1)
    assert (await setup.get(range="bytes=0-999")).headers["cache-status"] == "edge-1; hit"
    assert len(setup.origin.asked) == 1


async def test_what_everybody_left_is_kept_all_the_same(setup) -> None:
    setup.origin.gate.clear()
    client = await setup.client()
    client.send(setup.path(), range="bytes=0-999")
    await until(lambda: setup.origin.asked)
    client.cut()
    setup.origin.gate.set()
    await until(lambda: setup.edge.status.slices == 1)
    assert len(files(setup)) == 1


@pytest.mark.parametrize(
    ("error", "status"),
    [
        (Unavailable("The origin is away."), 502),
        (NotFound("gone"), 502),
        (OSError("broken"), 502),
        (ZeroDivisionError(), 502),
    ],
)
async def test_a_failing_parent_is_told_and_nothing_is_kept(setup, error: Exception, status: int) -> None:
    setup.origin.error = error
    reply = await setup.get(range="bytes=0-999")
    assert reply.status == status
    assert json.loads(reply.body)["status"] == status
    assert reply.headers["access-control-allow-origin"] == "*"
    assert files(setup) == []
    setup.origin.error = None
    assert (await setup.get(range="bytes=0-999")).body == setup.film.data[:1000]


async def test_a_silent_parent_is_given_up(setup, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(filling, "PARENT_SECONDS", 0.05)
    setup.origin.gate.clear()
    assert (await setup.get(range="bytes=0-999")).status == 504
    assert files(setup) == []


async def test_a_parent_that_fails_in_the_middle_cuts_the_answer_off(setup) -> None:
    setup.origin.hold_after = 256 * KIB
    setup.origin.gate.clear()
    client = await setup.client()
    client.send(setup.path(), range="bytes=0-999999")
    await client.head()
    setup.origin.error = Unavailable("The origin is away.")
    setup.origin.gate.set()
    with pytest.raises((asyncio.IncompleteReadError, ConnectionError)):
        await client.reader.readexactly(1_000_000)
    assert files(setup) == []


@pytest.mark.parametrize("at", [HEADER + 5, HEADER + 300 * KIB - 1, HEADER + 800 * KIB])
async def test_damaged_data_is_neither_kept_nor_served_whole(setup, at: int) -> None:
    good = setup.origin.blobs[setup.film.track.digest]
    setup.origin.blobs[setup.film.track.digest] = good[:at] + bytes([good[at] ^ 1]) + good[at + 1 :]
    segment_end = HEADER + (300 * KIB if at < HEADER + 300 * KIB else 1200 * KIB)
    client = await setup.client()
    client.send(setup.path(), range=f"bytes=0-{segment_end - 1}")
    with pytest.raises((asyncio.IncompleteReadError, ConnectionError)):
        reply = await client.head()
        assert reply.status == 206
        await client.reader.readexactly(segment_end)
    await until(lambda: setup.edge.status.failed == 1)
    assert files(setup) == []
    setup.origin.blobs[setup.film.track.digest] = good
    assert (await setup.get()).body == setup.film.data


async def test_a_damaged_index_is_not_served(setup) -> None:
    setup.origin.blobs[setup.film.track.digest] = bytes(len(setup.film.data))
    assert (await setup.get(range="bytes=0-99")).status == 502


async def test_a_blob_that_is_too_short_is_not_kept(setup) -> None:
    setup.origin.blobs[setup.film.track.digest] = setup.film.data[: 600 * KIB]
    with pytest.raises((asyncio.IncompleteReadError, ConnectionError)):
        await setup.get(range="bytes=0-999999")
    assert files(setup) == []


async def test_a_restarted_edge_has_what_it_had(setup, launch) -> None:
    await setup.get()
    held = setup.edge.status.bytes_held
    asked = len(setup.origin.asked)
    (setup.edge._cache._directory / ".fill-1-1").write_bytes(b"left behind")
    (setup.edge._cache._directory / "ab" / "nonsense").write_bytes(b"x")
    setup = await launch(origin=setup.origin)
    assert setup.edge.status.bytes_held == held == len(setup.film.data)
    assert (await setup.get()).body == setup.film.data
    assert (await setup.get(range="bytes=0-9")).headers["cache-status"] == "edge-1; hit"
    assert len(setup.origin.asked) == asked
    assert not list(setup.edge._cache._directory.rglob("*nonsense")) + list(
        setup.edge._cache._directory.rglob(".fill*")
    )


@pytest.mark.parametrize("how", ["truncated", "emptied", "flipped", "removed", "directory"])
async def test_a_damaged_file_of_a_former_process_is_fetched_again(setup, launch, how: str) -> None:
    await setup.get()
    path = files(setup)[0]
    spoil(path, how)
    setup = await launch(origin=setup.origin)
    assert (await setup.get()).body == setup.film.data
    assert (await setup.get()).body == setup.film.data


def spoil(path, how: str) -> None:
    if how == "truncated":
        os.truncate(path, 1000)
    elif how == "emptied":
        os.truncate(path, 0)
    elif how == "flipped":
        data = bytearray(path.read_bytes())
        data[len(data) // 2] ^= 1
        path.write_bytes(data)
    elif how == "removed":
        path.unlink()
    elif how == "directory":
        path.unlink()
        path.mkdir()
        (path / "in the way").touch()


@pytest.mark.parametrize("how", ["truncated", "emptied", "flipped"])
async def test_a_file_damaged_under_a_running_edge_never_kills_it(setup, how: str) -> None:
    """Its map is shorter than Python believes from that moment on: touching it would be SIGBUS."""
    await setup.get()
    assert (await setup.get(range="bytes=0-999999")).headers["cache-status"] == "edge-1; hit"
    for path in files(setup):
        spoil(path, how)
    setup.clock.advance(2)
    for span in ("bytes=0-99", "bytes=0-999999", "bytes=500000-1000000"):
        try:
            reply = await setup.get(range=span)
        except (asyncio.IncompleteReadError, ConnectionError):
            continue  # the kernel found out in the middle of sending
        first, last = map(int, span[6:].split("-"))
        assert reply.body == setup.film.data[first : last + 1]
    assert (await setup.get()).body == setup.film.data
    assert setup.edge.status.damaged >= 1


async def test_a_file_truncated_while_it_is_being_sent_never_kills_the_edge(setup) -> None:
    await setup.get()
    client = await setup.client()
    client.send(setup.path())
    await client.head()
    await client.reader.readexactly(10_000)
    for path in files(setup):
        os.truncate(path, 4096)
    with pytest.raises((asyncio.IncompleteReadError, ConnectionError)):
        await client.reader.readexactly(len(setup.film.data) - 10_000)
    setup.clock.advance(2)
    assert (await setup.get()).body == setup.film.data


async def test_the_least_recently_used_slices_leave(launch) -> None:
    films = [Film(f"ast_{number}", (MIB,), seed=10 * number) for number in range(2, 8)]
    setup = await launch(*films, capacity=3 * MIB + 3 * HEADER)
    for film in films[:3]:
        await setup.get(setup.path(setup.token(film.asset), film.asset))
    keep = setup.path(setup.token("ast_2"), "ast_2")
    await setup.get(keep)
    for film in films[3:5]:
        await setup.get(setup.path(setup.token(film.asset), film.asset))
    assert (await setup.get(keep)).headers["cache-status"] == "edge-1; hit"
    await until(lambda: len(files(setup)) == 3)
    assert setup.edge.status.evicted == 2
    assert setup.edge.status.bytes_held <= setup.edge.status.bytes_limit
    again = await setup.get(setup.path(setup.token("ast_3"), "ast_3"))
    assert "fwd=miss" in again.headers["cache-status"]


async def test_a_slice_larger_than_the_cache_is_served(launch) -> None:
    setup = await launch(capacity=MIB)
    assert (await setup.get()).body == setup.film.data
    assert setup.edge.status.bytes_held <= MIB


async def test_a_slow_reader_takes_no_memory_and_still_gets_everything(launch) -> None:
    big = Film("ast_big", (2 * MIB,) * 40, seed=77)
    setup = await launch(big)
    path = setup.path(setup.token("ast_big"), "ast_big")
    slow = [await setup.client() for _ in range(8)]
    await setup.get(path)
    before = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
    for client in slow:
        client.send(path)
        await client.head()
    await setup.get(range="bytes=0-999")
    for client in slow[1:]:
        client.cut()
    assert await slow[0].reader.readexactly(len(big.data)) == big.data
    grown = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss - before
    assert grown < 8 * 80 * KIB  # KiB: 8 readers of 80 MiB each would take 640 MiB


async def test_a_full_disk_is_passed_through(setup, monkeypatch: pytest.MonkeyPatch) -> None:
    def full(*_: object) -> None:
        raise OSError(28, "No space left on device")

    monkeypatch.setattr(os, "posix_fallocate", full)
    for _ in range(2):
        assert (await setup.get()).body == setup.film.data
    assert setup.edge.status.uncached == 2 * 4
    assert files(setup) == []


async def test_two_edges_do_not_share_a_directory(setup) -> None:
    from kinema.services.edge.node import create_edge

    with pytest.raises(Unavailable, match="another name"):
        create_edge(
            name="edge-1",
            directory=setup.edge._cache._directory,
            capacity=1,
            keys=setup.keys,
            clock=setup.clock,
            parent=setup.origin,
        )


async def test_closing_gives_up_what_is_being_fetched(setup, launch) -> None:
    setup.origin.gate.clear()
    client = await setup.client()
    client.send(setup.path(), range="bytes=0-999")
    await until(lambda: setup.origin.asked)
    before = descriptors()
    await setup.edge.close()
    assert (await client.head()).status == 503
    assert files(setup) == []
    assert descriptors() < before
    setup.edge._cache._lock = os.open("/dev/null", os.O_RDONLY)  # closed again by the fixture
