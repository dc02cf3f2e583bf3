"""Blobs in an S3 API, through obstore: the engine to grow into.

A small blob is one conditional PUT (If-None-Match: *). S3 has no conditional start of a multipart upload, so a
large one is first uploaded to a staging key that no blob can have, then copied by the server to its own key under the
same condition, then removed from staging. Staging left by a process that died is removed by `sweep`.

Credentials come from the environment (AWS_ACCESS_KEY_ID, AWS_SECRET_ACCESS_KEY, AWS_SESSION_TOKEN) or the instance's
role. Give the bucket a lifecycle rule that aborts incomplete multipart uploads after a day: S3 hides them from us.
"""

import asyncio
import secrets
import time
from collections.abc import AsyncGenerator, AsyncIterable, AsyncIterator, Iterator
from contextlib import aclosing, contextmanager
from datetime import timedelta
from pathlib import Path
from typing import TYPE_CHECKING
from urllib.parse import parse_qs, urlsplit

import obstore
from obstore.exceptions import AlreadyExistsError, BaseError, NotFoundError
from obstore.store import S3Store

from kinema.core.errors import BadInput, NotFound, StorageFull, TooLarge, Unavailable
from kinema.storage.ports import AlreadyExists, BlobInfo, Body, check_key, check_prefix, check_range

if TYPE_CHECKING:
    from obstore.store import S3Config  # obstore has it in its stubs only

_STAGING = ".parts"
_PIECE = 8 << 20  # bytes of a multipart piece; a smaller blob is held in memory and put at once
_PIECES_IN_FLIGHT = 4
_READ = 1 << 20
_LARGEST = 5 << 30  # bytes that S3 copies in one step
_SWEEP_AGE = 24 * 3600.0  # seconds; no upload takes longer


class S3Blobs:
    """The `Blobs` port on a bucket, or on what lies beneath a prefix of one."""

    def __init__(self, store: S3Store) -> None:
        self._store = store

    async def put(self, key: str, body: Body) -> int:
        """Store a new blob; see the port."""
        check_key(key)
        if isinstance(body, AsyncIterable | Path):
            async with aclosing(_pieces(body)) as pieces:
                first = await anext(pieces, b"")
                if len(first) < _PIECE:
                    return await self._put_small(key, first)
                return await self._put_large(key, first, pieces)
        if len(body) < _PIECE:
            return await self._put_small(key, body)
        async with aclosing(_pieces(_once(body))) as pieces:
            return await self._put_large(key, await anext(pieces), pieces)

    async def get(self, key: str, start: int = 0, length: int | None = None) -> AsyncIterator[bytes]:
        """Iterate over a blob's bytes; see the port."""
        check_range(start, length)
        size = await self.size(key)
        end = size if length is None else min(size, start + length)
        if start >= end:
            return
        with _translated(key):
            found = await obstore.get_async(self._store, key, options={"range": (start, end)})
            async for chunk in found.stream(min_chunk_size=_READ):
                yield bytes(chunk)

    async def size(self, key: str) -> int:
        """Size of a blob in bytes; see the port."""
        check_key(key)
        with _translated(key):
            return int((await obstore.head_async(self._store, key))["size"])

    async def list(self, prefix: str) -> AsyncIterator[BlobInfo]:
        """Iterate over the blobs beneath a prefix; see the port."""
        async for info in self._list(check_prefix(prefix)):
            if not info.key.startswith(f"{_STAGING}/"):
                yield info

    async def delete(self, key: str) -> None:
        """Remove a blob; see the port."""
        await self._remove(check_key(key))

    async def sweep(self) -> int:
        """Remove what interrupted puts left behind; see the port."""
        oldest = time.time() - _SWEEP_AGE
        abandoned = [info.key async for info in self._list(_STAGING) if info.modified_at < oldest]
        for key in abandoned:
            await self._remove(key)
        return len(abandoned)

    async def _put_small(self, key: str, body: bytes) -> int:
        with _translated(key):
            await obstore.put_async(self._store, key, body, mode="create", use_multipart=False)
        return len(body)

    async def _put_large(self, key: str, first: bytes, rest: AsyncIterator[bytes]) -> int:
        if await self._exists(key):  # found before the work; the conditional copy decides
            raise _already_exists(key)
        staged = f"{_STAGING}/{secrets.token_hex(16)}"
        try:
            size = await self._stage(key, staged, first, rest)
            with _translated(key):
                await obstore.copy_async(self._store, staged, key, overwrite=False)
        finally:
            await self._remove(staged)
        return size

    async def _stage(self, key: str, staged: str, first: bytes, rest: AsyncIterator[bytes]) -> int:
        """Upload the pieces to the staging key. The upload is completed in any case: what S3 does not show we cannot delete."""
        size = len(first)
        writer = obstore.open_writer_async(self._store, staged, buffer_size=_PIECE, max_concurrency=_PIECES_IN_FLIGHT)
        try:
            with _translated(key):
                await writer.write(first)
            async for piece in rest:
                size += len(piece)
                _check_size(key, size)
                with _translated(key):
                    await writer.write(piece)
        finally:
            with _translated(key):
                await writer.close()
        return size

    async def _exists(self, key: str) -> bool:
        try:
            await self.size(key)
        except NotFound:
            return False
        return True

    async def _list(self, prefix: str) -> AsyncIterator[BlobInfo]:
        with _translated(prefix):
            async for page in obstore.list(self._store, prefix=prefix or None, chunk_size=1000):
                for row in page:
                    yield BlobInfo(str(row["path"]), int(row["size"]), row["last_modified"].timestamp())

    async def _remove(self, key: str) -> None:
        try:
            with _translated(key):
                await obstore.delete_async(self._store, key)
        except NotFound:
            pass


