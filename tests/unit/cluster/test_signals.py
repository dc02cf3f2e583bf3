"""Which signals stop a region, also when it was started in the background."""

import asyncio
import os
import signal

import pytest

from kinema.cluster.supervisor import on_signals


@pytest.fixture
async def stopping():
    """Install the handlers in a process that ignores interrupts and hang-ups; undo it afterwards."""
    before = {number: signal.getsignal(number) for number in (signal.SIGINT, signal.SIGTERM, signal.SIGHUP)}
    signal.signal(signal.SIGINT, signal.SIG_IGN)
    signal.signal(signal.SIGHUP, signal.SIG_IGN)
    stop, at_once = asyncio.Event(), asyncio.Event()
    on_signals(stop, at_once)
    yield stop, at_once
    for number, handler in before.items():
        asyncio.get_running_loop().remove_signal_handler(number)
        signal.signal(number, handler)


async def test_an_interrupt_stops_a_region_that_a_script_started_in_the_background(stopping):
    stop, at_once = stopping
    os.kill(os.getpid(), signal.SIGINT)
    await asyncio.wait_for(stop.wait(), 5)
    assert not at_once.is_set()
    os.kill(os.getpid(), signal.SIGTERM)
    await asyncio.wait_for(at_once.wait(), 5)


async def test_a_hang_up_that_was_ignored_on_purpose_stays_ignored(stopping):
    stop, _ = stopping
    os.kill(os.getpid(), signal.SIGHUP)
    os.kill(os.getpid(), signal.SIGINT)
    await asyncio.wait_for(stop.wait(), 5)
    assert not stopping[1].is_set()
