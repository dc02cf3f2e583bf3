"""Signing in and being recognised.

A session's secret lives in a cookie, a token's secret in a script; both are looked up by digest. Whoever presents neither,
or one that expired or was revoked, is nobody (401). Signing in costs the same work for names that exist and names that do
not, and is limited by name and by address before any of that work is done.
"""

import msgspec

from kinema.core import log
from kinema.core.clock import Clock
from kinema.core.errors import Forbidden, KinemaError, NotFound, Unauthenticated
from kinema.core.identity import Identity
from kinema.core.ids import new_id
from kinema.model.members import MemberRole, NewPassword, Who
from kinema.services.members import minting
from kinema.services.members.names import check_name, check_password, name_key
from kinema.services.members.passwords import Passwords
from kinema.services.members.repository import (
    SEEN_STEP_SECONDS,
    AccountRow,
    MemberRepository,
    SessionRow,
    TokenRow,
)
from kinema.services.members.secrets import digest, is_bearer, new_secret
from kinema.services.members.throttle import Rate, Throttle

_BY_NAME_AND_ADDRESS = Rate(interval=30.0, burst=10)
_BY_NAME = Rate(interval=3.0, burst=100)  # wide, so that a stranger's attempts do not lock the owner of a name out
_BY_ADDRESS = Rate(interval=6.0, burst=30)
_TOKEN_PREFIX = "tok_"  # noqa: S105 -- the prefix of an id, no secret
_CLIENT_LENGTH = 200
_DAY = 86400.0
_logger = log.get_logger(__name__)


class SignedIn(msgspec.Struct, frozen=True):
    """Who has just signed in, the secret for the cookie, and the session's lifetime in seconds."""

    who: Who
    secret: str
    seconds: int


