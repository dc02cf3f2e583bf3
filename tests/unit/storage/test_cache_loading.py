"""Reading through a cache: who waits for which load, what is returned when, and what happens when loads or the cache fail."""

import asyncio
import random
from collections.abc import Awaitable, Callable, Sequence
from contextlib import suppress

import pytest
from hypothesis import settings
from hypothesis import strategies as st
from hypothesis.stateful import RuleBasedStateMachine, rule

from kinema.core.clock import ManualClock, SystemClock
from kinema.core.errors import BadInput, DeadlineExceeded, NotFound, Unavailable
from kinema.storage.cache_entry import Entry, decode_entry, encode_entry
from kinema.storage.cache_loading import LoadingCache, LoadingPolicy
from kinema.storage.cache_memory import MemoryCache
from kinema.storage.ports import MAX_CACHE_VALUE_BYTES

EXACT = LoadingPolicy(jitter=0.0, beta=0.0)


class Source:
    """What is loaded from: it counts, may fail, and may be held up until it is let go."""

    def __init__(self, value: bytes | None = b"1") -> None:
        self.value = value
        self.error: Exception | None = None
        self.loads = 0
        self.at_work = 0
        self.most_at_work = 0
        self.open = asyncio.Event()
        self.open.set()

    async def __call__(self) -> bytes | None:
        self.loads += 1
        self.at_work += 1
        self.most_at_work = max(self.most_at_work, self.at_work)
        try:
            value, error = self.value, self.error
            await self.open.wait()
            await asyncio.sleep(0)
        finally:
            self.at_work -= 1
        if error is not None:
            raise error
        return value


class BrokenCache(MemoryCache):
    """A cache that cannot be reached while `down`, and is slow to store while `stuck`."""

    def __init__(self, clock: ManualClock) -> None:
        super().__init__(clock=clock)
        self.down = False
        self.stored = asyncio.Event()
        self.stored.set()

    def _check(self) -> None:
        if self.down:
            raise Unavailable("The cache is down.")

    async def get(self, key: str) -> bytes | None:
        self._check()
        return await super().get(key)

    async def get_many(self, keys: Sequence[str]) -> dict[str, bytes]:
        self._check()
        return await super().get_many(keys)

    async def set(self, key: str, value: bytes, ttl: float) -> bool:
        self._check()
        await self.stored.wait()
        return await super().set(key, value, ttl)

    async def delete(self, key: str) -> bool:
        self._check()
        return await super().delete(key)


@pytest.fixture
def clock() -> ManualClock:
    return ManualClock()


@pytest.fixture
async def source() -> Source:
    return Source()


async def settle() -> None:
    for _ in range(20):
        await asyncio.sleep(0)


def loading(clock: ManualClock, policy: LoadingPolicy = EXACT, cache: MemoryCache | None = None) -> LoadingCache:
    return LoadingCache(cache or MemoryCache(clock=clock), "n", clock, policy, random.Random(1))


async def test_a_value_is_loaded_once_until_its_end(clock: ManualClock, source: Source) -> None:
    cache = loading(clock)
    assert [await cache.get_or_load("a", source, 10) for _ in range(3)] == [b"1"] * 3
    source.value = b"2"
    clock.advance(9.9)
    assert await cache.get_or_load("a", source, 10) == b"1"
    clock.advance(0.2)
    assert await cache.get_or_load("a", source, 10) == b"2"
    assert source.loads == 2
    assert await cache.get_or_load("b", source, 10) == b"2"
    assert source.loads == 3


async def test_a_thousand_who_ask_for_one_missing_key_cause_one_load(clock: ManualClock, source: Source) -> None:
    cache = loading(clock)
    assert await asyncio.gather(*(cache.get_or_load("a", source, 10) for _ in range(1000))) == [b"1"] * 1000
    assert source.loads == 1
    snapshot = cache.snapshot()
    assert (snapshot.misses, snapshot.loads, snapshot.shared, snapshot.in_flight) == (1, 1, 999, 0)


