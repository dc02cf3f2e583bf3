"""Steps are done once, by as many at a time as the machine holds, the most urgent first."""

import asyncio
from dataclasses import replace

import msgspec
import pytest

from kinema.core.errors import BadInput, NotFound
from kinema.services.encoding.execution.local import LocalPool, Room
from kinema.services.encoding.execution.machine import Machine, this_machine
from kinema.services.encoding.execution.steps import Steps
from kinema.services.encoding.execution.work import KINDS, Context, Cost, WorkKind, kind_named
from kinema.services.encoding.ledger import Ledger
from kinema.services.encoding.tools import find_tools
from kinema.storage.content import content_key


class Copying(msgspec.Struct, frozen=True):
    text: str


class Copy(msgspec.Struct, frozen=True):
    digest: str


async def copy(context, parameters):
    path = context.fresh("txt")
    path.write_text(parameters.text)
    if parameters.text == "bad":
        raise BadInput("Bad text cannot be copied; send another.")
    digest = await context.keep(path)
    path.unlink()
    return Copy(digest)


COPY = WorkKind(
    "copy", Copying, Copy, copy, lambda _: Cost(1, 1, 0.1), lambda made: (content_key("steps", made.digest),)
)


class Bench:
    """Steps on a ledger of their own, counting what was run."""

    def __init__(self, room, scratch):
        self.room = room
        scratch.mkdir()
        self.context = Context(find_tools(), room.blobs, scratch)
        self.events = []

    def steps(self, executor=None, tools=("ffmpeg 1",)):
        ledger = Ledger(self.room.sql, self.room.blobs, self.room.clock)
        return Steps("0" * 64, ledger, executor or LocalPool(self.context), tools, self.events.append)


@pytest.fixture
def bench(opened, tmp_path):
    return Bench(opened[0], tmp_path / "scratch")


async def test_a_step_is_made_once_and_found_afterwards(bench):
    first, second = bench.steps(), bench.steps()
    made = await first.do(COPY, Copying("one"))
    assert await second.do(COPY, Copying("one")) == made
    assert (first.made["copy"], first.found["copy"]) == (1, 0)
    assert (second.made["copy"], second.found["copy"]) == (0, 1)
    assert [event.event for event in bench.events] == ["begun", "made", "found"]


async def test_other_tools_parameters_and_revisions_make_other_steps(bench):
    steps = bench.steps()
    await steps.do(COPY, Copying("one"))
    await steps.do(COPY, Copying("two"))
    await steps.do(replace(COPY, revision=2), Copying("one"))
    assert steps.made["copy"] == 3
    newer = bench.steps(tools=("ffmpeg 2",))
    await newer.do(COPY, Copying("one"))
    assert newer.made["copy"] == 1


async def test_a_step_whose_blob_is_gone_is_made_again(bench):
    steps = bench.steps()
    made = await steps.do(COPY, Copying("one"))
    await bench.room.blobs.delete(content_key("steps", made.digest))
    assert await steps.do(COPY, Copying("one")) == made
    assert steps.made["copy"] == 2


async def test_two_who_want_the_same_step_share_one_run(bench):
    steps = bench.steps()
    both = await asyncio.gather(steps.do(COPY, Copying("one")), steps.do(COPY, Copying("one")))
    assert both[0] == both[1]
    assert [event.event for event in bench.events] == ["begun", "made"]


async def test_an_error_of_the_work_reaches_who_asked_and_leaves_no_step(bench):
    steps = bench.steps()
    with pytest.raises(BadInput, match="Bad text"):
        await steps.do(COPY, Copying("bad"))
    assert steps.made["copy"] == 0
    assert [event.event for event in bench.events] == ["begun", "failed"]


