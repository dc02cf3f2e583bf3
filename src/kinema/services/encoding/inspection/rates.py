"""The constant rate at which a film is encoded, from the times of its pictures.

Distances are constant when nearly all are within a rounding of the median; then the rate is the declared one if it
agrees, else the nearest standard one, else what was measured. Two distances in the proportion 2:3 that take turns are
film at 24 pictures a second whose fields a disc repeats on showing (soft telecine); its rate is the mean. Other varying
distances (a phone, a recorded screen) get the standard rate that keeps all but the fastest tenth of the pictures. Above
60 the rate is halved until it fits.
"""

from fractions import Fraction
from itertools import pairwise

STANDARD_RATES = (
    Fraction(24000, 1001),
    Fraction(24),
    Fraction(25),
    Fraction(30000, 1001),
    Fraction(30),
    Fraction(48),
    Fraction(50),
    Fraction(60000, 1001),
    Fraction(60),
)
HIGHEST_RATE = Fraction(60)
_LOWEST_RATE = Fraction(1)
_FILM_RATES = STANDARD_RATES[:3]


def frame_rate(times: list[float], declared: Fraction | None) -> tuple[Fraction, bool]:
    """Return the rate for pictures at these sorted times (seconds), and whether they came at varying distances."""
    gaps = [after - before for before, after in pairwise(times) if after > before]
    if not gaps:
        return _bounded(declared or Fraction(25)), False
    ordered = sorted(gaps)
    median = ordered[len(ordered) // 2]
    rounding = max(0.0021, median * 0.05)  # containers that count milliseconds are off by one on each side
    regular = sum(abs(gap - median) <= rounding for gap in gaps) / len(gaps) >= 0.95
    measured = _mean_rate(gaps, median, rounding)
    if regular:
        if declared is not None and abs(float(declared) / measured - 1) < 0.005:
            return _bounded(declared), False
        nearest = min(STANDARD_RATES, key=lambda rate: abs(float(rate) / measured - 1))
        if abs(float(nearest) / measured - 1) < 0.005:
            return nearest, False
        return _bounded(Fraction(measured).limit_denominator(1001)), False
    if (film := _soft_telecine(gaps, ordered)) is not None:
        return film, False
    quick = 1 / max(ordered[len(ordered) // 10], 1e-4)
    nearest = min(STANDARD_RATES, key=lambda rate: abs(float(rate) / quick - 1))
    if abs(float(nearest) / quick - 1) < 0.03:
        return nearest, True
    return next((rate for rate in STANDARD_RATES if float(rate) >= quick), HIGHEST_RATE), True


def _soft_telecine(gaps: list[float], ordered: list[float]) -> Fraction | None:
    """Return the film rate when nearly all neighbouring gaps are one of two and one of three fields, else None."""
    short, long = ordered[len(ordered) // 4], ordered[-len(ordered) // 4]
    if not 1.4 < long / short < 1.6:
        return None
    turns = sum(
        abs(one + other - short - long) < 0.1 * short for one, other in pairwise(gaps) if abs(one - other) > 0.2 * short
    )
    shorts = [gap for gap in gaps if gap < 1.25 * short]
    longs = [gap for gap in gaps if gap >= 1.25 * short]
    rate = 2 / (sum(shorts) / len(shorts) + sum(longs) / len(longs))
    nearest = min(_FILM_RATES, key=lambda each: abs(float(each) / rate - 1))
    return nearest if turns >= 0.9 * (len(gaps) - 1) and abs(float(nearest) / rate - 1) < 0.01 else None


def _mean_rate(gaps: list[float], median: float, rounding: float) -> float:
    """Return pictures a second over the regular gaps only, so that one pause does not lower it."""
    regular = [gap for gap in gaps if abs(gap - median) <= rounding]
    return len(regular) / sum(regular)


def _bounded(rate: Fraction) -> Fraction:
    while rate > HIGHEST_RATE:
        rate /= 2
    return max(rate, _LOWEST_RATE)
