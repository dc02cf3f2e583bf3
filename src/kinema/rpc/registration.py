"""An instance makes itself known: it registers with every registry, says so again every two seconds, and signs off when it stops."""

import asyncio

import msgspec

from kinema.core.clock import Clock
from kinema.core.errors import KinemaError
from kinema.core.keys import KeyRing
from kinema.core.log import get_logger
from kinema.core.problem import error_of
from kinema.http import Client
from kinema.model.discovery import Instance
from kinema.resilience import FullJitter
from kinema.rpc.badge import Badge
from kinema.rpc.directory import PATH
from kinema.rpc.merge import STARTED

_HEARTBEAT_SECONDS = 2.0
_ANSWER_SECONDS = 2.0  # of a registry on a busy machine; a third of the lease
_GOODBYE_SECONDS = 1.0

_log = get_logger(__name__)


class Registration:
    """Keeps one instance registered. Registering and the heartbeat are one request, so a registry that forgot us learns at once."""

    def __init__(
        self, instance: Instance, registries: tuple[str, ...], client: Client, keys: KeyRing, clock: Clock
    ) -> None:
        started = {STARTED: f"{clock.now():.3f}"}
        self.instance = msgspec.structs.replace(instance, metadata=started | instance.metadata)
        self._registries = registries
        self._client = client
        self._clock = clock
        self._badge = Badge(instance.instance, keys, clock)
        self._backoff = FullJitter(base=0.1, most=0.4)
        self._target = f"{PATH}/{instance.service}/{instance.instance}"
        self._tasks: list[asyncio.Task[None]] = []
        self._registered = asyncio.Event()

    async def start(self) -> None:
        """Begin to register; returns at once, as the registries may start later than this process."""
        self._tasks = [asyncio.create_task(self._keep(registry)) for registry in self._registries]

    async def registered(self) -> None:
        """Wait until a first registry knows this instance."""
        await self._registered.wait()

    async def sign_off(self) -> None:
        """Tell every registry that nobody shall call this instance any more; waits at most a second for each at once."""
        if not self._tasks:
            return
        await self.close()
        await asyncio.gather(*(self._sign_off(registry) for registry in self._registries))

    async def close(self) -> None:
        """Stop the heartbeats; unless it signed off, the registries believe in this instance until its lease ends."""
        for task in self._tasks:
            task.cancel()
        await asyncio.gather(*self._tasks, return_exceptions=True)
        self._tasks = []

    async def _keep(self, registry: str) -> None:
        failures = 0
        while True:
            try:
                await self._send(registry, "PUT", msgspec.json.encode(self.instance), _ANSWER_SECONDS)
            except KinemaError as error:
                if failures == 100 and not self._registered.is_set():
                    _log.warning("no registry takes this instance yet", registry=registry, error=str(error))
                await self._clock.sleep(self._backoff.wait(failures))
                failures += 1
                continue
            failures = 0
            self._registered.set()
            await self._clock.sleep(_HEARTBEAT_SECONDS)

    async def _sign_off(self, registry: str) -> None:
        try:
            await self._send(registry, "DELETE", b"", _GOODBYE_SECONDS)
        except KinemaError as error:
            _log.debug("signed off without an answer; the lease will end", registry=registry, error=str(error))

    async def _send(self, registry: str, method: str, body: bytes, seconds: float) -> None:
        headers = [self._badge.header(), (b"content-type", b"application/json")]
        answer = await self._client.fetch(registry, method, self._target, headers, body, timeout=seconds)
        if answer.status >= 300:
            raise error_of(answer.status, answer.body)
