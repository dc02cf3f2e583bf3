"""What we remember of an instance's answers: how many failed and how long they took, less and less the longer ago.

    fold(now)       every tenth of a second: old sums x 0.5 ** (seconds / half-life), plus what has come since
    failure rate    failures / (failures + answers + 20): a single failure among few answers is no proof, and with time
                    every instance is innocent again, so that one which gets nothing any more is tried again
    latency         seconds / answers; with fewer than five answers nothing is said

The two and the server's own utilisation become one factor, the penalty: 1 for a healthy instance. Each counts only from where
an instance clearly differs from a healthy one: small differences are noise, and who ranks by noise sends everything to the
luckiest.

Three measures of one server, decayed, are what Netflix's "Rethinking Netflix's Edge Load Balancing" (2018) joins.
"""

HALF_LIFE_SECONDS = 5.0
_PRIOR = 20.0
_LEAST_ANSWERS = 5.0
_FAILING_FROM = 0.05  # failure rate, from here on it counts
_FAILURE_WEIGHT = 20.0
_SLOWER_BY = 1.5  # times the mean of all, from here on latency counts
_MOST_SLOWNESS = 10.0
_BUSY_FROM = 0.6  # reported utilisation, from here on it counts
_BUSY_WEIGHT = 10.0
_REPORT_SECONDS = 5.0  # how long a report of utilisation is believed


class Health:
    """Sums of one instance; `answers`, `failures` and `seconds` are added to directly since the last `fold`."""

    __slots__ = ("_at", "answers", "failures", "old_answers", "old_failures", "old_seconds", "seconds")

    def __init__(self, now: float) -> None:
        self._at = now
        self.answers = 0
        self.failures = 0
        self.seconds = 0.0
        self.old_answers = 0.0
        self.old_failures = 0.0
        self.old_seconds = 0.0

    def fold(self, now: float) -> None:
        """Let the past fade, and add the present to it."""
        decay = 0.5 ** ((now - self._at) / HALF_LIFE_SECONDS)
        self._at = now
        self.old_answers = self.old_answers * decay + self.answers
        self.old_failures = self.old_failures * decay + self.failures
        self.old_seconds = self.old_seconds * decay + self.seconds
        self.answers = self.failures = 0
        self.seconds = 0.0

    @property
    def failure_rate(self) -> float:
        """Return failures in all that came back, from 0 to just below 1."""
        return self.old_failures / (self.old_answers + self.old_failures + _PRIOR)

    @property
    def latency(self) -> float | None:
        """Return the mean time of an answer in seconds, None when too few came lately."""
        return self.old_seconds / self.old_answers if self.old_answers >= _LEAST_ANSWERS else None


def penalty(failure_rate: float, latency: float | None, mean_latency: float | None, utilisation: float) -> float:
    """Return by how many times dearer than a healthy one an instance is; `utilisation` from 0 to 1 as it reported."""
    dearer = 1.0 + _FAILURE_WEIGHT * max(0.0, failure_rate - _FAILING_FROM)
    if latency is not None and mean_latency:
        dearer *= min(_MOST_SLOWNESS, max(1.0, latency / (mean_latency * _SLOWER_BY)))
    if utilisation > _BUSY_FROM:
        dearer *= 1.0 + _BUSY_WEIGHT * (utilisation - _BUSY_FROM)
    return dearer


def believed(utilisation: float, age_seconds: float) -> float:
    """Return a reported utilisation, or 0 when the report is too old to mean anything."""
    return utilisation if age_seconds <= _REPORT_SECONDS else 0.0
