"""How long a request has waited when its turn comes, told by the turns of an event loop.

A server on an event loop has no line that could be asked: who waits lies in the kernel until the loop polls again.

    turn n - 1    polls, and works; meanwhile a request comes in
    turn n        its poll finds the request; it is read behind the work of this turn
    turn n + 1    the request begins, behind those that were read before it
    so it came    between the polls of n - 1 and n: in the middle of them, on average
    first come    when no request was worked on in the last two turns, none was in the way: who comes now has not waited for one

Turns in which requests are worked on are followed by two that are told, too, so the polls are known whenever there is a line; an
idle loop is left alone. A loop that other work makes late, while no request waits for another, shows no wait: leaving out requests would
not help there.
"""

_TURNS_BETWEEN = 2  # from the turn in which a request comes in to the one in which it begins


class Turns:
    """Pure: `now` in seconds of a steady clock comes with each call. Whoever holds the loop calls `turned` as each turn begins."""

    __slots__ = ("_earlier", "_idle", "_latest", "_present", "told")

    def __init__(self) -> None:
        self._earlier: float | None = None  # when turn n - 1 began, seen from n + 1
        self._latest: float | None = None
        self._present = 0.0
        self._idle = 0
        self.told = False
        """Whether the coming turn will be told; if not, whoever calls `worked` or `began` next has to see to it."""

    def worked(self, now: float) -> None:
        """A request is worked on."""
        self._idle = 0
        if not self.told:
            self.told = True
            self._earlier = self._latest = None
            self._present = now

    def began(self, now: float) -> float:
        """A request begins; return for how long it has waited, in seconds."""
        self.worked(now)
        if self._latest is None:
            return now - self._present
        if self._earlier is None:
            return now - self._latest
        return now - (self._earlier + self._latest) / 2

    def turned(self, now: float) -> bool:
        """A turn begins; return whether to tell the next one, too."""
        self._earlier, self._latest, self._present = self._latest, self._present, now
        self._idle += 1
        self.told = self._idle <= _TURNS_BETWEEN
        return self.told
