"""Walking the boxes of an MP4 file (ISO/IEC 14496-12, 4.2), each checked against the size of its container. Pure."""

import struct
from collections.abc import Iterator

import msgspec

from kinema.core.errors import KinemaError


class BadTrack(KinemaError):
    """A file is not a track as the packager makes it."""


class Box(msgspec.Struct, frozen=True):
    """A box of an MP4 file: its type, and where it and its payload begin and end (bytes from the start of the file)."""

    kind: bytes
    start: int
    payload: int
    end: int


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


def collect(data: bytes, parent: Box, containers: frozenset[bytes]) -> dict[bytes, list[Box]]:
    """Return all boxes beneath a box by type; those of the types in `containers` are looked into."""
    found: dict[bytes, list[Box]] = {}
    waiting = [parent]
    while waiting:
        outer = waiting.pop()
        for box in boxes(data, outer.payload, outer.end):
            found.setdefault(box.kind, []).append(box)
            if box.kind in containers:
                waiting.append(box)
    return found


def only(found: dict[bytes, list[Box]], kind: bytes) -> Box:
    """Return the one box of a type. Raises BadTrack when there is none or more than one."""
    matching = found.get(kind, [])
    if len(matching) != 1:
        raise BadTrack(f"The track has {len(matching)} boxes {kind.decode()} where one belongs; package it again.")
    return matching[0]
