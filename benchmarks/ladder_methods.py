"""The ladders that are compared: fixed ones, brute force, ours per title and per shot."""

import asyncio
from collections.abc import Sequence
from itertools import islice, pairwise
from math import log2, sqrt

import msgspec

from benchmarks.ladder_peers import Rung, fitted
from benchmarks.ladder_studio import CODEC, Film, Measured, Watch
from kinema.services.encoding.allocation.lagrange import ShotCurve, allocate_shots, points_under_peak, shot_curve
from kinema.services.encoding.allocation.rungs import PlannedRung, Policy, choose_rungs
from kinema.services.encoding.codecs.table import codec_named
from kinema.services.encoding.quality.hull import hull, upper
from kinema.services.encoding.quality.plan import Effort, Excerpt, shot_plan, title_plan, trials
from kinema.services.encoding.quality.plan import sizes as probed_sizes
from kinema.services.encoding.quality.probes import PROBE, Probe, Probed, candidates
from kinema.services.encoding.quality.vmaf import Model

Size = tuple[int, int]
CRFS = (18.0, 22.0, 26.0, 30.0, 34.0, 38.0, 42.0)
_SIZES = 5
_FARTHEST = 4.0  # CRFs between two encodes, for a rate between theirs to be interpolated
_BEST, _WORST = 10.0, 51.0


class OurRung(msgspec.Struct, frozen=True):
    """A rung of ours: what was promised, why, and what it became."""

    planned: PlannedRung
    made: Measured


class Ladder(msgspec.Struct, frozen=True):
    """A method's result: rungs as (bits a second, VMAF); processor seconds for probing and for the rungs; wall seconds if all was done now."""

    rungs: tuple[tuple[float, float], ...]
    probe_cpu_seconds: float = 0.0
    final_cpu_seconds: float = 0.0
    wall_seconds: float | None = None
    ours: tuple[OurRung, ...] = ()


