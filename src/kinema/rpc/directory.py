"""Where the instances of each service are, as this process knows it: asked of every registry once a second, kept when they are gone."""

import asyncio

import msgspec

from kinema.core import spans as tracing
from kinema.core.clock import Clock
from kinema.core.errors import KinemaError, Unavailable
from kinema.core.keys import KeyRing
from kinema.core.log import get_logger
from kinema.http import Client
from kinema.model.discovery import Instance, Registry
from kinema.rpc.badge import Badge
from kinema.rpc.merge import Merge

PATH = "/v1/registry"
_REFRESH_SECONDS = 1.0
_EAGER_SECONDS = 0.1  # while somebody waits for a service that is not there yet, or no registry answers
_ANSWER_SECONDS = 1.0

_log = get_logger(__name__)
_decoder = msgspec.json.Decoder(Registry)


class Directory:
    """Reading is a dict look-up and never waits; `registries` are addresses "host:port", `name` is this instance's."""

    def __init__(self, registries: tuple[str, ...], client: Client, keys: KeyRing, clock: Clock, name: str) -> None:
        self._registries = registries
        self._client = client
        self._clock = clock
        self._badge = Badge(name, keys, clock)
        self._merge = Merge()
        self._by_service: dict[str, tuple[Instance, ...]] = {}
        self._everybody: tuple[Instance, ...] = ()
        self._tasks: list[asyncio.Task[None]] = []
        self._waiting = 0
        self._changed = asyncio.Event()
        self._hurry = asyncio.Event()

    async def start(self) -> None:
        """Begin to ask the registries; returns at once, as they may start later than this process."""
        self._tasks = [asyncio.create_task(self._follow(registry)) for registry in self._registries]

    async def close(self) -> None:
        """Stop asking; the last list stays readable."""
        for task in self._tasks:
            task.cancel()
        await asyncio.gather(*self._tasks, return_exceptions=True)
        self._tasks = []

    def instances(self, service: str) -> tuple[Instance, ...]:
        """Return the live instances of a service; empty when none is known."""
        return self._by_service.get(service, ())

    def everybody(self) -> tuple[Instance, ...]:
        """Return the live instances of all services."""
        return self._everybody

    @property
    def answering(self) -> bool:
        """Whether any registry answers; without one the lists are the last ones that were heard."""
        return self._merge.answering

    async def wait_for(self, service: str, seconds: float) -> tuple[Instance, ...]:
        """Return the instances of a service, waiting this long for a first one. Raises Unavailable, naming the service."""
        found = self.instances(service)
        if found:
            return found
        self._waiting += 1
        self._hurry.set()
        try:
            async with asyncio.timeout(seconds):
                while not (found := self.instances(service)):
                    self._changed.clear()
                    await self._changed.wait()
        except TimeoutError as error:
            raise Unavailable(
                f"No instance of {service} is running; look at `kinema status` and try again in a moment."
            ) from error
        finally:
            self._waiting -= 1
        return found

    def hurry(self) -> None:
        """Ask the registries again now: somebody misses an instance that may just have registered."""
        self._hurry.set()

    async def _follow(self, registry: str) -> None:
        etag = b""
        complained = True  # a registry that was never heard is starting; that is nothing to complain about
        while True:
            try:
                etag = await self._ask(registry, etag)
                complained = False
            except (KinemaError, msgspec.DecodeError) as error:
                etag = b""
                self._merge.lost(registry)
                self._publish()
                if not complained:
                    _log.warning("a registry does not answer", registry=registry, error=str(error))
                    complained = True
            if self._waiting or not self._merge.answering:
                await self._clock.sleep(_EAGER_SECONDS)
            else:
                await self._pause()

    async def _pause(self) -> None:
        """Wait for the next round, or until somebody is in a hurry."""
        self._hurry.clear()
        hurry = asyncio.ensure_future(self._hurry.wait())
        pause = asyncio.ensure_future(self._clock.sleep(_REFRESH_SECONDS))
        try:
            await asyncio.wait((hurry, pause), return_when=asyncio.FIRST_COMPLETED)
        finally:
            hurry.cancel()
            pause.cancel()

    async def _ask(self, registry: str, etag: bytes) -> bytes:
        headers = [
            self._badge.header(),
            (tracing.TRACEPARENT, tracing.header(tracing.new_trace_id(), tracing.new_span_id(), sampled=False)),
        ]
        if etag:
            headers.append((b"if-none-match", etag))
        answer = await self._client.fetch(registry, "GET", PATH, headers, timeout=_ANSWER_SECONDS)
        if answer.status == 304:
            return etag
        if answer.status != 200:
            raise Unavailable(f"The registry {registry} answered with status {answer.status}.")
        self._merge.heard(registry, _decoder.decode(answer.body))
        self._publish()
        return answer.headers.get(b"etag") or b""

    def _publish(self) -> None:
        everybody = self._merge.instances()
        if everybody == self._everybody:
            return
        by_service: dict[str, list[Instance]] = {}
        for one in everybody:
            by_service.setdefault(one.service, []).append(one)
        self._everybody = everybody
        self._by_service = {service: tuple(found) for service, found in by_service.items()}
        self._changed.set()
