"""The stream for Hystrix dashboards, held against what npm's opossum-hystrix emits and against Hystrix's own names."""

import asyncio
import json
import os
import shutil
import subprocess
import sys
from pathlib import Path

import pytest

from kinema.core.clock import ManualClock
from kinema.core.errors import NotFound, Unavailable
from kinema.resilience import BreakerConfig, Bulkhead, CircuitBreaker, Fallback, Limiter, Policy, State, limit
from kinema.resilience.hystrix import Command, HystrixStream, Use, command_event, command_of, pool_event
from tests.support.virtual_time import elapse, finish, settle

CLIENTS = Path(__file__).parents[2] / "clients"

# As SerialHystrixDashboardData.java of Netflix/Hystrix 1.5.18 writes them.
POOL_NAMES = {
    "type",
    "name",
    "currentTime",
    "currentActiveCount",
    "currentCompletedTaskCount",
    "currentCorePoolSize",
    "currentLargestPoolSize",
    "currentMaximumPoolSize",
    "currentPoolSize",
    "currentQueueSize",
    "currentTaskCount",
    "rollingCountThreadsExecuted",
    "rollingMaxActiveThreads",
    "rollingCountCommandRejections",
    "propertyValue_queueSizeRejectionThreshold",
    "propertyValue_metricsRollingStatisticalWindowInMilliseconds",
    "reportingHosts",
}


def events(stream):
    return [json.loads(line.removeprefix("data: ")) for line in stream.decode().split("\n") if line.startswith("data")]


def policy_with_everything(clock, **parts):
    return Policy(
        "catalog",
        clock=clock,
        deadline=2.0,
        breaker=CircuitBreaker(clock, BreakerConfig(minimum_calls=5)),
        limiter=Limiter(limit("aimd", first=20, least=1), clock),
        bulkhead=Bulkhead(2, queue=1),
        **parts,
    )


async def slow(clock, seconds, then="answer"):
    await clock.sleep(seconds)
    if isinstance(then, Exception):
        raise then
    return then


@pytest.fixture(scope="module")
def theirs():
    node = shutil.which("node", path=f"{Path(sys.executable).parent}:{os.environ['PATH']}")
    assert node is not None
    done = subprocess.run([node, "hystrix_stream.js"], cwd=CLIENTS, capture_output=True, timeout=50, check=True)
    found = events(done.stdout)
    assert len(found) == 3
    return found[-1]


def kind(value):
    """A JSON type; numbers are of one."""
    return "number" if isinstance(value, int | float) and not isinstance(value, bool) else type(value).__name__


@pytest.mark.parametrize("with_policy", [True, False])
def test_a_command_has_the_names_and_types_that_opossum_hystrix_emits(theirs, with_policy):
    clock = ManualClock()
    command = (
        command_of(policy_with_everything(clock).snapshot(), "services")
        if with_policy
        else Command(name="catalog", group="services")
    )
    ours = json.loads(json.dumps(command_event(command, clock.now(), Use())))
    assert set(ours) - set(theirs) == {"threadPool"}  # Hystrix itself has it
    assert set(theirs) - set(ours) == set()
    assert {name for name in theirs if kind(theirs[name]) != kind(ours[name])} == set()
    assert set(theirs["latencyExecute"]) == set(ours["latencyExecute"])
    assert (ours["type"], ours["name"], ours["group"]) == (theirs["type"], theirs["name"], theirs["group"])


def test_a_pool_has_hystrix_names():
    clock = ManualClock()
    event = pool_event(command_of(policy_with_everything(clock).snapshot(), "services"), clock.now(), Use())
    assert set(event) == POOL_NAMES
    assert pool_event(Command(name="x", group="y"), clock.now(), Use()) is None


