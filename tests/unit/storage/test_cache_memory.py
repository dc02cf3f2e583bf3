"""What is particular to the cache in process: its bound, what it keeps, and what it does about time."""

import asyncio
from collections.abc import Callable

import pytest
from hypothesis import settings
from hypothesis import strategies as st
from hypothesis.stateful import RuleBasedStateMachine, invariant, rule

from kinema.core.clock import ManualClock
from kinema.core.errors import BadInput
from kinema.storage.cache_memory import MemoryCache

MIB = 1 << 20


async def test_it_never_takes_more_than_its_capacity_and_stays_full() -> None:
    cache = MemoryCache(8 * MIB)
    for number in range(1000):
        await cache.set(f"n:{number}", bytes(100_000), 60)
        if number % 3 == 0:
            await cache.get(f"n:{number}")
        assert cache.size <= 8 * MIB
    assert cache.size > 7 * MIB


async def test_small_values_count_with_what_they_cost() -> None:
    cache = MemoryCache(8 * MIB)
    for number in range(100_000):
        await cache.set(f"n:{number}", b"", 60)
    assert cache.held < 8 * MIB / 250


def test_a_capacity_below_the_largest_value_is_refused() -> None:
    with pytest.raises(BadInput, match="too small"):
        MemoryCache(1_000_000)


async def test_what_is_read_again_survives_a_scan_of_ten_times_the_capacity() -> None:
    cache = MemoryCache(8 * MIB)
    for number in range(20):
        await cache.set(f"n:hot-{number}", bytes(100_000), 600)
        await cache.get(f"n:hot-{number}")
    for number in range(800):
        await cache.set(f"n:scan-{number}", bytes(100_000), 600)
    assert [number for number in range(20) if await cache.get(f"n:hot-{number}") is None] == []


async def test_what_was_popular_gives_way_to_what_is() -> None:
    """Where least frequently used would keep the old favourites for ever."""
    cache = MemoryCache(8 * MIB)
    for number in range(60):
        await cache.set(f"n:old-{number}", bytes(100_000), 600)
        for _ in range(100):
            await cache.get(f"n:old-{number}")
    for _ in range(3):
        for number in range(60):
            if await cache.get(f"n:new-{number}") is None:
                await cache.set(f"n:new-{number}", bytes(100_000), 600)
            await cache.get(f"n:new-{number}")
    assert [number for number in range(10, 60) if await cache.get(f"n:new-{number}") is None] == []


async def test_expired_values_leave_room_without_being_asked_for() -> None:
    clock = ManualClock()
    cache = MemoryCache(8 * MIB, clock)
    for number in range(1000):
        await cache.set(f"n:short-{number}", b"", 10)
        await cache.get(f"n:short-{number}")
    clock.advance(11)
    for number in range(400):
        await cache.set(f"n:long-{number}", b"", 1000)
    assert cache.held == 400


async def test_one_key_that_is_written_for_ever_takes_no_more_memory() -> None:
    cache = MemoryCache(8 * MIB)
    for number in range(50_000):
        await cache.set("n:a", b"%d" % number, 86400)
    assert cache.held == 1
    assert len(cache._expiry) < 2000


KEYS = st.sampled_from([f"n:{number}" for number in range(6)])
VALUES = st.binary(max_size=3)
TIMES = st.sampled_from([1.0, 2.0, 5.0])


class AgainstADictionary(RuleBasedStateMachine):
    """While there is room, it is a dictionary whose entries end on time."""

    def __init__(self) -> None:
        super().__init__()
        self.clock = ManualClock()
        self.cache = MemoryCache(8 * MIB, self.clock)
        self.model: dict[str, tuple[float, bytes]] = {}

    def living(self) -> dict[str, bytes]:
        return {key: value for key, (until, value) in self.model.items() if until > self.clock.monotonic()}

    @rule(key=KEYS, value=VALUES, ttl=TIMES)
    def set(self, key: str, value: bytes, ttl: float) -> None:
        assert run(lambda: self.cache.set(key, value, ttl))
        self.model[key] = (self.clock.monotonic() + ttl, value)

    @rule(key=KEYS, value=VALUES, ttl=TIMES)
    def add(self, key: str, value: bytes, ttl: float) -> None:
        missing = key not in self.living()
        assert run(lambda: self.cache.add(key, value, ttl)) is missing
        if missing:
            self.model[key] = (self.clock.monotonic() + ttl, value)

    @rule(key=KEYS)
    def delete(self, key: str) -> None:
        assert run(lambda: self.cache.delete(key))
        self.model.pop(key, None)

    @rule(key=KEYS)
    def get(self, key: str) -> None:
        assert run(lambda: self.cache.get(key)) == self.living().get(key)

    @rule(keys=st.lists(KEYS))
    def get_many(self, keys: list[str]) -> None:
        living = self.living()
        assert run(lambda: self.cache.get_many(keys)) == {key: living[key] for key in keys if key in living}

    @rule(seconds=st.sampled_from([0.5, 1.0, 3.0]))
    def wait(self, seconds: float) -> None:
        self.clock.advance(seconds)

    @invariant()
    def holds_no_less_than_what_lives(self) -> None:
        assert self.cache.held >= len(self.living())


def run(call: Callable[[], object]) -> object:
    async def wait() -> object:
        return await call()

    return asyncio.run(wait())


TestAgainstADictionary = AgainstADictionary.TestCase
TestAgainstADictionary.settings = settings(max_examples=40, stateful_step_count=30)
