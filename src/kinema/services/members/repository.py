"""The rows of members. Each method is one transaction; what must not race is decided inside it."""

import msgspec
import sqlalchemy as sa
from sqlalchemy.exc import IntegrityError
from sqlalchemy.ext.asyncio import AsyncConnection

from kinema.core.errors import Conflict, Gone, NotFound
from kinema.model.members import MemberRole
from kinema.services.members.tables import accounts, claims, sessions, tokens
from kinema.storage.ports import Sql

SEEN_STEP_SECONDS = 3600.0
"""How coarse "last seen" is: finer would be a write for each request and a record of habits."""


class AccountRow(msgspec.Struct, frozen=True):
    """An account as it is stored. `name` is empty and `password` None until they are set."""

    account: str
    role: MemberRole
    name: str
    password: str | None


class SessionRow(msgspec.Struct, frozen=True):
    """A signed-in browser. Times are Unix seconds."""

    session: str
    account: str
    client: str
    created_at: float
    seen_at: float
    expires_at: float


class TokenRow(msgspec.Struct, frozen=True):
    """A bearer token without its secret. Times are Unix seconds; `seen_at` is None when it was never used."""

    token: str
    role: MemberRole
    label: str
    created_at: float
    seen_at: float | None


class MemberRepository:
    """Reads and writes accounts, claims, sessions and tokens."""

    def __init__(self, sql: Sql) -> None:
        self._sql = sql

    async def is_claimed(self) -> bool:
        """Say whether there is any account yet."""
        async with self._sql.read() as connection:
            return (await connection.execute(sa.select(accounts.c.account).limit(1))).first() is not None

    async def add_claim(self, digest: str, role: MemberRole, expires_at: float, now: float) -> None:
        """Store a claim; claims that expired more than a day ago are forgotten on the way."""
        async with self._sql.transaction() as connection:
            await connection.execute(sa.delete(claims).where(claims.c.expires_at < now - 86400))
            await connection.execute(sa.insert(claims).values(digest=digest, role=role, expires_at=expires_at))

    async def use_claim(
        self, digest: str, account: str, session_digest: str, session: SessionRow, now: float
    ) -> MemberRole:
        """Turn a claim into an account with a first session, all or nothing. Raises NotFound or Gone."""
        async with self._sql.transaction() as connection:
            claim = (await connection.execute(sa.select(claims).where(claims.c.digest == digest))).one_or_none()
            if claim is None:
                raise NotFound("This claim link is not known here; copy it whole, or ask for a new one.")
            if claim.used_at is not None:
                raise Gone("This claim link has been used; ask for a new one, or sign in.")
            if claim.expires_at <= now:
                raise Gone("This claim link has expired; ask for a new one.")
            await connection.execute(sa.update(claims).where(claims.c.digest == digest).values(used_at=now))
            await connection.execute(
                sa.insert(accounts).values(account=account, role=claim.role, name="", created_at=now)
            )
            await _insert_session(connection, session_digest, session)
            role: MemberRole = claim.role
            return role

    async def account(self, account: str) -> AccountRow:
        """Return an account. Raises NotFound."""
        found = await self._account_where(accounts.c.account == account)
        if found is None:
            raise NotFound("This account does not exist any more; ask the operator for a new claim link.")
        return found

    async def account_by_name(self, name_key: str) -> AccountRow | None:
        """Return the account with this name, in the form in which names are compared."""
        return await self._account_where(accounts.c.name_key == name_key)

    async def set_password(self, account: str, name: str, name_key: str, password: str, keep_session: str) -> None:
        """Set name and password and end the account's other sessions. Raises Conflict when the name is taken."""
        change = sa.update(accounts).where(accounts.c.account == account)
        try:
            async with self._sql.transaction() as connection:
                await connection.execute(change.values(name=name, name_key=name_key, password=password))
                await connection.execute(
                    sa.delete(sessions).where(sessions.c.account == account, sessions.c.session != keep_session)
                )
        except IntegrityError as error:
            raise Conflict(f"The name {name!r} is taken; choose another one.") from error

    async def update_hash(self, account: str, old: str, new: str) -> None:
        """Replace a password's hash by one with newer parameters, unless it was changed meanwhile."""
        async with self._sql.transaction() as connection:
            await connection.execute(
                sa.update(accounts)
                .where(accounts.c.account == account, accounts.c.password == old)
                .values(password=new)
            )

    async def add_session(self, digest: str, row: SessionRow) -> None:
        """Store a session; the account's expired ones are forgotten on the way."""
        async with self._sql.transaction() as connection:
            await connection.execute(
                sa.delete(sessions).where(sessions.c.account == row.account, sessions.c.expires_at <= row.created_at)
            )
            await _insert_session(connection, digest, row)

    async def session_by_digest(self, digest: str) -> tuple[SessionRow, AccountRow] | None:
        """Return the session with this secret's digest and its account."""
        query = (
            sa.select(sessions, accounts.c.role, accounts.c.name, accounts.c.password)
            .join(accounts, accounts.c.account == sessions.c.account)
            .where(sessions.c.digest == digest)
        )
        async with self._sql.read() as connection:
            row = (await connection.execute(query)).one_or_none()
        if row is None:
            return None
        return _session(row), AccountRow(account=row.account, role=row.role, name=row.name, password=row.password)

    async def sessions_of(self, account: str, now: float) -> tuple[SessionRow, ...]:
        """Return an account's sessions that have not expired, the newest first."""
        query = (
            sa.select(sessions)
            .where(sessions.c.account == account, sessions.c.expires_at > now)
            .order_by(sessions.c.created_at.desc(), sessions.c.session.desc())
        )
        async with self._sql.read() as connection:
            return tuple(_session(row) for row in await connection.execute(query))

    async def end_session(self, session: str, account: str | None) -> None:
        """Delete a session, of this account only unless that is None. Raises NotFound."""
        condition = sessions.c.session == session
        if account is not None:
            condition = sa.and_(condition, sessions.c.account == account)
        async with self._sql.transaction() as connection:
            if not (await connection.execute(sa.delete(sessions).where(condition))).rowcount:
                raise NotFound("There is no such session; it may have ended already.")

    async def seen(self, digest: str, now: float, *, bearer: bool) -> None:
        """Note that a session or token was used."""
        table = tokens if bearer else sessions
        async with self._sql.transaction() as connection:
            await connection.execute(sa.update(table).where(table.c.digest == digest).values(seen_at=now))

    async def add_token(self, digest: str, row: TokenRow) -> None:
        """Store a bearer token."""
        async with self._sql.transaction() as connection:
            await connection.execute(sa.insert(tokens).values(digest=digest, **msgspec.structs.asdict(row)))

    async def token_by_digest(self, digest: str) -> TokenRow | None:
        """Return the bearer token with this secret's digest."""
        async with self._sql.read() as connection:
            row = (await connection.execute(sa.select(tokens).where(tokens.c.digest == digest))).one_or_none()
        return None if row is None else _token(row)

    async def token(self, token: str) -> TokenRow | None:
        """Return the bearer token with this id."""
        async with self._sql.read() as connection:
            row = (await connection.execute(sa.select(tokens).where(tokens.c.token == token))).one_or_none()
        return None if row is None else _token(row)

    async def tokens(self) -> tuple[TokenRow, ...]:
        """Return all bearer tokens, the newest first."""
        query = sa.select(tokens).order_by(tokens.c.created_at.desc(), tokens.c.token.desc())
        async with self._sql.read() as connection:
            return tuple(_token(row) for row in await connection.execute(query))

    async def revoke_token(self, token: str) -> None:
        """Delete a bearer token. Raises NotFound."""
        async with self._sql.transaction() as connection:
            if not (await connection.execute(sa.delete(tokens).where(tokens.c.token == token))).rowcount:
                raise NotFound("There is no such token; it may have been revoked already.")

    async def _account_where(self, condition: sa.ColumnElement[bool]) -> AccountRow | None:
        query = sa.select(accounts.c.account, accounts.c.role, accounts.c.name, accounts.c.password).where(condition)
        async with self._sql.read() as connection:
            row = (await connection.execute(query)).one_or_none()
        return None if row is None else AccountRow(**row._mapping)  # noqa: SLF001 -- SQLAlchemy's documented name


async def _insert_session(connection: AsyncConnection, digest: str, row: SessionRow) -> None:
    await connection.execute(sa.insert(sessions).values(digest=digest, **msgspec.structs.asdict(row)))


def _session(row: sa.Row[*tuple[object, ...]]) -> SessionRow:
    return SessionRow(**{name: row._mapping[name] for name in SessionRow.__struct_fields__})  # noqa: SLF001 -- as above


def _token(row: sa.Row[*tuple[object, ...]]) -> TokenRow:
    return TokenRow(**{name: row._mapping[name] for name in TokenRow.__struct_fields__})  # noqa: SLF001 -- as above
