"""Controlled delay: tell a queue that only absorbs a burst from one that stands, by the shortest wait in a while.

    a wait was measured       keep the smallest of the present interval, and that of the one before
    the standing delay        the smallest of the last whole interval: in a burst that drains, somebody soon waits not at
                              all; if even the luckiest waited longer than `target`, the queue never emptied
    too few waits             an interval with fewer than four proves nothing: a single long one may be a pause, not a queue
    excess                    how many targets the standing delay is above the target: 0.0 while all is well

This is the estimator of RFC 8289 (sections 3.1 and 3.2) with its `interval`. Its control law (section 3.3) is left out: it drops
ever more often until senders slow down, as TCP does; requests do not, so how much to cut is decided at once, from the excess
(shedding.py). Folly's Codel, which Facebook's servers use for requests, does the same. The target is larger than the RFC's 5 ms:
our waits are turns of an event loop, not of a link.
"""

TARGET_SECONDS = 0.02
INTERVAL_SECONDS = 0.2
_LEAST = 4


class CoDel:
    """Waits of one queue. Pure: `now` in seconds of a steady clock comes with each call."""

    __slots__ = ("_count", "_interval", "_last", "_present", "_target", "_until")

    def __init__(self, target: float = TARGET_SECONDS, interval: float = INTERVAL_SECONDS) -> None:
        if not 0.0 < target < interval:
            raise ValueError(
                f"A target of {target} s in an interval of {interval} s: the target must be the smaller one."
            )
        self._target = target
        self._interval = interval
        self._count = 0
        self._present: float | None = None
        self._last: float | None = None
        self._until = float("-inf")

    def waited(self, now: float, seconds: float) -> None:
        """Somebody who begins now has waited so long."""
        if now >= self._until:
            self._turn(now)
        self._count += 1
        if self._present is None or seconds < self._present:
            self._present = seconds

    def standing(self, now: float) -> float:
        """Return the standing delay in seconds; 0.0 when nobody waited lately."""
        if now >= self._until:
            self._turn(now)
        last = self._last
        if last is None:
            return 0.0
        # Good news counts at once, bad news after a whole interval.
        return last if self._present is None else min(last, self._present)

    def excess(self, now: float) -> float:
        """Return by how many targets the standing delay is above the target, 0.0 when it is not."""
        return max(0.0, self.standing(now) / self._target - 1.0)

    def _turn(self, now: float) -> None:
        # An interval in which nobody came, or a longer pause, is the end of any queue.
        proven = self._count >= _LEAST and now < self._until + self._interval
        self._last = self._present if proven else None
        self._present = None
        self._count = 0
        self._until = now + self._interval
