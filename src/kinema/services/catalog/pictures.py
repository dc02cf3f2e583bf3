"""What an uploaded picture is, read from its bytes: a header or a file name can say anything. Pure.

Only the head is parsed, far enough for the type and the dimensions; browsers do the decoding, within the limits checked here.
"""

import struct
from collections.abc import Callable

import msgspec

from kinema.core.errors import BadInput, TooLarge, Unsupported

MOST_BYTES = 5 * 1024 * 1024
_SMALLEST = 16  # pixels a side
_LARGEST = 8192
_MOST_PIXELS = 40_000_000
_JPEG_FRAMES = {0xC0, 0xC1, 0xC2, 0xC3, 0xC5, 0xC6, 0xC7, 0xC9, 0xCA, 0xCB, 0xCD, 0xCE, 0xCF}  # ITU-T T.81, table B.1


class Picture(msgspec.Struct, frozen=True):
    """Type and dimensions of a picture, in pixels."""

    media_type: str
    width: int
    height: int


def inspect(body: bytes) -> Picture:
    """Return what the picture is. Raises Unsupported for other formats, BadInput or TooLarge for unusable dimensions."""
    if len(body) > MOST_BYTES:
        raise TooLarge(f"The picture has {len(body)} bytes; send at most {MOST_BYTES}.")
    media_type = media_type_of(body)
    if media_type is None:
        raise Unsupported("The picture is none of JPEG, PNG, WebP and AVIF; send it in one of these formats.")
    try:
        width, height = _DIMENSIONS[media_type](body)
    except (struct.error, IndexError, ValueError) as error:
        raise BadInput(f"The picture is a damaged {media_type} file; export it again.") from error
    if min(width, height) < _SMALLEST or max(width, height) > _LARGEST or width * height > _MOST_PIXELS:
        raise BadInput(
            f"The picture has {width} x {height} pixels; each side must have {_SMALLEST} to {_LARGEST}, "
            f"and both together at most {_MOST_PIXELS // 1_000_000} million pixels."
        )
    return Picture(media_type=media_type, width=width, height=height)


def media_type_of(body: bytes) -> str | None:
    """Return the media type that the first bytes give away, or None."""
    if body.startswith(b"\xff\xd8\xff"):
        return "image/jpeg"
    if body.startswith(b"\x89PNG\r\n\x1a\n"):
        return "image/png"
    if body[:4] == b"RIFF" and body[8:12] == b"WEBP":
        return "image/webp"
    if body[4:8] == b"ftyp" and b"avif" in _brands(body):
        return "image/avif"
    return None


def _png(body: bytes) -> tuple[int, int]:
    if body[12:16] != b"IHDR":
        raise ValueError("no IHDR chunk")
    width, height = struct.unpack_from(">II", body, 16)
    return width, height


def _jpeg(body: bytes) -> tuple[int, int]:
    at = 2
    while True:
        if body[at] != 0xFF:
            raise ValueError("no marker where one must be")
        marker = body[at + 1]
        if marker == 0xFF:  # fill byte
            at += 1
        elif marker in _JPEG_FRAMES:
            height, width = struct.unpack_from(">HH", body, at + 5)
            return width, height
        elif marker in {0xD9, 0xDA}:
            raise ValueError("no frame header before the scan")
        else:
            at += 2 + max(2, struct.unpack_from(">H", body, at + 2)[0])


def _webp(body: bytes) -> tuple[int, int]:
    form = body[12:16]
    if form == b"VP8X":
        return 1 + int.from_bytes(body[24:27], "little"), 1 + int.from_bytes(body[27:30], "little")
    if form == b"VP8L":
        (bits,) = struct.unpack_from("<I", body, 21)
        return 1 + (bits & 0x3FFF), 1 + (bits >> 14 & 0x3FFF)
    if form == b"VP8 " and body[23:26] == b"\x9d\x01\x2a":
        width, height = struct.unpack_from("<HH", body, 26)
        return width & 0x3FFF, height & 0x3FFF
    raise ValueError("no image chunk")


def _avif(body: bytes) -> tuple[int, int]:
    """Return the largest `ispe` (image spatial extents, ISO/IEC 23008-12); smaller ones belong to thumbnails and tiles."""
    sizes: list[tuple[int, int]] = []
    at = body.find(b"ispe")
    while at >= 0 and len(sizes) < 64:
        width, height = struct.unpack_from(">II", body, at + 8)
        sizes.append((width, height))
        at = body.find(b"ispe", at + 4)
    if not sizes:
        raise ValueError("no image spatial extents")
    return max(sizes, key=lambda size: size[0] * size[1])


def _brands(body: bytes) -> tuple[bytes, ...]:
    length = min(int.from_bytes(body[:4], "big"), 256)
    return (body[8:12], *(body[at : at + 4] for at in range(16, length - 3, 4)))


_DIMENSIONS: dict[str, Callable[[bytes], tuple[int, int]]] = {
    "image/jpeg": _jpeg,
    "image/png": _png,
    "image/webp": _webp,
    "image/avif": _avif,
}
