"""A region's life from the first process to the last: start, become ready, say so, stay healthy, stop."""

import asyncio
import os
from collections.abc import Awaitable, Callable
from functools import partial
from pathlib import Path
from typing import TextIO, TypeVar

import msgspec

from kinema.cluster import rolling
from kinema.cluster.control import Command, ControlSocket, Say, chosen
from kinema.cluster.logs import LogStream
from kinema.cluster.processors import Meter
from kinema.cluster.readiness import Questions
from kinema.cluster.scaler import Scaler
from kinema.cluster.supervisor import Extra, Options, Supervisor, on_signals
from kinema.cluster.topology import Topology
from kinema.core.clock import Clock, SystemClock
from kinema.core.errors import KinemaError, Unavailable
from kinema.model.members import ClaimLink, Token

T = TypeVar("T")

_POLL_SECONDS = 0.05
_WATCH_SECONDS = 2.0
_SLOW_SECONDS = 30.0


async def run_region(
    topology: Topology, options: Options, log: LogStream, extras: tuple[Extra, ...], *, demo: Extra | None, out: TextIO
) -> None:
    """Run a region until a signal stops it. The caller holds the lock on the data directory. Raises PortTaken.

    `demo` is the process that puts the demo catalogue in; it finds its bearer token at `token_path` once there is one.
    """
    stop, at_once = asyncio.Event(), asyncio.Event()
    on_signals(stop, at_once)
    supervisor = Supervisor(topology, options, log)
    supervisor.open()
    questions = Questions(
        options.data_dir,
        f"127.0.0.1:{options.port}",
        f"127.0.0.1:{options.port + 1}",
        supervisor.registries,
        options.front,
    )
    clock = SystemClock()
    control = ControlSocket(options.data_dir, partial(_carry_out, supervisor, questions, clock, log))
    await control.open()
    scaler = Scaler(topology.scale, supervisor, clock, log.event, Meter())
    life = asyncio.create_task(
        _Life(supervisor, questions, options, log, extras, scaler, demo=demo, out=out).run(), name="life"
    )
    stopped = asyncio.create_task(stop.wait())
    try:
        await asyncio.wait((life, stopped), return_when=asyncio.FIRST_COMPLETED)
        if not life.done():
            log.event("the region is being stopped; once more ends it at once")
    finally:
        life.cancel()
        stopped.cancel()
        await control.close()
        await supervisor.stop(at_once)
    if life.done() and not life.cancelled():
        life.result()


async def _carry_out(
    supervisor: Supervisor, questions: Questions, clock: Clock, log: LogStream, command: Command, say: Say
) -> None:
    """Do what an operator asks by the control socket."""
    known = {process.name: process for process in supervisor.processes()}
    names = chosen(command.processes, tuple(known))
    log.event(f"a rolling restart was asked for: {', '.join(names)}")

    def tell(text: str) -> None:
        log.event(text)
        say(text)

    await rolling.restart([known[name] for name in names], supervisor, questions, clock, tell)


class _Life:
    """The steps from nothing to a watched, healthy region."""

    def __init__(
        self,
        supervisor: Supervisor,
        questions: Questions,
        options: Options,
        log: LogStream,
        extras: tuple[Extra, ...],
        scaler: Scaler,
        *,
        demo: Extra | None,
        out: TextIO,
    ) -> None:
        self._scaler = scaler
        self._supervisor = supervisor
        self._questions = questions
        self._options = options
        self._log = log
        self._extras = extras
        self._demo = demo
        self._out = out

    async def run(self) -> None:
        supervisor = self._supervisor
        supervisor.start_wave(1)
        for extra in self._extras:
            supervisor.start_extra(extra)
        token = token_path(self._options.data_dir)
        if self._demo:
            token.unlink(missing_ok=True)
            supervisor.start_extra(self._demo)
        await self._until(self._questions.is_healthy, "the services")
        if self._demo:
            await self._patiently(lambda: self._write_token(token))
        supervisor.start_wave(2)
        if self._demo:
            self._log.event("the region is up; the first demo film is being made")
            await self._until(self._questions.has_title, "the first demo film")
        supervisor.set_state("ready")
        print(f"ready {await self._patiently(self._address)}", file=self._out, flush=True)
        supervisor.start_wave(3)
        async with asyncio.TaskGroup() as group:
            group.create_task(self._watch())
            group.create_task(self._scaler.run())

    async def _address(self) -> str:
        """Return what people open: on a region that nobody has claimed yet, a claim link."""
        if msgspec.json.decode(await self._questions.call("members", "GET", "/v1/internal/claimed"), type=bool):
            return f"{self._options.url}/"
        link = await self._questions.call("members", "POST", "/v1/invitations", {"role": "operator"})
        return self._options.url + msgspec.json.decode(link, type=ClaimLink).path

    async def _write_token(self, path: Path) -> None:
        made = await self._questions.call(
            "members", "POST", "/v1/tokens", {"role": "operator", "label": "demo catalogue"}
        )
        secret = msgspec.json.decode(made, type=Token).secret or ""
        temporary = path.with_suffix(".tmp")
        with os.fdopen(os.open(temporary, os.O_WRONLY | os.O_CREAT | os.O_TRUNC, 0o600), "w") as file:
            file.write(secret)
        temporary.replace(path)

    async def _patiently(self, ask: Callable[[], Awaitable[T]]) -> T:
        """Ask until there is an answer: what was healthy a moment ago may just be being replaced."""
        while True:
            try:
                return await ask()
            except (KinemaError, TimeoutError) as error:
                self._log.event(f"asked again: {str(error) or 'no answer in time'}", level="warning")
                await asyncio.sleep(_POLL_SECONDS * 10)

    async def _until(self, condition: Callable[[], Awaitable[bool]], what: str) -> None:
        """Wait until a question is answered with yes; say so when it takes long.

        Raises Unavailable when a process has been given up: then this start leads nowhere, and somebody has to look.
        """
        loop = asyncio.get_running_loop()
        begun, said = loop.time(), False
        while not await condition():
            if not said and loop.time() - begun > _SLOW_SECONDS:
                said = True
                self._log.event(f"still waiting for {what}; `kinema status` tells more", level="warning")
            if failed := self._supervisor.failed():
                raise Unavailable(f"The region cannot start: {failed[0]} keeps ending; its last lines above say why.")
            await asyncio.sleep(_POLL_SECONDS)

    async def _watch(self) -> None:
        """Keep asking for as long as the region lives; write down and log each change."""
        healthy = True
        while True:
            await asyncio.sleep(_WATCH_SECONDS)
            now = await self._questions.is_healthy() and not self._supervisor.failed()
            if now != healthy:
                healthy = now
                self._supervisor.set_state("ready" if healthy else "unhealthy")
                self._log.event(
                    "the region is healthy again" if healthy else "the region is unhealthy; `kinema status` tells more",
                    level="info" if healthy else "error",
                )


def token_path(data_dir: Path) -> Path:
    """Return where the demo's seeding finds its bearer token, as soon as there is one."""
    return data_dir / "run" / "demo-token"
