import asyncio

import pytest

from kinema.cluster import rolling
from kinema.cluster.topology import Process
from kinema.core.clock import ManualClock
from kinema.core.errors import Unavailable


class Region:
    """Processes that come back after some seconds of the clock, and the registry that hears of it."""

    def __init__(self, clock, never=()):
        self.clock, self.never = clock, never
        self.back = {}
        self.log = []

    async def renew(self, name):
        self.log.append(name)
        self.back[name] = self.clock.monotonic() + 3

    async def registered_since(self, service, instance, since):
        number = instance.rpartition("-")[2]
        name = next(name for name in self.back if name.endswith(number))
        return name not in self.never and self.clock.monotonic() >= self.back[name]


CELLS = (Process("cell-1", ("members", "catalog")), Process("cell-2", ("members", "catalog")))


async def run(work, clock):
    task = asyncio.create_task(work)
    while not task.done():
        for _ in range(20):
            await asyncio.sleep(0)
        clock.advance(0.1)
    return await task


async def test_the_next_process_is_touched_only_when_the_one_before_is_back_and_everybody_knows():
    clock = ManualClock()
    region, times = Region(clock), []
    say = lambda text: times.append((clock.monotonic(), text.split(" ", 3)[3]))  # noqa: E731
    await run(rolling.restart(CELLS, region, region, clock, say), clock)
    assert region.log == ["cell-1", "cell-2"]
    away, back, next_away = (at for at, _ in times[:3])
    assert back - away == pytest.approx(3.0, abs=0.2)
    assert next_away - back >= rolling.LINGER_SECONDS


async def test_when_one_does_not_come_back_the_others_are_left_alone():
    clock = ManualClock()
    region = Region(clock, never=("cell-1",))
    with pytest.raises(Unavailable, match="members-1 did not come back within 60 s"):
        await run(rolling.restart(CELLS, region, region, clock, lambda text: None), clock)
    assert region.log == ["cell-1"]
