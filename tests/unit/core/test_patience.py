import asyncio
import time

import pytest
import uvloop

from kinema.core.patience import Patience

LOOPS = pytest.mark.parametrize("run", [asyncio.run, uvloop.run], ids=["asyncio", "uvloop"])


@LOOPS
def test_what_takes_too_long_is_ended(run):
    async def wait():
        with pytest.raises(TimeoutError):
            async with Patience(0.05):
                await asyncio.sleep(30)
        async with Patience(30):
            await asyncio.sleep(0)

    run(wait())


@LOOPS
def test_an_answer_that_came_while_this_process_stood_still_counts(run):
    """A server in a thread answers at once, and the loop is kept busy for longer than the patience."""

    async def wait():
        async def echo(reader, writer):
            writer.write(await reader.readexactly(1))
            writer.close()

        server = await asyncio.start_server(echo, "127.0.0.1", 0)
        reader, writer = await asyncio.open_connection(*server.sockets[0].getsockname())
        async with Patience(0.05):
            writer.write(b"x")
            asyncio.get_running_loop().call_soon(time.sleep, 0.2)
            assert await reader.readexactly(1) == b"x"
        writer.close()
        server.close()

    run(wait())


@LOOPS
def test_a_pause_gives_no_more_than_one_further_chance(run):
    async def wait():
        asyncio.get_running_loop().call_soon(time.sleep, 0.2)
        with pytest.raises(TimeoutError):
            async with Patience(0.05):
                await asyncio.sleep(30)

    run(wait())


@LOOPS
def test_a_caller_who_gives_up_is_not_taken_for_a_time_out(run):
    async def wait():
        async def patient():
            async with Patience(30):
                await asyncio.sleep(30)

        task = asyncio.create_task(patient())
        await asyncio.sleep(0)
        task.cancel()
        with pytest.raises(asyncio.CancelledError):
            await task

    run(wait())