async def test_the_figures_are_those_of_the_last_ten_seconds():
    clock = ManualClock()
    policy = policy_with_everything(clock, fallback=Fallback(answer=lambda _: "instead"))
    stream = HystrixStream(clock, lambda: [command_of(policy.snapshot(), "services")])
    stream.frame()
    for _ in range(3):
        await finish(clock, policy.call(slow, clock, 0.1))
    await finish(clock, policy.call(slow, clock, 0.2, Unavailable("x")))
    with pytest.raises(NotFound):
        await finish(clock, policy.call(slow, clock, 0.2, NotFound("x")))
    await finish(clock, policy.call(slow, clock, 60.0))
    running = [asyncio.create_task(policy.call(slow, clock, 1.0)) for _ in range(4)]
    await settle()
    command, pool = events(stream.frame())
    expected = {
        "rollingCountSuccess": 3,
        "rollingCountFailure": 1,
        "rollingCountTimeout": 1,
        "rollingCountBadRequests": 1,
        "rollingCountSemaphoreRejected": 1,
        "rollingCountFallbackSuccess": 3,
        "rollingCountShortCircuited": 0,
        "requestCount": 6,
        "errorCount": 3,
        "errorPercentage": 50,
        "currentConcurrentExecutionCount": 2,
        "rollingMaxConcurrentExecutionCount": 2,
        "isCircuitBreakerOpen": False,
        "propertyValue_circuitBreakerRequestVolumeThreshold": 5,
        "propertyValue_circuitBreakerSleepWindowInMilliseconds": 5000,
        "propertyValue_circuitBreakerErrorThresholdPercentage": 50,
        "propertyValue_executionTimeoutInMilliseconds": 2000,
        "propertyValue_executionIsolationSemaphoreMaxConcurrentRequests": 2,
        "currentTime": int(clock.now() * 1000),
    }
    assert {name: command[name] for name in expected} == expected
    assert command["latencyExecute"]["50"] == 100
    assert command["latencyExecute"]["100"] == pytest.approx(1950, abs=10)
    assert {name: pool[name] for name in POOL_NAMES if name.startswith(("current", "rolling"))} == {
        "currentTime": int(clock.now() * 1000),
        "currentActiveCount": 2,
        "currentCompletedTaskCount": 6,
        "currentCorePoolSize": 2,
        "currentLargestPoolSize": 2,
        "currentMaximumPoolSize": 2,
        "currentPoolSize": 2,
        "currentQueueSize": 1,
        "currentTaskCount": 8,
        "rollingCountThreadsExecuted": 8,
        "rollingMaxActiveThreads": 2,
        "rollingCountCommandRejections": 1,
    }
    await elapse(clock, 20)
    await asyncio.gather(*running)
    stream.frame()
    await elapse(clock, 11)
    command, pool = events(stream.frame())
    assert (command["requestCount"], pool["rollingCountThreadsExecuted"], pool["rollingMaxActiveThreads"]) == (0, 0, 0)
    assert pool["currentTaskCount"] == 9


def test_a_breaker_alone_is_a_command():
    clock = ManualClock()
    breaker = CircuitBreaker(clock, BreakerConfig(minimum_calls=5))
    for _ in range(3):
        breaker.success(0.1)
    for _ in range(3):
        breaker.failure(0.2)
    assert breaker.state is State.OPEN
    breaker.allow()
    stream = HystrixStream(clock, lambda: [Command(name="catalog-1", group="catalog", breaker=breaker.snapshot())])
    (command,) = events(stream.frame())
    assert (command["isCircuitBreakerOpen"], command["requestCount"], command["errorPercentage"]) == (True, 6, 50)
    assert (command["rollingCountShortCircuited"], command["latencyTotal"]["100"]) == (1, 200)
    breaker.force_closed()
    (command,) = events(stream.frame())
    assert (command["isCircuitBreakerOpen"], command["propertyValue_circuitBreakerForceClosed"]) == (False, True)


async def test_a_reader_gets_a_frame_at_once_and_then_every_half_second():
    clock = ManualClock()
    stream = HystrixStream(clock, lambda: [Command(name="catalog", group="services")])
    frames = []

    async def read():
        with stream.open() as reader:
            async for frame in reader:
                frames.append((clock.monotonic(), frame))  # noqa: PERF401 -- it never ends

    task = asyncio.create_task(read())
    began = clock.monotonic()
    await elapse(clock, 1.1)
    assert [at - began for at, _ in frames] == [0.0, 0.5, 1.0]
    assert all(frame.startswith(b"data: {") and frame.endswith(b"}\n\nping: \n\n") for _, frame in frames)
    assert stream.readers == 1
    task.cancel()
    await settle()
    assert stream.readers == 0


async def test_the_sixth_reader_is_turned_away_until_another_leaves():
    stream = HystrixStream(ManualClock(), list)
    readers = [stream.open() for _ in range(5)]
    with pytest.raises(Unavailable, match="5 dashboards") as refused:
        stream.open()
    assert refused.value.status == 503
    readers[0].close()
    readers[0].close()
    assert stream.readers == 4
    stream.open()
    assert [frame async for frame in readers[0]] == []
    assert stream.readers == 5


def test_more_commands_than_anybody_looks_at_are_left_out_and_those_that_ended_forgotten():
    clock = ManualClock()
    many = [Command(name=str(number), group="x") for number in range(600)]
    stream = HystrixStream(clock, lambda: many)
    assert len(events(stream.frame())) == 500
    del many[3:]
    assert len(events(stream.frame())) == 3
    assert len(stream._past) == 3
