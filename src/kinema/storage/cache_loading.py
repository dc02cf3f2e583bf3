"""Reading through a cache: `value = await cache.get_or_load(key, load, ttl)`, and the loader is called as seldom as can be.

    fresh                    returned. When its end is near, one reader begins to load it anew and nobody waits: the nearer
                             the end, the slower the loader and the more readers, the likelier (below)
    stale                    for `stale_seconds` longer: returned, and loaded anew behind it
    older, or none           loaded while the reader waits. Whoever asks for the key meanwhile waits for the same load; one
                             that gives up waiting does not end it for the others
    the load fails           all who wait are told, and nothing is kept, except: for `stale_if_error_seconds` after its end an
                             old value is returned instead. The next attempt behind a value comes after `retry_seconds`
    the load finds nothing   (None) is kept as well, for `missing_seconds`
    the cache fails          is a miss; a reader never hears of it

When to load early is XFetch (Vattani, Chierichetti, Lowenstein: Optimal Probabilistic Cache Stampede Prevention, VLDB 2015): at
`now - delta * beta * ln(random) >= end`, with `delta` the time that loading took. A reader of the paper loads by itself; here
it is done behind the readers. Ends are spread too, by `jitter`: what was loaded together does not end together.

Reads of a key that come while the cache is being asked for it share that question as well.
"""

import asyncio
import math
import random
from collections.abc import Awaitable, Callable
from contextlib import suppress
from typing import Any

import msgspec
from cachebox import LRUCache

from kinema.core import log
from kinema.core.clock import Clock
from kinema.core.errors import BadInput, DeadlineExceeded, TooLarge, Unavailable
from kinema.storage.cache_entry import Entry, decode_entry, encode_entry
from kinema.storage.ports import MAX_CACHE_SECONDS, Cache, check_cache_key

Load = Callable[[], Awaitable[bytes | None]]

_PAUSES = 10_000  # keys whose last load failed that are remembered
_logger = log.get_logger(__name__)


class LoadingPolicy(msgspec.Struct, frozen=True):
    """How a `LoadingCache` treats time and failure. Times are in seconds."""

    stale_seconds: float = 0.0
    """How long after its end a value is still returned while it is loaded anew."""
    stale_if_error_seconds: float = 0.0
    """How long after its end a value is returned when loading fails."""
    missing_seconds: float = 1.0
    """How long it is remembered that there is nothing; 0: not at all."""
    jitter: float = 0.1
    """The part of its time that a value may lose, at random."""
    beta: float = 1.0
    """How eagerly values are loaded before their end; 0: never before."""
    load_seconds: float = 10.0
    """How long a load may take."""
    retry_seconds: float = 1.0
    """How long after a failed load a value that can still be returned is not tried again."""
    most_loads: int = 1000
    """How many keys may be loaded at once; readers beyond that hear `Unavailable`."""


class LoadingSnapshot(msgspec.Struct, frozen=True):
    """What a `LoadingCache` has done so far, and how many keys are being loaded."""

    namespace: str
    hits: int
    missing_hits: int
    """Answers that there is nothing, from memory; among `hits`."""
    misses: int
    stale_served: int
    stale_served_on_error: int
    shared: int
    """Reads that waited for another one's question or load."""
    loads: int
    """Loads that have succeeded."""
    early_loads: int
    """Loads that were begun before the value's end."""
    load_failures: int
    refused: int
    """Reads that were refused for too many loads."""
    cache_failures: int
    """Reads and writes that the cache did not carry out."""
    too_large: int
    """Loaded values that no cache takes."""
    in_flight: int


class _Flight:
    """One load of one key."""

    __slots__ = ("behind", "instead", "result", "storing", "task")

    def __init__(self, result: "asyncio.Future[bytes | None]", *, behind: bool, instead: Entry | None) -> None:
        self.behind = behind  # a value that is returned meanwhile
        self.instead = instead  # what to return when it fails
        self.result = result
        self.storing = False
        self.task: asyncio.Task[None] | None = None


_Verdict = Entry | _Flight
"""What to return, or what to wait for."""


