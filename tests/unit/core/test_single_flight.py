import asyncio

import pytest

from kinema.core.single_flight import SingleFlight


class Work:
    def __init__(self):
        self.runs = 0
        self.error = None
        self.open = asyncio.Event()

    async def __call__(self):
        self.runs += 1
        run = self.runs
        await self.open.wait()
        if self.error is not None:
            raise self.error
        return run


@pytest.fixture
async def work():
    return Work()


async def begun(flights, work, count, key="a"):
    tasks = [asyncio.create_task(flights.run(key, work)) for _ in range(count)]
    await asyncio.sleep(0)
    await asyncio.sleep(0)
    return tasks


async def test_many_who_ask_at_once_share_one_piece_of_work_and_later_ones_get_a_new_one(work):
    flights = SingleFlight()
    tasks = await begun(flights, work, 100)
    others = await begun(flights, work, 1, key="b")
    work.open.set()
    assert await asyncio.gather(*tasks) == [1] * 100
    assert await others[0] == 2
    assert await flights.run("a", work) == 3


async def test_who_gives_up_leaves_it_to_the_others(work):
    flights = SingleFlight()
    tasks = await begun(flights, work, 3)
    tasks[0].cancel()
    await asyncio.wait(tasks[:1])
    work.open.set()
    assert await asyncio.gather(*tasks[1:]) == [1, 1]


async def test_a_failure_is_told_to_all_and_not_remembered(work):
    flights = SingleFlight()
    work.error = ValueError("no")
    tasks = await begun(flights, work, 3)
    work.open.set()
    assert {str(one) for one in await asyncio.gather(*tasks, return_exceptions=True)} == {"no"}
    work.error = None
    assert await flights.run("a", work) == 2
