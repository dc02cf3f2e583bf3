"""How a track is cut for the cache. Pure.

A slice is a run of whole segments: segments are added until the slice has 1 MiB or the next one would make it larger than
2 MiB. Players ask for whole segments, so a request is answered from one slice; a slice is large enough that disks and
parents work in long strokes, and each segment's SHA-256 in the manifest says whether its bytes are right. What stands before
the first segment (initialisation and index) belongs to the first slice, where every play begins.
"""

from bisect import bisect_right

from kinema.core.errors import KinemaError
from kinema.model.encoding import Track

ENOUGH = 1 << 20
MOST = 2 << 20


class ManifestUnusable(KinemaError):
    """A stored manifest contradicts itself."""

    status = 502
    code = "manifest-unusable"
    title = "The film's description is damaged"


class Check:
    """A segment inside a slice: from which byte of the slice to which, and its SHA-256."""

    __slots__ = ("digest", "end", "start")

    def __init__(self, start: int, end: int, digest: bytes) -> None:
        self.start = start
        self.end = end
        self.digest = digest


class Slice:
    """Bytes `start` to `end` of the blob `digest`; `name` is unique to them."""

    __slots__ = ("checks", "digest", "end", "index_at", "length", "name", "start")

    def __init__(self, digest: str, start: int, end: int, checks: tuple[Check, ...], index_at: int | None) -> None:
        self.digest = digest
        self.start = start
        self.end = end
        self.length = end - start
        self.checks = checks
        self.index_at = index_at  # where the name of the sidx box stands, in the slice that has it
        self.name = f"{digest}.{start}.{end}"


class Cut:
    """A track cut into slices, in order, without gaps, from its first byte to its last."""

    __slots__ = ("_starts", "digest", "size", "slices")

    def __init__(self, track: Track) -> None:
        self.digest = track.digest
        self.size = track.size
        self.slices = _cut(track)
        self._starts = [piece.start for piece in self.slices]

    def at(self, position: int) -> Slice:
        """The slice that has this byte of the track."""
        return self.slices[bisect_right(self._starts, position) - 1]


def _cut(track: Track) -> tuple[Slice, ...]:
    _check(track)
    firsts: list[int] = []  # index of the first segment of each slice
    start = 0
    for number, segment in enumerate(track.segments):
        size = segment.offset - start
        if not firsts or size >= ENOUGH or size + segment.length > MOST:
            firsts.append(number)
            start = segment.offset if number else 0
    slices = []
    for first, behind in zip(firsts, [*firsts[1:], len(track.segments)], strict=True):
        begin = track.segments[first].offset if first else 0
        end = track.segments[behind].offset if behind < len(track.segments) else track.size
        checks = tuple(
            Check(segment.offset - begin, segment.offset - begin + segment.length, bytes.fromhex(segment.digest))
            for segment in track.segments[first:behind]
        )
        index_at = track.index.offset + 4 if track.index.length and not first else None
        slices.append(Slice(track.digest, begin, end, checks, index_at))
    return tuple(slices)


def _check(track: Track) -> None:
    position = track.index.offset + track.index.length
    for segment in track.segments:
        if segment.offset < position or segment.length <= 0 or len(segment.digest) != 64:
            raise ManifestUnusable(f"The manifest's segments of {track.name} overlap; encode the film again.")
        position = segment.offset + segment.length
    if not track.segments or position > track.size:
        raise ManifestUnusable(
            f"The manifest's segments of {track.name} are not those of its file; encode the film again."
        )