class LoadingCache:
    """Reads of one namespace through a cache. `source` is where chance comes from; the cache belongs to the caller."""

    def __init__(
        self,
        cache: Cache,
        namespace: str,
        clock: Clock,
        policy: LoadingPolicy | None = None,
        source: random.Random | None = None,
    ) -> None:
        check_cache_key(f"{namespace}:x")
        self.namespace = namespace
        self._cache = cache
        self._clock = clock
        self._policy = policy or LoadingPolicy()
        self._random = source or random.Random()  # noqa: S311 (spreads load, guards nothing)
        self._kept_longer = max(self._policy.stale_seconds, self._policy.stale_if_error_seconds)
        self._loop: asyncio.AbstractEventLoop | None = None
        self._readings: dict[str, asyncio.Future[_Verdict | None]] = {}
        self._flights: dict[str, _Flight] = {}
        self._pauses: LRUCache[str, float] = LRUCache(_PAUSES)
        self._count = dict.fromkeys(LoadingSnapshot.__struct_fields__[1:-1], 0)

    async def get_or_load(self, key: str, load: Load, ttl: float) -> bytes | None:
        """Return the value of `key`, from the cache or else from `load`; None: there is nothing.

        A loaded value is fresh for `ttl` seconds, less its jitter. What `load` raises is raised to all who wait for it;
        `DeadlineExceeded` when it takes too long, `Unavailable` when too many keys are being loaded, `BadInput` when the key
        and the namespace make no key of a cache.
        """
        full = check_cache_key(f"{self.namespace}:{key}")
        if not 0 < ttl <= MAX_CACHE_SECONDS:
            raise BadInput(f"{full} is to be fresh for {ttl} s; use more than 0 and at most {MAX_CACHE_SECONDS:.0f}.")
        while True:
            flight = self._flights.get(full)
            if flight is not None and not flight.behind:
                self._count["shared"] += 1
                return await self._carry_out(flight)
            reading = self._readings.get(full)
            if reading is None:
                verdict = await self._read(full, load, ttl)
            else:
                self._count["shared"] += 1
                shared = await asyncio.shield(reading)
                if shared is None:  # whoever asked was cancelled or refused
                    continue
                verdict = shared
            return await self._carry_out(verdict)

    async def forget(self, key: str) -> None:
        """Remove what is kept under `key`, because its source has changed. A load that is on its way is not kept either.

        `Unavailable` when the cache cannot be reached: the old value may then be returned until its end.
        """
        full = check_cache_key(f"{self.namespace}:{key}")
        flight = self._flights.pop(full, None)
        if flight is not None and flight.storing and flight.task is not None:
            await asyncio.wait([flight.task])
        await self._cache.delete(full)

    def snapshot(self) -> LoadingSnapshot:
        """Return what was done so far."""
        return LoadingSnapshot(self.namespace, **self._count, in_flight=len(self._flights))

    async def close(self) -> None:
        """End the loads that are on their way; who waits for one hears `Unavailable`."""
        tasks = [flight.task for flight in self._flights.values() if flight.task is not None]
        for task in tasks:
            task.cancel()
        if tasks:
            await asyncio.wait(tasks)

    # -- reading ---------------------------------------------------------------------------------------------------------

    async def _read(self, full: str, load: Load, ttl: float) -> _Verdict:
        """Ask the cache, for all who ask meanwhile too."""
        reading: asyncio.Future[_Verdict | None] = self._future()
        self._readings[full] = reading
        verdict = None
        try:
            verdict = self._judge(full, await self._stored(full), load, ttl)
        finally:
            del self._readings[full]
            reading.set_result(verdict)
        return verdict

    def _future(self) -> "asyncio.Future[Any]":
        if self._loop is None:
            self._loop = asyncio.get_running_loop()  # once: Python 3.11 asks the system for the process's id each time
        return self._loop.create_future()

    async def _stored(self, full: str) -> Entry | None:
        try:
            return decode_entry(await self._cache.get(full))
        except Unavailable:
            self._count["cache_failures"] += 1
            return None

    def _judge(self, full: str, entry: Entry | None, load: Load, ttl: float) -> _Verdict:
        """Decide between returning and loading, and begin to load where that is due."""
        count, policy, now = self._count, self._policy, self._clock.now()
        age = math.inf if entry is None else now - entry.fresh_until
        if entry is None or age >= (0.0 if entry.value is None else self._kept_longer):
            count["misses"] += 1
            return self._launch(full, load, ttl)
        if age < 0:
            count["hits"] += 1
            if entry.value is None:
                count["missing_hits"] += 1
            elif self._is_due(entry, now) and self._refresh(full, load, ttl):
                count["early_loads"] += 1
            return entry
        if age < policy.stale_seconds:
            count["stale_served"] += 1
            self._refresh(full, load, ttl)
            return entry
        if self._is_paused(full):
            count["stale_served_on_error"] += 1
            return entry
        count["misses"] += 1
        return self._launch(full, load, ttl, instead=entry)

    async def _carry_out(self, verdict: _Verdict) -> bytes | None:
        if isinstance(verdict, Entry):
            return verdict.value
        try:
            return await asyncio.shield(verdict.result)
        except Exception:
            if verdict.instead is None:
                raise
            self._count["stale_served_on_error"] += 1
            return verdict.instead.value

    def _is_due(self, entry: Entry, now: float) -> bool:
        """XFetch: whether this reader is the one that loads early."""
        beta = self._policy.beta
        return beta > 0 and now - entry.delta * beta * math.log(1.0 - self._random.random()) >= entry.fresh_until

    def _is_paused(self, full: str) -> bool:
        until: float = self._pauses.get(full, -math.inf)
        return self._clock.monotonic() < until

    # -- loading ---------------------------------------------------------------------------------------------------------

    def _refresh(self, full: str, load: Load, ttl: float) -> bool:
        """Begin to load behind a value that is returned; False when that is not to be done now."""
        if full in self._flights or len(self._flights) >= self._policy.most_loads or self._is_paused(full):
            return False
        self._launch(full, load, ttl, behind=True)
        return True

    def _launch(
        self, full: str, load: Load, ttl: float, *, behind: bool = False, instead: Entry | None = None
    ) -> _Flight:
        """Begin a load, or join the one that was begun behind a value which has ended since."""
        flight = self._flights.get(full)
        if flight is not None:
            flight.behind = False
            flight.instead = instead
            return flight
        if len(self._flights) >= self._policy.most_loads:
            self._count["refused"] += 1
            raise Unavailable(f"{len(self._flights)} keys of {self.namespace} are being loaded; try again shortly.")
        flight = self._flights[full] = _Flight(self._future(), behind=behind, instead=instead)
        flight.task = asyncio.create_task(self._fly(flight, full, load, ttl), name=f"load {full}")
        return flight

    async def _fly(self, flight: _Flight, full: str, load: Load, ttl: float) -> None:
        """Load a value, hand it to those who wait, then store it."""
        try:
            began = self._clock.monotonic()
            value = await self._loaded(full, load)
            flight.result.set_result(value)
            self._count["loads"] += 1
            flight.storing = True
            if self._flights.get(full) is flight:  # not forgotten meanwhile
                await self._store(full, value, ttl, self._clock.monotonic() - began)
        except asyncio.CancelledError:
            if not flight.result.done():
                self._failed(flight, full, Unavailable(f"The load of {full} was ended; try again."))
        except Exception as error:  # noqa: BLE001 -- it is raised to those who wait
            self._failed(flight, full, error)
        finally:
            if self._flights.get(full) is flight:
                del self._flights[full]

    async def _loaded(self, full: str, load: Load) -> bytes | None:
        seconds = self._policy.load_seconds
        try:
            async with asyncio.timeout(seconds) as limit:
                return await load()
        except TimeoutError as error:
            if not limit.expired():  # one of the loader's own
                raise
            raise DeadlineExceeded(f"Loading {full} has taken more than {seconds} s; try again.") from error

    async def _store(self, full: str, value: bytes | None, ttl: float, delta: float) -> None:
        self._pauses.pop(full, None)
        if value is None:
            seconds = kept = self._policy.missing_seconds
            if seconds <= 0:
                with suppress(Unavailable):
                    await self._cache.delete(full)  # what was there is not there any more
                return
        else:
            seconds = ttl * (1.0 - self._policy.jitter * self._random.random())
            kept = min(MAX_CACHE_SECONDS, seconds + self._kept_longer)
        try:
            entry = Entry(value, self._clock.now() + seconds, delta)
            await self._cache.set(full, encode_entry(entry), kept)
        except Unavailable:
            self._count["cache_failures"] += 1
        except TooLarge:
            self._count["too_large"] += 1

    def _failed(self, flight: _Flight, full: str, error: Exception) -> None:
        if flight.result.done():  # loaded, and the storing failed in a way that is not the cache's own
            _logger.error("a loaded value was not stored", key=full, error=repr(error))
            return
        self._count["load_failures"] += 1
        self._pauses[full] = self._clock.monotonic() + self._policy.retry_seconds
        flight.result.set_exception(error)
        flight.result.exception()  # behind a value nobody waits for it; that is no reason for asyncio to complain
        if flight.behind:
            _logger.warning("a cached value could not be loaded anew", key=full, error=str(error))
