"""What the command line needs of the inside: tokens, claims and API documents, whether a region runs or not."""

from __future__ import annotations

import asyncio
from contextlib import asynccontextmanager
from pathlib import Path
from typing import TYPE_CHECKING, Any

from kinema.wiring.parts import open_sql, opened
from kinema.wiring.placement import Placement
from kinema.wiring.services import SERVICES

if TYPE_CHECKING:
    from collections.abc import AsyncIterator

    from kinema.model.members import MemberRole
    from kinema.storage.ports import Sql


async def new_token(data_dir: Path, role: MemberRole) -> str:
    """Make a bearer token on the members' database, whether the region runs or not."""
    from kinema.core.clock import SystemClock
    from kinema.services.members.minting import mint_token

    async with _members_sql(data_dir) as sql:
        return await mint_token(sql, SystemClock(), role)


async def new_claim(data_dir: Path, role: MemberRole) -> str:
    """Make a claim on the members' database, whether the region runs or not; return its secret."""
    from kinema.core.clock import SystemClock
    from kinema.services.members.minting import mint_claim

    async with _members_sql(data_dir) as sql:
        return await mint_claim(sql, SystemClock(), role)


@asynccontextmanager
async def _members_sql(data_dir: Path) -> AsyncIterator[Sql]:
    from kinema.core import settings

    sql = open_sql(data_dir, settings.load(data_dir), "members")
    try:
        yield sql
    finally:
        await sql.close()


def openapi_documents() -> dict[str, dict[str, Any]]:
    """Return each service's OpenAPI document, from apps that are made on an empty directory and never run."""
    import tempfile

    async def describe(data_dir: Path) -> dict[str, dict[str, Any]]:
        placement = Placement("openapi", (), "1", str(data_dir), ())
        async with opened(placement) as parts:
            return {
                service: build(f"{service}-1", parts).openapi_schema.to_schema() for service, build in SERVICES.items()
            }

    with tempfile.TemporaryDirectory() as empty:
        return asyncio.run(describe(Path(empty)))
