"""Timers of both clocks; sleeping is tested with the other small parts."""

import asyncio

from kinema.core.clock import ManualClock, SystemClock


def test_timers_are_called_in_the_order_of_their_times_when_time_has_come():
    clock, called = ManualClock(), []
    clock.call_later(2.0, lambda: called.append("second"))
    clock.call_later(1.0, lambda: called.append("first"))
    clock.call_later(2.0, lambda: called.append("third"))
    clock.advance(0.9)
    assert called == []
    clock.advance(1.1)
    assert called == ["first", "second", "third"]


def test_a_timer_that_was_called_off_is_not_called():
    clock, called = ManualClock(), []
    timer = clock.call_later(1.0, lambda: called.append("never"))
    timer.cancel()
    clock.advance(5.0)
    timer.cancel()
    assert called == []


def test_a_timer_may_set_another():
    clock, called = ManualClock(), []
    clock.call_later(1.0, lambda: clock.call_later(1.0, lambda: called.append(clock.now())))
    clock.advance(1.0)
    assert called == []
    clock.advance(1.0)
    assert called == [1_700_000_002.0]


async def test_a_sleeper_that_was_cancelled_is_not_woken():
    clock = ManualClock()
    sleeping = asyncio.create_task(clock.sleep(1.0))
    await asyncio.sleep(0)
    sleeping.cancel()
    await asyncio.gather(sleeping, return_exceptions=True)
    clock.advance(2.0)
    assert sleeping.cancelled()


async def test_the_machines_clock_calls_from_the_loop():
    clock, called = SystemClock(), asyncio.Event()
    called_off = clock.call_later(0.0, lambda: 1 / 0)
    called_off.cancel()
    clock.call_later(0.001, called.set)
    await asyncio.wait_for(called.wait(), 20)