class Members:
    """Accounts, sessions, tokens."""

    def __init__(self, repository: MemberRepository, passwords: Passwords, clock: Clock, session_days: int) -> None:
        self._repository = repository
        self._passwords = passwords
        self._clock = clock
        self._session_seconds = session_days * _DAY
        self._by_name_and_address = Throttle(clock, _BY_NAME_AND_ADDRESS)
        self._by_name = Throttle(clock, _BY_NAME)
        self._by_address = Throttle(clock, _BY_ADDRESS)

    async def claim(self, token: str, client: str) -> SignedIn:
        """Turn a claim's secret into an account and sign it in. Raises NotFound, or Gone when it was used or has expired."""
        session, secret = self._new_session(new_id("acc", self._clock), client)
        role = await self._repository.use_claim(
            digest(token), session.account, digest(secret), session, self._clock.now()
        )
        return self._signed_in(AccountRow(session.account, role, "", None), session, secret)

    async def sign_in(self, name: str, password: str, address: str, client: str) -> SignedIn:
        """Sign in by name and password. Raises Unauthenticated, without saying which was wrong, or TooMany."""
        key = name_key(name)
        self._by_address.attempt(address)
        self._by_name_and_address.attempt(f"{address}\n{key}")
        self._by_name.attempt(key)
        account = await self._repository.account_by_name(key)
        stored = None if account is None else account.password
        if not await self._passwords.verify(stored, password) or account is None or stored is None:
            raise Unauthenticated("The name or the password is wrong; try again.")
        if self._passwords.outdated(stored):
            await self._repository.update_hash(account.account, stored, await self._passwords.hash(password))
        session, secret = self._new_session(account.account, client)
        await self._repository.add_session(digest(secret), session)
        return self._signed_in(account, session, secret)

    async def is_claimed(self) -> bool:
        """Say whether anybody has an account here yet."""
        return await self._repository.is_claimed()

    async def verify(self, secret: str) -> Who:
        """Return who carries this secret of a session or token. Raises Unauthenticated."""
        known = digest(secret)
        now = self._clock.now()
        if is_bearer(secret):
            token = await self._repository.token_by_digest(known)
            if token is None:
                raise Unauthenticated(
                    "The bearer token is not known here or was revoked; make one with `kinema token`."
                )
            await self._note(known, token.seen_at or 0.0, now, bearer=True)
            return Who(account=token.token, role=token.role, session=token.token, name=token.label)
        found = await self._repository.session_by_digest(known)
        if found is None:
            raise Unauthenticated("Nobody is signed in by this session any more; sign in again.")
        session, account = found
        if session.expires_at <= now:
            raise Unauthenticated("The session has expired; sign in again.")
        await self._note(known, session.seen_at, now, bearer=False)
        return _who(account, session.session)

    async def who(self, identity: Identity) -> Who:
        """Return who an identity is, with the name. Raises Unauthenticated when the account is gone."""
        if identity.account.startswith(_TOKEN_PREFIX):
            token = await self._repository.token(identity.account)
            if token is None:
                raise Unauthenticated("The bearer token was revoked; make one with `kinema token`.")
            return Who(account=token.token, role=token.role, session=token.token, name=token.label)
        try:
            return _who(await self._repository.account(identity.account), identity.session)
        except NotFound as error:
            raise Unauthenticated(error.detail) from error

    async def set_password(self, identity: Identity, wanted: NewPassword) -> Who:
        """Set the account's name and password and sign its other browsers out.

        Raises Forbidden for bearer tokens and when the present password is not given right, Conflict when the name is
        taken, BadInput for a name or password that cannot be chosen.
        """
        if identity.account.startswith(_TOKEN_PREFIX):
            raise Forbidden("A bearer token has no password; sign in with a browser to set yours.")
        shown, key = check_name(wanted.name)
        check_password(wanted.password)
        account = await self._repository.account(identity.account)
        if account.password is not None:
            self._by_name_and_address.attempt(_key_of_account(account.account))
            if not await self._passwords.verify(account.password, wanted.current):
                raise Forbidden("The present password is wrong; give it in `current` to set a new one.")
        hashed = await self._passwords.hash(wanted.password)
        await self._repository.set_password(account.account, shown, key, hashed, identity.session)
        return Who(account=account.account, role=account.role, session=identity.session, name=shown)

    async def invite(self, role: MemberRole) -> tuple[str, float]:
        """Make a claim; return its secret and its expiry in Unix seconds."""
        return await minting.new_claim(self._repository, self._clock, role)

    async def sessions(self, identity: Identity) -> tuple[SessionRow, ...]:
        """Return the sessions of the account that asks."""
        return await self._repository.sessions_of(identity.account, self._clock.now())

    async def end_session(self, identity: Identity, session: str) -> None:
        """End a session of one's own; an operator ends anybody's. Raises NotFound."""
        await self._repository.end_session(session, identity.account if identity.role == "viewer" else None)

    async def sign_out(self, identity: Identity) -> None:
        """End the session that asks; none is fine, it is over either way."""
        try:
            await self._repository.end_session(identity.session, identity.account)
        except NotFound:
            return

    async def tokens(self) -> tuple[TokenRow, ...]:
        """Return all bearer tokens."""
        return await self._repository.tokens()

    async def new_token(self, role: MemberRole, label: str) -> tuple[TokenRow, str]:
        """Make a bearer token; return its row and its secret."""
        return await minting.new_token(self._repository, self._clock, role, label)

    async def revoke_token(self, token: str) -> None:
        """Make a bearer token useless. Raises NotFound."""
        await self._repository.revoke_token(token)

    async def _note(self, known: str, seen_at: float, now: float, *, bearer: bool) -> None:
        if now - seen_at < SEEN_STEP_SECONDS:
            return
        try:
            await self._repository.seen(known, now, bearer=bearer)
        except KinemaError as error:  # a full disk must not sign everybody out
            _logger.warning("last use was not noted", error=str(error))

    def _new_session(self, account: str, client: str) -> tuple[SessionRow, str]:
        now = self._clock.now()
        row = SessionRow(
            session=new_id("ses", self._clock),
            account=account,
            client="".join(letter for letter in client if letter.isprintable())[:_CLIENT_LENGTH],
            created_at=now,
            seen_at=now,
            expires_at=now + self._session_seconds,
        )
        return row, new_secret()

    def _signed_in(self, account: AccountRow, session: SessionRow, secret: str) -> SignedIn:
        return SignedIn(who=_who(account, session.session), secret=secret, seconds=int(self._session_seconds))


def _key_of_account(account: str) -> str:
    """Return the throttle's key for password changes of an account; it cannot be a name, which has no line breaks."""
    return f"\n{account}"


def _who(account: AccountRow, session: str) -> Who:
    return Who(account=account.account, role=account.role, session=session, name=account.name)
