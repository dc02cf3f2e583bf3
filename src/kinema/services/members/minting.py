"""What the command line does with members' own database, whether the region is up or down. Each migrates it first."""

from kinema.core.clock import Clock
from kinema.core.ids import new_id
from kinema.model.members import MemberRole
from kinema.services.members.repository import MemberRepository, TokenRow
from kinema.services.members.secrets import digest, new_bearer, new_secret
from kinema.storage.ports import Sql

CLAIM_SECONDS = 24 * 3600.0
"""How long a claim link works."""


async def mint_token(sql: Sql, clock: Clock, role: MemberRole, label: str = "made by `kinema token`") -> str:
    """Make a bearer token for scripts and return its secret, which is shown this once."""
    await sql.migrate("members")
    _, secret = await new_token(MemberRepository(sql), clock, role, label)
    return secret


async def mint_claim(sql: Sql, clock: Clock, role: MemberRole) -> str:
    """Make a claim that gives whoever uses it first, within a day, an account of this role; return its secret."""
    await sql.migrate("members")
    secret, _ = await new_claim(MemberRepository(sql), clock, role)
    return secret


async def is_claimed(sql: Sql) -> bool:
    """Say whether anybody has an account here yet."""
    await sql.migrate("members")
    return await MemberRepository(sql).is_claimed()


async def new_token(repository: MemberRepository, clock: Clock, role: MemberRole, label: str) -> tuple[TokenRow, str]:
    """Store a new bearer token; return its row and its secret."""
    secret = new_bearer()
    row = TokenRow(token=new_id("tok", clock), role=role, label=label, created_at=clock.now(), seen_at=None)
    await repository.add_token(digest(secret), row)
    return row, secret


async def new_claim(repository: MemberRepository, clock: Clock, role: MemberRole) -> tuple[str, float]:
    """Store a new claim; return its secret and its expiry in Unix seconds."""
    secret = new_secret()
    expires_at = clock.now() + CLAIM_SECONDS
    await repository.add_claim(digest(secret), role, expires_at, clock.now())
    return secret, expires_at
