"""What caches of several servers ask of a circuit breaker; `kinema.resilience.CircuitBreaker` is one, wiring hands it in."""

from typing import Protocol


class Breaker(Protocol):
    """Keeps calls away from a server that fails: `allow` before each call, then one of the others after it."""

    def allow(self) -> bool:
        """Say whether a call may be made now."""
        ...

    def success(self, seconds: float) -> None:
        """The server answered, after so many seconds."""
        ...

    def failure(self, seconds: float) -> None:
        """The server did not."""
        ...

    def release(self, seconds: float) -> None:
        """The call ended without a verdict."""
        ...
