import asyncio
import os
import signal
import time

import pytest

from kinema.core.stopping import Stop


@pytest.mark.parametrize(
    ("number", "gentle", "successor"),
    [(signal.SIGINT, False, False), (signal.SIGTERM, True, False), (signal.SIGHUP, True, True)],
)
async def test_each_signal_says_how_to_stop(number, gentle, successor):
    stop = Stop().listen()
    os.kill(os.getpid(), number)
    await asyncio.wait_for(stop.asked.wait(), 10)
    assert (stop.gentle, stop.successor) == (gentle, successor)
    for handled in (signal.SIGINT, signal.SIGTERM, signal.SIGHUP):
        asyncio.get_running_loop().remove_signal_handler(handled)


async def test_a_gentle_stop_lingers_and_a_second_signal_cuts_that_short():
    stop = Stop()
    stop.ask(gentle=True)
    begun = time.monotonic()
    await stop.linger(0.05)
    assert time.monotonic() - begun >= 0.05
    lingering = asyncio.create_task(stop.linger(60))
    stop.ask()
    await asyncio.wait_for(lingering, 10)


async def test_a_stop_at_once_waits_for_nobody():
    stop = Stop()
    stop.ask()
    await asyncio.wait_for(stop.linger(60), 10)
