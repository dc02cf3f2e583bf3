import asyncio
import os
import stat

import pytest

from kinema.cluster.control import Command, ControlSocket, chosen, send
from kinema.core.errors import BadInput, Conflict, NotFound


@pytest.fixture
def data(tmp_path):
    deep = tmp_path / ("a" * 100) / "data"  # deeper than the address of a Unix socket may be long
    (deep / "run").mkdir(parents=True, mode=0o700)
    return deep


async def opened(data, handle):
    control = ControlSocket(data, handle)
    await control.open()
    return control


async def test_a_command_is_carried_out_and_each_step_told(data):
    async def handle(command, say):
        for name in command.processes:
            say(f"{name} is back")

    control = await opened(data, handle)
    heard = []
    await send(data, Command("restart", ("cell-1", "cell-2")), heard.append)
    assert heard == ["cell-1 is back", "cell-2 is back"]
    await control.close()


async def test_what_goes_wrong_comes_back_as_its_sentence(data):
    async def handle(command, say):
        chosen(command.processes, ("cell-1",))

    control = await opened(data, handle)
    with pytest.raises(Conflict, match="no process 'cell-9'; there are cell-1"):
        await send(data, Command("restart", ("cell-9",)), print)
    await control.close()


async def test_a_second_command_is_refused_while_one_is_carried_out(data):
    gate = asyncio.Event()

    async def handle(command, say):
        say("begun")
        await gate.wait()

    control = await opened(data, handle)
    begun = asyncio.Event()
    first = asyncio.create_task(send(data, Command("restart"), lambda text: begun.set()))
    await asyncio.wait_for(begun.wait(), 10)
    with pytest.raises(Conflict, match="Another command"):
        await send(data, Command("restart"), print)
    gate.set()
    await first
    await control.close()


async def test_nonsense_is_answered_and_harms_nobody(data):
    async def handle(command, say):
        say("hello")

    control = await opened(data, handle)
    directory = os.open(data / "run", os.O_RDONLY)
    for line in (b"nonsense\n", b'{"verb": "halt"}\n', b"\xff\xfe\n", b"x" * 70_000 + b"\n"):
        reader, writer = await asyncio.open_unix_connection(f"/proc/self/fd/{directory}/supervisor.sock")
        writer.write(line)
        assert b'"failed"' in await asyncio.wait_for(reader.read(), 10)
        writer.close()
    os.close(directory)
    heard = []
    await send(data, Command("restart"), heard.append)
    assert heard == ["hello"]
    await control.close()


async def test_a_socket_left_by_a_killed_supervisor_is_replaced_and_only_the_owner_gets_in(data):
    async def handle(command, say):
        say("hello")

    left = await opened(data, handle)
    left._server.close()
    control = await opened(data, handle)
    heard = []
    await send(data, Command("restart"), heard.append)
    assert heard == ["hello"]
    assert stat.S_IMODE((data / "run").stat().st_mode) == 0o700
    await control.close()
    with pytest.raises(NotFound, match="No region runs"):
        await send(data, Command("restart"), print)


def test_names_are_taken_in_the_order_of_the_topology():
    assert chosen(("b", "a"), ("a", "b", "c")) == ("a", "b")
    assert chosen((), ("a", "b")) == ("a", "b")
    with pytest.raises(BadInput, match="no process 'z'"):
        chosen(("a", "z"), ("a", "b"))
