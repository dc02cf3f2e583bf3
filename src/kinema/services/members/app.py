"""The members service's app: its parts put together."""

from litestar import Litestar

from kinema.core.clock import Clock
from kinema.core.keys import KeyRing
from kinema.rpc.service import create_app
from kinema.services.members.endpoints import ROUTES
from kinema.services.members.passwords import Passwords
from kinema.services.members.repository import MemberRepository
from kinema.services.members.service import Members
from kinema.storage.ports import Sql


def create_members(
    *,
    instance: str,
    sql: Sql,
    keys: KeyRing,
    clock: Clock,
    session_days: int,
    passwords: Passwords | None = None,
) -> Litestar:
    """Return the app of one members instance; it brings its tables up to date when it starts.

    `session_days` is how long a browser stays signed in; `passwords` hashes, by RFC 9106's second recommendation unless
    given. The caller owns `sql` and closes it after the app.
    """
    members = Members(MemberRepository(sql), passwords or Passwords(), clock, session_days)

    async def migrate() -> None:
        await sql.migrate("members")

    return create_app(
        service="members",
        instance=instance,
        keys=keys,
        clock=clock,
        routes=ROUTES,
        provide={"members": members},
        on_startup=[migrate],
    )
