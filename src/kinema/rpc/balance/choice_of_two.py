"""The choice of two: look at two instances at random and take the one with fewer requests under way.

    one candidate      take it
    more               draw two different ones; the one with the smaller load wins, a draw between equals is the toss

Looking at two is nearly as good as looking at all (M. Mitzenmacher, "The Power of Two Choices in Randomized Load
Balancing", 2001), costs the same however many there are, and unlike "the least loaded" does not send every caller's next
request to the same instance.
"""

from collections.abc import Mapping, Sequence
from random import Random

from kinema.model.discovery import Instance


def choose(candidates: Sequence[Instance], loads: Mapping[str, int], random: Random) -> Instance:
    """Return one of the candidates (at least one); `loads` are requests under way by address, absent ones have none."""
    count = len(candidates)
    if count == 1:
        return candidates[0]
    first = int(random.random() * count)
    second = int(random.random() * (count - 1))
    if second >= first:
        second += 1
    one, other = candidates[first], candidates[second]
    return other if loads.get(other.address, 0) < loads.get(one.address, 0) else one
