"""Content-addressed blobs: the key says what the bytes are, so a blob of that key is the right one.

Digests are SHA-256 in lower-case hexadecimal. Keys are `<prefix>/<first two digits>/<digest>`: the level in between keeps
directories of a file system small.
"""

import asyncio
import hashlib
import hmac
import re
from collections.abc import AsyncGenerator
from io import FileIO
from pathlib import Path

from kinema.core.errors import BadInput, TooLarge, Unavailable
from kinema.storage.ports import AlreadyExists, Blobs, local_path

_DIGEST = re.compile(r"[0-9a-f]{64}", re.ASCII)
_CHUNK = 1 << 20


def content_key(prefix: str, digest: str) -> str:
    """The key of the blob beneath `prefix` that has this digest. `BadInput` when it is no SHA-256 in hexadecimal."""
    if not _DIGEST.fullmatch(digest):
        raise BadInput(f"{digest[:80]!r} is no digest; a digest is 64 digits of lower-case hexadecimal.")
    return f"{prefix}/{digest[:2]}/{digest}"


async def store(blobs: Blobs, prefix: str, body: bytes | Path) -> str:
    """Store bytes or a copy of a local file under its digest and return the digest. Stored already is fine.

    A file is digested again while it is copied, so one that changes meanwhile is refused (`Unavailable`) and
    never stored under a digest that it does not have.
    """
    if isinstance(body, Path):
        digest = await digest_of_file(body)
        source: bytes | AsyncGenerator[bytes] = _checked(body, digest)
    else:
        digest = (await asyncio.to_thread(hashlib.sha256, body)).hexdigest()
        source = body
    try:
        await blobs.put(content_key(prefix, digest), source)
    except AlreadyExists:
        pass
    finally:
        if not isinstance(source, bytes):
            await source.aclose()
    return digest


async def digest_of_file(path: Path) -> str:
    """SHA-256 of a local file, computed in a thread."""

    def work() -> str:
        with path.open("rb") as file:
            return hashlib.file_digest(file, "sha256").hexdigest()

    return await asyncio.to_thread(work)


async def digest_of_blob(blobs: Blobs, key: str) -> str:
    """SHA-256 of a stored blob, read with bounded memory. `NotFound` when there is none."""
    digest = hashlib.sha256()
    async for chunk in blobs.get(key):
        await asyncio.to_thread(digest.update, chunk)
    return digest.hexdigest()


async def verify(blobs: Blobs, prefix: str, digest: str) -> bool:
    """Whether the stored blob still has the digest that its key claims. `NotFound` when there is none."""
    return hmac.compare_digest(await digest_of_blob(blobs, content_key(prefix, digest)), digest)


async def read_all(blobs: Blobs, key: str, limit: int = 64 << 20) -> bytes:
    """A whole blob in memory. `NotFound` when there is none, `TooLarge` when it has more than `limit` bytes."""
    parts = bytearray()
    async for chunk in blobs.get(key):
        parts += chunk
        if len(parts) > limit:
            raise TooLarge(f"The blob {key} has more than {limit} bytes, too many to hold in memory.")
    return bytes(parts)


async def fetch(blobs: Blobs, key: str, copy: Path) -> Path:
    """Return a local file with a blob's bytes: the blob's own where it is one, else `copy`, downloaded if it is not there yet."""
    if (own := local_path(blobs, key)) is not None:
        return own
    if not await asyncio.to_thread(copy.exists):
        partial = copy.with_suffix(".partial")
        with partial.open("wb") as file:
            async for chunk in blobs.get(key):
                await asyncio.to_thread(file.write, chunk)
        partial.replace(copy)
    return copy


async def _checked(path: Path, expected: str) -> AsyncGenerator[bytes]:
    """Read a file chunk by chunk and raise at its end unless it had the expected digest."""
    digest = hashlib.sha256()
    with path.open("rb", buffering=0) as file:
        while chunk := await asyncio.to_thread(_read, file, digest):
            yield chunk
    if digest.hexdigest() != expected:
        raise Unavailable(f"{path.name} changed while it was stored; try again when nothing writes to it.")


def _read(file: FileIO, digest: "hashlib._Hash") -> bytes:
    chunk = file.read(_CHUNK)
    digest.update(chunk)
    return chunk