def sizes(film: Film) -> tuple[Size, ...]:
    """Return five sizes for brute force: those that are probed, and others in the middle of the largest gaps between them."""
    found = list(probed_sizes(film.facts))
    while len(found) < _SIZES:
        gaps = [(high[1] / low[1], index) for index, (high, low) in enumerate(pairwise(found))]
        _, index = max(gaps, default=(0.0, 0))
        below = found[index + 1] if index + 1 < len(found) else (found[0][0] // 2, found[0][1] // 2)
        share = sqrt(below[1] / found[index][1])
        found.insert(index + 1, (2 * round(found[index][0] * share / 2), 2 * round(found[index][1] * share / 2)))
    return tuple(found)


async def brute_force(film: Film) -> tuple[Ladder, dict[Size, list[Measured]]]:
    """Encode the film at every size and CRF, whole."""
    watch = Watch(film)
    grid = [(size, crf) for size in sizes(film) for crf in CRFS]
    made = await asyncio.gather(*(film.whole(size, [crf]) for size, crf in grid))
    by_size: dict[Size, list[Measured]] = {}
    for (size, _), each in zip(grid, made, strict=True):
        by_size.setdefault(size, []).append(each)
    return Ladder(
        rungs=tuple((each.bits_per_second, each.vmaf) for each in made),
        probe_cpu_seconds=sum(each.encode_cpu_seconds + each.judge_cpu_seconds for each in made),
        wall_seconds=watch.seconds(),
    ), by_size


async def fixed(film: Film, ladder: Sequence[Rung], known: dict[Size, list[Measured]]) -> Ladder:
    """Return a fixed ladder's rungs at their rates, each with the one CRF that gives this rate.

    That is the best that such a ladder can be: constant quality without any ceiling, and the rate met exactly. Between two
    encodes at most four CRFs apart the VMAF is interpolated over log rate. `known` encodes are used and added to.
    """
    rungs = fitted(tuple(ladder), film.facts.width, film.facts.height)
    return Ladder(tuple([await _at_rate(film, rung, known) for rung in rungs]))


async def _at_rate(film: Film, rung: Rung, known: dict[Size, list[Measured]]) -> tuple[float, float]:
    size = (rung.width, rung.height)
    made = known.setdefault(size, [])
    while True:
        made.sort(key=lambda each: each.crfs[0])
        if not made:
            crf = _guess(rung, known)
        else:
            best, worst = made[0], made[-1]
            if rung.bits_per_second > best.bits_per_second:
                if best.crfs[0] <= _BEST:
                    return best.bits_per_second, best.vmaf
                crf = best.crfs[0] - _step(rung.bits_per_second / best.bits_per_second)
            elif rung.bits_per_second < worst.bits_per_second:
                if worst.crfs[0] >= _WORST:
                    return worst.bits_per_second, worst.vmaf
                crf = worst.crfs[0] + _step(worst.bits_per_second / rung.bits_per_second)
            else:
                high, low = next(
                    pair
                    for pair in pairwise(made)
                    if pair[1].bits_per_second <= rung.bits_per_second <= pair[0].bits_per_second
                )
                if low.crfs[0] - high.crfs[0] <= _FARTHEST:
                    share = log2(rung.bits_per_second / low.bits_per_second) / log2(
                        high.bits_per_second / low.bits_per_second
                    )
                    return float(rung.bits_per_second), low.vmaf + share * (high.vmaf - low.vmaf)
                crf = round((low.crfs[0] + high.crfs[0]) / 2)
        made.append(await film.whole(size, [min(max(float(crf), _BEST), _WORST)]))


def _step(ratio: float) -> float:
    """Return how many CRFs to move for a rate that differs by this factor, so that the rate lies between: a little more than due."""
    return max(2, round(6 * log2(ratio) + 0.7))


def _guess(rung: Rung, known: dict[Size, list[Measured]]) -> float:
    """Return the CRF of the known encode whose rate, moved to this size, is nearest; rates grow with pixels to the power of 3/4."""
    pixels = rung.width * rung.height
    moved = [
        (
            abs(log2(each.bits_per_second * (pixels / (each.width * each.height)) ** 0.75 / rung.bits_per_second)),
            each.crfs[0],
        )
        for those in known.values()
        for each in those
    ]
    return min(moved, default=(0.0, 28.0))[1]


async def _probed(film: Film, excerpts: Sequence[Excerpt]) -> list[Probed]:
    """Probe parts of the film, as the product does."""
    tried = trials(CODEC, codec_named(CODEC).preset, probed_sizes(film.facts))
    return await asyncio.gather(
        *(film.steps.do(PROBE, Probe(film.digest, film.facts, excerpt, tried, Model.HD)) for excerpt in excerpts)
    )


async def per_title(film: Film, policy: Policy) -> Ladder:
    """Probe a share of the film, choose rungs on the hull of the fitted curves, and make them with a CRF each."""
    watch = Watch(film)
    probed = await _probed(film, title_plan(film.timeline, Effort()))
    rungs = choose_rungs(hull(candidates(probed)), film.facts, policy)
    return await _finals(film, rungs, sum(each.cpu_seconds for each in probed), watch)


async def per_shot(film: Film, policy: Policy) -> Ladder:
    """Probe every shot, share bits at equal slope, choose rungs on the hull of that, and make them with a CRF for each shot."""
    watch = Watch(film)
    plan = shot_plan(film.timeline, Effort())
    probed = iter(await _probed(film, [excerpt for excerpts in plan for excerpt in excerpts]))
    curves: dict[Size, list[ShotCurve]] = {}
    cpu = 0.0
    for shot, excerpts in zip(film.timeline.shots, plan, strict=True):
        those = list(islice(probed, len(excerpts)))
        cpu += sum(each.cpu_seconds for each in those)
        for found in candidates(those):
            curve = shot_curve(shot.start, shot.frames, found.curve)
            curves.setdefault((found.width, found.height), []).append(curve)
    points = upper(
        point for size, shots in curves.items() for point in points_under_peak(CODEC, *size, shots, film.facts, policy)
    )
    rungs = [
        allocate_shots(rung, curves[rung.width, rung.height], film.facts, policy)
        for rung in choose_rungs(points, film.facts, policy)
    ]
    return await _finals(film, rungs, cpu, watch)


async def _finals(film: Film, rungs: Sequence[PlannedRung], probe_cpu_seconds: float, watch: Watch) -> Ladder:
    made = await asyncio.gather(
        *(
            film.whole(
                (rung.width, rung.height),
                [shot.crf for shot in rung.shots],
                rung.peak_bits_per_second,
                rung.buffer_bits,
            )
            for rung in rungs
        )
    )
    return Ladder(
        rungs=tuple((each.bits_per_second, each.vmaf) for each in made),
        probe_cpu_seconds=probe_cpu_seconds,
        final_cpu_seconds=sum(each.encode_cpu_seconds for each in made),
        wall_seconds=watch.seconds(),
        ours=tuple(OurRung(rung, each) for rung, each in zip(rungs, made, strict=True)),
    )
