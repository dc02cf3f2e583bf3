"""Storage whose use is counted: how long transactions and operations take, and how many fail, for the service that owns it.

Inside a request that is recorded, each is a span too. The engines know nothing of it; wiring puts these around them.
"""

from collections.abc import AsyncIterator
from contextlib import AbstractAsyncContextManager, asynccontextmanager
from pathlib import Path
from typing import TYPE_CHECKING

from kinema.core import spans as tracing
from kinema.core.errors import KinemaError
from kinema.core.metrics import Metrics, Red
from kinema.core.spans import Spans
from kinema.storage.ports import BlobInfo, Blobs, Body, LocalFiles, Sql

if TYPE_CHECKING:  # as in ports.py
    from sqlalchemy.ext.asyncio import AsyncConnection

_FAILED = 500


class _Clockwork:
    """Times one kind of operation."""

    def __init__(self, route: str, red: Red, spans: Spans, service: str) -> None:
        self._route = route
        self._red = red
        self._spans = spans
        self._service = service

    @asynccontextmanager
    async def timed(self) -> AsyncIterator[None]:
        """Time a block; a KinemaError counts by its status, any other exception as a failure of ours."""
        began, status = self._spans.now(), 200
        try:
            yield
        except KinemaError as error:
            status = error.status
            raise
        except GeneratorExit:
            raise  # whoever read has enough
        except Exception:
            status = _FAILED
            raise
        finally:
            context = self._spans.context()
            self._red.record(self._spans.now() - began, status, context.trace_id if context.sampled else "")
            if context.span_id and context.service == self._service:
                self._spans.record(context, tracing.new_span_id(), self._route, "client", began, status)


def _clockwork(route: str, peer: str, metrics: Metrics, spans: Spans, service: str) -> _Clockwork:
    return _Clockwork(route, metrics.red("storage", route, peer, service=service), spans, service)


class MeasuredSql:
    """The `Sql` port, timed: writing and reading transactions from their beginning to their end."""

    def __init__(self, inner: Sql, metrics: Metrics, spans: Spans, service: str) -> None:
        self._inner = inner
        self._writes = _clockwork("sql write", "sql", metrics, spans, service)
        self._reads = _clockwork("sql read", "sql", metrics, spans, service)

    def transaction(self) -> "AbstractAsyncContextManager[AsyncConnection]":
        """A write transaction; see the port."""
        return self._timed(self._writes, self._inner.transaction())

    def read(self) -> "AbstractAsyncContextManager[AsyncConnection]":
        """A read-only transaction; see the port."""
        return self._timed(self._reads, self._inner.read())

    async def migrate(self, service: str) -> None:
        """See the port; not timed, it happens once."""
        await self._inner.migrate(service)

    async def close(self) -> None:
        """See the port."""
        await self._inner.close()

    @asynccontextmanager
    async def _timed(
        self, clockwork: _Clockwork, block: "AbstractAsyncContextManager[AsyncConnection]"
    ) -> "AsyncIterator[AsyncConnection]":
        async with clockwork.timed(), block as connection:
            yield connection


class MeasuredBlobs:
    """The `Blobs` port, timed: putting, asking for the size, and getting up to the last byte that is read."""

    def __init__(self, inner: Blobs, metrics: Metrics, spans: Spans, service: str) -> None:
        self._inner = inner
        self._puts = _clockwork("blobs put", "blobs", metrics, spans, service)
        self._gets = _clockwork("blobs get", "blobs", metrics, spans, service)
        self._sizes = _clockwork("blobs size", "blobs", metrics, spans, service)

    async def put(self, key: str, body: Body) -> int:
        """See the port."""
        async with self._puts.timed():
            return await self._inner.put(key, body)

    async def get(self, key: str, start: int = 0, length: int | None = None) -> AsyncIterator[bytes]:
        """See the port."""
        async with self._gets.timed():
            async for chunk in self._inner.get(key, start, length):
                yield chunk

    async def size(self, key: str) -> int:
        """See the port."""
        async with self._sizes.timed():
            return await self._inner.size(key)

    def list(self, prefix: str) -> AsyncIterator[BlobInfo]:
        """See the port."""
        return self._inner.list(prefix)

    async def delete(self, key: str) -> None:
        """See the port."""
        await self._inner.delete(key)

    async def sweep(self) -> int:
        """See the port."""
        return await self._inner.sweep()


class MeasuredFiles(MeasuredBlobs):
    """The same for blobs that are files of this machine."""

    def __init__(self, inner: Blobs, metrics: Metrics, spans: Spans, service: str) -> None:
        super().__init__(inner, metrics, spans, service)
        assert isinstance(inner, LocalFiles)
        self._files = inner

    def local_path(self, key: str) -> Path:
        """See the port."""
        return self._files.local_path(key)


def measured_blobs(inner: Blobs, metrics: Metrics, spans: Spans, service: str) -> Blobs:
    """Return blobs that are timed and offer what these do."""
    kind = MeasuredFiles if isinstance(inner, LocalFiles) else MeasuredBlobs
    return kind(inner, metrics, spans, service)
