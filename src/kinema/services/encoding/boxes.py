"""Reading fragmented MP4 tracks: which bytes initialise a decoder, where the index is, and where each segment lies.

Only what a track from our packager has is understood (ISO/IEC 14496-12: moov with one trak, one sidx that points at
media, moof + mdat pairs), and everything is checked against the size of its container, so that bytes that are not such
a file give `BadTrack` and nothing else. Pure functions on bytes; the first few kilobytes of a file are enough, because
the index stands before the media.
"""

import struct
from collections.abc import Iterator

import msgspec

from kinema.core.errors import KinemaError
from kinema.model.encoding import ByteRange

_CONTAINERS = frozenset({b"moov", b"trak", b"mdia", b"minf", b"stbl"})
_SAP_MASK = 0x80000000
_CLOSED_SAPS = (0, 1, 2)  # 0: not told; 1 and 2: decodable from here in output order (ISO/IEC 14496-12, Annex I)


class BadTrack(KinemaError):
    """A file is not a track as the packager makes it."""


class Box(msgspec.Struct, frozen=True):
    """A box of an MP4 file: its type, and where it and its payload begin and end (bytes from the start of the file)."""

    kind: bytes
    start: int
    payload: int
    end: int


class SegmentPlace(msgspec.Struct, frozen=True):
    """One entry of the index: bytes and duration (ticks) of a segment, and whether it starts with a stream access point."""

    offset: int
    length: int
    duration: int
    starts_with_sap: bool


class Layout(msgspec.Struct, frozen=True):
    """What the head of a track says. `timescale` counts ticks a second; sizes of pictures are those of the sample entry."""

    init: ByteRange
    index: ByteRange
    timescale: int
    codec: str
    handler: str
    segments: tuple[SegmentPlace, ...]
    width: int = 0
    height: int = 0
    sample_rate: int = 0
    channels: int = 0


def boxes(data: bytes | memoryview, start: int, end: int) -> Iterator[Box]:
    """Yield the boxes between two offsets. The last one may reach past the data that is at hand, never past `end`."""
    at = start
    while at < end:
        if at + 8 > min(end, len(data)):
            raise BadTrack(f"The track ends inside a box header at byte {at}; package it again.")
        size, kind = struct.unpack_from(">I4s", data, at)
        header = 8
        if size == 1:
            if at + 16 > min(end, len(data)):
                raise BadTrack(f"The track ends inside a box header at byte {at}; package it again.")
            (size,) = struct.unpack_from(">Q", data, at + 8)
            header = 16
        elif size == 0:
            size = end - at
        if size < header or at + size > end:
            raise BadTrack(f"The box {kind!r} at byte {at} claims {size} bytes, more than there are; package it again.")
        yield Box(kind=kind, start=at, payload=at + header, end=at + size)
        at += size


def head_size(data: bytes, file_size: int) -> int:
    """Return how many bytes from the start `parse` needs: up to the end of the index. `data` holds at least the ftyp and the moov's header."""
    for box in _available(data, file_size):
        if box.kind == b"sidx":
            return box.end
        if box.end + 16 > len(data):
            return min(box.end + 16, file_size)
    raise BadTrack("The track has no index (sidx); package it again.")


def parse(data: bytes, file_size: int) -> Layout:
    """Read the head of a track of `file_size` bytes; `data` reaches at least to the end of the index. Raises BadTrack."""
    try:
        return _parse(data, file_size)
    except (struct.error, IndexError) as error:
        raise BadTrack("The track's head is cut short; package it again.") from error


def _parse(data: bytes, file_size: int) -> Layout:
    moov = sidx = None
    for box in _available(data, file_size):
        if box.kind == b"moov":
            moov = box
        elif box.kind == b"sidx":
            sidx = box
            break
    if moov is None or sidx is None or sidx.end > len(data):
        raise BadTrack("The track has no moov and sidx at its head; package it again.")
    found = _collect(data, moov)
    timescale = _timescale(data, _only(found, b"mdhd"))
    handler = _only(found, b"hdlr")
    entry = next(boxes(data, _only(found, b"stsd").payload + 8, _only(found, b"stsd").end), None)
    if entry is None:
        raise BadTrack("The track describes no samples; package it again.")
    layout = Layout(
        init=ByteRange(0, moov.end),
        index=ByteRange(sidx.start, sidx.end - sidx.start),
        timescale=timescale,
        codec="",
        handler=data[handler.payload + 8 : handler.payload + 12].decode("latin-1"),
        segments=_segments(data, sidx, timescale, file_size),
    )
    if layout.handler == "vide":
        width, height = struct.unpack_from(">HH", data, entry.payload + 24)
        return msgspec.structs.replace(layout, codec=_video_codec(data, entry), width=width, height=height)
    channels, _, _, _, rate = struct.unpack_from(">HHHHI", data, entry.payload + 16)
    return msgspec.structs.replace(layout, codec=_audio_codec(data, entry), channels=channels, sample_rate=rate >> 16)


