"""Multi-window, multi-burn-rate alerts: is the error budget being used up faster than it may be?

    burn rate = (share of bad requests in a window) / (share that may be bad)        1: the budget ends with its period

An alert has two windows and a factor, and fires while both windows burn at least that fast: the long one says that it
matters, the short one that it still goes on, so that the alert ends soon after the trouble. The four pairs are those of
"The Site Reliability Workbook", chapter 5, table 5-8: with a period of 30 days they fire when 2 % of it was used within one
hour, 5 % within six, 10 % within one day (a factor of 3) or three days (1).
"""

from collections.abc import Callable
from typing import Literal

import msgspec


class Window(msgspec.Struct, frozen=True):
    """One alert: windows in seconds, the factor at which it fires, and how urgent it is."""

    long: int
    short: int
    factor: float
    severity: Literal["page", "ticket"]


WINDOWS = (
    Window(3600, 300, 14.4, "page"),
    Window(6 * 3600, 1800, 6.0, "page"),
    Window(24 * 3600, 2 * 3600, 3.0, "ticket"),
    Window(72 * 3600, 6 * 3600, 1.0, "ticket"),
)

SPANS = tuple(sorted({seconds for window in WINDOWS for seconds in (window.long, window.short)}))
"""Every length that is looked at, in seconds."""

Counts = Callable[[int], tuple[int, int]]
"""Good and all requests of the last so many seconds."""


def burn_rate(good: int, total: int, objective: float) -> float:
    """Return how fast the budget of an objective (0 to 1, exclusive) was used; 0 without requests."""
    return (total - good) / total / (1.0 - objective) if total else 0.0


def fires(window: Window, counts: Counts, objective: float) -> bool:
    """Say whether both windows burn faster than the factor."""
    return all(burn_rate(*counts(seconds), objective) > window.factor for seconds in (window.long, window.short))


def budget_left(good: int, total: int, objective: float) -> float:
    """Return what is left of the budget of a period with these requests: 1 untouched, 0 used up, negative overdrawn."""
    return 1.0 - burn_rate(good, total, objective)
