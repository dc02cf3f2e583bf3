"""The supervisor: it starts a region's processes, restarts what ends, and stops them in order.

It holds what must outlive any of them: the public sockets, the registries' ports, the lock on the data directory, and the
writing end of the pipe whose end tells every child that the supervisor is gone. It does no work of a service and imports
none of their libraries, so there is little in it that can fail.
"""

import asyncio
import os
import signal
import socket
import time
from collections.abc import Callable
from pathlib import Path
from typing import Literal

import msgspec

from kinema.cluster import region_file
from kinema.cluster.logs import LogStream
from kinema.cluster.process import RunningProcess, child_command, explain
from kinema.cluster.region_file import ProcessState, Region
from kinema.cluster.restarts import RestartPolicy
from kinema.cluster.sockets import listen, reserve
from kinema.cluster.topology import IN_CELLS, Process, Topology
from kinema.core.errors import NotFound
from kinema.wiring import Placement

RENEW_SECONDS = 15.0
"""How long a process may take to make way for its successor: longer than any answer that it lets end. Then it is killed."""

STOP_SECONDS = 4.5
"""From the first signal to the last process's end, at most; what remains then is killed."""

_STAGES: tuple[tuple[frozenset[str], float], ...] = (
    # Who is asked to end together, and for how many seconds that is waited for: first whoever brings new work.
    (frozenset({"demo", "caddy", "worker"}), 0.8),
    (frozenset({"gateway"}), 1.4),
    (frozenset({"edge"}), 1.0),
    (IN_CELLS, 1.2),
)


class Options(msgspec.Struct, frozen=True):
    """Where a region listens and how people reach it.

    `edge_base` is what the edge announces (see playback), `front` the "host:port" of the TLS server in front, if any.
    """

    data_dir: Path
    bind: str
    port: int
    url: str
    edge_base: str
    behind_tls: bool
    as_json: bool
    front: str = ""


class Extra(msgspec.Struct, frozen=True):
    """A process that is not in the topology: Caddy, or the demo's seeding. `once`: it is not restarted after exit code 0."""

    name: str
    service: str
    command: tuple[str, ...]
    environment: dict[str, str] = {}
    once: bool = False


class _Slot:
    """A place for a process: what to start, how often it has ended, what runs now."""

    def __init__(
        self, name: str, services: tuple[str, ...], start: Callable[[], RunningProcess], *, once: bool
    ) -> None:
        self.name = name
        self.services = services
        self.start = start
        self.once = once
        self.wanted = True  # False: it shall end and not come back
        self.renewing = False  # its end was asked for and leads to the next start at once
        self.replaced = asyncio.Event()  # a successor runs
        self.policy = RestartPolicy()
        self.running: RunningProcess | None = None
        self.state = "starting"
        self.restarts = 0
        self.task: asyncio.Task[None] | None = None

    def facts(self) -> ProcessState:
        running = self.running
        return ProcessState(
            name=self.name,
            services=self.services,
            state=self.state,
            pid=running.pid if running else 0,
            restarts=self.restarts,
            started_at=running.started_at if running else 0.0,
        )


