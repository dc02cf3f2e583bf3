"""The identity under which an instance calls others on its own behalf, sealed anew twice a minute."""

from kinema.core.clock import Clock
from kinema.core.identity import HEADER, LIFETIME_SECONDS, seal, service_identity
from kinema.core.keys import KeyRing

IDENTITY = HEADER.encode()
_RENEW_SECONDS = LIFETIME_SECONDS / 2


class Badge:
    """Seals `service_identity(instance)` when the last seal is half used up."""

    def __init__(self, instance: str, keys: KeyRing, clock: Clock) -> None:
        self._instance = instance
        self._keys = keys
        self._clock = clock
        self._sealed = b""
        self._sealed_at = float("-inf")

    def header(self) -> tuple[bytes, bytes]:
        """Return the header field that says who calls."""
        now = self._clock.monotonic()
        if now - self._sealed_at >= _RENEW_SECONDS:
            self._sealed = seal(service_identity(self._instance, self._clock.now()), self._keys).encode()
            self._sealed_at = now
        return IDENTITY, self._sealed
