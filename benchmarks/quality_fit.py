"""What the curves lose: the hull drawn through a few probes against the hull of everything measured.

    python -m benchmarks.quality_fit CLIP... [--seconds 6] [--height 540] [--keep DIRECTORY]

Each clip is cut to some seconds at some lines. Brute force encodes and scores it whole, at five sizes and nine CRFs. Ours
sees three CRFs of it, whole or in excerpts, and says which size and CRF is best for each rate. What these choices really give
comes from brute force (between its CRFs by a monotone cubic); BD-rate over VMAF 60 to 95 compares that with brute force's own
hull. The promise is how far the VMAF that ours foretold is from the real one. CPU is that of all probes over that of encoding
the clip once at each size. The last line is JSON.
"""

import argparse
import asyncio
import tempfile
from fractions import Fraction
from pathlib import Path
from typing import Any

import msgspec
import numpy as np
import numpy.typing as npt

from kinema.services.encoding.codecs.table import codec_named
from kinema.services.encoding.execution.work import Context
from kinema.services.encoding.inspection import inspect
from kinema.services.encoding.quality.hull import HullPoint, hull, upper
from kinema.services.encoding.quality.plan import Effort, Excerpt, Trial, shot_plan, sizes, title_plan, trials
from kinema.services.encoding.quality.probes import Probe, Probed, candidates, probe
from kinema.services.encoding.quality.vmaf import Model
from kinema.services.encoding.shots.detection import Search, detect
from kinema.services.encoding.shots.timeline import Timeline, timeline
from kinema.services.encoding.tools import find_tools, run
from kinema.storage.blobs_files import FileBlobs
from kinema.storage.content import store

Array = npt.NDArray[np.float64]
LEAST, MOST = 60.0, 95.0
TITLE = {
    "title 10 %, 2 s": Effort(share=0.1, excerpt_seconds=2.0),
    "title 10 %, 1 s": Effort(share=0.1, excerpt_seconds=1.0),
    "title 20 %, 2 s": Effort(share=0.2, excerpt_seconds=2.0),
    "title 20 %, 1 s": Effort(share=0.2, excerpt_seconds=1.0),
}
SHOTS = {
    "each shot, 2 s": Effort(excerpt_seconds=2.0),
    "each shot, 1 s": Effort(excerpt_seconds=1.0),
}


class Kept(msgspec.Struct, frozen=True):
    """All measurements of one clip: brute force, and ours by plan (each a list of excerpts)."""

    timeline: Timeline
    brute: tuple[Probed, ...]
    plans: dict[str, tuple[Probed, ...]]


def cubic(x: Array, y: Array, at: Array) -> Array:
    """Interpolate by the monotone cubic of Fritsch and Carlson (1980); x rises."""
    step, slope = np.diff(x), np.diff(y) / np.diff(x)
    tangent = (
        np.concatenate(
            [slope[:1], np.where(slope[:-1] * slope[1:] > 0, 2 / (1 / slope[:-1] + 1 / slope[1:]), 0.0), slope[-1:]]
        )
        if len(x) > 2
        else np.repeat(slope, 2)
    )
    index = np.clip(np.searchsorted(x, at, side="right") - 1, 0, len(x) - 2)
    t = (at - x[index]) / step[index]
    h00, h10, h01, h11 = (1 + 2 * t) * (1 - t) ** 2, t * (1 - t) ** 2, t * t * (3 - 2 * t), t * t * (t - 1)
    result: Array = (
        h00 * y[index]
        + h10 * step[index] * tangent[index]
        + h01 * y[index + 1]
        + h11 * step[index] * tangent[index + 1]
    )
    return result


def edge(points: list[HullPoint]) -> tuple[Array, Array]:
    """Return VMAF and log2 of the rate of points that rise in both."""
    found = upper(points)
    return np.array([point.vmaf for point in found]), np.log2([point.bits_per_second for point in found])


