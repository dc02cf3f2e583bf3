"""What the ladder's benchmark encodes and how it judges: the product's own steps, so a run that was ended goes on where it was.

Every encode is one chunk over the whole film by the product's encoder. The judge is a VMAF run of the benchmark's own, so that a fault
of the product's scoring would show: the encode scaled up to the film's size by bicubic filters, every third picture.
"""

import re
import time
from collections.abc import AsyncIterator, Sequence
from contextlib import asynccontextmanager
from fractions import Fraction
from pathlib import Path

import msgspec

from kinema.core.clock import SystemClock
from kinema.services.encoding.chunks.encode import ENCODE_CHUNK, Encode
from kinema.services.encoding.chunks.pictures import opened, picked
from kinema.services.encoding.codecs.table import codec_named
from kinema.services.encoding.execution.local import LocalPool
from kinema.services.encoding.execution.machine import Machine
from kinema.services.encoding.execution.steps import Steps
from kinema.services.encoding.execution.work import Context, Cost, WorkKind
from kinema.services.encoding.inspection import Facts, inspect
from kinema.services.encoding.inspection.filters import picture_filters, timing_filters
from kinema.services.encoding.ledger import Ledger
from kinema.services.encoding.shots.timeline import Gop, Timeline, timeline
from kinema.services.encoding.tools import find_tools, run
from kinema.storage.content import digest_of_file, store
from kinema.storage.engines import open_blobs, open_sql

CODEC = "x264"
UNBOUND = 400_000_000  # a peak in bits a second that no encode here meets
_EVERY = 3
_BENCH = re.compile(r"bench: utime=([0-9.]+)s stime=([0-9.]+)s")
_JUDGE_SECONDS = 3600.0


class Judge(msgspec.Struct, frozen=True):
    """An encode of a whole film to compare with it, and the GOPs in it."""

    encoded: str
    source: str
    facts: Facts
    frames: int
    gops: tuple[Gop, ...]


class Judged(msgspec.Struct, frozen=True):
    """Mean VMAF of each GOP, and the processor time that it took to find it."""

    gops: tuple[float, ...]
    cpu_seconds: float


class _Frame(msgspec.Struct):
    frameNum: int  # noqa: N815 -- libvmaf's name
    metrics: dict[str, float]


class _Log(msgspec.Struct):
    frames: list[_Frame]


class Measured(msgspec.Struct, frozen=True):
    """An encode of a whole film: CRF of each shot, mean rate (bits a second) and VMAF, those of each shot, processor seconds."""

    width: int
    height: int
    crfs: tuple[float, ...]
    bits_per_second: float
    vmaf: float
    shots: tuple[tuple[float, float], ...]
    peak: float
    encode_cpu_seconds: float
    judge_cpu_seconds: float


async def _judge(context: Context, judge: Judge) -> Judged:
    film, encoded = await context.film(judge.source), await context.fetch("steps", judge.encoded)
    rate = Fraction(judge.facts.frame_rate)
    log = context.fresh("json")
    count = f"settb=1/{rate.numerator},setpts=N*{rate.denominator}"
    width, height = judge.facts.width // 2 * 2, judge.facts.height // 2 * 2
    seen = [
        *timing_filters(judge.facts),
        *picked(judge.facts, 0, judge.frames),
        *picture_filters(judge.facts, width, height),
    ]
    chain = (
        f"[1:v:0]scale={width}:{height}:flags=bicubic,format=yuv420p,{count}[made];"
        f"[0:{judge.facts.video_index}]{','.join(seen)},{count}[film];"
        f"[made][film]libvmaf=n_subsample={_EVERY}:n_threads=1:log_fmt=json:log_path={log}"
    )
    said = await run(
        [
            context.tools.ffmpeg, "-hide_banner", "-nostdin", "-v", "info", "-nostats", "-benchmark", "-filter_complex_threads", "1",
            *opened(film, judge.facts, 0, 1), "-threads", "1", "-i", f"file:{encoded}",
            "-filter_complex", chain, "-fps_mode", "passthrough", "-f", "null", "-",
        ],
        _JUDGE_SECONDS,
        keep_output=False,
    )  # fmt: skip
    frames = msgspec.json.decode(log.read_bytes(), type=_Log).frames[1:]  # in the first VMAF sees no motion
    log.unlink()
    means = []
    for gop in judge.gops:
        inside = [frame.metrics["vmaf"] for frame in frames if gop.start <= frame.frameNum < gop.start + gop.frames]
        means.append(sum(inside) / len(inside))
    found = _BENCH.findall(said.stderr)[-1]
    return Judged(tuple(means), round(sum(float(part) for part in found), 3))


