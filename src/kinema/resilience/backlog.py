"""The work that was let in and cannot be done yet, of a server that does one thing at a time.

What was let in shows in the waits of others only when it has been worked on; a crowd that comes at once would all be let in before.
So the work is counted as it is let in, like water in a bucket that drains a second in a second:

    a request is let in       the bucket rises by what one holds the server, on average; from empty, not from below
    a request is over         what it really held the server moves the average, from 0, by a thirty-second of the difference:
                              a first request may take long, and says little about the next
    the backlog               what is in the bucket, and no more than all requests under way can hold together

Waiting for something else (a database, another service) is no work. The bucket is the virtual queue of Kunniyur and Srikant's
"An Adaptive Virtual Queue (AVQ) Algorithm for Active Queue Management" (2004), at the whole capacity and counted in seconds.
"""

_SHARE = 1 / 32


class Backlog:
    """Pure: `now` in seconds of a steady clock comes with each call."""

    __slots__ = ("_done_at", "_each")

    def __init__(self) -> None:
        self._each = 0.0
        self._done_at = float("-inf")

    def let_in(self, now: float) -> None:
        """A request is let in."""
        self._done_at = max(self._done_at, now) + self._each

    def held(self, seconds: float) -> None:
        """A request is over that held the server for so long."""
        self._each += (seconds - self._each) * _SHARE

    def seconds(self, now: float, under_way: int) -> float:
        """Return how long the server will need for what was let in, with so many requests under way."""
        return max(0.0, min(self._done_at - now, under_way * self._each))
