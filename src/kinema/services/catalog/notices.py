"""Telling members' devices of a new title, once (an outbox: C. Richardson, "Microservices Patterns", 3.3.7).

    the transaction that publishes a title for the first time    also writes a notice
    every instance, once a second                                for each notice whose title it serves: sends the message to
                                                                 `push`, then deletes the notice

A process that dies in between leaves the notice to the others. Two that send the same one use the same Idempotency-Key, so
devices hear of it once. A notice that could not be sent within an hour is no news any more.
"""

import asyncio
from typing import Protocol

import msgspec

from kinema.core import log
from kinema.core.clock import Clock
from kinema.core.errors import KinemaError
from kinema.core.problem import error_of
from kinema.http import Response
from kinema.model.catalog import Title
from kinema.model.push import PushMessage, ToEverybody
from kinema.services.catalog import repository
from kinema.services.catalog.reader import Reader
from kinema.storage.ports import Sql

_POLL_SECONDS = 1.0
_NEWS_SECONDS = 3600.0
_KEPT_FOR_DEVICES_SECONDS = 60  # a device that is just coming back hears of it too
_logger = log.get_logger(__name__)


class Calls(Protocol):
    """What is needed of rpc's client."""

    async def request(
        self,
        service: str,
        method: str,
        path: str,
        body: bytes = b"",
        *,
        headers: tuple[tuple[bytes, bytes], ...] = (),
    ) -> Response:
        """Send bytes and return the answer."""
        ...


class NewTitle(msgspec.Struct, frozen=True):
    """The data of a `title` message."""

    title_id: str
    title: str


class Notices:
    """Sends what was noted, as long as this instance runs."""

    def __init__(self, sql: Sql, clock: Clock, reader: Reader, calls: Calls) -> None:
        self._sql = sql
        self._clock = clock
        self._reader = reader
        self._calls = calls
        self._following: asyncio.Task[None] | None = None

    async def start(self) -> None:
        """Begin to look for notices."""
        self._following = asyncio.create_task(self._follow(), name="catalog-notices")

    async def stop(self) -> None:
        """Stop looking."""
        if self._following is not None:
            self._following.cancel()
            await asyncio.gather(self._following, return_exceptions=True)
            self._following = None

    async def _follow(self) -> None:
        complained = False
        while True:
            try:
                await self._send_all()
                complained = False
            except KinemaError as error:
                if not complained:
                    _logger.info("devices will be told of new titles later", error=str(error))
                complained = True
            await self._clock.sleep(_POLL_SECONDS)

    async def _send_all(self) -> None:
        async with self._sql.read() as connection:
            noted = await repository.notices(connection)
        for title_id, at in noted:
            if self._clock.now() - at <= _NEWS_SECONDS:
                title = self._reader.snapshot.by_id.get(title_id)
                if title is None:
                    continue  # this instance does not serve it yet
                await self._send(title, at)
            async with self._sql.transaction() as connection:
                await repository.forget_notice(connection, title_id, at)

    async def _send(self, title: Title, at: float) -> None:
        data = msgspec.json.encode(NewTitle(title.title_id, title.title))
        message = PushMessage(
            to=ToEverybody(), type="title", data=msgspec.Raw(data), seconds_to_live=_KEPT_FOR_DEVICES_SECONDS
        )
        key = f"catalog:{title.title_id}:{at:.3f}".encode()
        headers = ((b"idempotency-key", key),)
        body = msgspec.json.encode(message)
        answer = await self._calls.request("push", "POST", "/v1/push/messages", body, headers=headers)
        if answer.status >= 300:
            raise error_of(answer.status, answer.body)
