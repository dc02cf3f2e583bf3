"""Who a session cookie or bearer token belongs to, as members said within the last ten seconds.

    fresh      verified less than 10 s ago: believed, without waiting
    older      asked again; requests with the same secret share one question
    no answer  members cannot be reached: believed up to a minute longer, so that playing goes on without members
    unknown    remembered for a second, so that a flood with one bad secret asks once

A revoked session is therefore refused within ten seconds. The sealed identity of a session is made once in half a minute.
"""

import asyncio
from typing import TypeVar

from kinema.core import priority
from kinema.core.clock import Clock
from kinema.core.errors import KinemaError, Unauthenticated
from kinema.core.identity import LIFETIME_SECONDS, Identity, seal
from kinema.core.keys import KeyRing
from kinema.core.priority import Priority
from kinema.http import encode_fields
from kinema.model.members import Credential, Who
from kinema.rpc.badge import IDENTITY
from kinema.rpc.client import Rpc

V = TypeVar("V")

_FRESH_SECONDS = 10.0
_GRACE_SECONDS = 60.0
_UNKNOWN_SECONDS = 1.0
_SEALED_SECONDS = LIFETIME_SECONDS / 2
_MOST = 20_000
_LONGEST_SECRET = 512


class Session:
    """A verified credential."""

    __slots__ = ("line", "sealed_at", "verified_at", "who")

    def __init__(self, who: Who, verified_at: float) -> None:
        self.who = who
        self.verified_at = verified_at
        self.line = b""
        self.sealed_at = float("-inf")


class Sessions:
    """A bounded cache of sessions by secret; the ones verified longest ago are dropped first."""

    def __init__(self, rpc: Rpc, keys: KeyRing, clock: Clock) -> None:
        self._rpc = rpc
        self._keys = keys
        self._clock = clock
        self._known: dict[bytes, Session] = {}
        self._unknown: dict[bytes, float] = {}
        self._asking: dict[bytes, asyncio.Task[Session]] = {}

    def fresh(self, secret: bytes) -> Session | None:
        """Return the session when it needs no question; never waits. Raises Unauthenticated for one just refused."""
        session = self._known.get(secret)
        now = self._clock.monotonic()
        if session is not None:
            return session if now - session.verified_at < _FRESH_SECONDS else None
        refused_at = self._unknown.get(secret)
        if refused_at is not None and now - refused_at < _UNKNOWN_SECONDS:
            raise _unknown()
        return None

    async def verify(self, secret: bytes) -> Session:
        """Return the session, asking members if need be. Raises Unauthenticated, or Unavailable when nobody can say."""
        if len(secret) > _LONGEST_SECRET:
            raise _unknown()
        session = self.fresh(secret)
        if session is not None:
            return session
        task = self._asking.get(secret)
        if task is None:
            task = self._asking[secret] = asyncio.create_task(self._ask(secret))
            task.add_done_callback(lambda _: self._asking.pop(secret, None))
        # Shielded: the question is shared, so one client that goes away must not end it for the others.
        return await asyncio.shield(task)

    def identity_line(self, session: Session) -> bytes:
        """Return the encoded identity header of a session."""
        now = self._clock.monotonic()
        if now - session.sealed_at >= _SEALED_SECONDS:
            who = session.who
            identity = Identity(who.account, who.role, who.session, self._clock.now() + LIFETIME_SECONDS)
            session.line = encode_fields(((IDENTITY, seal(identity, self._keys).encode()),))
            session.sealed_at = now
        return session.line

    def forget_all(self) -> None:
        """Ask again at the next request with any secret; what was known still bridges a time without members."""
        for session in self._known.values():
            session.verified_at = min(session.verified_at, self._clock.monotonic() - _FRESH_SECONDS)

    async def _ask(self, secret: bytes) -> Session:
        known = self._known.get(secret)
        priority.current.set(Priority.CRITICAL)  # in this task only: every request of the session waits for the answer
        try:
            credential = Credential(secret.decode("ascii"))
            who = await self._rpc.call("members", "POST", "/v1/internal/sessions/verify", credential, type=Who)
        except (Unauthenticated, UnicodeDecodeError) as error:
            self._known.pop(secret, None)
            _put(self._unknown, secret, self._clock.monotonic())
            raise _unknown() from error
        except KinemaError:
            if known is not None and self._clock.monotonic() - known.verified_at < _FRESH_SECONDS + _GRACE_SECONDS:
                return known
            raise
        session = Session(who, self._clock.monotonic())
        if known is not None and known.who == who:
            session.line, session.sealed_at = known.line, known.sealed_at
        _put(self._known, secret, session)
        return session


def _put(table: dict[bytes, V], key: bytes, value: V) -> None:
    table.pop(key, None)
    table[key] = value
    if len(table) > _MOST:
        del table[next(iter(table))]


def _unknown() -> Unauthenticated:
    return Unauthenticated("The session or token is not valid any more; sign in again.")
