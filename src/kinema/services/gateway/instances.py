"""Which instances of a service a rule means, worked out once for each list that discovery gives."""

from collections.abc import Callable, Sequence
from zlib import crc32

from kinema.model.discovery import Instance
from kinema.services.gateway.config import Which

Instances = Callable[[str], Sequence[Instance]]


def meant(which: Which, instance: Instance) -> bool:
    """Say whether an instance has this version and this metadata."""
    if which.version and instance.version != which.version:
        return False
    return all(instance.metadata.get(name) == value for name, value in which.metadata.items())


class Split:
    """The addresses of a service's instances, split by a rule into those that it means and the rest."""

    def __init__(self, instances: Instances, service: str, which: Which) -> None:
        self._instances = instances
        self._service = service
        self._which = which
        self._seen: Sequence[Instance] | None = None
        self._meant: tuple[str, ...] = ()
        self._others: tuple[str, ...] = ()

    def now(self) -> tuple[tuple[str, ...], tuple[str, ...]]:
        """Return the addresses that are meant, and the others."""
        seen = self._instances(self._service)
        if seen is not self._seen:
            self._seen = seen
            self._meant = tuple(one.address for one in seen if meant(self._which, one))
            self._others = tuple(one.address for one in seen if not meant(self._which, one))
        return self._meant, self._others


def share(key: str, salt: str) -> float:
    """Return a number from 0 to 100 that is always the same for a key, and evenly spread over keys."""
    return crc32(f"{salt}\0{key}".encode()) / 2**32 * 100.0


def others_than_own(instances: Sequence[Instance], key: str) -> tuple[str, ...]:
    """Return all addresses but the one where this key belongs (rendezvous hashing).

    Each instance has a score for the key, and the highest is the key's own; when instances come or go, only the keys of those
    move (Thaler and Ravishankar, "Using name-based mappings to increase hit rates", 1998).
    """
    own = max(instances, key=lambda one: crc32(f"{one.address}\0{key}".encode()), default=None)
    return tuple(one.address for one in instances if one is not own)
