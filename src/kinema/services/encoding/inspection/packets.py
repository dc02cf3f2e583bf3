"""The times of every video packet, read without decoding, because descriptions lie.

What counts is how ffmpeg will place the pictures when it encodes, so its own repairs are repeated here: packets that an edit
list or a container throws away do not count; a missing presentation time is replaced by the decoding time; where the
container may jump (MPEG-TS and -PS, Ogg), a clock that leaps more than ten seconds, or back, goes on where it was
(`ts_discontinuity_detect` in ffmpeg's demultiplexing thread). When most pictures have no time of their own, they are untimed.
"""

from pathlib import Path

import msgspec

from kinema.services.encoding.inspection.facts import Unusable
from kinema.services.encoding.tools import ToolFailed, Tools, run, untrusted

SIGNS_OF_TRUNCATION = ("partial file", "File ended prematurely", "Truncat")
CUT_SHORT = "The film is cut short: its end is missing; send the whole file again."
_LONGEST_LAST_PICTURE = 10.0
_PACKETS_SECONDS = 3600.0
_JUMPING = {"mpegts", "mpeg", "mpegvideo", "ogg", "wtv"}
_JUMP_SECONDS = 10.0
_BACK_SECONDS = 0.1
_LEAST_TIMED = 0.5


class Packets(msgspec.Struct, frozen=True):
    """The pictures' presentation times (sorted, seconds), when the last one ends, how many there are and their bytes.

    `jumps` is how often the clock jumped; `untimed` says that the times are of no use, `delayed` that all are times of decoding.
    """

    times: tuple[float, ...]
    end: float
    count: int
    size: int
    jumps: int
    untimed: bool
    delayed: bool


async def read_packets(path: Path, index: int, container: str, tools: Tools) -> Packets:
    """Read the packets of one stream. Raises Unusable for a file that ends too early."""
    clock = Clock(jumping=not _JUMPING.isdisjoint(container.split(",")))
    show = [
        "-select_streams",
        str(index),
        "-show_entries",
        "packet=pts_time,dts_time,duration_time,size,flags",
        "-of",
        "csv=p=0",
    ]
    arguments = [tools.ffprobe, "-v", "error", "-hide_banner", *untrusted(path), *show]
    try:
        output = await run(arguments, _PACKETS_SECONDS, clock.take, keep_output=False)
    except ToolFailed as error:
        raise Unusable(f"The film cannot be read to its end ({error.detail})") from error
    if any(sign in output.stderr for sign in SIGNS_OF_TRUNCATION):
        raise Unusable(CUT_SHORT)
    return clock.packets()


class Clock:
    """Takes ffprobe's lines, one a packet in the file's order, and follows the film's clock through them."""

    def __init__(self, *, jumping: bool) -> None:
        self._jumping = jumping
        self._times: list[float] = []
        self._end = 0.0
        self._count = 0
        self._size = 0
        self._jumps = 0
        self._shown = 0
        self._offset = 0.0
        self._last: float | None = None
        self._expected = 0.0

    def take(self, line: str) -> None:
        """Take a line "pts,dts,duration,size,flags" of seconds and bytes, any of which may be N/A."""
        shown, decoded, lasts, size, flags, *_ = [*line.strip().split(","), "", "", "", "", ""]
        if "D" in flags:  # to be decoded and not shown
            return
        if not flags:
            return
        self._count += 1
        self._size += int(size) if size.isdigit() else 0
        duration = min(seconds(lasts) or 0.0, _LONGEST_LAST_PICTURE)
        decode, show = seconds(decoded), seconds(shown)
        if decode is not None and self._jumping:
            self._follow(decode, duration)
        self._shown += show is not None
        time = show if show is not None else decode
        if time is not None:
            self._times.append(time + self._offset)
            self._end = max(self._end, time + self._offset + duration)

    def packets(self) -> Packets:
        """Return what was read. Raises Unusable when there was nothing."""
        if not self._count:
            raise Unusable("The film has no pictures; send it again, or convert it to MP4 first.")
        self._times.sort()
        return Packets(
            times=tuple(self._times),
            end=self._end,
            count=self._count,
            size=self._size,
            jumps=self._jumps,
            untimed=self._count > 1 and len(set(self._times)) < _LEAST_TIMED * self._count,
            delayed=bool(self._times) and not self._shown,
        )

    def _follow(self, decode: float, duration: float) -> None:
        now = decode + self._offset
        if self._last is not None:
            leap = now - self._expected
            if abs(leap) > _JUMP_SECONDS or now + _BACK_SECONDS < self._last:
                self._jumps += 1
                self._offset -= leap
                now -= leap
        self._last, self._expected = now, now + duration


def seconds(text: object) -> float | None:
    """Return a time as ffprobe writes it; None for N/A."""
    try:
        return float(str(text))
    except ValueError:
        return None
