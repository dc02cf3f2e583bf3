"""Where a film is cut: the pictures that begin a new shot, found on a small copy of the film.

    change[n]  how far picture n is from the one before, mean over its points, 0 to 100      (both measured by
    score[n]   min(change[n], |change[n] - change[n - 1]|): it jumps up at a cut only        ffmpeg's scdet)

    1. Candidates: the score is at least 6 and the two pictures are not much alike when their brightness and contrast are
       made equal, or it is at least 3 and they are not alike at all (cuts between dark or pale scenes are small in numbers).
    2. What moves all the time is no cut: the change must be 2.5 times what is usual in the half second before and after
       (the upper quartile, so that further cuts do not count and a drawing that is held for two or three pictures does).
    3. What comes back is no cut: after a flash, a lightning, one lost or black picture the film goes on where it was. If
       any picture of the third of a second from the candidate on is like any before it, the scene has not changed.

A fade or a dissolve changes every picture a little more than its neighbours and the score stays small: no cut is found
there, and none is needed, since no picture in it is free of its past. The comparisons of 1 and 3 use a copy of 16 x 9 points.

Source of the score: scdet, of FFmpeg; the local level follows PySceneDetect's adaptive detector.
"""

import asyncio
import mmap
from collections.abc import Sequence
from fractions import Fraction
from pathlib import Path

import msgspec

from kinema.services.encoding.chunks.pictures import opened
from kinema.services.encoding.codecs.table import decoding_seconds
from kinema.services.encoding.execution.work import Context, Cost, WorkKind
from kinema.services.encoding.inspection import Facts, Unusable, video_filters
from kinema.services.encoding.tools import Tools, run

THUMB_WIDTH, THUMB_HEIGHT = 16, 9
_THUMB = THUMB_WIDTH * THUMB_HEIGHT
_PROXY_WIDTH = 320
_CLEAR, _FAINT = 6.0, 3.0  # scores
_ALIKE, _RELATED = 0.85, 0.5  # correlations
_UNUSUAL = 2.5
_SAME = 0.6  # of the jump at a candidate: pictures that are nearer show the same scene
_AROUND_SECONDS = Fraction(1, 2)
_FLASH_SECONDS = Fraction(1, 3)
_DETECT_SECONDS = 24 * 3600.0
_LEAST_SHARE = 0.9  # of the film's pictures that must be decodable
_PROGRAM_BYTES = 80 << 20
_PICTURES_HELD = 24  # of the source's size, in memory between decoder and scaler


class Scenes(msgspec.Struct, frozen=True):
    """How many pictures a film has at its constant rate, and which of them begin a new shot (without the first)."""

    frames: int
    cuts: tuple[int, ...]


def find_cuts(changes: Sequence[float], thumbs: bytes | mmap.mmap, rate: Fraction) -> tuple[int, ...]:
    """Return the pictures that begin a new shot. `thumbs` holds a grey copy of each, 16 x 9 bytes, one after another."""
    found: list[int] = []
    for number in range(1, len(changes)):
        score = min(changes[number], abs(changes[number] - changes[number - 1]))
        if score < _FAINT or changes[number] < _UNUSUAL * _usual(changes, number, rate):
            continue
        alike = _correlation(_thumb(thumbs, number - 1), _thumb(thumbs, number))
        if alike >= (_ALIKE if score >= _CLEAR else _RELATED):
            continue
        if not _comes_back(thumbs, len(changes), number, rate):
            found.append(number)
    return tuple(found)


