"""The RFC 6381 name of a sample entry: what a player asks its decoders about before it fetches anything.

Each name is read from the decoder configuration that the packager wrote, never from what was asked of the encoder: H.264
from avcC (ISO/IEC 14496-15, 5.3.3), HEVC from hvcC (Annex E of the same), AV1 from av1C (AV1 Codec ISO Media File Format
Binding, section 5), AAC from esds. Of AV1 the short form is given, whose left-out parts stand for 4:2:0 and BT.709; how bright
pictures are is said by `video_range` from the entry's colr box. Pure functions on bytes.
"""

import struct
from collections.abc import Callable

from kinema.services.encoding.packaging.mp4 import BadTrack, Box, boxes

_VIDEO_FIELDS = 78  # bytes of a visual sample entry before its boxes (ISO/IEC 14496-12, 12.1.3)
_AUDIO_FIELDS = 28
_RANGES = {16: "PQ", 18: "HLG"}  # transfer characteristics of ISO/IEC 23091-2
_TIERS = "MH"

Configuration = Callable[[str, bytes], str]


def video_codec(data: bytes, entry: Box, kind: bytes) -> str:
    """Return the name of pictures whose sample entry, before encryption, is of this kind. Raises BadTrack."""
    found = _VIDEO.get(kind)
    if found is None:
        raise BadTrack(f"The track holds {kind.decode('latin-1')!r}, not H.264, HEVC or AV1; package it again.")
    box, name = found
    return name(kind.decode(), _body(data, entry, _VIDEO_FIELDS, box))


def audio_codec(data: bytes, entry: Box, kind: bytes) -> str:
    """Return the name of sound whose sample entry, before encryption, is of this kind. Raises BadTrack."""
    if kind == b"Opus":
        _body(data, entry, _AUDIO_FIELDS, b"dOps")
        return "opus"
    if kind != b"mp4a":
        raise BadTrack(f"The track holds {kind.decode('latin-1')!r}, not AAC or Opus; package it again.")
    return _mpeg4_audio(_body(data, entry, _AUDIO_FIELDS, b"esds")[4:])


def video_range(data: bytes, entry: Box) -> str:
    """Return "PQ", "HLG" or "SDR", as HLS names how pictures are to be shown."""
    for box in boxes(data, entry.payload + _VIDEO_FIELDS, entry.end):
        if box.kind == b"colr" and data[box.payload : box.payload + 4] in {b"nclx", b"nclc"}:
            (transfer,) = struct.unpack_from(">H", data, box.payload + 6)
            return _RANGES.get(transfer, "SDR")
    return "SDR"


def _body(data: bytes, entry: Box, fields: int, kind: bytes) -> bytes:
    for box in boxes(data, entry.payload + fields, entry.end):
        if box.kind == kind:
            return data[box.payload : box.end]
    raise BadTrack(f"The track has no decoder configuration ({kind.decode()}); package it again.")


def _avc(kind: str, body: bytes) -> str:
    """Profile, constraint flags and level are bytes 1 to 3."""
    if len(body) < 4:
        raise BadTrack("The track's avcC is cut short; package it again.")
    return f"{kind}.{body[1:4].hex()}"


def _hevc(kind: str, body: bytes) -> str:
    """Profile space and number, compatibility flags in reverse order of bits, tier and level, constraint bytes up to the last that counts."""
    profile, compatible, constraints, level = struct.unpack_from(">BI6sB", body, 1)
    space = ("", "A", "B", "C")[profile >> 6]
    reverse = int(f"{compatible:032b}"[::-1], 2)
    tier = "H" if profile & 0x20 else "L"
    counting = constraints.rstrip(b"\0")
    return ".".join(
        [kind, f"{space}{profile & 0x1F}", f"{reverse:X}", f"{tier}{level}", *(f"{one:X}" for one in counting)]
    )


def _av1(kind: str, body: bytes) -> str:
    """Profile, level and tier, and bits of a sample."""
    marker, profile, flags = body[0], body[1], body[2]
    if marker != 0x81:
        raise BadTrack("The track's av1C is of an unknown version; package it again.")
    depth = 8 if not flags & 0x40 else 12 if flags & 0x20 else 10
    return f"{kind}.{profile >> 5}.{profile & 0x1F:02d}{_TIERS[flags >> 7]}.{depth:02d}"


_VIDEO: dict[bytes, tuple[bytes, Configuration]] = {
    b"avc1": (b"avcC", _avc),
    b"avc3": (b"avcC", _avc),
    b"hvc1": (b"hvcC", _hevc),
    b"hev1": (b"hvcC", _hevc),
    b"av01": (b"av1C", _av1),
}
"""Sample entries of pictures: the box with the decoder configuration, and how its name is made. A codec more is one row."""


def _mpeg4_audio(body: bytes) -> str:
    """Walk the descriptors of ISO/IEC 14496-1: ES (3) > DecoderConfig (4) > DecoderSpecificInfo (5)."""
    tag, at = _descriptor(body, 0)
    if tag != 3:
        raise BadTrack("The audio track's esds has no ES descriptor; package it again.")
    flags = body[at + 2]
    at += 3 + (2 if flags & 0x80 else 0) + (2 if flags & 0x20 else 0)
    if flags & 0x40:
        at += 1 + body[at]
    tag, at = _descriptor(body, at)
    if tag != 4:
        raise BadTrack("The audio track's esds has no decoder configuration; package it again.")
    object_type = body[at]
    tag, at = _descriptor(body, at + 13)
    if tag != 5:
        raise BadTrack("The audio track's esds has no decoder specific part; package it again.")
    audio_type = body[at] >> 3
    if audio_type == 31:
        audio_type = 32 + ((body[at] & 7) << 3 | body[at + 1] >> 5)
    return f"mp4a.{object_type:x}.{audio_type}"


def _descriptor(body: bytes, at: int) -> tuple[int, int]:
    """Return a descriptor's tag and where its content begins; the length is 1 to 4 bytes of 7 bits."""
    tag = body[at]
    at += 1
    for _ in range(4):
        more = body[at] & 0x80
        at += 1
        if not more:
            break
    return tag, at
