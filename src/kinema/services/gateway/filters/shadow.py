"""A copy of some safe requests goes to another service or version, to see how that would do; its answer is dropped.

Copies are sent after the original, marked `x-kinema-shadow: 1`, without retries; at most 64 are under way and none takes longer than
10 s or is read beyond 1 MB. They carry the identity of the request, so a service that writes on GET must look at the mark.
"""

import asyncio
from functools import partial
from random import Random
from typing import TYPE_CHECKING, ClassVar

from kinema.core.errors import KinemaError
from kinema.http import Call, Client, Headers, encode_fields
from kinema.services.gateway.config import Shadow
from kinema.services.gateway.instances import meant
from kinema.services.gateway.passage import Passage
from kinema.services.gateway.routes import Route

if TYPE_CHECKING:
    from kinema.services.gateway.filters import Parts

MARK = encode_fields(((b"x-kinema-shadow", b"1"),))
_SAFE = frozenset({"GET", "HEAD"})
_MOST = 64
_SECONDS = 10.0
_MOST_BYTES = 1 << 20


class ShadowTraffic:
    """Sends copies. `sent` and `left_out` count them."""

    order: ClassVar[int] = 95
    section: ClassVar[str] = "shadow"

    def __init__(self, parts: "Parts", random: Random | None = None) -> None:
        self._rules = {rule.prefix: rule for rule in parts.config.shadow}
        self._instances = parts.rpc.directory.instances
        self._client = parts.rpc.client
        self._random = random or Random()  # noqa: S311 (draws a sample, guards nothing)
        self._under_way: set[_Copy] = set()
        self.sent = 0
        self.left_out = 0

    def applies_to(self, route: Route, *, opened: bool) -> bool:
        """Routes with a rule."""
        del opened
        return route.prefix in self._rules and route.endpoint == "proxy"

    def apply(self, passage: Passage) -> None:
        """Draw, and have a copy sent once the original is on its way."""
        exchange = passage.exchange
        if exchange.method not in _SAFE or exchange.has_body:
            return
        rule = self._rules[passage.lane.route.prefix]
        if self._random.random() * 100.0 >= rule.percent:
            return
        if len(self._under_way) >= _MOST:
            self.left_out += 1
            return
        lines = b"".join((*passage.outgoing, passage.lane.deadline, MARK))
        send = partial(self._send, rule, passage.lane.route.service, exchange.method, exchange.target, lines)
        asyncio.get_running_loop().call_soon(send)

    async def close(self) -> None:
        """Give up the copies that are under way."""
        for copy in tuple(self._under_way):
            copy.cancel()

    def _send(self, rule: Shadow, service: str, method: str, target: str, lines: bytes) -> None:
        which = rule.instances
        found = [one for one in self._instances(rule.service or service) if which is None or meant(which, one)]
        if not found:
            self.left_out += 1
            return
        self.sent += 1
        address = self._random.choice(found).address
        self._under_way.add(_Copy(self._client, address, method, target, lines, self._under_way))


class _Copy:
    """One copy under way; the sink of its call."""

    def __init__(
        self, client: Client, address: str, method: str, target: str, lines: bytes, under_way: "set[_Copy]"
    ) -> None:
        self._under_way = under_way
        self._read = 0
        self._call: Call = client.send(address, method, target, lines, self, timeout=_SECONDS)

    def on_head(self, status: int, headers: Headers) -> None:
        """Sink: nobody is told."""

    def on_data(self, chunk: bytes) -> None:
        """Sink: drop it, up to a limit."""
        self._read += len(chunk)
        if self._read > _MOST_BYTES:
            self.cancel()

    def on_end(self) -> None:
        """Sink: done."""
        self._under_way.discard(self)

    def on_error(self, error: KinemaError) -> None:
        """Sink: done."""
        del error
        self._under_way.discard(self)

    def cancel(self) -> None:
        """Stop reading."""
        self._call.cancel()
        self._under_way.discard(self)
