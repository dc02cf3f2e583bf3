"""The line before handlers on a real event loop with real sockets; the clock stands still unless a handler moves it."""

import asyncio
import socket

import pytest

from kinema.core.clock import ManualClock
from kinema.rpc.line import Line
from kinema.rpc.steps import Steps


class Server(asyncio.Protocol):
    """Begins a task for each piece that it reads, as uvicorn does for a request; a handler holds the loop for `holds` seconds."""

    def __init__(self, clock, line, waits):
        self.clock, self.line, self.waits = clock, line, waits
        self.holds = []

    def data_received(self, data):
        for _ in data:
            self.task = asyncio.get_running_loop().create_task(self.handle())

    async def handle(self):
        self.waits.append(self.line.began())
        while self.holds:
            self.holds.pop()()


@pytest.fixture
async def served():
    """Yield the clock, the waits that were told, the server and two blocking sockets of clients."""
    clock, waits, servers = ManualClock(), [], []
    line = Line(clock)

    def connected():
        servers.append(Server(clock, line, waits))
        return servers[-1]

    loop = asyncio.get_running_loop()
    clients = []
    for _ in range(2):
        mine, other = socket.socketpair()
        await loop.connect_accepted_socket(connected, other)
        clients.append(mine)
    yield clock, waits, servers, clients
    for client in clients:
        client.close()


async def until(condition):
    async with asyncio.timeout(20):
        while not condition():  # noqa: ASYNC110 -- any turn of the loop may fulfil it
            await asyncio.sleep(0)


async def test_who_comes_while_a_handler_holds_the_loop_has_waited_since_the_middle_of_that_turn(served):
    clock, waits, servers, (first, second) = served

    def hold():
        second.send(b"x")  # somewhere in these four seconds
        clock.advance(4.0)

    servers[0].holds.append(hold)
    first.send(b"x")
    await until(lambda: len(waits) == 2)
    assert waits == [0.0, 2.0]


async def test_who_is_read_with_others_waits_for_those_before_it(served):
    clock, waits, servers, (first, _) = served
    servers[0].holds.append(lambda: clock.advance(3.0))
    first.send(b"xxx")
    await until(lambda: len(waits) == 3)
    assert waits == [0.0, 3.0, 3.0]


async def test_who_finds_nobody_there_has_not_waited(served):
    clock, waits, servers, (first, second) = served
    servers[0].holds.append(lambda: clock.advance(3.0))
    first.send(b"x")
    await until(lambda: len(waits) == 1)
    for _ in range(5):
        await asyncio.sleep(0)
    clock.advance(60.0)
    second.send(b"x")
    await until(lambda: len(waits) == 2)
    assert waits == [0.0, 0.0]


async def test_an_idle_loop_is_left_alone():
    line = Line(ManualClock())
    line.began()
    for _ in range(5):
        await asyncio.sleep(0)
    assert not line._turns.told
    assert not asyncio.get_running_loop()._ready


def test_a_line_goes_on_with_the_loop_that_serves_next():
    clock = ManualClock()
    line = Line(clock)

    async def begin():
        return line.began()

    for _ in range(2):
        loop = asyncio.new_event_loop()
        assert loop.run_until_complete(begin()) == 0.0
        loop.close()  # before it told that there was nobody more
        assert line._turns.told
        clock.advance(60.0)


async def test_time_between_steps_is_no_work():
    clock = ManualClock()
    gate = asyncio.Event()

    async def work():
        clock.advance(1.0)
        await gate.wait()
        clock.advance(2.0)

    steps = Steps(clock.monotonic, clock.monotonic, work())

    async def whole():
        await steps

    task = asyncio.create_task(whole())
    await until(lambda: steps.seconds == 1.0)
    clock.advance(50.0)
    gate.set()
    await task
    assert steps.seconds == 3.0


async def test_an_error_of_the_work_goes_on_and_its_time_counts():
    clock = ManualClock()

    async def work():
        await asyncio.sleep(0)
        clock.advance(1.0)
        raise LookupError("mine")

    steps = Steps(clock.monotonic, clock.monotonic, work())
    with pytest.raises(LookupError, match="mine"):
        await steps
    assert steps.seconds == 1.0


async def test_a_cancellation_reaches_the_work_which_may_clean_up_and_go_on_waiting():
    clock = ManualClock()
    cleaned = []

    async def work():
        try:
            await asyncio.Event().wait()
        finally:
            await asyncio.sleep(0)
            cleaned.append(True)

    steps = Steps(clock.monotonic, clock.monotonic, work())
    with pytest.raises(TimeoutError):
        async with asyncio.timeout(0.01):
            await steps
    assert cleaned == [True]
