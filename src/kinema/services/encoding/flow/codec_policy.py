"""Whether a title is worth another codec: what it would save of what is watched, against the processor time it costs. Pure.

    saved   = seconds watched in a year * bits a second of the rungs that are there * share that the codec saves
    benefit = saved bytes * price of a gigabyte
    expense = processor seconds of encoding and probing * price of a processor hour
    worth   = benefit > expense

Devices without the codec save nothing, which the share of watching on devices that decode it takes into account. The plays of
some days are taken for a year's by their ratio, with half a play added to the count: a title that nobody has watched in a short
time is not one that nobody ever will (Laplace's rule, for a rate).
"""

import msgspec

from kinema.core.properties import Property, between

PRICE_PER_GIGABYTE = Property(
    "encoding.price_per_gigabyte",
    default=0.01,
    description="What it costs to send a gigabyte to viewers, in the currency of encoding.price_per_cpu_hour.",
    check=between(0, 1000),
)
PRICE_PER_CPU_HOUR = Property(
    "encoding.price_per_cpu_hour",
    default=0.03,
    description="What an hour of one processor costs, in the currency of encoding.price_per_gigabyte.",
    check=between(0, 1000),
)

_DAYS_A_YEAR = 365.0
_UNSEEN_PLAYS = 0.5


class CodecGain(msgspec.Struct, frozen=True):
    """What a codec brings beside H.264: the share of bits it saves at the same quality, and the share of watching that decodes it."""

    saved_share: float
    device_share: float


GAINS: dict[str, CodecGain] = {
    "svt-av1": CodecGain(saved_share=0.28, device_share=0.7),
    "x265": CodecGain(saved_share=0.25, device_share=0.5),
}
"""By the encoder's name. AV1's share was measured against x264 medium; the devices' are of the browsers and sets of 2025."""


class Watched(msgspec.Struct, frozen=True):
    """How a title is watched: plays in the last `days`, its duration in seconds, the mean bits per second of its rungs."""

    plays: int
    days: float
    duration_seconds: float
    bits_per_second: float


class Worth(msgspec.Struct, frozen=True):
    """The verdict on a title and a codec. `saved_bytes` is for a year; benefit and expense are in the operator's currency."""

    worthwhile: bool
    saved_bytes: float
    benefit: float
    expense: float


def worth(watched: Watched, gain: CodecGain, cpu_seconds: float, gigabyte: float, cpu_hour: float) -> Worth:
    """Weigh a codec for a title. `cpu_seconds` is what encoding costs; `gigabyte` and `cpu_hour` are prices."""
    plays = (watched.plays + _UNSEEN_PLAYS) * _DAYS_A_YEAR / max(watched.days, 1.0)
    sent = plays * watched.duration_seconds * watched.bits_per_second / 8
    saved = sent * gain.saved_share * gain.device_share
    benefit, expense = saved / 1e9 * gigabyte, cpu_seconds / 3600 * cpu_hour
    return Worth(worthwhile=benefit > expense, saved_bytes=saved, benefit=benefit, expense=expense)
