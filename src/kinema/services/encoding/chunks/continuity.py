"""The decoder's buffer over chunks that were encoded apart.

A stream that promises a peak rate R and a buffer of B bits (VBV) fills the buffer with R / rate bits between two pictures, never
above B, and takes each picture out when it is decoded. It must be whole in the buffer then. An encoder keeps to that inside
a chunk, beginning with a fill that it is told, but not over seams: a chunk may end with less than the next one begins with.

What a chunk does to the fill f has one form, whatever its pictures: it asks for f >= needs, and leaves min(most, f + adds). The
form is closed under putting chunks one behind the other (pictures are the smallest chunks), so three numbers of each are enough
to check all seams, and to say with how full a buffer a chunk must be encoded again that asked for too much.
"""

from collections.abc import Iterable
from fractions import Fraction

import msgspec

IMPOSSIBLE = 1 << 62
"""What a picture needs that is larger than the buffer can ever hold before it."""


class Drain(msgspec.Struct, frozen=True):
    """What some pictures do to the decoder's buffer, in bits: they need a fill, and leave min(most, fill + adds)."""

    needs: int
    adds: int
    most: int

    def then(self, other: "Drain") -> "Drain":
        """Return what these pictures and then the others do."""
        short = other.needs > self.most
        return Drain(
            needs=IMPOSSIBLE if short else max(self.needs, other.needs - self.adds),
            adds=self.adds + other.adds,
            most=min(other.most, self.most + other.adds),
        )

    def after(self, fill: int) -> int:
        """Return the fill that is left."""
        return min(self.most, fill + self.adds)


def drain_of(sizes: Iterable[int], rate: Fraction, peak_bits_per_second: int, buffer_bits: int) -> Drain:
    """Return what pictures of these sizes (bytes, in the order of decoding) do to a buffer."""
    whole = Drain(0, 0, buffer_bits)
    arrives = peak_bits_per_second / rate
    arrived = 0
    for number, size in enumerate(sizes, 1):
        # The sum is rounded, not each part.
        gain = int(arrives * number) - arrived
        arrived += gain
        whole = whole.then(Drain(size * 8, gain - size * 8, buffer_bits))
    return whole
