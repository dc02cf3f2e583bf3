"""Fewer log lines in an outage: of many that say the same, one a second is written, and it says how many were left out."""

from collections.abc import Hashable

from kinema.core.clock import Clock

_SECONDS = 1.0


class Sparing:
    """Decides which lines to write. Keys are few: they are remembered for ever."""

    def __init__(self, clock: Clock) -> None:
        self._clock = clock
        self._written: dict[Hashable, float] = {}
        self._left_out: dict[Hashable, int] = {}

    def left_out(self, key: Hashable) -> int | None:
        """Return how many lines of this key were left out since the last that was written; None: leave this one out too."""
        now = self._clock.monotonic()
        last = self._written.get(key)
        if last is not None and now - last < _SECONDS:
            self._left_out[key] = self._left_out.get(key, 0) + 1
            return None
        self._written[key] = now
        return self._left_out.pop(key, 0)
