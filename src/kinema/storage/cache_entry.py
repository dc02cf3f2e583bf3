"""How a loaded value lies in a cache: with the times that decide whether to use it, and signs that it is one of ours.

    3 bytes   "kc" and the version of this format
    4 bytes   CRC-32 of what follows
    the rest  MessagePack of `Entry`, as an array

Anything else (another program's value, a truncated one, one of another version) is read as if there were nothing.
The checksum finds accidents; it does not keep out somebody who can write to the cache and means harm.
"""

import zlib

import msgspec

_HEAD = b"kc\x01"
_BEGIN = len(_HEAD) + 4
MAX_OVERHEAD = _BEGIN + 40
"""The most bytes that an entry takes besides its value."""


class Entry(msgspec.Struct, frozen=True, array_like=True):
    """A value as it was loaded; None: there was nothing, which is known as well. Times are in seconds."""

    value: bytes | None
    fresh_until: float
    """Unix time, since other machines read it too."""
    delta: float
    """How long loading it took."""


_encoder = msgspec.msgpack.Encoder()
_decoder = msgspec.msgpack.Decoder(Entry)


def encode_entry(entry: Entry) -> bytes:
    """Return the bytes to store."""
    body = _encoder.encode(entry)
    return b"".join((_HEAD, zlib.crc32(body).to_bytes(4, "big"), body))


def decode_entry(stored: bytes | None) -> Entry | None:
    """Return the entry that was stored; None when there is none or it is not one of ours."""
    if stored is None or not stored.startswith(_HEAD) or len(stored) <= _BEGIN:
        return None
    body = memoryview(stored)[_BEGIN:]
    if zlib.crc32(body) != int.from_bytes(stored[len(_HEAD) : _BEGIN], "big"):
        return None
    try:
        return _decoder.decode(body)
    except msgspec.DecodeError:
        return None
