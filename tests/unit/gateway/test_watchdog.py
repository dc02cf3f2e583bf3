"""What is charged to whom when the loop stands still."""

import asyncio
import threading
import time

import pytest

from kinema.services.gateway.watchdog import Stall, Watchdog

FILTER = object()


def test_a_culprit_is_convicted_once_after_half_a_second_without_a_beat():
    stall = Stall(0.5)
    verdicts = [stall.look(7, FILTER, 0.05) for _ in range(30)]
    assert verdicts.index(True) in {10, 11}
    assert verdicts.count(True) == 1


def test_a_beat_or_another_place_begins_anew():
    stall = Stall(0.5)
    assert not any(stall.look(beat, FILTER, 0.4) for beat in range(50))
    assert not any(stall.look(99, place, 0.4) for place in range(50))


def test_time_in_which_the_machine_was_busy_elsewhere_is_not_charged():
    stall = Stall(0.5)
    assert not any(stall.look(1, FILTER, 0.0) for _ in range(1000))


@pytest.mark.parametrize(
    "code",
    [
        "def block(until):\n    while not until(): pass",
        "import time\ndef block(until):\n    while not until(): time.sleep(0.02)",
        # The lock of the interpreter is held throughout; some seconds of backtracking, answering signals.
        "import re\ndef block(until):\n    while not until(): re.match(r'(a+)+$', 'a' * 26 + 'b')",
    ],
    ids=["computes", "sleeps", "backtracks"],
)
def test_the_filter_that_blocks_a_loop_is_named(code):
    told = []
    file = "/filters/blocks.py"
    names = {}
    exec(compile(code, file, "exec"), names)  # code that claims to be of a filter's file, as a loaded filter's is

    def owner(path):
        return FILTER if path == file else None

    async def run():
        dog = Watchdog(owner, lambda culprit, where: told.append((culprit, where, threading.current_thread().name)))
        dog.start()
        await asyncio.sleep(0.2)
        deadline = time.monotonic() + 30
        names["block"](lambda: told or time.monotonic() > deadline)
        dog.close()

    asyncio.run(run())
    [(culprit, where, _)] = told
    assert culprit is FILTER
    assert where.startswith("blocks.py:")
    assert where.endswith(" in block")


def test_a_loop_that_works_is_left_alone():
    told = []

    async def run():
        dog = Watchdog(lambda path: FILTER if path == __file__ else None, lambda *facts: told.append(facts), limit=0.3)
        dog.start()
        for _ in range(20):
            deadline = time.monotonic() + 0.06
            while time.monotonic() < deadline:
                pass
            await asyncio.sleep(0)
            await asyncio.sleep(0.001)
        dog.close()

    asyncio.run(run())
    assert told == []
