"""Reading fragmented MP4 tracks: which bytes initialise a decoder, where the index is, and where each segment lies.

Only what a track from our packager has is understood (ISO/IEC 14496-12: moov with one trak, one sidx that points at
media, moof + mdat pairs), and everything is checked against the size of its container, so that bytes that are not such
a file give `BadTrack` and nothing else. Pure functions on bytes; the first few kilobytes of a file are enough, because
the index stands before the media.
"""

import struct
from collections.abc import Iterator

import msgspec

from kinema.model.encoding import ByteRange
from kinema.services.encoding.packaging.codec_names import audio_codec, video_codec, video_range
from kinema.services.encoding.packaging.mp4 import BadTrack, Box, boxes, collect, only

_CONTAINERS = frozenset({b"moov", b"trak", b"mdia", b"minf", b"stbl"})
_FRAGMENT_CONTAINERS = frozenset({b"traf"})
_PROTECTED = {b"encv": 78, b"enca": 28}  # sample entries that hide another one, and their bytes before the boxes
HANDLERS = ("vide", "soun", "text")
_SAP_MASK = 0x80000000
_CLOSED_SAPS = (0, 1, 2)  # 0: not told; 1 and 2: decodable from here in output order (ISO/IEC 14496-12, Annex I)


class SegmentPlace(msgspec.Struct, frozen=True):
    """One entry of the index: bytes and duration (ticks) of a segment, and whether it starts with a stream access point."""

    offset: int
    length: int
    duration: int
    starts_with_sap: bool


class Layout(msgspec.Struct, frozen=True):
    """What the head of a track says. `timescale` counts ticks a second; sizes of pictures are those of the sample entry.

    `key_id` names the key that the media are encrypted with (empty: they are not), `video_range` is HLS's name for how bright pictures are.
    """

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
    key_id: str = ""
    initialization_vector: str = ""
    video_range: str = ""


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
    found = collect(data, moov, _CONTAINERS)
    timescale = _timescale(data, only(found, b"mdhd"))
    handler = only(found, b"hdlr")
    entry = next(boxes(data, only(found, b"stsd").payload + 8, only(found, b"stsd").end), None)
    if entry is None:
        raise BadTrack("The track describes no samples; package it again.")
    kind, key_id, vector = _unprotected(data, entry)
    described = data[handler.payload + 8 : handler.payload + 12].decode("latin-1")
    if described not in HANDLERS:
        raise BadTrack(f"The track holds {described!r}, neither pictures nor sound nor text; package it again.")
    layout = Layout(
        init=ByteRange(0, moov.end),
        index=ByteRange(sidx.start, sidx.end - sidx.start),
        timescale=timescale,
        codec="",
        handler=described,
        segments=_segments(data, sidx, timescale, file_size),
        key_id=key_id,
        initialization_vector=vector,
    )
    if layout.handler == "vide":
        width, height = struct.unpack_from(">HH", data, entry.payload + 24)
        return msgspec.structs.replace(
            layout,
            codec=video_codec(data, entry, kind),
            width=width,
            height=height,
            video_range=video_range(data, entry),
        )
    if layout.handler == "text":
        if kind != b"wvtt":
            raise BadTrack(f"The track holds {kind.decode('latin-1')!r}, not WebVTT; package it again.")
        return msgspec.structs.replace(layout, codec="wvtt")
    channels, _, _, _, rate = struct.unpack_from(">HHHHI", data, entry.payload + 16)
    return msgspec.structs.replace(
        layout, codec=audio_codec(data, entry, kind), channels=channels, sample_rate=rate >> 16
    )


def first_picture_end(data: bytes, segment: SegmentPlace) -> int:
    """Return how many bytes from a segment's start reach to the end of its first sample. `data` is the segment. Raises BadTrack.

    That is the offset of the first run's data plus the size of its first sample (ISO/IEC 14496-12, 8.8.7 and 8.8.8).
    """
    try:
        end = _first_sample_end(data, segment.offset)
    except (struct.error, IndexError) as error:
        raise BadTrack(f"The segment at byte {segment.offset} is cut short; package it again.") from error
    if not 0 < end <= segment.length:
        raise BadTrack(
            f"The first picture of the segment at byte {segment.offset} lies outside of it; package it again."
        )
    return end


def _first_sample_end(data: bytes, offset: int) -> int:
    moof = next(boxes(data, 0, len(data)))
    if moof.kind != b"moof":
        raise BadTrack(f"The segment at byte {offset} begins with {moof.kind!r}, not with moof; package it again.")
    found = collect(data, moof, _FRAGMENT_CONTAINERS)
    tfhd, trun = only(found, b"tfhd"), found.get(b"trun", [None])[0]
    if trun is None:
        raise BadTrack(f"The segment at byte {offset} has no samples; package it again.")
    (defaults,) = struct.unpack_from(">I", data, tfhd.payload)
    at = tfhd.payload + 8
    base = 0
    if defaults & 0x1:
        base = struct.unpack_from(">Q", data, at)[0] - offset
        at += 8
    at += (4 if defaults & 0x2 else 0) + (4 if defaults & 0x8 else 0)
    size = struct.unpack_from(">I", data, at)[0] if defaults & 0x10 else 0
    flags, count, data_offset = struct.unpack_from(">IIi", data, trun.payload)
    if not flags & 0x1 or not count:
        raise BadTrack(f"The segment at byte {offset} does not say where its samples begin; package it again.")
    if flags & 0x200:
        at = trun.payload + 12 + (4 if flags & 0x4 else 0) + (4 if flags & 0x100 else 0)
        (size,) = struct.unpack_from(">I", data, at)
    return int(base + data_offset + size)


def _unprotected(data: bytes, entry: Box) -> tuple[bytes, str, str]:
    """Return the kind that a sample entry has without encryption, the id of its key and the constant IV (ISO/IEC 14496-12, 8.12; 23001-7, 8.2)."""
    fields = _PROTECTED.get(entry.kind)
    if fields is None:
        return entry.kind, "", ""
    outer = next((box for box in boxes(data, entry.payload + fields, entry.end) if box.kind == b"sinf"), None)
    if outer is None:
        raise BadTrack("The track is encrypted and does not say how; package it again.")
    found = collect(data, outer, frozenset({b"schi"}))
    original, scheme, key = only(found, b"frma"), only(found, b"schm"), only(found, b"tenc")
    if data[scheme.payload + 4 : scheme.payload + 8] != b"cbcs":
        raise BadTrack("The track is encrypted by another scheme than cbcs; package it again.")
    if data[key.payload + 7] or data[key.payload + 24] != 16:
        raise BadTrack(
            "The track is encrypted with an IV for each sample, where one for all belongs; package it again."
        )
    key_id, vector = data[key.payload + 8 : key.payload + 24], data[key.payload + 25 : key.payload + 41]
    return bytes(data[original.payload : original.payload + 4]), key_id.hex(), vector.hex()


def _available(data: bytes, file_size: int) -> Iterator[Box]:
    """Yield the top-level boxes whose headers are at hand."""
    at = 0
    while at + 16 <= len(data):
        box = next(boxes(data, at, file_size))
        yield box
        at = box.end


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