class Supervisor:
    """One region's processes. Make it, `open()` it, `start()` it, and at the end `await stop()`."""

    def __init__(self, topology: Topology, options: Options, log: LogStream) -> None:
        self._topology = topology
        self._options = options
        self._log = log
        self._slots: dict[str, _Slot] = {}
        self._state = "starting"
        self._stopping = False
        self.registries: tuple[str, ...] = ()

    def open(self) -> None:
        """Open every socket and the pipe. Raises PortTaken."""
        options = self._options
        self._death_read, self._death_write = os.pipe()
        self._public = {
            "gateway": listen(options.bind, options.port, "the gateway"),
            "edge": listen(options.bind, options.port + 1, "the edge"),
        }
        self._reserved: dict[str, socket.socket] = {
            process.name: reserve() for process in self._topology.carrying("discovery")
        }
        self.registries = tuple(f"127.0.0.1:{held.getsockname()[1]}" for held in self._reserved.values())
        self._write_down()

    def start_wave(self, wave: int) -> None:
        """Start the processes of a wave."""
        for process in self._topology.process:
            if process.wave == wave:
                self._add(process.name, process.services, self._starter(process))

    def processes(self) -> tuple[Process, ...]:
        """Return the processes that run services, those that were added since the start too."""
        return self._topology.process

    def pid(self, name: str) -> int:
        """Return the id of a process; 0 while it does not run."""
        slot = self._slots.get(name)
        return slot.running.pid if slot and slot.running else 0

    async def renew(self, name: str) -> None:
        """Have a process make way and start its successor; returns when that runs. Raises NotFound for an unknown name."""
        slot = self._slot(name)
        slot.renewing = True
        slot.replaced.clear()
        await self._end(slot, "make_way")
        await slot.replaced.wait()

    def add(self, process: Process) -> None:
        """Start one more process."""
        self._topology = self._topology.with_process(process)
        self._add(process.name, process.services, self._starter(process))

    async def remove(self, name: str) -> None:
        """Have a process leave gently and for good; returns when it has ended. Raises NotFound for an unknown name."""
        slot = self._slot(name)
        slot.wanted = False
        await self._end(slot, "terminate")
        self._topology = self._topology.without(name)
        self._slots.pop(name, None)
        self._write_down()

    def _slot(self, name: str) -> _Slot:
        slot = self._slots.get(name)
        if slot is None:
            raise NotFound(f"There is no process {name[:60]!r}; `kinema status` lists them.")
        return slot

    async def _end(self, slot: _Slot, how: Literal["make_way", "terminate"]) -> None:
        """Ask a process to end and wait; kill it when it takes too long."""
        running = slot.running
        if running is None:
            return
        if how == "make_way":
            running.make_way()
        else:
            running.terminate()
        done, _ = await asyncio.wait((running.ended,), timeout=RENEW_SECONDS)
        if not done:
            self._log.event(f"{slot.name} does not end by itself and is killed", level="warning")
            running.kill()
            await asyncio.wait((running.ended,))

    def start_extra(self, extra: Extra) -> None:
        """Start a process beside the topology's."""

        def start() -> RunningProcess:
            return self._spawn(extra.name, extra.command, extra.environment, ())

        self._add(extra.name, (extra.service,), start, once=extra.once)

    def failed(self) -> list[str]:
        """Return the names of the processes that have been left alone because they kept ending."""
        return [slot.name for slot in self._slots.values() if slot.state == "failed"]

    def set_state(self, state: str) -> None:
        """Write down what the region as a whole is: starting, ready, unhealthy or stopping."""
        if state != self._state:
            self._state = state
            self._write_down()

    async def stop(self, at_once: asyncio.Event) -> None:
        """Ask the processes to end, stage by stage, and kill whatever is left; `at_once` cuts the waiting short."""
        self._stopping = True
        self.set_state("stopping")
        for slot in self._slots.values():
            if slot.running is None and slot.task is not None:
                slot.task.cancel()
        hurry = asyncio.ensure_future(at_once.wait())
        deadline = time.monotonic() + STOP_SECONDS
        for services, seconds in _STAGES:
            slots = [slot for slot in self._slots.values() if services & set(slot.services) and slot.running]
            for slot in slots:
                if slot.running:
                    (slot.running.interrupt if slot.name in self._topology.names else slot.running.terminate)()
            await self._wait_for(slots, min(seconds, max(0.0, deadline - time.monotonic())), hurry)
        hurry.cancel()
        for slot in self._slots.values():
            if slot.running:
                slot.running.kill()
        ended = [slot.running.ended for slot in self._slots.values() if slot.running]
        if ended:
            await asyncio.wait(ended, timeout=2.0)
        for slot in self._slots.values():
            if slot.task is not None:
                slot.task.cancel()
        for opened in (*self._public.values(), *self._reserved.values()):
            opened.close()
        os.close(self._death_write)
        os.close(self._death_read)
        region_file.remove(self._options.data_dir)

    async def _wait_for(self, slots: list[_Slot], seconds: float, hurry: asyncio.Future[Literal[True]]) -> None:
        waiting = [slot.running.ended for slot in slots if slot.running]
        if waiting and not hurry.done():
            everyone = asyncio.gather(*waiting)
            await asyncio.wait((everyone, hurry), timeout=seconds, return_when=asyncio.FIRST_COMPLETED)

    def _add(
        self, name: str, services: tuple[str, ...], start: Callable[[], RunningProcess], *, once: bool = False
    ) -> None:
        slot = _Slot(name, services, start, once=once)
        self._slots[name] = slot
        slot.running = slot.start()
        slot.state = "running"
        slot.task = asyncio.get_running_loop().create_task(self._keep(slot), name=f"keep {name}")
        self._write_down()

    async def _keep(self, slot: _Slot) -> None:
        """Wait for the process to end and start it again, until the policy says that this leads nowhere."""
        while slot.running is not None:
            code = await slot.running.ended
            slot.running = None
            slot.state = "ended"
            if self._stopping or not slot.wanted:
                return
            if slot.renewing:
                slot.renewing = False
                await self._replace(slot)
                continue
            if slot.once and code == 0:
                self._write_down()
                return
            delay = slot.policy.ended(time.monotonic())
            if delay is None:
                slot.state = "failed"
                self._log.event(
                    f"{slot.name} {explain(code)}, too often to start it again "
                    f"({slot.policy.limit} restarts within {slot.policy.window:.0f} s); the rest of the region goes on",
                    level="error",
                )
                self._write_down()
                return
            self._log.event(f"{slot.name} {explain(code)} and is started again in {delay:.2f} s", level="warning")
            self._write_down()
            await asyncio.sleep(delay)
            await self._replace(slot)

    async def _replace(self, slot: _Slot) -> None:
        slot.running = await self._start_again(slot)
        slot.state = "running"
        slot.restarts += 1
        slot.replaced.set()
        self._write_down()

    async def _start_again(self, slot: _Slot) -> RunningProcess:
        """Start the process, once the machine has what that takes: memory, descriptors, process numbers."""
        while True:
            try:
                return slot.start()
            except OSError as error:
                self._log.event(f"{slot.name} cannot be started yet: {error}", level="error")
            await asyncio.sleep(slot.policy.longest)

    def _starter(self, process: Process) -> Callable[[], RunningProcess]:
        sockets = {service: self._public[service] for service in process.services if service in self._public}
        reserved = self._reserved.get(process.name)
        options = self._options
        placement = Placement(
            process=process.name,
            services=process.services,
            number=process.number,
            data_dir=str(options.data_dir),
            registries=self.registries,
            sockets={service: held.fileno() for service, held in sockets.items()},
            registry_port=reserved.getsockname()[1] if reserved else 0,
            edge_base=options.edge_base,
            behind_tls=options.behind_tls,
        )
        environment = {"KINEMA_PLACEMENT": msgspec.json.encode(placement).decode()}

        def start() -> RunningProcess:
            return self._spawn(process.name, ("run",), environment, tuple(placement.sockets.values()))

        return start

    def _spawn(
        self, name: str, command: tuple[str, ...], environment: dict[str, str], inherit: tuple[int, ...]
    ) -> RunningProcess:
        return RunningProcess(
            child_command(self._death_read, *command),
            environment={**os.environ, **environment},
            inherit=(self._death_read, *inherit),
            on_line=lambda raw: self._log.line(name, raw),
        )

    def _write_down(self) -> None:
        options = self._options
        region = Region(
            pid=os.getpid(),
            state=self._state,
            url=options.url,
            gateway=f"127.0.0.1:{options.port}",
            edge=f"127.0.0.1:{options.port + 1}",
            registries=self.registries,
            processes=tuple(slot.facts() for slot in self._slots.values()),
        )
        try:
            region_file.write(options.data_dir, region)
        except OSError as error:  # a full disk must not end the supervision; the next change writes it down
            self._log.event(f"the region's state cannot be written down: {error}", level="warning")


def on_signals(stop: asyncio.Event, at_once: asyncio.Event) -> None:
    """Have the first SIGINT, SIGTERM or SIGHUP set `stop`, and any further one `at_once`."""

    def handle() -> None:
        (at_once if stop.is_set() else stop).set()

    loop = asyncio.get_running_loop()
    for number in (signal.SIGINT, signal.SIGTERM, signal.SIGHUP):
        # A hang-up may have been ignored on purpose (nohup). An interrupt is ignored in whatever a script starts with `&`,
        # and whoever then sends one means it.
        if number != signal.SIGHUP or signal.getsignal(number) is not signal.SIG_IGN:
            loop.add_signal_handler(number, handle)
