"""The headers of tus 1.0 (https://tus.io/protocols/resumable-upload): pure reading and writing, no state.

A client creates an upload with its length and some metadata, sends the bytes in any number of PATCH requests, and after
an interruption asks by HEAD how many have arrived.
"""

import base64
import binascii
import hashlib
import hmac
from email.utils import formatdate

import msgspec

from kinema.core.errors import BadInput, PreconditionFailed
from kinema.core.ids import check_id

VERSION = "1.0.0"
EXTENSIONS = "creation,termination,checksum,expiration"
CHECKSUMS = "sha1,sha256"
MEDIA_TYPE = "application/offset+octet-stream"
TITLE_LENGTH = 300
_LONGEST_METADATA = 8192
_LONGEST_NAME = 300


class ChecksumMismatch(BadInput):
    """The bytes of a PATCH request are not those whose checksum it names; none of them was kept."""

    status = 460
    code = "checksum-mismatch"
    title = "The checksum does not match"


class FilmMetadata(msgspec.Struct, frozen=True):
    """What a client says of its file. `title_id` is empty unless the film belongs to an existing title."""

    filename: str
    title: str
    title_id: str


class Checksum(msgspec.Struct, frozen=True):
    """What the bytes of one request must hash to."""

    algorithm: str
    digest: bytes

    def start(self) -> "hashlib._Hash":
        """Return a fresh hash of the algorithm."""
        return hashlib.new(self.algorithm, usedforsecurity=False)

    def check(self, found: "hashlib._Hash") -> None:
        """Raise ChecksumMismatch unless the hash has come out as announced."""
        if not hmac.compare_digest(found.digest(), self.digest):
            raise ChecksumMismatch("The bytes were damaged on their way; send this part again.")


def check_version(header: str | None) -> None:
    """Raise PreconditionFailed when the client speaks another version of tus."""
    if header != VERSION:
        raise PreconditionFailed(f"The upload protocol {header!r} is not spoken here; send Tus-Resumable: {VERSION}.")


def natural(header: str | None, name: str) -> int:
    """Return a header that counts bytes. Raises BadInput when it is missing or not a plain number."""
    if header is None or not (header.isascii() and header.isdigit() and len(header) <= 18):
        raise BadInput(f"The header {name} is {header!r}; it must be a number of bytes.")
    return int(header)


def parse_metadata(header: str | None) -> dict[str, str]:
    """Read Upload-Metadata: pairs of a name and a base64 text, by commas. Raises BadInput."""
    if not header:
        return {}
    if len(header) > _LONGEST_METADATA:
        raise BadInput(f"The header Upload-Metadata has more than {_LONGEST_METADATA} characters; shorten it.")
    found: dict[str, str] = {}
    for pair in header.split(","):
        name, _, value = pair.strip().partition(" ")
        if not name or not name.isascii() or name in found:
            raise BadInput(f"Upload-Metadata has an empty, repeated or non-ASCII name {name[:40]!r}; see tus.io.")
        try:
            found[name] = base64.b64decode(value.strip(), validate=True).decode("utf-8")
        except (binascii.Error, UnicodeDecodeError, ValueError) as error:
            raise BadInput(
                f"The value of {name[:40]} in Upload-Metadata is not base64 of UTF-8; see tus.io."
            ) from error
    return found


def film_metadata(header: str | None) -> FilmMetadata:
    """Return what Upload-Metadata says of the film; the title comes from the file's name when there is none. Raises BadInput."""
    found = parse_metadata(header)
    filename = one_line(found.get("filename") or found.get("name") or "", _LONGEST_NAME)
    title = one_line(found.get("title", ""), TITLE_LENGTH) or title_from(filename)
    title_id = found.get("title_id", "")
    return FilmMetadata(filename=filename, title=title, title_id=check_id(title_id, "ttl") if title_id else "")


def one_line(text: str, longest: int) -> str:
    """Return a text without control characters and line breaks, runs of space made one, cut to a length."""
    return " ".join("".join(c if c.isprintable() else " " for c in text).split())[:longest].rstrip()


def title_from(filename: str) -> str:
    """Return a title made of a file's name: without folders and extension, underscores and dots as spaces."""
    base = filename.replace("\\", "/").rpartition("/")[2]
    stem, dot, extension = base.rpartition(".")
    if not (dot and stem and len(extension) <= 5):
        stem = base
    return one_line(stem.replace("_", " ").replace(".", " "), TITLE_LENGTH) or "Untitled"


def parse_checksum(header: str | None) -> Checksum | None:
    """Read Upload-Checksum, None without one. Raises BadInput."""
    if header is None:
        return None
    algorithm, _, encoded = header.strip().partition(" ")
    if algorithm not in CHECKSUMS.split(","):
        raise BadInput(f"The checksum algorithm {algorithm[:20]!r} is not known; use one of {CHECKSUMS}.")
    try:
        digest = base64.b64decode(encoded.strip(), validate=True)
    except (binascii.Error, ValueError) as error:
        raise BadInput("The value of Upload-Checksum is not base64; see tus.io.") from error
    return Checksum(algorithm=algorithm, digest=digest)


def http_date(seconds: float) -> str:
    """Return a time as HTTP writes it, for Upload-Expires."""
    return formatdate(seconds, usegmt=True)
