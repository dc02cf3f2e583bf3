"""The packets of an encoded file: when each picture is shown, how many bytes it has, whether it is a key frame."""

from pathlib import Path

import msgspec

from kinema.services.encoding.tools import Tools, run

_LIST_SECONDS = 3600.0


class Packet(msgspec.Struct, frozen=True):
    """An encoded picture: its time of showing (ticks of the file's timescale), its bytes, whether decoding may begin with it."""

    time: int
    size: int
    key: bool


async def list_packets(tools: Tools, path: Path) -> list[Packet]:
    """Return the packets of the first stream of one of our own files, in the order of decoding. Raises ToolFailed when it cannot be read."""
    packets: list[Packet] = []

    def take(line: str) -> None:
        time, size, flags = line.strip().split(",")[:3]
        packets.append(Packet(int(time), int(size), flags.startswith("K")))

    show = ["-select_streams", "0", "-show_entries", "packet=pts,size,flags", "-of", "csv=p=0"]
    await run([tools.ffprobe, "-v", "error", "-i", f"file:{path}", *show], _LIST_SECONDS, take, keep_output=False)
    return packets