async def test_one_that_gives_up_waiting_leaves_the_load_to_the_others(clock: ManualClock, source: Source) -> None:
    cache = loading(clock)
    source.open.clear()
    tasks = [asyncio.create_task(cache.get_or_load("a", source, 10)) for _ in range(5)]
    await settle()
    tasks[0].cancel()  # the one that began it
    tasks[3].cancel()
    await settle()
    source.open.set()
    ended = await asyncio.gather(*tasks, return_exceptions=True)
    assert [one if isinstance(one, bytes) else type(one) for one in ended] == [
        asyncio.CancelledError,
        b"1",
        b"1",
        asyncio.CancelledError,
        b"1",
    ]
    assert source.loads == 1


async def test_when_all_have_given_up_the_value_is_kept_all_the_same(clock: ManualClock, source: Source) -> None:
    cache = loading(clock)
    source.open.clear()
    tasks = [asyncio.create_task(cache.get_or_load("a", source, 10)) for _ in range(3)]
    await settle()
    for task in tasks:
        task.cancel()
    await asyncio.wait(tasks)
    source.open.set()
    await settle()
    source.value = b"2"
    assert await cache.get_or_load("a", source, 10) == b"1"


async def test_one_that_gives_up_while_the_cache_is_asked_leaves_the_question_to_the_others(
    clock: ManualClock, source: Source
) -> None:
    class SlowCache(MemoryCache):
        asked = 0

        async def get(self, key: str) -> bytes | None:
            self.asked += 1
            await asyncio.sleep(0.01)
            return await super().get(key)

    slow = SlowCache(clock=clock)
    cache = loading(clock, cache=slow)
    await cache.get_or_load("a", source, 10)
    await settle()
    slow.asked = 0
    tasks = [asyncio.create_task(cache.get_or_load("a", source, 10)) for _ in range(10)]
    await settle()
    assert slow.asked == 1
    tasks[4].cancel()
    await settle()
    tasks[0].cancel()  # the one that asks
    ended = await asyncio.gather(*tasks, return_exceptions=True)
    assert [one for one in ended if not isinstance(one, asyncio.CancelledError)] == [b"1"] * 8
    assert slow.asked == 2
    assert source.loads == 1


async def test_a_failure_is_told_to_all_and_not_kept(clock: ManualClock, source: Source) -> None:
    cache = loading(clock)
    source.error = NotFound("There is no such thing.")
    ended = await asyncio.gather(*(cache.get_or_load("a", source, 10) for _ in range(50)), return_exceptions=True)
    assert {str(one) for one in ended} == {"There is no such thing."}
    assert source.loads == 1
    source.error = None
    assert await cache.get_or_load("a", source, 10) == b"1"
    assert cache.snapshot().load_failures == 1


async def test_nothing_is_remembered_for_a_time_of_its_own(clock: ManualClock) -> None:
    source = Source(None)
    cache = loading(clock, LoadingPolicy(missing_seconds=2.0, stale_seconds=100, stale_if_error_seconds=100))
    assert [await cache.get_or_load("a", source, 10) for _ in range(3)] == [None] * 3
    assert (source.loads, cache.snapshot().missing_hits) == (1, 2)
    source.value = b"1"
    clock.advance(2.1)  # and never stale
    assert await cache.get_or_load("a", source, 10) == b"1"


async def test_nothing_need_not_be_remembered_and_then_removes_what_there_was(
    clock: ManualClock, source: Source
) -> None:
    cache = loading(clock, LoadingPolicy(missing_seconds=0, stale_if_error_seconds=100, jitter=0, beta=0))
    await cache.get_or_load("a", source, 10)
    source.value = None
    clock.advance(11)
    assert [await cache.get_or_load("a", source, 10) for _ in range(2)] == [None, None]
    assert source.loads == 3
    await settle()
    source.error = NotFound("gone")
    with pytest.raises(NotFound):
        await cache.get_or_load("a", source, 10)


