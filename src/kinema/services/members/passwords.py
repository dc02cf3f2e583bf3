"""Passwords by argon2id (RFC 9106), worked out in threads, a few at a time: each takes 64 MiB and tens of milliseconds."""

import asyncio
from collections.abc import Callable
from typing import ParamSpec, TypeVar

from argon2 import PasswordHasher
from argon2.exceptions import InvalidHashError, VerificationError

from kinema.core.errors import Unavailable

_AT_ONCE = 2
_WAITING = 32

P = ParamSpec("P")
R = TypeVar("R")


class Passwords:
    """Hashes and verifies passwords off the event loop."""

    def __init__(self, hasher: PasswordHasher | None = None) -> None:
        self._hasher = hasher or PasswordHasher()
        self._slots = asyncio.Semaphore(_AT_ONCE)
        self._pending = 0
        self._decoy: str | None = None

    async def hash(self, password: str) -> str:
        """Return the encoded hash, salted anew. Raises Unavailable when too many wait already."""
        return await self._work(self._hasher.hash, password)

    async def verify(self, stored: str | None, password: str) -> bool:
        """Say whether the password fits. With nothing stored the answer is no, and takes the same work."""
        if stored is None:
            if self._decoy is None:
                self._decoy = await self.hash("nobody has this password")
            await self._work(self._fits, self._decoy, password)
            return False
        return await self._work(self._fits, stored, password)

    def outdated(self, stored: str) -> bool:
        """Say whether the hash was made with other parameters than today's and should be made anew."""
        return self._hasher.check_needs_rehash(stored)

    def _fits(self, stored: str, password: str) -> bool:
        try:
            return self._hasher.verify(stored, password)
        except (VerificationError, InvalidHashError):
            return False

    async def _work(self, function: Callable[P, R], *args: P.args, **kwargs: P.kwargs) -> R:
        if self._pending >= _AT_ONCE + _WAITING:
            raise Unavailable("Too many people are signing in at this moment; try again in a few seconds.")
        self._pending += 1
        try:
            async with self._slots:
                return await asyncio.to_thread(function, *args, **kwargs)
        finally:
            self._pending -= 1
