"""The choice of two: look at two instances at random and take the one where the request will probably wait less.

    one candidate      take it
    more               draw two different ones; the one with the smaller (requests under way + 1) x penalty wins, a draw
                       between equals is the toss
    the winner is new  it keeps the request with its weight as the chance, and never a second one before its first answer;
                       otherwise the other one gets it

Looking at two is nearly as good as looking at all (M. Mitzenmacher, "The Power of Two Choices in Randomized Load
Balancing", 2001), costs the same however many there are, and unlike "the least loaded" does not send every caller's next
request to the same instance. What goes into the penalty: health.py; into the weight: slow_start.py and subset.py.
"""

from collections.abc import Callable, Sequence
from typing import Protocol, TypeVar


class Candidate(Protocol):
    """What the choice looks at."""

    in_flight: int
    penalty: float
    weight: float
    proven: bool


C = TypeVar("C", bound=Candidate)


def choose(candidates: Sequence[C], draw: Callable[[], float]) -> C:
    """Return one of the candidates (at least one); `draw` returns a number from 0 to 1."""
    count = len(candidates)
    if count == 1:
        return candidates[0]
    first = int(draw() * count)
    second = int(draw() * (count - 1))
    if second >= first:
        second += 1
    one, other = candidates[first], candidates[second]
    if (other.in_flight + 1) * other.penalty < (one.in_flight + 1) * one.penalty:
        one, other = other, one
    if one.weight < 1.0 and one.weight <= other.weight and (_is_probing(one) or draw() >= one.weight / other.weight):
        return other
    return one


def _is_probing(one: Candidate) -> bool:
    return not one.proven and one.in_flight > 0