async def test_a_stale_value_is_returned_at_once_and_replaced_behind(clock: ManualClock, source: Source) -> None:
    cache = loading(clock, LoadingPolicy(stale_seconds=5, jitter=0, beta=0))
    await cache.get_or_load("a", source, 10)
    source.value = b"2"
    source.open.clear()
    clock.advance(12)
    assert await asyncio.gather(*(cache.get_or_load("a", source, 10) for _ in range(100))) == [b"1"] * 100
    await settle()
    assert source.loads == 2
    source.open.set()
    await settle()
    assert await cache.get_or_load("a", source, 10) == b"2"
    clock.advance(16)  # beyond stale: the reader waits
    source.value = b"3"
    assert await cache.get_or_load("a", source, 10) == b"3"


async def test_who_asks_when_the_value_has_ended_waits_for_the_load_that_was_begun_behind_it(
    clock: ManualClock, source: Source
) -> None:
    cache = loading(clock, LoadingPolicy(stale_seconds=5, stale_if_error_seconds=60, jitter=0, beta=0))
    await cache.get_or_load("a", source, 10)
    await settle()
    source.open.clear()
    source.error = Unavailable("down")
    clock.advance(11)
    assert await cache.get_or_load("a", source, 10) == b"1"
    await settle()
    clock.advance(10)
    waiting = [asyncio.create_task(cache.get_or_load("a", source, 10)) for _ in range(3)]
    await settle()
    assert not any(task.done() for task in waiting)
    source.open.set()
    assert await asyncio.gather(*waiting) == [b"1"] * 3
    assert source.loads == 2


async def test_when_loading_fails_an_old_value_is_returned_for_a_while(clock: ManualClock, source: Source) -> None:
    cache = loading(clock, LoadingPolicy(stale_if_error_seconds=60, jitter=0, beta=0, retry_seconds=1))
    await cache.get_or_load("a", source, 10)
    clock.advance(11)
    source.error = Unavailable("down")
    assert await asyncio.gather(*(cache.get_or_load("a", source, 10) for _ in range(20))) == [b"1"] * 20
    assert source.loads == 2
    assert await cache.get_or_load("a", source, 10) == b"1"  # not tried again at once
    assert source.loads == 2
    clock.advance(1.1)
    assert await cache.get_or_load("a", source, 10) == b"1"
    assert source.loads == 3
    assert cache.snapshot().stale_served_on_error == 22
    clock.advance(1.1)
    source.error, source.value = None, b"2"
    assert await cache.get_or_load("a", source, 10) == b"2"
    source.error = Unavailable("down")
    clock.advance(71)
    with pytest.raises(Unavailable, match="down"):
        await cache.get_or_load("a", source, 10)


async def test_a_failing_source_behind_a_stale_value_is_left_in_peace(clock: ManualClock, source: Source) -> None:
    cache = loading(clock, LoadingPolicy(stale_seconds=60, jitter=0, beta=0, retry_seconds=2))
    await cache.get_or_load("a", source, 10)
    clock.advance(11)
    source.error = Unavailable("down")
    for _ in range(100):
        assert await cache.get_or_load("a", source, 10) == b"1"
        await settle()
        clock.advance(0.1)
    assert source.loads == 1 + 5


async def test_a_load_has_a_deadline(clock: ManualClock, source: Source) -> None:
    cache = loading(clock, LoadingPolicy(load_seconds=0.05))
    source.open.clear()
    with pytest.raises(DeadlineExceeded, match=r"n:a.*0\.05 s"):
        await cache.get_or_load("a", source, 10)
    assert cache.snapshot().in_flight == 0
    source.error, source.value = TimeoutError("its own"), None
    source.open.set()
    with pytest.raises(TimeoutError, match="its own"):
        await cache.get_or_load("a", source, 10)


