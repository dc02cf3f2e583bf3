"""The packager's command lines, as pure functions.

The packager begins a segment at the first key frame past each multiple of the segment duration. Encoders set key frames where
segments are to begin and nowhere else, so for pictures the duration is shorter than any picture: each key frame begins a
segment, however long the one before was. A fragment is a segment, so that the first picture lies where its index says.

Keys stand in a file that only we may read, never on the command line, which every process of the machine can see.
"""

from pathlib import Path
from typing import Literal

import msgspec

from kinema.services.encoding.ladder import SEGMENT_SECONDS
from kinema.services.encoding.tools import Tools

StreamKind = Literal["video", "audio", "text"]

_SECONDS: dict[StreamKind, float] = {"video": 0.001, "audio": float(SEGMENT_SECONDS), "text": 30.0}
_LABEL = "content"


class ContentKey(msgspec.Struct, frozen=True):
    """A key of 16 bytes that media are encrypted with, the id by which players ask for it, and the constant IV; all of 16 bytes, in hex."""

    key_id: str
    key: str
    iv: str

    def __repr__(self) -> str:
        """Name the key without telling it: what is logged must not hold it."""
        return f"ContentKey({self.key_id})"


def package(tools: Tools, source: Path, kind: StreamKind, output: Path, scratch: Path, language: str = "") -> list[str]:
    """Return the command that turns an encoded stream, or a WebVTT file, into one fragmented file with an index."""
    return [
        *_common(tools, kind, scratch),
        _stream(source, kind, output) + (f",language={language}" if language else ""),
    ]


def encrypt(tools: Tools, source: Path, kind: StreamKind, output: Path, scratch: Path, keys: Path) -> list[str]:
    """Return the command that encrypts a packaged file; `keys` is a file as `key_file` describes it.

    The scheme is cbcs (ISO/IEC 23001-7, 10.4): AES-CBC over one block of ten of the pictures, which every current device decodes.
    """
    return [
        *_common(tools, kind, scratch), f"--flagfile={keys}", "--enable_raw_key_encryption", "--protection_scheme", "cbcs",
        "--clear_lead", "0", "--protection_systems", "CommonSystem", f"{_stream(source, kind, output)},drm_label={_LABEL}",
    ]  # fmt: skip


def decrypt(tools: Tools, source: Path, kind: StreamKind, output: Path, scratch: Path, keys: Path) -> list[str]:
    """Return the command that undoes `encrypt`: the same bytes come out that went in."""
    return [
        *_common(tools, kind, scratch), f"--flagfile={keys}", "--enable_raw_key_decryption", _stream(source, kind, output),
    ]  # fmt: skip


def key_file(key: ContentKey) -> str:
    """Return what stands in the file from which the packager reads a key."""
    return f"--keys=label={_LABEL}:key_id={key.key_id}:key={key.key}:iv={key.iv}\n"


def _common(tools: Tools, kind: StreamKind, scratch: Path) -> list[str]:
    return [
        tools.packager, "--quiet", "--use_fake_clock_for_muxer", "--segment_duration", f"{_SECONDS[kind]:g}",
        "--temp_dir", str(scratch),
    ]  # fmt: skip


def _stream(source: Path, kind: StreamKind, output: Path) -> str:
    return f"in={source},stream={kind},output={output}"