def _usual(changes: Sequence[float], number: int, rate: Fraction) -> float:
    """Return the upper quartile of the changes around a picture, its own left out."""
    reach = max(2, round(_AROUND_SECONDS * rate))
    near = sorted([*changes[max(1, number - reach) : number], *changes[number + 1 : number + 1 + reach]])
    return near[len(near) * 3 // 4] if near else 0.0


def _comes_back(thumbs: bytes | mmap.mmap, total: int, number: int, rate: Fraction) -> bool:
    """Say whether a picture from `number` on is like one before it."""
    reach = max(2, round(_FLASH_SECONDS * rate))
    before = [_thumb(thumbs, index) for index in range(max(0, number - reach), number)]
    after = [_thumb(thumbs, index) for index in range(number, min(total, number + reach))]
    limit = _SAME * _distance(before[-1], after[0])
    return any(_distance(old, new) < limit for old in reversed(before) for new in after)


def _thumb(thumbs: bytes | mmap.mmap, number: int) -> bytes:
    return thumbs[number * _THUMB : (number + 1) * _THUMB]


def _distance(one: bytes, other: bytes) -> int:
    return sum(abs(a - b) for a, b in zip(one, other, strict=True))


def _correlation(one: bytes, other: bytes) -> float:
    """Return Pearson's correlation of two pictures; 0 when one of them is plain."""
    one_mean, other_mean = sum(one) / len(one), sum(other) / len(other)
    covariance = sum((a - one_mean) * (b - other_mean) for a, b in zip(one, other, strict=True))
    one_spread = sum((a - one_mean) ** 2 for a in one)
    other_spread = sum((b - other_mean) ** 2 for b in other)
    return covariance / (one_spread * other_spread) ** 0.5 if one_spread and other_spread else 0.0


def proxy(tools: Tools, source: Path, facts: Facts, thumbs: Path) -> list[str]:
    """Return the command that writes each picture's change to standard output and its grey copy to `thumbs`."""
    height = max(2, round(_PROXY_WIDTH * facts.height / facts.width / 2) * 2)
    graph = (
        f"[0:{facts.video_index}]{video_filters(facts, _PROXY_WIDTH, height)},trim=end_frame={_expected(facts)},split[a][b];"
        "[a]scdet=threshold=100,metadata=print:key=lavfi.scd.mafd:file=-[changes];"
        f"[b]scale={THUMB_WIDTH}:{THUMB_HEIGHT}:flags=area,format=gray[thumbs]"
    )
    return [
        tools.ffmpeg, "-hide_banner", "-nostdin", "-y", "-v", "error", "-filter_complex_threads", "1",
        *opened(source, facts, 0, 1), "-filter_complex", graph,
        "-map", "[changes]", "-fps_mode", "passthrough", "-f", "null", "-",
        "-map", "[thumbs]", "-fps_mode", "passthrough", "-f", "rawvideo", f"file:{thumbs}",
    ]  # fmt: skip


def _expected(facts: Facts) -> int:
    return max(1, round(facts.duration_seconds * Fraction(facts.frame_rate)))


class Search(msgspec.Struct, frozen=True):
    """A film to be searched for cuts: its digest and its facts."""

    source: str
    facts: Facts


async def detect(context: Context, search: Search) -> Scenes:
    """Return where a film is cut, with one thread. Raises Unusable when a tenth of its pictures or more cannot be decoded."""
    source = await context.film(search.source)
    thumbs = context.fresh("thumbs")
    changes: list[float] = []

    def take(line: str) -> None:
        name, _, value = line.partition("=")
        if name == "lavfi.scd.mafd":
            changes.append(float(value))

    try:
        await run(proxy(context.tools, source, search.facts, thumbs), _DETECT_SECONDS, take, keep_output=False)
        if not changes:
            raise Unusable("None of the film's pictures can be decoded; convert it to MP4 with H.264.")
        if len(changes) < _expected(search.facts) * _LEAST_SHARE - 2:
            seconds = float(len(changes) / Fraction(search.facts.frame_rate))
            raise Unusable(
                f"Only {seconds:.1f} s of the film's {search.facts.duration_seconds:.1f} s can be decoded; "
                "the file is damaged or cut short, send the whole file again."
            )
        cuts = await asyncio.to_thread(_search, changes, thumbs, Fraction(search.facts.frame_rate))
    finally:
        thumbs.unlink(missing_ok=True)
    return Scenes(len(changes), cuts)


def _search(changes: list[float], path: Path, rate: Fraction) -> tuple[int, ...]:
    with path.open("rb") as file, mmap.mmap(file.fileno(), 0, access=mmap.ACCESS_READ) as thumbs:
        return find_cuts(changes, thumbs, rate)


def _cost(search: Search) -> Cost:
    pixels = search.facts.width * search.facts.height
    frames = round(search.facts.duration_seconds * Fraction(search.facts.frame_rate))
    return Cost(
        threads=1,
        memory_bytes=_PROGRAM_BYTES + round(pixels * 1.5 * _PICTURES_HELD),
        cpu_seconds=decoding_seconds(search.facts, frames),
    )


DETECT: WorkKind[Search, Scenes] = WorkKind(name="detect", parameters=Search, result=Scenes, run=detect, cost=_cost)
