"""Outlier ejection: an instance that fails where others do not is left alone for a while.

    five failures in a row           eject now
    every ten seconds                of the instances with at least 100 answers, if there are at least five: eject those
                                     whose success rate is more than 1.9 standard deviations below the mean
    never more                       than 10 % of all at once, but one of two or more; never the only one
    for how long                     30 s x how often it was ejected, at most 300 s; each ten seconds without a new
                                     ejection take one off that count

Numbers and rules are those of Envoy's outlier detection.
"""

import math
from collections.abc import Sequence
from typing import Protocol

CONSECUTIVE = 5
INTERVAL_SECONDS = 10.0
BASE_SECONDS = 30.0
MOST_SECONDS = 300.0
DEVIATIONS = 1.9
LEAST_ANSWERS = 100
LEAST_INSTANCES = 5
_MOST_SHARE = 0.1


class Observed(Protocol):
    """What is known of an instance. The interval's counts are set to zero by `sweep`."""

    ejected_until: float
    ejections: int
    interval_answers: int
    interval_failures: int


def eject(everybody: Sequence[Observed], one: Observed, now: float) -> bool:
    """Leave an instance alone if not too many are already; return whether it is left alone now."""
    if one.ejected_until > now:
        return True
    out = sum(1 for other in everybody if other.ejected_until > now)
    if out >= most(len(everybody)):
        return False
    one.ejections += 1
    one.ejected_until = now + min(MOST_SECONDS, BASE_SECONDS * one.ejections)
    return True


def most(count: int) -> int:
    """Return how many of so many instances may be ejected at once."""
    return 0 if count < 2 else max(1, int(count * _MOST_SHARE))


def sweep(everybody: Sequence[Observed], now: float) -> None:
    """End an interval: eject who succeeds too rarely, forgive who has behaved, and count anew."""
    rates = [
        (1.0 - one.interval_failures / (one.interval_answers + one.interval_failures), one)
        for one in everybody
        if one.interval_answers + one.interval_failures >= LEAST_ANSWERS
    ]
    behaved = [one for one in everybody if one.ejected_until <= now - INTERVAL_SECONDS]
    if len(rates) >= LEAST_INSTANCES:
        mean = sum(rate for rate, _ in rates) / len(rates)
        deviation = math.sqrt(sum((rate - mean) ** 2 for rate, _ in rates) / len(rates))
        for rate, one in sorted(rates, key=_rate):
            if rate < mean - DEVIATIONS * deviation:
                eject(everybody, one, now)
    for one in behaved:
        if one.ejected_until <= now and one.ejections:
            one.ejections -= 1
    for one in everybody:
        one.interval_answers = one.interval_failures = 0


def _rate(pair: tuple[float, Observed]) -> float:
    return pair[0]
