import asyncio
import os
import subprocess
import sys
from pathlib import Path

import pytest

from kinema.http import Client, ConnectionLost, Exchange, MappedFile
from kinema.http.files import SMALL_BYTES
from tests.unit.http.wire import serving, until


@pytest.mark.parametrize("size", [0, 1, SMALL_BYTES, SMALL_BYTES + 1, 3_000_000])
async def test_any_part_of_a_file_is_sent_byte_for_byte(tmp_path, size):
    content = os.urandom(size)
    (tmp_path / "f").write_bytes(content)
    file = MappedFile(tmp_path / "f")
    part = (0, size)

    def handler(exchange: Exchange) -> None:
        exchange.send_file(200, (), file, *part)

    async with serving(handler) as server:
        client = Client()
        for part in ((0, size), (size // 3, size // 2), (size, 0)):
            response = await client.fetch(f"127.0.0.1:{server.port}", "GET", "/")
            assert response.body == content[part[0] : part[0] + part[1]]
        assert (await client.fetch(f"127.0.0.1:{server.port}", "HEAD", "/")).body == b""
        await client.close()


async def test_what_is_not_in_memory_is_read_by_a_thread_first(tmp_path):
    (tmp_path / "f").write_bytes(content := os.urandom(2_000_000))
    file = MappedFile(tmp_path / "f")
    descriptor = os.open(tmp_path / "f", os.O_RDONLY)
    os.fsync(descriptor)
    os.posix_fadvise(descriptor, 0, 0, os.POSIX_FADV_DONTNEED)
    os.close(descriptor)
    if file.resident(0, file.size, 0.0):
        pytest.skip("this file system keeps its pages in memory")
    async with serving(lambda exchange: exchange.send_file(200, (), file, 0, file.size)) as server:
        client = Client()
        assert (await client.fetch(f"127.0.0.1:{server.port}", "GET", "/")).body == content
        assert file.resident(0, file.size, asyncio.get_running_loop().time())
        await client.close()


async def test_a_file_that_is_cut_short_under_load_ends_answers_and_not_the_process(tmp_path):
    """The server is a process of its own: if it met SIGBUS, it would be gone."""
    (tmp_path / "f").write_bytes(os.urandom(8_000_000))
    loop_kind = type(asyncio.get_running_loop()).__module__.partition(".")[0]
    script = Path(__file__).parent / "serve_file.py"
    process = subprocess.Popen([sys.executable, script, tmp_path / "f", loop_kind], stdout=subprocess.PIPE, text=True)
    try:
        origin = f"127.0.0.1:{int(await asyncio.to_thread(process.stdout.readline))}"
        client = Client()
        assert len((await client.fetch(origin, "GET", "/")).body) == 8_000_000
        busy = [asyncio.create_task(client.fetch(origin, "GET", "/")) for _ in range(8)]
        await until(lambda: any(call.connection for call in client.active))
        os.truncate(tmp_path / "f", 100_000)
        ended = await asyncio.gather(*busy, return_exceptions=True)
        assert all(isinstance(end, ConnectionLost) or len(end.body) == 8_000_000 for end in ended)
        with pytest.raises(ConnectionLost):
            await client.fetch(origin, "GET", "/")
        assert (await client.fetch(origin, "GET", "/alive")).body == b"alive"
        with open(tmp_path / "f", "r+b") as file:  # noqa: ASYNC230 (a test may write a few bytes)
            file.write(b"overwritten in place")
        assert (await client.fetch(origin, "GET", "/alive")).body == b"alive"
        await client.close()
        assert process.poll() is None
    finally:
        process.kill()
        process.wait()


def test_a_map_is_gone_with_its_last_reference(tmp_path):
    (tmp_path / "f").write_bytes(bytes(100_000))
    before = len(os.listdir("/proc/self/fd"))
    files = [MappedFile(tmp_path / "f") for _ in range(20)]
    assert len(os.listdir("/proc/self/fd")) == before + 20
    files.clear()
    assert len(os.listdir("/proc/self/fd")) == before


def test_a_missing_file_says_so(tmp_path):
    with pytest.raises(FileNotFoundError):
        MappedFile(tmp_path / "none")