async def test_too_many_keys_at_once_are_refused_and_known_ones_are_not(clock: ManualClock, source: Source) -> None:
    cache = loading(clock, LoadingPolicy(most_loads=3))
    await cache.get_or_load("known", source, 10)
    source.open.clear()
    tasks = [asyncio.create_task(cache.get_or_load(f"{number}", source, 10)) for number in range(3)]
    await settle()
    with pytest.raises(Unavailable, match="3 keys of n are being loaded"):
        await cache.get_or_load("more", source, 10)
    assert await cache.get_or_load("known", source, 10) == b"1"
    source.open.set()
    assert await asyncio.gather(*tasks) == [b"1"] * 3
    assert await cache.get_or_load("more", source, 10) == b"1"
    assert cache.snapshot().refused == 1


async def test_a_dead_cache_is_a_miss(clock: ManualClock, source: Source) -> None:
    broken = BrokenCache(clock)
    cache = loading(clock, cache=broken)
    broken.down = True
    assert [await cache.get_or_load("a", source, 10) for _ in range(3)] == [b"1"] * 3
    assert source.loads == 3
    with pytest.raises(Unavailable):
        await cache.forget("a")
    broken.down = False
    await settle()
    assert [await cache.get_or_load("a", source, 10) for _ in range(3)] == [b"1"] * 3
    assert source.loads == 4
    assert cache.snapshot().cache_failures == 6


async def test_nobody_waits_for_a_value_to_be_stored(clock: ManualClock, source: Source) -> None:
    broken = BrokenCache(clock)
    cache = loading(clock, cache=broken)
    broken.stored.clear()
    assert [await cache.get_or_load("a", source, 10) for _ in range(3)] == [b"1"] * 3
    assert source.loads == 1
    broken.stored.set()
    await settle()
    assert (cache.snapshot().in_flight, await cache.get_or_load("a", source, 10), source.loads) == (0, b"1", 1)


async def test_what_was_loaded_before_it_was_forgotten_is_not_kept(clock: ManualClock, source: Source) -> None:
    cache = loading(clock)
    source.open.clear()
    before = asyncio.create_task(cache.get_or_load("a", source, 10))
    await settle()
    source.value = b"2"
    await cache.forget("a")
    source.open.set()
    assert await before == b"1"
    await settle()
    assert (await cache.get_or_load("a", source, 10), source.loads) == (b"2", 2)


async def test_who_asks_after_a_value_was_forgotten_does_not_wait_for_a_load_from_before(
    clock: ManualClock, source: Source
) -> None:
    cache = loading(clock)
    source.open.clear()
    before = asyncio.create_task(cache.get_or_load("a", source, 10))
    await settle()
    source.value = b"2"
    await cache.forget("a")
    after = asyncio.create_task(cache.get_or_load("a", source, 10))
    await settle()
    source.open.set()
    assert (await before, await after) == (b"1", b"2")
    await settle()
    assert (await cache.get_or_load("a", source, 10), source.loads) == (b"2", 2)


async def test_forgetting_waits_for_what_is_just_being_stored(clock: ManualClock, source: Source) -> None:
    broken = BrokenCache(clock)
    cache = loading(clock, cache=broken)
    broken.stored.clear()
    assert await cache.get_or_load("a", source, 10) == b"1"
    source.value = b"2"
    forgetting = asyncio.create_task(cache.forget("a"))
    await settle()
    broken.stored.set()
    await forgetting
    assert await cache.get_or_load("a", source, 10) == b"2"


@pytest.mark.parametrize("stored", [b"", b"somebody else's", b"kc\x01....", encode_entry(Entry(b"1", 1e12, 0))[:-1]])
async def test_what_is_not_ours_is_a_miss(clock: ManualClock, source: Source, stored: bytes) -> None:
    memory = MemoryCache(clock=clock)
    cache = loading(clock, cache=memory)
    await memory.set("n:a", stored, 60)
    assert await cache.get_or_load("a", source, 10) == b"1"
    assert decode_entry(await memory.get("n:a")) == Entry(b"1", clock.now() + 10, 0)


