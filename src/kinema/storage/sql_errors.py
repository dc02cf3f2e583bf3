"""What database drivers report about the server's state, as the errors of `core.errors`. Everything else passes as it is."""

from collections.abc import Iterator
from contextlib import contextmanager

from sqlalchemy.exc import OperationalError
from sqlalchemy.exc import TimeoutError as PoolTimeout

from kinema.core.errors import KinemaError, StorageFull, Unavailable

_FULL = ("database or disk is full", "no space left on device", "could not extend file", "disk full")
_BUSY = ("is locked", "lock timeout", "canceling statement due to statement timeout")
_LOST = ("unable to open database file", "disk i/o error", "connection")


@contextmanager
def translated(database: str) -> Iterator[None]:
    """Raise `StorageFull` or `Unavailable` for a full, busy or unreachable `database` (its name for people)."""
    try:
        yield
    except PoolTimeout as error:
        raise Unavailable(f"The database {database} has no connection to spare; try again shortly.") from error
    except OperationalError as error:
        if (known := _known(error, database)) is None:
            raise
        raise known from error


def _known(error: OperationalError, database: str) -> KinemaError | None:
    text = str(error.orig).lower()
    if any(sign in text for sign in _FULL):
        return StorageFull(f"The disk of the database {database} is full; free some space and try again.")
    if any(sign in text for sign in _BUSY):
        return Unavailable(f"The database {database} is busy; try again shortly.")
    if error.connection_invalidated or any(sign in text for sign in _LOST):
        return Unavailable(f"The database {database} cannot be reached ({error.orig}); try again shortly.")
    return None
