"""Ladders that do not look at the film, for comparison: size and mean rate of each rung, as their authors publish them.

Apple: "HLS Authoring Specification for Apple Devices", H.264 for 16:9. Netflix: the fixed ladder of 2010 that
"Per-Title Encode Optimization" (2015) gives; its boxes are 4:3 below 720 lines, and the picture is fitted into them. Rungs above the
source's own lines are left out.
"""

import msgspec


class Rung(msgspec.Struct, frozen=True):
    """A box in pixels and a mean rate in bits a second."""

    width: int
    height: int
    bits_per_second: int


APPLE = tuple(
    Rung(width, height, 1000 * kbits)
    for width, height, kbits in (
        (416, 234, 145),
        (640, 360, 365),
        (768, 432, 730),
        (768, 432, 1100),
        (960, 540, 2000),
        (1280, 720, 3000),
        (1280, 720, 4500),
        (1920, 1080, 6000),
        (1920, 1080, 7800),
    )
)
NETFLIX = tuple(
    Rung(width, height, 1000 * kbits)
    for width, height, kbits in (
        (320, 240, 235),
        (384, 288, 375),
        (512, 384, 560),
        (512, 384, 750),
        (640, 480, 1050),
        (720, 480, 1750),
        (1280, 720, 2350),
        (1280, 720, 3000),
        (1920, 1080, 4300),
        (1920, 1080, 5800),
    )
)


def fitted(ladder: tuple[Rung, ...], width: int, height: int) -> tuple[Rung, ...]:
    """Return the rungs that are not above a picture of this size, with the picture's aspect and even sides."""
    rungs = []
    for rung in ladder:
        if rung.height > height:
            continue
        scale = min(rung.width / width, rung.height / height, 1.0)
        rungs.append(Rung(2 * round(width * scale / 2), 2 * round(height * scale / 2), rung.bits_per_second))
    return tuple(rungs)