async def test_work_ends_when_the_last_who_waits_for_it_is_cancelled(bench):
    begun, ended = asyncio.Event(), asyncio.Event()

    async def forever(_context, _parameters):
        begun.set()
        try:
            await asyncio.Event().wait()
        finally:
            ended.set()

    steps = bench.steps()
    kind = replace(COPY, run=forever)
    waiting = [asyncio.create_task(steps.do(kind, Copying("one"))) for _ in range(2)]
    await begun.wait()
    waiting[0].cancel()
    await asyncio.gather(waiting[0], return_exceptions=True)
    assert not ended.is_set()
    waiting[1].cancel()
    await asyncio.gather(waiting[1], return_exceptions=True)
    assert ended.is_set()


async def hold(room, cost, priority, log, name, release):
    async with room.taken(cost, priority):
        log.append(name)
        await release.wait()


async def settle():
    for _ in range(10):
        await asyncio.sleep(0)


async def test_the_most_urgent_goes_first_and_large_work_is_not_overtaken():
    room, log, release = Room(Machine(2, 100)), [], asyncio.Event()
    begun = [
        asyncio.create_task(hold(room, Cost(threads, memory, 1), priority, log, name, release))
        for name, threads, memory, priority in (
            ("first", 1, 10, 0),
            ("large", 2, 10, 0),
            ("small", 1, 10, 0),
            ("premiere", 1, 10, 5),
            ("hungry", 1, 95, 0),
        )
    ]
    await settle()
    assert log == ["first", "premiere"]
    release.set()
    await asyncio.gather(*begun)
    assert log == ["first", "premiere", "large", "small", "hungry"]


async def test_memory_bounds_what_runs_at_a_time_and_what_is_larger_than_the_machine_runs_alone():
    room, log, release = Room(Machine(4, 100)), [], asyncio.Event()
    begun = [
        asyncio.create_task(hold(room, Cost(1, memory, 1), 0, log, name, release))
        for name, memory in (("a", 60), ("b", 60), ("huge", 1000))
    ]
    await settle()
    assert log == ["a"]
    release.set()
    await asyncio.gather(*begun)
    assert log == ["a", "b", "huge"]


async def test_who_is_cancelled_while_it_waits_leaves_its_place_to_others():
    room, log, release = Room(Machine(1, 100)), [], asyncio.Event()
    tasks = [
        asyncio.create_task(hold(room, Cost(1, 1, 1), 0, log, name, release)) for name in ("running", "gone", "next")
    ]
    await settle()
    tasks[1].cancel()
    release.set()
    await asyncio.gather(*tasks, return_exceptions=True)
    assert log == ["running", "next"]
    async with asyncio.timeout(5), room.taken(Cost(1, 100, 1), 0):
        pass


def test_a_container_uses_what_its_control_group_allows(tmp_path):
    for name, text in {
        "proc/meminfo": "MemTotal: 64000000 kB\nMemAvailable: 32000000 kB\n",
        "proc/self/cgroup": "0::/pod\n",
        "sys/fs/cgroup/pod/cpu.max": "50000 100000\n",
        "sys/fs/cgroup/pod/memory.max": "1000000000\n",
        "sys/fs/cgroup/pod/memory.current": "200000000\n",
    }.items():
        path = tmp_path / name
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text(text)
    assert this_machine(tmp_path) == Machine(1, 640_000_000)
    (tmp_path / "sys/fs/cgroup/pod/memory.max").write_text("max\n")
    assert this_machine(tmp_path).memory_bytes == 32_000_000 * 1024 * 8 // 10


def test_every_kind_of_the_table_has_its_own_name():
    assert {name: kind_named(name).name for name in KINDS} == {name: name for name in KINDS}
    with pytest.raises(BadInput, match="no kind of work 'nothing'"):
        kind_named("nothing")


async def test_a_film_is_found_among_the_sources_or_what_stands_for_it(bench):
    made = await bench.steps().do(COPY, Copying("one"))
    assert (await bench.context.film(made.digest)).read_text() == "one"
    with pytest.raises(NotFound):
        await bench.context.film("1" * 64)
