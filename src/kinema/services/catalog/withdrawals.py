"""Why titles are off the programme. Functions take the connection: the unit of work is the caller's.

An operator withdraws a title for good: what encoding announces later is refused until somebody writes its details again.
Encoding recalls a version of an asset that turned out to be bad: that version and older ones are refused, a newer one of the
same asset, or another asset, brings the title back. Either way one row says when and why.
"""

import sqlalchemy as sa
from sqlalchemy.ext.asyncio import AsyncConnection

from kinema.core.errors import Gone
from kinema.model.catalog import Recall, Withdrawal
from kinema.services.catalog import repository
from kinema.services.catalog.tables import notices, publications, titles, withdrawals

MOST_SHOWN = 200


async def recall(connection: AsyncConnection, title_id: str, recalled: Recall, now: float) -> bool:
    """Take a title off when it is published with this version of this asset or an older one; say whether it was."""
    published = await repository.find_publication(connection, title_id)
    if published is None or published[0] != recalled.asset or published[1] > recalled.manifest_version:
        return False
    await connection.execute(sa.delete(publications).where(publications.c.title_id == title_id))
    await connection.execute(sa.delete(notices).where(notices.c.title_id == title_id))
    await note(connection, title_id, recalled, now)
    return True


async def note(connection: AsyncConnection, title_id: str, recalled: Recall, now: float) -> None:
    """Write down why a title is off."""
    await forget(connection, title_id)
    values = {
        "title_id": title_id,
        "asset": recalled.asset,
        "manifest_version": recalled.manifest_version,
        "reason": recalled.reason,
        "at": now,
    }
    await connection.execute(sa.insert(withdrawals).values(values))


async def forget(connection: AsyncConnection, title_id: str) -> None:
    """Forget why a title was off: it is back."""
    await connection.execute(sa.delete(withdrawals).where(withdrawals.c.title_id == title_id))


async def require_not_recalled(connection: AsyncConnection, title_id: str, asset: str, version: int) -> None:
    """Raise Gone, with the reason, when this version of an asset was recalled."""
    row = (await connection.execute(sa.select(withdrawals).where(withdrawals.c.title_id == title_id))).one_or_none()
    if row is not None and row.asset == asset and version <= row.manifest_version:
        raise Gone(f"Version {version} of title {title_id} was withdrawn: {row.reason}")


async def page(connection: AsyncConnection) -> tuple[Withdrawal, ...]:
    """Return the titles that are off and why, the latest first; at most `MOST_SHOWN`."""
    query = (
        sa.select(withdrawals, titles.c.title)
        .join(titles, titles.c.title_id == withdrawals.c.title_id)
        .order_by(withdrawals.c.at.desc())
        .limit(MOST_SHOWN)
    )
    return tuple(
        Withdrawal(
            title_id=row.title_id,
            title=row.title,
            asset=row.asset,
            manifest_version=row.manifest_version,
            reason=row.reason,
            withdrawn_at=repository.iso(row.at),
        )
        for row in await connection.execute(query)
    )
