"""Idempotency-Key on POST (draft-ietf-httpapi-idempotency-key-header): the same request sent twice has its effect once.

A key is reserved before the work, together with a fingerprint of the request, and holds the answer after it. A repeat
with the same fingerprint gets the stored answer; with another one, or while the first is still at work, 409. A reservation
whose worker died is free again after a minute; answers are kept for a day. Keys belong to an account.
"""

import hashlib
import re
from collections.abc import Awaitable, Callable

import msgspec
import sqlalchemy as sa
from litestar import Request, Response
from litestar.datastructures import State
from litestar.enums import MediaType
from sqlalchemy.exc import IntegrityError

from kinema.core.clock import Clock
from kinema.core.errors import BadInput, Conflict
from kinema.core.identity import Identity
from kinema.storage.ports import Sql

HEADER = "idempotency-key"
_KEPT_SECONDS = 24 * 3600.0
_RESERVED_SECONDS = 60.0
_KEY = re.compile(r"[\x21-\x7e]{1,128}")


class Idempotency:
    """Runs the work of POST requests at most once a key."""

    def __init__(self, sql: Sql, clock: Clock, table: sa.Table) -> None:
        self._sql = sql
        self._clock = clock
        self._table = table

    async def run(
        self,
        request: Request[object, object, State],
        identity: Identity,
        produce: Callable[[], Awaitable[msgspec.Struct]],
        status: int = 201,
    ) -> Response[bytes]:
        """Answer with what `produce` returns as JSON; with an Idempotency-Key header, produce at most once.

        Raises BadInput for a key that is not 1 to 128 visible ASCII characters, and Conflict as the module says.
        """
        key = key_of(request)
        if key is None:
            return _json(msgspec.json.encode(await produce()), status)
        fingerprint = hashlib.sha256(
            b"%s %s\n" % (request.method.encode(), request.url.path.encode()) + await request.body()
        ).hexdigest()
        if (stored := await self._reserve(identity.account, key, fingerprint)) is not None:
            return stored
        try:
            body = msgspec.json.encode(await produce())
        except BaseException:
            await self._release(identity.account, key)
            raise
        await self._store(identity.account, key, status, body)
        return _json(body, status)

    async def _reserve(self, account: str, key: str, fingerprint: str) -> Response[bytes] | None:
        table, now = self._table, self._clock.now()
        stale = sa.or_(
            table.c.at < now - _KEPT_SECONDS, sa.and_(table.c.status.is_(None), table.c.at < now - _RESERVED_SECONDS)
        )
        try:
            async with self._sql.transaction() as connection:
                await connection.execute(sa.delete(table).where(stale))
                found = (await connection.execute(self._row(account, key))).one_or_none()
                if found is None:
                    row = {"account": account, "key": key, "fingerprint": fingerprint, "at": now}
                    await connection.execute(sa.insert(table).values(row))
                    return None
        except IntegrityError as error:
            raise Conflict("A request with this Idempotency-Key is being worked on; wait for its answer.") from error
        if found.fingerprint != fingerprint:
            raise Conflict("This Idempotency-Key was used with another request; use a new key for a new request.")
        if found.status is None:
            raise Conflict("A request with this Idempotency-Key is being worked on; wait for its answer.")
        return _json(found.body, found.status)

    async def _store(self, account: str, key: str, status: int, body: bytes) -> None:
        async with self._sql.transaction() as connection:
            await connection.execute(
                sa.update(self._table).where(self._is(account, key)).values(status=status, body=body)
            )

    async def _release(self, account: str, key: str) -> None:
        async with self._sql.transaction() as connection:
            await connection.execute(sa.delete(self._table).where(self._is(account, key)))

    def _row(self, account: str, key: str) -> sa.Select[tuple[str, int | None, bytes | None]]:
        table = self._table
        return sa.select(table.c.fingerprint, table.c.status, table.c.body).where(self._is(account, key))

    def _is(self, account: str, key: str) -> sa.ColumnElement[bool]:
        return sa.and_(self._table.c.account == account, self._table.c.key == key)


def key_of(request: Request[object, object, State]) -> str | None:
    """Return a request's Idempotency-Key, None without one. Raises BadInput unless it is 1 to 128 visible ASCII characters."""
    key = request.headers.get(HEADER)
    if key is not None and not _KEY.fullmatch(key):
        raise BadInput("The Idempotency-Key must be 1 to 128 visible ASCII characters; a UUID serves well.")
    return key


def _json(body: bytes, status: int) -> Response[bytes]:
    return Response(body, status_code=status, media_type=MediaType.JSON, headers={"Cache-Control": "no-store"})