def open_s3(data_dir: Path, url: str) -> S3Blobs:  # noqa: ARG001 -- the signature of all rows
    """Row of `engines.BLOBS`: `s3://bucket/prefix?endpoint=http://host:port&region=name`; only the bucket is required."""
    parts = urlsplit(url)
    options = {name: values[-1] for name, values in parse_qs(parts.query).items()}
    endpoint = options.pop("endpoint", None)
    region = options.pop("region", "us-east-1")
    if not parts.netloc or options:
        wrong = ", ".join(options) or "no bucket"
        raise BadInput(f"blobs_url has {wrong}; write s3://bucket/prefix?endpoint=http://host:port&region=name.")
    config: S3Config = {
        "region": region,
        "conditional_put": "etag",
        "copy_if_not_exists": "multipart",
        "virtual_hosted_style_request": endpoint is None,
    }
    if endpoint is not None:
        config["endpoint"] = endpoint
    store = S3Store(
        parts.netloc,
        prefix=parts.path.strip("/") or None,
        config=config,
        client_options={
            "allow_http": (endpoint or "").startswith("http://"),
            "connect_timeout": timedelta(seconds=5),
            "timeout": timedelta(hours=1),  # of a whole request: a slow reader of a large blob is no error
        },
        retry_config={"max_retries": 3, "retry_timeout": timedelta(seconds=20)},
    )
    return S3Blobs(store)


def _check_size(key: str, size: int) -> None:
    if size > _LARGEST:
        raise TooLarge(f"The blob {key} has more than {_LARGEST} bytes, the most that S3 stores atomically.")


async def _pieces(body: AsyncIterable[bytes] | Path) -> AsyncGenerator[bytes]:
    """The body cut into pieces of `_PIECE` bytes; only the last is smaller."""
    gathered = bytearray()
    async for chunk in _chunks(body) if isinstance(body, Path) else body:
        gathered += chunk
        while len(gathered) >= _PIECE:
            yield bytes(gathered[:_PIECE])
            del gathered[:_PIECE]
    if gathered:
        yield bytes(gathered)


async def _chunks(path: Path) -> AsyncIterator[bytes]:
    with path.open("rb") as file:
        while chunk := await asyncio.to_thread(file.read, _READ):
            yield chunk


async def _once(body: bytes) -> AsyncIterator[bytes]:
    yield body


def _already_exists(key: str) -> AlreadyExists:
    return AlreadyExists(f"The blob {key} exists already; blobs are stored once and never overwritten.")


@contextmanager
def _translated(key: str) -> Iterator[None]:
    """Turn what obstore says about the blob `key` into the port's errors."""
    try:
        yield
    except AlreadyExistsError as error:
        raise _already_exists(key) from error
    except (NotFoundError, FileNotFoundError) as error:
        raise NotFound(f"There is no blob {key}.") from error
    except (BaseError, OSError) as error:
        text = str(error).partition("\n")[0]
        if "507 Insufficient Storage" in text or "StorageFull" in text:
            raise StorageFull(f"The object store has no room for the blob {key}.") from error
        raise Unavailable(f"The object store cannot serve the blob {key}: {text[:300]}") from error
