"""The storage ports: what services may ask of blobs, of SQL and of a cache, whatever engine is behind.

Each port has one contract suite (`tests/contract/`) that runs on every engine, so what is written
here holds on a laptop's file system and SQLite as much as on S3 and PostgreSQL.

Errors are those of `core.errors`: `NotFound`, `AlreadyExists` (a `Conflict`), `BadInput` for a malformed key,
`StorageFull` when the engine has no room, `Unavailable` when it cannot be reached or stays busy.
"""

import re
from collections.abc import AsyncIterable, AsyncIterator, Sequence
from contextlib import AbstractAsyncContextManager
from pathlib import Path
from typing import TYPE_CHECKING, Protocol, runtime_checkable

import msgspec

from kinema.core.errors import BadInput, Conflict, TooLarge

if TYPE_CHECKING:  # the edge stores blobs and knows no SQL; it starts a second earlier without it
    from sqlalchemy.ext.asyncio import AsyncConnection

MAX_KEY_LENGTH = 512
MAX_SEGMENT_LENGTH = 200  # file systems allow 255 bytes a name; the rest is room for temporary names
MAX_CACHE_KEY_LENGTH = 250  # memcached's limit
MAX_CACHE_VALUE_BYTES = 1_000_000  # memcached takes items of 1 MiB, its own head and the key included
MAX_CACHE_KEYS = 100  # in one `get_many`: all of their values must fit into memory
MAX_CACHE_SECONDS = 30 * 86400.0  # memcached takes longer times for dates

_SEGMENT = re.compile(r"[a-z0-9][a-z0-9._-]*", re.ASCII)
_CACHE_KEY = re.compile(r"[a-z0-9][a-z0-9._-]*:[!-~]+", re.ASCII)

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


@runtime_checkable
class Cache(Protocol):
    """Bytes that may be gone at any moment, by key. A key is `namespace:rest`, see `check_cache_key`.

    A value is at most `MAX_CACHE_VALUE_BYTES` long and lives for `ttl` seconds, more than 0 and at most
    `MAX_CACHE_SECONDS`; engines may round that up to whole seconds and may drop any value earlier. Every call ends within
    a second or two, with `Unavailable` when the engine cannot be reached or does not answer. A call that is cancelled or
    fails leaves the engine usable, and a value that was being written is then either there or not.
    """

    async def get(self, key: str) -> bytes | None:
        """Return the value, None when there is none."""
        ...

    async def get_many(self, keys: Sequence[str]) -> dict[str, bytes]:
        """Return the values of those keys that have one; at most `MAX_CACHE_KEYS` keys."""
        ...

    async def set(self, key: str, value: bytes, ttl: float) -> bool:
        """Store a value in place of what was there.

        Returns whether it is stored as widely as the cache promises: False is for caches of several copies only.
        """
        ...

    async def add(self, key: str, value: bytes, ttl: float) -> bool:
        """Store a value if there is none, and return whether it was stored; of several callers at once one stores.

        A value whose end an engine rounds up counts until then, even if `get` does not return it any more.
        """
        ...

    async def delete(self, key: str) -> bool:
        """Remove a value; none is fine. Returns whether it is removed as widely as the cache promises, as `set` does."""
        ...

    async def close(self) -> None:
        """Give up all connections. Calls after that raise `Unavailable`."""
        ...


def check_cache_key(key: str) -> str:
    """Return `key` when it is `namespace:rest`, else raise `BadInput`.

    The namespace is [a-z0-9][a-z0-9._-]*, so that two users of one server never meet; the rest is visible ASCII without
    spaces. Together they have at most 250 characters: digest what is longer, and what is secret.
    """
    if len(key) > MAX_CACHE_KEY_LENGTH or not _CACHE_KEY.fullmatch(key):
        raise BadInput(
            f"{key[:80]!r} is no key of a cache; write namespace:rest in visible ASCII, "
            f"at most {MAX_CACHE_KEY_LENGTH} characters."
        )
    return key


def check_cache_keys(keys: Sequence[str]) -> None:
    """Raise `BadInput` for a malformed key and for too many of them."""
    if len(keys) > MAX_CACHE_KEYS:
        raise BadInput(f"{len(keys)} keys of a cache are asked for at once; ask for at most {MAX_CACHE_KEYS}.")
    for key in keys:
        check_cache_key(key)


def check_cache_entry(key: str, value: bytes, ttl: float) -> None:
    """Raise `BadInput` for a malformed key or time, and `TooLarge` for too long a value."""
    check_cache_key(key)
    if len(value) > MAX_CACHE_VALUE_BYTES:
        raise TooLarge(f"The value of {key} has {len(value)} bytes; a cache takes at most {MAX_CACHE_VALUE_BYTES}.")
    if not 0 < ttl <= MAX_CACHE_SECONDS:
        raise BadInput(
            f"The value of {key} is to live for {ttl} s; use more than 0 and at most {MAX_CACHE_SECONDS:.0f}."
        )


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
