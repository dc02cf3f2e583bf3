"""Lets time pass on a ManualClock as it would: timer by timer, with everything that follows from one done before the next."""

import asyncio


async def settle():
    """Let everything run that can run without time passing."""
    for _ in range(30):
        await asyncio.sleep(0)


async def elapse(clock, seconds):
    """Move the clock on by so many seconds, stopping at each timer on the way."""
    end = clock.monotonic() + seconds
    await settle()
    while clock._timers and clock._timers[0][0] <= end:
        clock.advance(max(0.0, clock._timers[0][0] - clock.monotonic()))
        await settle()
    clock.advance(max(0.0, end - clock.monotonic()))
    await settle()


async def finish(clock, awaitable, seconds=100.0):
    """Run it to its end, letting as much time pass as it needs; return or raise what it does."""
    task = asyncio.ensure_future(awaitable)
    end = clock.monotonic() + seconds
    await settle()
    while not task.done():
        assert clock._timers, "it waits for something that is not time"
        assert clock._timers[0][0] <= end, f"still not done after {seconds} s"
        clock.advance(max(0.0, clock._timers[0][0] - clock.monotonic()))
        await settle()
    return await task
