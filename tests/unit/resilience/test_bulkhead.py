"""The bulkhead: places, a fair line, and permits that survive whatever is cancelled when."""

import asyncio
from collections import deque

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from kinema.core.clock import ManualClock
from kinema.core.errors import DeadlineExceeded
from kinema.resilience.bulkhead import Bulkhead
from kinema.resilience.deadline import Deadline
from kinema.resilience.errors import BulkheadFull


async def settle():
    for _ in range(5):
        await asyncio.sleep(0)


def test_places_are_counted():
    bulkhead = Bulkhead(2)
    assert [bulkhead.try_acquire() for _ in range(3)] == [True, True, False]
    bulkhead.release()
    assert [bulkhead.try_acquire(), bulkhead.try_acquire()] == [True, False]
    assert (bulkhead.snapshot().in_use, bulkhead.snapshot().refused) == (2, 2)


async def test_who_finds_no_place_waits_in_line_and_who_finds_no_line_is_refused():
    bulkhead = Bulkhead(1, queue=2)
    served = []

    async def call(name):
        await bulkhead.acquire()
        served.append(name)

    await call("first")
    waiting = [asyncio.create_task(call(name)) for name in ("second", "third")]
    await settle()
    with pytest.raises(BulkheadFull, match="2 calls wait"):
        await call("fourth")
    bulkhead.release()
    assert not bulkhead.try_acquire()  # the place is handed on, not free for whoever is faster
    await settle()
    assert (served, bulkhead.in_use, bulkhead.waiting) == (["first", "second"], 1, 1)
    bulkhead.release()
    await asyncio.gather(*waiting)
    assert served == ["first", "second", "third"]


async def test_waiting_ends_with_the_deadline():
    clock = ManualClock()
    bulkhead = Bulkhead(1, queue=1)
    assert bulkhead.try_acquire()
    waiting = asyncio.create_task(bulkhead.acquire(Deadline(clock, 2.0)))
    await settle()
    clock.advance(1.9)
    await settle()
    assert not waiting.done()
    clock.advance(0.2)
    with pytest.raises(DeadlineExceeded, match="No place of 1"):
        await waiting
    assert (bulkhead.waiting, bulkhead.in_use, bulkhead.snapshot().expired) == (0, 1, 1)
    bulkhead.release()
    assert bulkhead.try_acquire()


async def test_a_place_given_to_somebody_who_is_just_being_cancelled_is_passed_on():
    bulkhead = Bulkhead(1, queue=2)
    assert bulkhead.try_acquire()
    one, other = (asyncio.create_task(bulkhead.acquire()) for _ in range(2))
    await settle()
    bulkhead.release()
    one.cancel()
    await other
    assert one.cancelled()
    assert (bulkhead.in_use, bulkhead.waiting) == (1, 0)


@settings(max_examples=200)
@given(
    most=st.integers(1, 3),
    queue=st.integers(0, 4),
    steps=st.lists(
        st.one_of(
            st.sampled_from(["begin", "begin", "end", "settle", "advance"]),
            st.tuples(st.just("cancel"), st.integers(0, 20)),
        ),
        max_size=60,
    ),
)
async def test_whatever_is_cancelled_when_places_are_neither_lost_nor_doubled(most, queue, steps):
    clock = ManualClock()
    bulkhead = Bulkhead(most, queue)
    holding, tasks, served = deque(), [], []

    async def call(number):
        await bulkhead.acquire(Deadline(clock, 3.0))
        holding.append(number)
        served.append(number)

    for step in steps:
        if step == "begin":
            tasks.append(asyncio.create_task(call(len(tasks))))
        elif step == "end":
            if holding:
                holding.popleft()
                bulkhead.release()
        elif step == "settle":
            await settle()
        elif step == "advance":
            clock.advance(1.0)
        else:
            if step[1] < len(tasks):
                tasks[step[1]].cancel()
        assert bulkhead.in_use <= most
        assert bulkhead.waiting <= queue
    await settle()
    assert bulkhead.in_use == len(holding)
    assert served == sorted(served)  # whoever is served, is served in the order in which they came
    for task in tasks:
        task.cancel()
    await asyncio.gather(*tasks, return_exceptions=True)
    assert (bulkhead.in_use, bulkhead.waiting) == (len(holding), 0)
    while holding:
        holding.pop()
        bulkhead.release()
    assert [bulkhead.try_acquire() for _ in range(most + 1)] == [True] * most + [False]


@pytest.mark.parametrize(("most", "queue"), [(0, 0), (1, -1)])
def test_a_bulkhead_without_places_is_refused(most, queue):
    with pytest.raises(ValueError, match="at least 1 and 0"):
        Bulkhead(most, queue)