async def test_too_large_a_value_is_returned_and_not_kept(clock: ManualClock) -> None:
    source = Source(bytes(MAX_CACHE_VALUE_BYTES))
    cache = loading(clock)
    assert [await cache.get_or_load("a", source, 10) for _ in range(2)] == [source.value] * 2
    assert (source.loads, cache.snapshot().too_large) == (2, 2)


async def test_values_loaded_together_do_not_end_together(clock: ManualClock, source: Source) -> None:
    memory = MemoryCache(clock=clock)
    cache = loading(clock, LoadingPolicy(jitter=0.2), memory)
    for number in range(200):
        await cache.get_or_load(f"{number}", source, 100)
    await settle()
    ends = [decode_entry(await memory.get(f"n:{number}")).fresh_until - clock.now() for number in range(200)]
    assert 80 <= min(ends) < 85
    assert 95 < max(ends) <= 100


async def test_early_loads_come_as_often_as_the_paper_says(clock: ManualClock) -> None:
    """At `t` seconds before the end a reader loads with probability exp(-t / (delta * beta))."""
    memory = MemoryCache(clock=clock)
    for delta, beta, before in ((1.0, 1.0, 0.5), (1.0, 1.0, 2.0), (2.0, 1.0, 2.0), (1.0, 3.0, 3.0), (0.1, 1.0, 2.0)):
        cache = LoadingCache(memory, "n", clock, LoadingPolicy(beta=beta, most_loads=1), random.Random(3))
        entry = Entry(b"1", clock.now() + before, delta)
        due = sum(cache._is_due(entry, clock.now()) for _ in range(20_000)) / 20_000
        expected = 2.718281828 ** (-before / (delta * beta))
        assert due == pytest.approx(expected, abs=0.015)


async def test_with_readers_on_a_hot_key_nobody_ever_waits_for_its_renewal() -> None:
    """Ends come every half second under load; the value is always loaded anew before them, by one load at a time."""
    source = Source()
    delta = 0.02

    async def load() -> bytes | None:
        await asyncio.sleep(delta)
        return await source()

    cache = LoadingCache(MemoryCache(), "n", SystemClock(), LoadingPolicy(beta=2.0), random.Random(5))
    await cache.get_or_load("a", load, 0.5)
    end = asyncio.get_running_loop().time() + 3
    while asyncio.get_running_loop().time() < end:
        await asyncio.gather(*(cache.get_or_load("a", load, 0.5) for _ in range(20)))
        await asyncio.sleep(0.0005)
    await cache.close()
    snapshot = cache.snapshot()
    assert snapshot.early_loads >= 4
    assert source.most_at_work == 1
    # One miss is the first load; a machine that stood still for longer than the lead may add a few, never a stampede.
    assert snapshot.misses <= 3
    assert snapshot.loads + snapshot.load_failures == snapshot.misses + snapshot.early_loads


async def test_closing_ends_loads_and_says_so_to_those_who_wait(clock: ManualClock, source: Source) -> None:
    cache = loading(clock)
    source.open.clear()
    waiting = asyncio.create_task(cache.get_or_load("a", source, 10))
    await settle()
    await cache.close()
    with pytest.raises(Unavailable, match="was ended"):
        await waiting


@pytest.mark.parametrize(
    ("key", "ttl"), [("", 1), ("a b", 1), ("a" * 250, 1), ("a", 0), ("a", -1), ("a", float("nan"))]
)
async def test_malformed_keys_and_times_are_refused(clock: ManualClock, source: Source, key: str, ttl: float) -> None:
    with pytest.raises(BadInput):
        await loading(clock).get_or_load(key, source, ttl)
    assert source.loads == 0


