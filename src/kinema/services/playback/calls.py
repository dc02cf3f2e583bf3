"""What playback needs of rpc: calls of other services, and who is there."""

from typing import Protocol, TypeVar

from kinema.core.identity import Identity
from kinema.model.discovery import Instance

T = TypeVar("T")


class Calls(Protocol):
    """The part of rpc that playback needs: one call to another service."""

    async def call(
        self,
        service: str,
        method: str,
        path: str,
        *,
        type: type[T],  # noqa: A002 -- rpc's name for it
        identity: Identity | None = None,
    ) -> T:
        """Return the answer; a problem is raised as the matching core error."""
        ...


class Directory(Protocol):
    """The part of discovery that playback needs: who is there."""

    def instances(self, service: str) -> tuple[Instance, ...]:
        """Return the live instances of a service."""
        ...
