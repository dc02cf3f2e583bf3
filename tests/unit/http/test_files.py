"""Bodies that are views of mapped files, on uvloop: what is sent, and what happens when the file is changed under it."""

import asyncio
import mmap
import os
import subprocess
import sys
from pathlib import Path

import pytest
import uvloop

from kinema.http import Client, ConnectionLost
from tests.unit.http.wire import serving, until


def pytest_asyncio_loop_factories(config, item):
    return {"uvloop": uvloop.new_event_loop}


@pytest.mark.parametrize("size", [1, 8192, 8193, 3_000_000])
async def test_any_part_of_a_map_is_sent_byte_for_byte(tmp_path, size):
    content = os.urandom(size)
    (tmp_path / "f").write_bytes(content)
    with (tmp_path / "f").open("rb") as file:
        view = memoryview(mmap.mmap(file.fileno(), 0, prot=mmap.PROT_READ))
    part = slice(0, size)

    async with serving(lambda exchange: exchange.reply(200, (), view[part])) as server:
        client = Client()
        for part in (slice(0, size), slice(size // 3, size // 2), slice(size, size)):
            response = await client.fetch(f"127.0.0.1:{server.port}", "GET", "/")
            assert response.body == content[part]
        assert (await client.fetch(f"127.0.0.1:{server.port}", "HEAD", "/")).body == b""
        await client.close()


@pytest.fixture
def file_server(tmp_path):
    """A server in a process of its own: if it met SIGBUS, it would be gone."""
    (tmp_path / "f").write_bytes(os.urandom(8_000_000))
    script = Path(__file__).parent / "serve_file.py"
    process = subprocess.Popen([sys.executable, script, tmp_path / "f"], stdout=subprocess.PIPE, text=True)
    try:
        yield process, f"127.0.0.1:{int(process.stdout.readline())}", tmp_path / "f"
    finally:
        process.kill()
        process.wait()
        process.stdout.close()


async def test_a_file_that_is_cut_short_under_load_ends_answers_and_not_the_process(file_server):
    process, origin, path = file_server
    client = Client()
    assert len((await client.fetch(origin, "GET", "/")).body) == 8_000_000
    busy = [asyncio.create_task(client.fetch(origin, "GET", "/")) for _ in range(8)]
    await until(lambda: any(call.connection for call in client.active))
    os.truncate(path, 100_000)
    ended = await asyncio.gather(*busy, return_exceptions=True)
    assert all(isinstance(end, ConnectionLost) or len(end.body) == 8_000_000 for end in ended)
    with pytest.raises(ConnectionLost):
        await client.fetch(origin, "GET", "/")
    assert (await client.fetch(origin, "GET", "/alive")).body == b"alive"
    with path.open("r+b") as file:
        file.write(b"overwritten in place")
    path.unlink()
    assert (await client.fetch(origin, "GET", "/alive")).body == b"alive"
    await client.close()
    assert process.poll() is None
