"""The scaler on processes that are only numbers: it asks /proc in production, a table here."""

import msgspec

from kinema.cluster.processors import Meter, cpu_seconds
from kinema.cluster.scaler import Scaler, next_process
from kinema.cluster.topology import Process, Scale
from kinema.core.clock import ManualClock


class Table(Meter):
    """Shares that a test sets."""

    def __init__(self):
        super().__init__()
        self.share, self.spare = 0.5, 8.0

    def used(self, pid, now):
        return self.share if pid else None

    def available(self, now):
        return self.spare


class Group:
    """A supervisor whose processes start at once and end at once."""

    def __init__(self, *processes):
        self.all = list(processes)
        self.starting = set()

    def processes(self):
        return tuple(self.all)

    def pid(self, name):
        return 0 if name in self.starting else 1

    def add(self, process):
        self.all.append(process)

    async def remove(self, name):
        self.all = [one for one in self.all if one.name != name]


GATEWAYS = (Process("gateway-1", ("gateway",)), Process("gateway-2", ("gateway",), wave=3))
EDGE = Process("edge-1", ("edge",))


def scaler(group, table, clock, most=4):
    return Scaler((Scale("gateway", most=most),), group, clock, lambda text: None, table)


async def steps(scaler, clock, seconds):
    for _ in range(seconds // 2):
        clock.advance(2.0)
        await scaler.step()


async def test_busy_gateways_get_company_up_to_the_most_and_lose_it_again_but_never_their_own():
    clock, table, group = ManualClock(), Table(), Group(*GATEWAYS, EDGE)
    one = scaler(group, table, clock)
    table.share = 0.95
    await steps(one, clock, 60)
    assert [process.name for process in group.all] == ["gateway-1", "gateway-2", "edge-1", "gateway-3", "gateway-4"]
    table.share = 0.02
    await steps(one, clock, 400)
    assert [process.name for process in group.all] == ["gateway-1", "gateway-2", "edge-1"]


async def test_without_a_processor_to_spare_nothing_is_added():
    clock, table, group = ManualClock(), Table(), Group(*GATEWAYS)
    table.share, table.spare = 1.0, 0.1
    await steps(scaler(group, table, clock), clock, 60)
    assert group.all == list(GATEWAYS)


async def test_while_a_process_is_being_replaced_nothing_is_decided():
    clock, table, group = ManualClock(), Table(), Group(*GATEWAYS)
    group.starting = {"gateway-2"}
    table.share = 1.0
    await steps(scaler(group, table, clock), clock, 60)
    assert group.all == list(GATEWAYS)


def test_one_more_cell_carries_everything_but_the_registry():
    cell = Process("cell-1", ("discovery", "members", "catalog"))
    third = msgspec.structs.replace(cell, name="cell-3")
    assert next_process((cell, third)) == Process("cell-2", ("members", "catalog"), wave=3)


def test_a_process_that_works_is_seen_to_use_a_processor():
    import os
    import time

    meter = Meter()
    begun, cpu = time.monotonic(), time.process_time()
    assert meter.used(os.getpid(), begun) is None
    while time.process_time() - cpu < 0.2:
        pass
    now = time.monotonic()
    assert meter.used(os.getpid(), now) * (now - begun) >= 0.15
    assert cpu_seconds(2**22 + 1) is None