JUDGE: WorkKind[Judge, Judged] = WorkKind(
    "benchmark-judge", Judge, Judged, _judge, lambda judge: Cost(1, 1 << 28, judge.frames * judge.facts.height / 20_000)
)


class Film:
    """A film on the bench: its facts, its division into shots and GOPs, and its encodes."""

    def __init__(self, path: Path, digest: str, facts: Facts, parts: Timeline, steps: Steps) -> None:
        self.path = path
        self.digest = digest
        self.facts = facts
        self.timeline = parts
        self.steps = steps

    async def whole(
        self, size: tuple[int, int], crfs: Sequence[float], peak: int = UNBOUND, buffer: int = UNBOUND
    ) -> Measured:
        """Encode and judge the whole film; `crfs` has one for each shot, or one for all."""
        shots = self.timeline.shots
        each = list(crfs) * len(shots) if len(crfs) == 1 else list(crfs)
        plan = tuple((shot.start, shot.frames, crf) for shot, crf in zip(shots, each, strict=True))
        gops = self.timeline.gops
        encoded = await self.steps.do(
            ENCODE_CHUNK,
            Encode(
                source=self.digest,
                facts=self.facts,
                codec=CODEC,
                preset=codec_named(CODEC).preset,
                width=size[0],
                height=size[1],
                start=0,
                frames=self.timeline.frames,
                gops=gops,
                crfs=plan,
                peak_bits_per_second=peak,
                buffer_bits=buffer,
            ),
        )
        judged = await self.steps.do(JUDGE, Judge(encoded.digest, self.digest, self.facts, self.timeline.frames, gops))
        rate = float(Fraction(self.facts.frame_rate))
        means = []
        for shot in shots:
            inside = [n for n, gop in enumerate(gops) if shot.start <= gop.start < shot.start + shot.frames]
            bits = 8 * rate * sum(encoded.gop_bytes[n] for n in inside) / shot.frames
            means.append((bits, sum(judged.gops[n] * gops[n].frames for n in inside) / shot.frames))
        total = self.timeline.frames
        return Measured(
            *size,
            crfs=tuple(each),
            bits_per_second=8 * rate * sum(encoded.gop_bytes) / total,
            vmaf=sum(mean * gop.frames for mean, gop in zip(judged.gops, gops, strict=True)) / total,
            shots=tuple(means),
            peak=max(8 * rate * size / gop.frames for size, gop in zip(encoded.gop_bytes, gops, strict=True)),
            encode_cpu_seconds=encoded.cpu_seconds,
            judge_cpu_seconds=judged.cpu_seconds,
        )


class Studio:
    """Films and their steps in one directory."""

    def __init__(self, context: Context, ledger: Ledger, threads: int) -> None:
        self._context = context
        self._ledger = ledger
        self._pool = LocalPool(context, Machine(threads, 8 << 30))

    async def film(self, path: Path, cuts: Sequence[int] | None) -> Film:
        """Take a film in. `cuts` are the pictures with which its shots begin, where they are known."""
        facts = await inspect(path, self._context.tools)
        digest = await digest_of_file(path)
        await store(self._context.blobs, "sources", path)
        rate = Fraction(facts.frame_rate)
        parts = timeline(cuts or (), round(facts.duration_seconds * rate), rate)
        steps = Steps(digest, self._ledger, self._pool, self._context.tools.versions)
        return Film(path, digest, facts, parts, steps)


@asynccontextmanager
async def studio(directory: Path, threads: int) -> AsyncIterator[Studio]:
    """Open the directory that holds films, encodes and the ledger."""
    scratch = directory / "scratch"
    scratch.mkdir(parents=True, exist_ok=True)
    blobs, sql = open_blobs(directory), open_sql(directory, "", "encoding")
    await sql.migrate("encoding")
    try:
        yield Studio(Context(find_tools(), blobs, scratch), Ledger(sql, blobs, SystemClock()), threads)
    finally:
        await sql.close()


class Watch:
    """Wall time of a part of a run, and whether all of it was done now (not found in the ledger)."""

    def __init__(self, film: Film) -> None:
        self._film = film
        self._found = sum(film.steps.found.values())
        self._began = time.monotonic()

    def seconds(self) -> float | None:
        """Return the seconds since the start, or None when something had been done before."""
        return None if sum(self._film.steps.found.values()) > self._found else time.monotonic() - self._began
