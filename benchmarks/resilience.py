"""What a call under a Policy costs, all parts on and each alone, beside what peers on PyPI do for single parts.

    python -m benchmarks.resilience [--quick]

Microseconds of CPU a call, the best of several rounds, as the machine is shared; on asyncio's own loop and on uvloop. The call itself
returns at once. The target is 15 us for the whole Policy. The last line is JSON.
"""

import argparse
import asyncio
import sys
import time
from collections.abc import Awaitable, Callable

import msgspec
import pybreaker
import stamina
import tenacity
import uvloop
from purgatory import AsyncCircuitBreakerFactory

from kinema.core.clock import SystemClock
from kinema.resilience import (
    Bulkhead,
    CircuitBreaker,
    Fallback,
    HedgeDelay,
    Limiter,
    Policy,
    RateLimiter,
    Retry,
    limit,
)

TARGET = 15.0


async def answer(value: int) -> int:
    """Return at once."""
    return value


Call = Callable[[int], Awaitable[int]]


async def cost(call: Call, calls: int, rounds: int) -> float:
    """Return microseconds of CPU a call takes."""
    best = float("inf")
    for _ in range(rounds):
        began = time.process_time()
        for number in range(calls):
            await call(number)
            if number % 64 == 0:
                await asyncio.sleep(0)  # the loop has its turns in life too; asyncio's lets go of old timers in them
        best = min(best, time.process_time() - began)
    return best / calls * 1e6


def sync_cost(call: Callable[[], object], calls: int, rounds: int) -> float:
    """Return microseconds of CPU a plain call takes."""
    best = float("inf")
    for _ in range(rounds):
        began = time.process_time()
        for _ in range(calls):
            call()
        best = min(best, time.process_time() - began)
    return best / calls * 1e6


def policies() -> dict[str, Policy]:
    """Return the whole policy, and one for each part."""
    clock = SystemClock()
    hedge = HedgeDelay()
    for _ in range(1000):
        hedge.record(1.0)  # known, so that every call sets its timer
    whole = Policy(
        "benchmark",
        clock=clock,
        deadline=2.0,
        fallback=Fallback(answer=lambda _: None),
        retry=Retry(),
        hedge=hedge,
        rate=RateLimiter(clock, 1e9, 1_000_000),
        breaker=CircuitBreaker(clock),
        limiter=Limiter(limit(), clock),
        bulkhead=Bulkhead(100, queue=100),
    )
    return {
        "whole policy": whole,
        "policy without parts": Policy(clock=clock),
        "deadline": Policy(clock=clock, deadline=2.0),
        "retry, fallback": Policy(clock=clock, retry=Retry(), fallback=Fallback(answer=lambda _: None)),
        "hedge": Policy(clock=clock, hedge=hedge),
        "circuit breaker": Policy(clock=clock, breaker=CircuitBreaker(clock)),
        "adaptive limit": Policy(clock=clock, limiter=Limiter(limit(), clock)),
        "bulkhead": Policy(clock=clock, bulkhead=Bulkhead(100)),
        "rate limit": Policy(clock=clock, rate=RateLimiter(clock, 1e9, 1_000_000)),
    }


async def peers() -> dict[str, Call]:
    """Return other people's single parts around the same call, and as many of them as there are around one another."""

    async def timeout(value: int) -> int:
        async with asyncio.timeout(2.0):
            return await answer(value)

    factory = AsyncCircuitBreakerFactory()
    breaker = await factory.get_breaker("benchmark")

    async def purgatory(value: int) -> int:
        async with breaker:
            return await answer(value)

    retrying = stamina.retry(on=OSError, attempts=3)(answer)
    semaphore = asyncio.Semaphore(100)

    async def stacked(value: int) -> int:
        async with asyncio.timeout(2.0):
            return await stacked_retry(value)

    @stamina.retry(on=OSError, attempts=3)
    async def stacked_retry(value: int) -> int:
        async with breaker, semaphore:
            return await answer(value)

    return {
        "asyncio.timeout": timeout,
        "stamina retry": retrying,
        "tenacity retry": tenacity.retry(stop=tenacity.stop_after_attempt(3))(answer),
        "purgatory breaker": purgatory,
        "asyncio.timeout + stamina + purgatory + asyncio.Semaphore": stacked,
    }


def callback_parts(calls: int, rounds: int) -> dict[str, float]:
    """Measure the parts as callback code uses them, and pybreaker, which is synchronous too."""
    clock = SystemClock()
    breaker, limiter, bulkhead = CircuitBreaker(clock), Limiter(limit(), clock), Bulkhead(100)
    rate, hedge = RateLimiter(clock, 1e9, 1_000_000), HedgeDelay()

    def break_circuit() -> None:
        if breaker.allow():
            breaker.success(0.01)

    def bound() -> None:
        if limiter.try_acquire():
            limiter.release(0.01)

    def hold() -> None:
        if bulkhead.try_acquire():
            bulkhead.release()

    theirs = pybreaker.CircuitBreaker()
    return {
        "breaker allow + success": sync_cost(break_circuit, calls, rounds),
        "limiter acquire + release": sync_cost(bound, calls, rounds),
        "bulkhead acquire + release": sync_cost(hold, calls, rounds),
        "rate limit take": sync_cost(lambda: rate.take_now("key"), calls, rounds),
        "hedge delay record": sync_cost(lambda: hedge.record(0.01), calls, rounds),
        "pybreaker call": sync_cost(lambda: theirs.call(int), calls, rounds),
    }


async def measure(calls: int, rounds: int) -> dict[str, float]:
    """Measure ours and theirs on the running loop."""
    found = {"bare call": await cost(answer, calls, rounds)}
    for name, policy in policies().items():
        found[name] = await cost(policy(answer), calls, rounds)
    for name, call in (await peers()).items():
        found[name] = await cost(call, calls, rounds)
    return found


def main() -> None:
    """Print the tables and the line of JSON."""
    arguments = argparse.ArgumentParser()
    arguments.add_argument("--quick", action="store_true")
    quick = arguments.parse_args().quick
    calls, rounds = (2000, 3) if quick else (10_000, 15)
    stamina.instrumentation.set_on_retry_hooks(())
    plain = asyncio.run(measure(calls, rounds))
    fast = uvloop.run(measure(calls, rounds))
    parts = callback_parts(calls, rounds)
    print(f"{'microseconds a call':60} {'asyncio':>8} {'uvloop':>8}")
    for name in plain:
        print(f"{name:60} {plain[name]:8.2f} {fast[name]:8.2f}")
    print()
    print(f"{'by callbacks':60} {'us':>8}")
    for name, us in parts.items():
        print(f"{name:60} {us:8.2f}")
    print()
    whole = plain["whole policy"]
    print(f"the whole policy: {whole:.1f} us (target {TARGET:.0f})", "" if whole < TARGET else "MISSED")
    figures = {"asyncio": plain, "uvloop": fast, "callbacks": parts, "target_us": TARGET}
    sys.stdout.write(msgspec.json.encode({"benchmark": "resilience", **figures}).decode() + "\n")


if __name__ == "__main__":
    main()