def bd_rate(ours: tuple[Array, Array], theirs: tuple[Array, Array]) -> float:
    """Return how many per cent more bits ours takes than theirs for the same VMAF, mean over where both reach (LEAST to MOST)."""
    low = max(LEAST, ours[0][0], theirs[0][0])
    high = min(MOST, ours[0][-1], theirs[0][-1])
    at = np.linspace(low, high, 200)
    return float(100 * (2 ** np.mean(np.interp(at, *ours) - np.interp(at, *theirs)) - 1))


class Truth:
    """What brute force measured, at any CRF between."""

    def __init__(self, brute: tuple[Probed, ...]) -> None:
        self.curves: dict[tuple[int, int], tuple[Array, Array, Array]] = {}
        total = sum(each.excerpt.weight for each in brute)
        by_size: dict[tuple[int, int], list[tuple[float, float, float]]] = {}
        for index, measured in enumerate(brute[0].measured):
            rate = sum(each.excerpt.weight * each.measured[index].bits_per_second for each in brute) / total
            vmaf = sum(each.excerpt.weight * each.measured[index].score.mean for each in brute) / total
            by_size.setdefault((measured.trial.width, measured.trial.height), []).append(
                (measured.trial.crf, np.log2(rate), vmaf)
            )
        for size, rows in by_size.items():
            crf, rate_, vmaf_ = (np.array(column) for column in zip(*sorted(rows), strict=True))
            self.curves[size] = (crf, rate_, vmaf_)

    def at(self, width: int, height: int, crf: float, codec: str) -> HullPoint:
        """Return what this encode really gives."""
        crfs, rates, vmafs = self.curves[width, height]
        where = np.array([min(max(crf, crfs[0]), crfs[-1])])
        return HullPoint(
            codec, width, height, crf, float(2 ** cubic(crfs, rates, where)[0]), float(cubic(crfs, vmafs, where)[0])
        )

    def hull(self, codec: str) -> tuple[Array, Array]:
        """Return the real hull."""
        points = []
        for (width, height), (crfs, _, _) in self.curves.items():
            points += [self.at(width, height, crf, codec) for crf in np.arange(crfs[0], crfs[-1] + 0.01, 0.5)]
        return edge(points)


def compare(kept: tuple[Probed, ...], truth: Truth) -> dict[str, float]:
    """Return what choosing by these probes loses, and how well they foretell quality and rate."""
    chosen = [point for point in hull(candidates(kept)) if LEAST - 5 <= point.vmaf <= MOST + 2]
    real = [truth.at(point.width, point.height, point.crf, point.codec) for point in chosen]
    pairs = [(a, b) for a, b in zip(chosen, real, strict=True) if LEAST <= b.vmaf <= MOST]
    quality = [abs(a.vmaf - b.vmaf) for a, b in pairs]
    rate = [abs(a.bits_per_second / b.bits_per_second - 1) for a, b in pairs]
    order = sorted(real, key=lambda point: point.bits_per_second)
    best: list[HullPoint] = []
    for point in order:
        if not best or point.vmaf > best[-1].vmaf:
            best.append(point)
    ours = np.array([point.vmaf for point in best]), np.log2([point.bits_per_second for point in best])
    return {
        "loss": bd_rate(ours, truth.hull(chosen[0].codec)),
        "vmaf_error": float(np.mean(quality)),
        "vmaf_worst": float(np.max(quality)),
        "rate_error": float(np.mean(rate)),
    }


