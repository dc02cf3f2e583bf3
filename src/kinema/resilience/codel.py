"""Controlled delay: tell a queue that only absorbs a burst from one that stands, by the shortest wait in a while.

    a wait was measured       keep the smallest of the present interval, and that of the one before
    the standing delay        the smallest of the last whole interval: in a burst that drains, somebody soon waits not at
                              all; if even the luckiest waited longer than `target`, the queue never emptied
    too few waits             a single long one may be a pause, not a queue: an interval goes on until it has four
    work is known             that will take longer than two intervals: these would show that the queue stands, so it does already
    nobody waited             for longer than an interval: the end of any queue; where turns are long one hears nothing for a
                              while, too, but who comes then has waited all the while
    excess                    how many targets the standing delay is above the target: 0.0 while all is well. While the queue
                              stands, for somebody who knows his own wait that counts: it is of now, the standing delay of
                              an interval ago

This is the estimator of RFC 8289 (sections 3.1 and 3.2) with its `interval`. Its control law (section 3.3) is left out: it drops
ever more often until senders slow down, as TCP does; requests do not, so how much to cut is decided at once, from the excess
(shedding.py). Folly's Codel, which Facebook's servers use for requests, does the same, and judges each by its own wait too. The
target is larger than the RFC's 5 ms: our waits are turns of an event loop, not of a link. It is the one above which WeChat's
services shed ("Overload Control for Scaling WeChat Microservices", 2018).
"""

TARGET_SECONDS = 0.02
INTERVAL_SECONDS = 0.2
_LEAST = 4


class CoDel:
    """Waits of one queue. Pure: `now` in seconds of a steady clock comes with each call."""

    __slots__ = ("_began", "_count", "_heard", "_interval", "_last", "_present", "_rate", "_target")

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
        self._rate = 0.0
        self._began = float("-inf")
        self._heard = float("-inf")

    def waited(self, now: float, seconds: float, ahead: float = 0.0) -> None:
        """Somebody has waited so long, who begins now or, `ahead` seconds of the wait being still to come, after these."""
        if now - (seconds - ahead) >= self._heard + self._interval:
            self._turn(now, None)
        elif self._count >= _LEAST and now >= self._began + self._interval:
            self._rate = self._count / (now - self._began)
            self._turn(now, self._present)
        self._heard = now + ahead
        self._count += 1
        if self._present is None or seconds < self._present:
            self._present = seconds

    def standing(self, now: float) -> float:
        """Return the standing delay in seconds; 0.0 when nobody waited lately."""
        last = self._last
        if last is None or now >= self._heard + self._interval:
            return 0.0
        # Good news counts at once, bad news after a whole interval.
        return last if self._present is None else min(last, self._present)

    def excess(self, now: float, seconds: float | None = None, ahead: float = 0.0) -> float:
        """Return by how many targets the standing delay is above the target, 0.0 when it is not.

        `seconds`: the wait of the one who asks, which counts instead while the queue stands; `ahead` of it are still to come.
        """
        standing = self.standing(now)
        if seconds is not None and (standing > self._target or ahead > 2 * self._interval):
            standing = seconds
        return max(0.0, standing / self._target - 1.0)

    def line(self, seconds: float) -> float:
        """Return how many are in the queue when each waits this long (Little's law)."""
        return self._rate * seconds

    def _turn(self, now: float, last: float | None) -> None:
        self._last = last
        self._present = None
        self._count = 0
        self._began = now
