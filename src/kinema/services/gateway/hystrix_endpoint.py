"""`GET /hystrix.stream`: what stands between this gateway and each instance behind it, as Hystrix dashboards read it. For operators."""

from collections.abc import Iterator

from kinema.core.clock import Clock
from kinema.core.errors import Forbidden
from kinema.http import spawn
from kinema.resilience.hystrix import MEDIA_TYPE, Command, HystrixStream, Reader
from kinema.rpc.balance import Balancer
from kinema.services.gateway.passage import Passage

_FIELDS = [(b"content-type", MEDIA_TYPE.encode()), (b"cache-control", b"no-store"), (b"x-accel-buffering", b"no")]


class HystrixEndpoint:
    """Opens streams; at most five at once."""

    def __init__(self, balancer: Balancer, clock: Clock) -> None:
        self._balancer = balancer
        self._stream = HystrixStream(clock, self._commands)
        self._readers: set[Reader] = set()

    def __call__(self, passage: Passage) -> None:
        """Endpoint: open a stream. Raises Unavailable when there are five."""
        if passage.session is None or passage.session.who.role != "operator":
            raise Forbidden("The stream of breakers is for operators only.")
        if passage.exchange.method == "HEAD":
            passage.start(200, _FIELDS, None)
            passage.finish()
            return
        reader = self._stream.open()
        self._readers.add(reader)
        spawn(passage.exchange, self._pour(passage, reader))

    def close(self) -> None:
        """End the streams with their next frame."""
        for reader in tuple(self._readers):
            reader.close()

    async def _pour(self, passage: Passage, reader: Reader) -> None:
        try:
            passage.start(200, _FIELDS, None)
            async for frame in reader:
                if not passage.write(frame):
                    await passage.exchange.writable()
            passage.finish()
        finally:
            reader.close()
            self._readers.discard(reader)

    def _commands(self) -> Iterator[Command]:
        for instance, guards in self._balancer.guarded():
            yield Command(
                name=f"{instance.service}/{instance.instance}",
                group=instance.service,
                breaker=guards.breaker.snapshot(),
                limiter=guards.limiter.snapshot(),
                bulkhead=guards.places_snapshot(),
            )