async def measure(path: Path, options: argparse.Namespace, context: Context) -> Kept:
    """Probe a clip by brute force and by every plan."""
    filters = f"scale=-2:{options.height}:flags=lanczos,format=yuv420p"
    clip = context.fresh("mkv")
    command = [
        context.tools.ffmpeg,
        "-v",
        "error",
        "-nostdin",
        "-y",
        "-i",
        str(path),
        "-an",
        "-t",
        str(options.seconds),
        "-vf",
        filters,
    ]
    await run([*command, "-c:v", "ffv1", str(clip)], 600)
    source, facts = await store(context.blobs, "sources", clip), await inspect(clip, context.tools)
    scenes = await detect(context, Search(source, facts))
    shots = timeline(scenes.cuts, scenes.frames, Fraction(facts.frame_rate))
    codec = codec_named(options.codec)
    boxes = sizes(facts)
    crfs = sorted({*np.linspace(*codec.crfs, 9).round(), *codec.probe_crfs})
    every = tuple(
        Trial(options.codec, options.preset, width, height, float(crf)) for width, height in boxes for crf in crfs
    )
    few = trials(options.codec, options.preset, boxes)
    whole = [Excerpt(gop.start, gop.frames, gop.frames, gop.frames) for gop in shots.gops]

    async def all_of(excerpts: list[Excerpt], tried: tuple[Trial, ...]) -> tuple[Probed, ...]:
        return tuple([await probe(context, Probe(source, facts, each, tried, Model.HD)) for each in excerpts])

    brute = await all_of(whole, every)
    plans = {}
    for name, effort in TITLE.items():
        plans[name] = await all_of(list(title_plan(shots, effort)), few)
    for name, effort in SHOTS.items():
        plans[name] = await all_of([each for shot in shot_plan(shots, effort) for each in shot], few)
    return Kept(shots, brute, plans)


def three(brute: tuple[Probed, ...], crfs: tuple[int, ...]) -> tuple[Probed, ...]:
    """Return of brute force what ours would have measured."""
    return tuple(
        msgspec.structs.replace(
            each,
            measured=(found := tuple(one for one in each.measured if one.trial.crf in crfs)),
            cpu_seconds=each.cpu_seconds * len(found) / len(each.measured),
        )
        for each in brute
    )


def once(brute: tuple[Probed, ...]) -> float:
    """Return what encoding the clip once at each size costs: the mean of all CRFs, without scoring."""
    trials_a_size = len(brute[0].measured) / len({(each.trial.width, each.trial.height) for each in brute[0].measured})
    return sum(each.cpu_seconds for excerpt in brute for each in excerpt.measured) / trials_a_size


async def main() -> None:
    """Measure the clips and print a table."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("clips", nargs="+", type=Path)
    parser.add_argument("--seconds", type=float, default=6)
    parser.add_argument("--height", type=int, default=540)
    parser.add_argument("--codec", default="x264")
    parser.add_argument("--preset", default="fast")
    parser.add_argument("--keep", type=Path, help="keep measurements here and take those that are there")
    options = parser.parse_args()
    rows: dict[str, list[dict[str, Any]]] = {}
    with tempfile.TemporaryDirectory() as directory:
        context = Context(find_tools(), FileBlobs(Path(directory, "blobs")), Path(directory))
        for path in options.clips:
            file = options.keep and options.keep / f"{path.stem}-{options.codec}-{options.height}.json"
            if file and file.exists():
                kept = msgspec.json.decode(file.read_bytes(), type=Kept)
            else:
                kept = await measure(path, options, context)
                if file:
                    file.write_bytes(msgspec.json.encode(kept))
            truth = Truth(kept.brute)
            for name, probed in {
                "three CRFs, whole": three(kept.brute, codec_named(options.codec).probe_crfs),
                **kept.plans,
            }.items():
                row = compare(probed, truth)
                row["cpu"] = sum(each.cpu_seconds for each in probed) / once(kept.brute)
                rows.setdefault(name, []).append(row)
                print(f"{path.stem:20} {name:20} " + "  ".join(f"{key} {value:6.2f}" for key, value in row.items()))
    for name, each in rows.items():
        means = {key: float(np.mean([row[key] for row in each])) for key in each[0]}
        print(f"{'mean':20} {name:20} " + "  ".join(f"{key} {value:6.2f}" for key, value in means.items()))
    print(msgspec.json.encode(rows).decode())


if __name__ == "__main__":
    asyncio.run(main())
