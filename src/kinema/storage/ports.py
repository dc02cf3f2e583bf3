"""The storage ports: what services may ask of blobs and of SQL, whatever engine is behind.

Both ports have one contract suite each (`tests/contract/`) that runs on every engine, so what is written
here holds on a laptop's file system and SQLite as much as on S3 and PostgreSQL.

Errors are those of `core.errors`: `NotFound`, `AlreadyExists` (a `Conflict`), `BadInput` for a malformed key,
`StorageFull` when the engine has no room, `Unavailable` when it cannot be reached or stays busy.
"""

import re
from collections.abc import AsyncIterable, AsyncIterator
from contextlib import AbstractAsyncContextManager
from pathlib import Path
from typing import TYPE_CHECKING, Protocol, runtime_checkable

import msgspec

from kinema.core.errors import BadInput, Conflict

if TYPE_CHECKING:  # the edge stores blobs and knows no SQL; it starts a second earlier without it
    from sqlalchemy.ext.asyncio import AsyncConnection

MAX_KEY_LENGTH = 512
MAX_SEGMENT_LENGTH = 200  # file systems allow 255 bytes a name; the rest is room for temporary names

_SEGMENT = re.compile(r"[a-z0-9][a-z0-9._-]*", re.ASCII)

Body = bytes | AsyncIterable[bytes] | Path
"""What can be stored: bytes in memory, a stream of them, or a local file (which is copied, never moved)."""


class AlreadyExists(Conflict):
    """A blob of this key is already stored; blobs are never overwritten."""


class BlobInfo(msgspec.Struct, frozen=True):
    """One line of a listing."""

    key: str
    size: int
    """Bytes."""
    modified_at: float
    """Unix seconds."""


@runtime_checkable  # Litestar checks what it injects into a handler
class Blobs(Protocol):
    """Immutable blobs by key. A key is one or more segments `[a-z0-9][a-z0-9._-]*` joined by "/"."""

    async def put(self, key: str, body: Body) -> int:
        """Store a new blob and return its size in bytes.

        Create only and atomic: of many concurrent puts of one key exactly one succeeds, the others raise
        `AlreadyExists`; a reader sees the whole blob or none. When the call returns, the blob survives a power
        cut. When it raises (the body's own exception included) or the process dies, nothing is visible.
        A streamed body is consumed with bounded memory.
        """
        ...

    def get(self, key: str, start: int = 0, length: int | None = None) -> AsyncIterator[bytes]:
        """Iterate over a blob's bytes from offset `start`, at most `length` of them (None: to the end).

        An async generator: `async for chunk in blobs.get(key)`. `NotFound` is raised by the first step. Chunks
        are at most 1 MiB or so and their borders mean nothing. Like a slice, a range that reaches past
        the end is cut to what is there, and one that begins past it yields nothing. `BadInput` when `start` or
        `length` is negative.
        """
        ...

    async def size(self, key: str) -> int:
        """Size of a blob in bytes. `NotFound` when there is none."""
        ...

    def list(self, prefix: str) -> AsyncIterator[BlobInfo]:
        """Iterate, in no particular order, over the blobs beneath `prefix`.

        The prefix counts by whole segments: "a/b" (or "a/b/") lists "a/b/c" and not "a/bc"; "" lists all. Blobs that are
        put or deleted meanwhile may or may not appear.
        """
        ...

    async def delete(self, key: str) -> None:
        """Remove a blob; no error when there is none. A power cut right after may bring it back."""
        ...

    async def sweep(self) -> int:
        """Remove what interrupted puts left behind (never visible as blobs) and return how many there were.

        Safe at any time beside running puts of this and other processes; meant for start-up and `kinema gc`.
        """
        ...


@runtime_checkable
class LocalFiles(Protocol):
    """What an engine offers in addition when its blobs are files of this machine."""

    def local_path(self, key: str) -> Path:
        """The file of a blob, to be opened for reading only. It does not exist when the blob does not."""
        ...


def local_path(blobs: Blobs, key: str) -> Path | None:
    """The local file that holds a blob, or None when the engine keeps blobs elsewhere or has none of this key."""
    if not isinstance(blobs, LocalFiles):
        return None
    path = blobs.local_path(key)
    return path if path.is_file() else None


@runtime_checkable
class Sql(Protocol):
    """One service's own relational database, spoken to through SQLAlchemy Core."""

    def transaction(self) -> "AbstractAsyncContextManager[AsyncConnection]":
        """A write transaction: `async with sql.transaction() as connection: await connection.execute(...)`.

        Committed (and durable) when the block ends, rolled back when it raises. One writer at a time for
        the service, over all its processes, on every engine: what the block has read cannot change under it,
        so read-then-write needs no further locks. Keep blocks short, and never await the network inside.
        `Unavailable` when the turn does not come within 15 s; constraint violations are SQLAlchemy's
        `IntegrityError`, left as they are. A block never runs twice.
        """
        ...

    def read(self) -> "AbstractAsyncContextManager[AsyncConnection]":
        """A read-only transaction over one consistent snapshot; never waits for writers."""
        ...

    async def migrate(self, service: str) -> None:
        """Bring the schema to the newest version script in `services/<service>/migrations/`.

        All of it happens in one write transaction, so processes that start at the same moment queue up and
        the later ones find nothing to do; a script that fails leaves the schema as it was.
        """
        ...

    async def close(self) -> None:
        """Give up all connections."""
        ...


def check_key(key: str) -> str:
    """Return `key` when it is well-formed, else raise `BadInput`."""
    if not 0 < len(key) <= MAX_KEY_LENGTH:
        raise BadInput(f"The blob key has {len(key)} characters; use 1 to {MAX_KEY_LENGTH}.")
    for segment in key.split("/"):
        if len(segment) > MAX_SEGMENT_LENGTH or not _SEGMENT.fullmatch(segment):
            raise BadInput(
                f"The blob key {key[:80]!r} has the segment {segment[:80]!r}; "
                f"use [a-z0-9][a-z0-9._-]*, at most {MAX_SEGMENT_LENGTH} characters."
            )
    return key


def check_prefix(prefix: str) -> str:
    """Return `prefix` without its trailing slash when it can begin a key, else raise `BadInput`."""
    trimmed = prefix.removesuffix("/")
    return check_key(trimmed) if prefix else ""


def check_range(start: int, length: int | None) -> None:
    """Raise `BadInput` unless start and length are those of a range."""
    if start < 0 or (length is not None and length < 0):
        raise BadInput(f"The range from {start} with length {length} is negative; ranges start at 0 or later.")