def _available(data: bytes, file_size: int) -> Iterator[Box]:
    """Yield the top-level boxes whose headers are at hand."""
    at = 0
    while at + 16 <= len(data):
        box = next(boxes(data, at, file_size))
        yield box
        at = box.end


def _collect(data: bytes, parent: Box) -> dict[bytes, list[Box]]:
    found: dict[bytes, list[Box]] = {}
    waiting = [parent]
    while waiting:
        outer = waiting.pop()
        for box in boxes(data, outer.payload, outer.end):
            found.setdefault(box.kind, []).append(box)
            if box.kind in _CONTAINERS:
                waiting.append(box)
    return found


def _only(found: dict[bytes, list[Box]], kind: bytes) -> Box:
    matching = found.get(kind, [])
    if len(matching) != 1:
        raise BadTrack(f"The track has {len(matching)} boxes {kind.decode()} where one belongs; package it again.")
    return matching[0]


def _timescale(data: bytes, mdhd: Box) -> int:
    version = data[mdhd.payload]
    (timescale,) = struct.unpack_from(">I", data, mdhd.payload + (20 if version == 1 else 12))
    if not timescale:
        raise BadTrack("The track's timescale is 0; package it again.")
    return int(timescale)


def _segments(data: bytes, sidx: Box, track_timescale: int, file_size: int) -> tuple[SegmentPlace, ...]:
    """Read the index (ISO/IEC 14496-12, 8.16.3): each entry's offset follows from the sizes before it."""
    version = data[sidx.payload]
    (timescale,) = struct.unpack_from(">I", data, sidx.payload + 8)
    if timescale != track_timescale:
        raise BadTrack(f"The index counts {timescale} ticks a second, the track {track_timescale}; package it again.")
    if version == 0:
        (first_offset,) = struct.unpack_from(">I", data, sidx.payload + 16)
        at = sidx.payload + 20
    else:
        (first_offset,) = struct.unpack_from(">Q", data, sidx.payload + 20)
        at = sidx.payload + 28
    _, count = struct.unpack_from(">HH", data, at)
    if at + 4 + 12 * count > sidx.end:
        raise BadTrack(f"The index claims {count} segments and has no room for them; package it again.")
    offset = sidx.end + first_offset
    segments: list[SegmentPlace] = []
    for number in range(count):
        size, duration, sap = struct.unpack_from(">III", data, at + 4 + 12 * number)
        if size & _SAP_MASK or not size or offset + size > file_size:
            raise BadTrack(f"Segment {number} of the index does not lie inside the file; package it again.")
        starts = bool(sap & _SAP_MASK) and (sap >> 28 & 7) in _CLOSED_SAPS
        segments.append(SegmentPlace(offset=offset, length=size, duration=duration, starts_with_sap=starts))
        offset += size
    if not segments or offset != file_size:
        raise BadTrack("The segments of the index do not fill the file to its end; package it again.")
    return tuple(segments)


def _video_codec(data: bytes, entry: Box) -> str:
    """Return the RFC 6381 name of an AVC sample entry: profile, constraint flags and level are bytes 1 to 3 of avcC."""
    kind = entry.kind.decode("latin-1")
    if kind not in {"avc1", "avc3"}:
        raise BadTrack(f"The track holds {kind!r}, not H.264; package it again.")
    for box in boxes(data, entry.payload + 78, entry.end):
        if box.kind == b"avcC" and box.end - box.payload >= 4:
            return f"{kind}.{data[box.payload + 1 : box.payload + 4].hex()}"
    raise BadTrack("The video track has no decoder configuration (avcC); package it again.")


def _audio_codec(data: bytes, entry: Box) -> str:
    """Return the RFC 6381 name of an MPEG-4 audio sample entry: object type indication and audio object type from esds."""
    if entry.kind != b"mp4a":
        raise BadTrack(f"The track holds {entry.kind.decode('latin-1')!r}, not AAC; package it again.")
    for box in boxes(data, entry.payload + 28, entry.end):
        if box.kind == b"esds":
            return _esds_codec(data[box.payload + 4 : box.end])
    raise BadTrack("The audio track has no decoder configuration (esds); package it again.")


def _esds_codec(body: bytes) -> str:
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
