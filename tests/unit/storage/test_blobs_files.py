"""What is particular to blobs kept as files."""

import asyncio
import os
import subprocess
from collections.abc import AsyncIterator, Iterator
from pathlib import Path

import pytest

from kinema.core.errors import Conflict, StorageFull, Unavailable
from kinema.storage import content
from kinema.storage.blobs_files import FileBlobs
from kinema.storage.ports import local_path

MIB = 1 << 20


@pytest.fixture
def small_disk(tmp_path: Path) -> Iterator[Path]:
    place = tmp_path / "small"
    place.mkdir()
    command = ["mount", "-t", "tmpfs", "-o", "size=4m", "tmpfs", str(place)]
    if os.geteuid() != 0 or subprocess.run(command, check=False, capture_output=True).returncode:
        pytest.skip("mounting a small tmpfs is not permitted here")
    yield place
    subprocess.run(["umount", str(place)], check=True)


def open_descriptors() -> int:
    return len(list(Path("/proc/self/fd").iterdir()))


def everything(root: Path) -> list[str]:
    return sorted(str(path.relative_to(root)) for path in root.rglob("*") if path.is_file())


async def test_a_full_disk_is_said_and_leaves_no_part(small_disk: Path) -> None:
    blobs = FileBlobs(small_disk / "blobs")

    async def body() -> AsyncIterator[bytes]:
        for _ in range(8):
            yield bytes(MIB)

    for full in (body(), bytes(8 * MIB)):
        with pytest.raises(StorageFull, match="free some space"):
            await blobs.put("too/much", full)
        assert everything(small_disk) == []
    assert await blobs.put("fits", bytes(MIB)) == MIB


async def test_sweeping_removes_only_what_nobody_writes(tmp_path: Path) -> None:
    blobs = FileBlobs(tmp_path)
    await blobs.put("a/kept", b"1")
    old, young = tmp_path / "a" / ".put-1-old", tmp_path / "a" / ".put-1-young"
    for path in (old, young):
        path.write_bytes(b"part")
    os.utime(old, (1, 1))
    os.utime(tmp_path / "a" / "kept", (1, 1))
    at_work: list[Path] = []

    async def body() -> AsyncIterator[bytes]:
        yield bytes(MIB)
        at_work.extend(path for path in (tmp_path / "a").glob(".put-*") if path not in (old, young))
        os.utime(at_work[0], (1, 1))
        assert await blobs.sweep() == 1
        yield b"end"

    await blobs.put("a/slow", body())
    assert len(at_work) == 1
    assert everything(tmp_path) == ["a/.put-1-young", "a/kept", "a/slow"]


async def test_no_blob_lies_beneath_another(tmp_path: Path) -> None:
    blobs = FileBlobs(tmp_path)
    await blobs.put("a/b", b"1")
    with pytest.raises(Conflict, match="a/b is a blob"):
        await blobs.put("a/b/c", b"2")
    with pytest.raises(Conflict):
        await blobs.put("a", b"3")
    assert everything(tmp_path) == ["a/b"]


async def test_emptied_directories_go(tmp_path: Path) -> None:
    blobs = FileBlobs(tmp_path)
    await blobs.put("uploads/up_1/0", b"1")
    await blobs.put("uploads/up_1/1", b"1")
    await blobs.delete("uploads/up_1/0")
    assert everything(tmp_path) == ["uploads/up_1/1"]
    await blobs.delete("uploads/up_1/1")
    assert not (tmp_path / "uploads").exists()


async def test_blobs_are_local_files(tmp_path: Path) -> None:
    blobs = FileBlobs(tmp_path)
    assert local_path(blobs, "a/b") is None
    await blobs.put("a/b", b"here")
    found = local_path(blobs, "a/b")
    assert found is not None
    assert found.read_bytes() == b"here"
    assert found.stat().st_mode & 0o077 == 0


async def test_reading_goes_on_after_a_delete(tmp_path: Path) -> None:
    blobs = FileBlobs(tmp_path)
    await blobs.put("a", bytes(3 * MIB))
    chunks = aiter(blobs.get("a"))
    size = len(await anext(chunks))
    await blobs.delete("a")
    size += sum([len(chunk) async for chunk in chunks])
    assert size == 3 * MIB


async def test_a_directory_that_may_not_be_used_is_unavailable(tmp_path: Path) -> None:
    (tmp_path / "blobs").write_text("a file where the directory should be")
    with pytest.raises(Unavailable, match="in the way"):
        await FileBlobs(tmp_path / "blobs" / "deeper").put("a", b"1")


async def test_a_file_that_changes_while_it_is_stored_is_refused(tmp_path: Path) -> None:
    source = tmp_path / "source"
    source.write_bytes(bytes(8 * MIB))
    blobs = FileBlobs(tmp_path / "blobs")
    digest = await content.digest_of_file(source)

    class Meddling(FileBlobs):
        async def put(self, key, body):
            source.write_bytes(bytes(7 * MIB) + b"other")
            return await super().put(key, body)

    with pytest.raises(Unavailable, match="changed while it was stored"):
        await content.store(Meddling(tmp_path / "blobs"), "media", source)
    assert [info async for info in blobs.list("")] == []
    with pytest.raises(Exception, match="no blob"):
        await content.verify(blobs, "media", digest)


async def test_verification_finds_a_damaged_blob(tmp_path: Path) -> None:
    blobs = FileBlobs(tmp_path)
    digest = await content.store(blobs, "media", b"as it was")
    assert await content.verify(blobs, "media", digest)
    blobs.local_path(content.content_key("media", digest)).write_bytes(b"as it is now")
    assert not await content.verify(blobs, "media", digest)


async def test_a_cancelled_read_closes_its_file(tmp_path: Path) -> None:
    blobs = FileBlobs(tmp_path)
    await blobs.put("a", bytes(3 * MIB))

    async def read() -> None:
        async for _ in blobs.get("a"):
            pass

    before = open_descriptors()
    for _ in range(20):
        task = asyncio.create_task(read())
        await asyncio.sleep(0)
        task.cancel()
        await asyncio.wait([task])
    assert open_descriptors() <= before + 1  # the pool's threads may keep one event descriptor
