"""What a rung may not do: go over what its decoders promise, or over what a player's buffer holds.

A decoder level is a promise about picture size, pictures a second and bits a second. A rung gets the lowest level that holds its
pictures and keeps to that level's bits, so that it never needs a better device than its size does. The levels are those of
ITU-T H.264 (Table A-1, High profile: 1.25 times the rates), ITU-T H.265 (Tables A.8 and A.9, Main tier) and AV1 (Annex A.3,
Main tier).

The leaky bucket (VBV) follows from the largest share of the average that a stretch of the film may have, because a player's
estimate of what it can afford rests on that. A bucket of b seconds that drains at the peak p lets at most p * (t + b) bits into
t seconds. So for at most r times the average over t seconds: p = average * r / (1 + b / t).
"""

from fractions import Fraction
from math import isqrt

import msgspec


class Level(msgspec.Struct, frozen=True):
    """A decoder level: its name, and the most bits a second and in the buffer."""

    name: str
    bits_per_second: int
    buffer_bits: int


class Bucket(msgspec.Struct, frozen=True):
    """The leaky bucket of a rung: the rate at which it drains (bits a second), and its size in bits."""

    peak_bits_per_second: int
    buffer_bits: int


class _Row(msgspec.Struct, frozen=True):
    """Limits of a level: pixels in a picture, on a side and a second; kbit a second and in the buffer."""

    name: str
    picture: int
    side: int
    rate: int
    kbits: int
    buffer_kbits: int


def _h264(name: str, macroblocks_per_second: int, macroblocks: int, kbits: int, buffer_kbits: int) -> _Row:
    side = 16 * isqrt(8 * macroblocks)
    return _Row(name, macroblocks * 256, side, macroblocks_per_second * 256, kbits * 5 // 4, buffer_kbits * 5 // 4)


def _h265(name: str, picture: int, rate: int, kbits: int) -> _Row:
    return _Row(name, picture, isqrt(8 * picture), rate, kbits, kbits)


def _av1(name: str, picture: int, side: int, rate: int, kbits: int) -> _Row:
    return _Row(name, picture, side, rate, kbits, kbits)


_H264 = (
    _h264("1.1", 3_000, 396, 192, 500),
    _h264("1.2", 6_000, 396, 384, 1_000),
    _h264("1.3", 11_880, 396, 768, 2_000),
    _h264("2.1", 19_800, 792, 4_000, 4_000),
    _h264("2.2", 20_250, 1_620, 4_000, 4_000),
    _h264("3", 40_500, 1_620, 10_000, 10_000),
    _h264("3.1", 108_000, 3_600, 14_000, 14_000),
    _h264("3.2", 216_000, 5_120, 20_000, 20_000),
    _h264("4", 245_760, 8_192, 20_000, 25_000),
    _h264("4.2", 522_240, 8_704, 50_000, 62_500),
    _h264("5", 589_824, 22_080, 135_000, 135_000),
    _h264("5.1", 983_040, 36_864, 240_000, 240_000),
    _h264("5.2", 2_073_600, 36_864, 240_000, 240_000),
    _h264("6", 4_177_920, 139_264, 240_000, 240_000),
    _h264("6.2", 16_711_680, 139_264, 800_000, 800_000),
)
_H265 = (
    _h265("2", 122_880, 3_686_400, 1_500),
    _h265("2.1", 245_760, 7_372_800, 3_000),
    _h265("3", 552_960, 16_588_800, 6_000),
    _h265("3.1", 983_040, 33_177_600, 10_000),
    _h265("4", 2_228_224, 66_846_720, 12_000),
    _h265("4.1", 2_228_224, 133_693_440, 20_000),
    _h265("5", 8_912_896, 267_386_880, 25_000),
    _h265("5.1", 8_912_896, 534_773_760, 40_000),
    _h265("5.2", 8_912_896, 1_069_547_520, 60_000),
    _h265("6.1", 35_651_584, 2_139_095_040, 120_000),
    _h265("6.2", 35_651_584, 4_278_190_080, 240_000),
)
_AV1 = (
    _av1("2.0", 147_456, 2_048, 4_423_680, 1_500),
    _av1("2.1", 278_784, 2_816, 8_363_520, 3_000),
    _av1("3.0", 665_856, 4_352, 19_975_680, 6_000),
    _av1("3.1", 1_065_024, 5_504, 31_950_720, 10_000),
    _av1("4.0", 2_359_296, 6_144, 70_778_880, 12_000),
    _av1("4.1", 2_359_296, 6_144, 141_557_760, 20_000),
    _av1("5.0", 8_912_896, 8_192, 267_386_880, 30_000),
    _av1("5.1", 8_912_896, 8_192, 534_773_760, 40_000),
    _av1("5.2", 8_912_896, 8_192, 1_069_547_520, 60_000),
    _av1("6.1", 35_651_584, 16_384, 2_139_095_040, 100_000),
    _av1("6.2", 35_651_584, 16_384, 4_278_190_080, 160_000),
)
_LEVELS = {"x264": _H264, "x265": _H265, "svt-av1": _AV1}


def decoder_level(codec: str, width: int, height: int, rate: Fraction) -> Level:
    """Return the lowest level of the encoder's format that holds such pictures; the highest one where none does."""
    rows = _LEVELS[codec]
    unit = 16 if codec == "x264" else 8
    coded = -(-width // unit) * unit * -(-height // unit) * unit
    holds = (
        row for row in rows if coded <= row.picture and max(width, height) <= row.side and coded * rate <= row.rate
    )
    row = next(holds, rows[-1])
    return Level(row.name, row.kbits * 1000, row.buffer_kbits * 1000)


def bucket(average: float, level: Level, peak_ratio: float, buffer_seconds: float, window_seconds: float) -> Bucket:
    """Return the bucket with which no `window_seconds` of a film hold more than `peak_ratio` times the average's bits.

    `average` is the rung's in bits a second, `buffer_seconds` the bucket's size in seconds of the peak. Both results keep to the level.
    """
    peak = min(average * peak_ratio / (1 + buffer_seconds / window_seconds), level.bits_per_second)
    return Bucket(max(1, round(peak)), max(1, round(min(peak * buffer_seconds, level.buffer_bits))))