def test_a_malformed_namespace_is_refused(clock: ManualClock) -> None:
    with pytest.raises(BadInput):
        LoadingCache(MemoryCache(clock=clock), "N:", clock)


# -- against a model ------------------------------------------------------------------------------------------------------

TTL, STALE, STALE_IF_ERROR, MISSING, RETRY = 10.0, 5.0, 30.0, 2.0, 1.0
KEYS = st.sampled_from(["a", "b"])


class AgainstAModel(RuleBasedStateMachine):
    """One reader after the other, with everything that was begun behind it ended before the next."""

    def __init__(self) -> None:
        super().__init__()
        self.runner = asyncio.Runner()
        self.clock = ManualClock()
        self.cache = BrokenCache(self.clock)
        policy = LoadingPolicy(
            stale_seconds=STALE,
            stale_if_error_seconds=STALE_IF_ERROR,
            missing_seconds=MISSING,
            jitter=0.0,
            beta=0.0,
            retry_seconds=RETRY,
        )
        self.loading = LoadingCache(self.cache, "n", self.clock, policy, random.Random(1))
        self.source: bytes | None = b"0"
        self.failing = False
        self.loads = 0
        self.kept: dict[str, tuple[bytes | None, float]] = {}  # value, end
        self.paused: dict[str, float] = {}
        self.expected_loads = 0

    def teardown(self) -> None:
        self.runner.close()

    def run(self, call: Callable[[], Awaitable[object]]) -> object:
        async def wait() -> object:
            try:
                return await call()
            finally:
                await settle()

        return self.runner.run(wait())

    async def load(self) -> bytes | None:
        self.loads += 1
        if self.failing:
            raise NotFound("failing")
        return self.source

    def model_load(self, key: str) -> bytes | None:
        self.expected_loads += 1
        if self.failing:
            self.paused[key] = self.clock.now() + RETRY
            raise NotFound("failing")
        if not self.cache.down:
            self.kept[key] = (self.source, self.clock.now() + (MISSING if self.source is None else TTL))
        self.paused.pop(key, None)
        return self.source

    def model(self, key: str) -> bytes | None:
        value, end = (None, float("-inf")) if self.cache.down else self.kept.get(key, (None, float("-inf")))
        age = self.clock.now() - end
        paused = self.clock.now() < self.paused.get(key, 0)
        if age < 0:
            return value
        if value is None or age >= STALE_IF_ERROR:
            return self.model_load(key)
        if age < STALE:
            if not paused:
                with suppress(NotFound):
                    self.model_load(key)
            return value
        if paused:
            return value
        try:
            return self.model_load(key)
        except NotFound:
            return value

    @rule(key=KEYS)
    def read(self, key: str) -> None:
        try:
            expected = self.model(key)
        except NotFound:
            with pytest.raises(NotFound):
                self.run(lambda: self.loading.get_or_load(key, self.load, TTL))
        else:
            assert self.run(lambda: self.loading.get_or_load(key, self.load, TTL)) == expected
        assert self.loads == self.expected_loads

    @rule(key=KEYS)
    def forget(self, key: str) -> None:
        if self.cache.down:
            with pytest.raises(Unavailable):
                self.run(lambda: self.loading.forget(key))
        else:
            self.run(lambda: self.loading.forget(key))
            self.kept.pop(key, None)

    @rule(value=st.sampled_from([b"0", b"1", b"2", None]))
    def change(self, value: bytes | None) -> None:
        self.source = value

    @rule(failing=st.booleans())
    def fail(self, failing: bool) -> None:
        self.failing = failing

    @rule(down=st.booleans())
    def lose(self, down: bool) -> None:
        self.cache.down = down

    @rule(seconds=st.sampled_from([0.5, 1.0, 3.0, 9.0, 20.0]))
    def wait(self, seconds: float) -> None:
        self.clock.advance(seconds)


TestAgainstAModel = AgainstAModel.TestCase
TestAgainstAModel.settings = settings(max_examples=60, stateful_step_count=30)
