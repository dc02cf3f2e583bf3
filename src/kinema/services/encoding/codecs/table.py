"""The encoders that a rung can be made with, one row each, and what is asked of them.

A row says how the encoder is told its quality (the range of its CRF, best first, and three CRFs that a probe measures), how much
work it is, and gives ffmpeg's arguments for an `Encode`. All are told the same: constant quality under a ceiling with a
buffer of some seconds, key frames where GOPs begin and nowhere else, nothing that looks beyond the chunk, one set of
parameters for all chunks of a rung so that they can be joined.

x264 and x265 change the CRF on the way, by zones with a factor for the bitrate: both divide their quantiser's step, which doubles every
6 QP, by that factor, so 2 ** ((base - crf) / 6) moves it by exactly base - crf. SVT-AV1 cannot; it is run once for each CRF
(see `chunks.encode`), which costs it nothing, because it looks past no key frame.
"""

from collections.abc import Callable
from dataclasses import dataclass

import msgspec

from kinema.core.errors import BadInput
from kinema.services.encoding.inspection import Facts
from kinema.services.encoding.shots.timeline import Gop

_DECODING = 0.004  # seconds of processor time for a million pixels of the source


class Encode(msgspec.Struct, frozen=True):
    """A chunk to encode: the pictures [start, start + frames) of a film, at one size, by one encoder.

    `source` is the digest of the film, or of what stands for it. `gops` cover the chunk, with a key frame at the first picture
    of each; `crfs` cover it too, as (start, frames, CRF), and change where GOPs begin. `buffer_fill` is the share of the buffer
    that is full when the chunk begins.
    """

    source: str
    facts: Facts
    codec: str
    preset: str
    width: int
    height: int
    start: int
    frames: int
    gops: tuple[Gop, ...]
    crfs: tuple[tuple[int, int, float], ...]
    peak_bits_per_second: int
    buffer_bits: int
    threads: int = 1
    hdr: bool = False
    buffer_fill: float = 0.9


@dataclass(frozen=True)
class Codec:
    """An encoder. `crfs` are its best and worst; `zones` says whether it changes the CRF on the way.

    `seconds` is the processor time for a million pixels (one picture of 1 megapixel) by preset, `pictures_held` how many
    pictures of the rung's size it keeps in memory. `device` is empty for encoders that run on the processor.
    """

    name: str
    family: str
    crfs: tuple[int, int]
    probe_crfs: tuple[int, ...]
    preset: str
    seconds: dict[str, float]
    pictures_held: int
    zones: bool
    arguments: Callable[[Encode], list[str]]
    device: str = ""


def codec_named(name: str) -> Codec:
    """Return the encoder's row. Raises BadInput for a name that is not in the table."""
    if name not in CODECS:
        raise BadInput(f"There is no codec {name!r}; use one of {', '.join(CODECS)}.")
    return CODECS[name]


def decoding_seconds(facts: Facts, frames: int) -> float:
    """Return the processor time that decoding and filtering so many pictures of a source takes."""
    return frames * facts.width * facts.height / 1e6 * _DECODING


def _base(encode: Encode) -> float:
    return encode.crfs[0][2]


def _zones(encode: Encode) -> str:
    """Return the zones of the shots whose CRF is not the base's, in x264's and x265's words; empty when there are none."""
    zones = [
        f"{start - encode.start},{start + frames - encode.start - 1},b={2 ** ((_base(encode) - crf) / 6):.6f}"
        for start, frames, crf in encode.crfs
        if crf != _base(encode)
    ]
    return "/".join(zones)


def _ceiling(encode: Encode) -> list[str]:
    return ["-maxrate", str(encode.peak_bits_per_second), "-bufsize", str(encode.buffer_bits)]


def _x264(encode: Encode) -> list[str]:
    zones = _zones(encode)
    parameters = [
        "keyint=infinite", "scenecut=0", "open-gop=0", "nal-hrd=none", "force-cfr=1", "stitchable=1",
        f"vbv-init={encode.buffer_fill:.4f}",
        *([f"zones={zones}"] if zones else []),
    ]  # fmt: skip
    return [
        "-c:v", "libx264", "-preset", encode.preset, "-profile:v", "high", "-crf", f"{_base(encode):g}",
        *_ceiling(encode), "-forced-idr", "1", "-a53cc", "0",
        "-x264-params", ":".join(parameters), "-threads", str(encode.threads),
        "-bsf:v", "filter_units=remove_types=6",  # x264 writes all its options into the first picture of each chunk
    ]  # fmt: skip


def _x265(encode: Encode) -> list[str]:
    zones = _zones(encode)
    pools = ["pools=none"] if encode.threads == 1 else [f"pools={encode.threads}"]
    parameters = [
        "keyint=-1", "scenecut=0", "open-gop=0", "info=0", "log-level=error", "frame-threads=1", *pools,
        f"vbv-init={encode.buffer_fill:.4f}",
        *([f"zones={zones}"] if zones else []),
    ]  # fmt: skip
    return [
        "-c:v", "libx265", "-preset", encode.preset, "-profile:v", "main10" if encode.hdr else "main",
        "-crf", f"{_base(encode):g}", *_ceiling(encode), "-forced-idr", "1", "-a53cc", "0", "-tag:v", "hvc1",
        "-x265-params", ":".join(parameters),
    ]  # fmt: skip


def _svt_av1(encode: Encode) -> list[str]:
    parameters = f"crf={_base(encode):g}:keyint=-1:scd=0:lp={encode.threads}"
    return [
        "-c:v", "libsvtav1", "-preset", encode.preset, *_ceiling(encode), "-svtav1-params", parameters,
    ]  # fmt: skip


CODECS = {
    codec.name: codec
    for codec in (
        Codec(
            name="x264",
            family="avc1",
            crfs=(14, 46),
            probe_crfs=(22, 30, 38),
            preset="medium",
            seconds={"superfast": 0.006, "veryfast": 0.010, "fast": 0.018, "medium": 0.023},
            pictures_held=90,
            zones=True,
            arguments=_x264,
        ),
        Codec(
            name="x265",
            family="hvc1",
            crfs=(15, 48),
            probe_crfs=(21, 29, 38),
            preset="medium",
            seconds={"ultrafast": 0.02, "fast": 0.06, "medium": 0.08},
            pictures_held=90,
            zones=True,
            arguments=_x265,
        ),
        Codec(
            name="svt-av1",
            family="av01",
            crfs=(18, 62),
            probe_crfs=(26, 38, 52),
            preset="8",
            seconds={"6": 0.03, "8": 0.012, "10": 0.008, "12": 0.006},
            pictures_held=220,
            zones=False,
            arguments=_svt_av1,
        ),
    )
}
