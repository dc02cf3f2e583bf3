"""Ladders side by side on the same films: Apple's, Netflix's of 2010, brute force over 5 sizes and 7 CRFs, ours per title and per shot.

    python -m benchmarks.ladder [CLIP...] [--work DIRECTORY] [--height 1080] [--seconds 40] [--photographs DIRECTORY] [--clips FILE...]

Without a CLIP eight masters are made (see `benchmarks.masters`; half of them are not for tuning). Everything is done in steps that are
kept in the work directory, with a file of results for each film, so a run that was ended goes on, and films of earlier runs are
counted again without work. `--only NAME...` does some of the masters, `--summary` none: it prints what there is.

BD-rate is over VMAF 60 to 95 (the HD model). The fixed ladders get the best that they can be: one CRF that meets the rung's rate
exactly, no ceiling. Ours are encoded with the ceiling that they are planned with. Cost is in multiples of the processor time
that the ladder's own final encodes take.
"""

import argparse
import asyncio
import logging
import statistics
from collections.abc import Callable, Sequence
from pathlib import Path

import msgspec

from benchmarks import masters
from benchmarks.ladder_figures import bd_rate, bits_at, mean_interval, upper_hull
from benchmarks.ladder_methods import Ladder, brute_force, fixed, per_shot, per_title
from benchmarks.ladder_peers import APPLE, NETFLIX
from benchmarks.ladder_studio import Studio, studio
from kinema.core import log
from kinema.services.encoding.allocation.rungs import Policy

METHODS = ("apple", "netflix 2010", "brute force", "per title", "per shot")


class Result(msgspec.Struct, frozen=True):
    """A film and its ladders by method."""

    film: str
    tuned: bool
    width: int
    height: int
    seconds: float
    shots: int
    ladders: dict[str, Ladder]


async def examine(bench: Studio, path: Path, cuts: Sequence[int] | None, *, tuned: bool) -> Result:
    """Return the ladders of one film."""
    film = await bench.film(path, cuts)
    # Ours first, so that nothing of brute force is there yet and their wall time is that of all their work.
    ladders = {"per title": await per_title(film, Policy()), "per shot": await per_shot(film, Policy())}
    ladders["brute force"], known = await brute_force(film)
    ladders["apple"] = await fixed(film, APPLE, known)
    ladders["netflix 2010"] = await fixed(film, NETFLIX, known)
    facts = film.facts
    return Result(
        path.stem, tuned, facts.width, facts.height, facts.duration_seconds, len(film.timeline.shots), ladders
    )


# -- what is printed ----------------------------------------------------------------------------------------------------------


def points(result: Result, method: str) -> list[tuple[float, float]]:
    """Return a ladder's rungs; of brute force its hull."""
    rungs = list(result.ladders[method].rungs)
    return upper_hull(rungs) if method == "brute force" else rungs


def difference(result: Result, method: str, other: str) -> float | None:
    """Return by how much more bits a method's ladder has than another's at equal VMAF."""
    return bd_rate(points(result, method), points(result, other))


def errors(ladder: Ladder) -> list[float]:
    """Return how far each rung's VMAF is from what was promised (above zero: better), in points."""
    return [rung.made.vmaf - rung.planned.vmaf for rung in ladder.ours]


def show_film(result: Result) -> None:
    """Print a film's ladders."""
    print(
        f"\n## {result.film}: {result.width}x{result.height}, {result.seconds:.0f} s, {result.shots} shots"
        f"{'' if result.tuned else ', not tuned on'}\n"
    )
    print(
        "| | BD-rate to brute force | to Apple | kbit/s at VMAF 80 | 90 | 95 | top rung | probing / finals | wall s |"
    )
    print("| --- | --- | --- | --- | --- | --- | --- | --- | --- |")
    for method in METHODS:
        ladder, rungs = result.ladders[method], points(result, method)
        rate, vmaf = max(rungs, key=lambda rung: rung[1])
        cost = ladder.probe_cpu_seconds / ladder.final_cpu_seconds if ladder.final_cpu_seconds else None
        cells = [
            method,
            percent(difference(result, method, "brute force")),
            percent(difference(result, method, "apple")),
            *(number(bits, 1000, 0) for bits in (bits_at(rungs, quality) for quality in (80, 90, 95))),
            f"{vmaf:.1f} at {rate / 1000:,.0f}",
            number(cost, 1, 2),
            number(ladder.wall_seconds, 1, 0),
        ]
        print(f"| {' | '.join(cells)} |")
    for method in ("per title", "per shot"):
        print(f"\n{method}: promised and real, why")
        for rung in result.ladders[method].ours:
            plan, made = rung.planned, rung.made
            print(
                f"  {plan.name}: VMAF {plan.vmaf:.1f}, {made.vmaf:.1f}; {plan.bits_per_second / 1000:,.0f}, "
                f"{made.bits_per_second / 1000:,.0f} kbit/s; peak {made.peak / made.bits_per_second:.2f} x. {plan.reason}"
            )


def percent(value: float | None) -> str:
    """Return a share as per cent."""
    return "-" if value is None else f"{100 * value:+.1f} %"


def number(value: float | None, divisor: float, digits: int) -> str:
    """Return a number in a unit, or a dash."""
    return "-" if value is None else f"{value / divisor:,.{digits}f}"


def show_means(results: Sequence[Result]) -> dict[str, tuple[float, float, float]]:
    """Print means over films with the interval that holds 95 % of resampled means, and return them."""
    figures: dict[str, Callable[[Result], float | None]] = {
        "per title to brute force, BD-rate": lambda result: difference(result, "per title", "brute force"),
        "per shot to brute force, BD-rate": lambda result: difference(result, "per shot", "brute force"),
        "per title to Apple, BD-rate": lambda result: difference(result, "per title", "apple"),
        "per shot to Apple, BD-rate": lambda result: difference(result, "per shot", "apple"),
        "per title to Netflix 2010, BD-rate": lambda result: difference(result, "per title", "netflix 2010"),
        "per shot to per title, BD-rate": lambda result: difference(result, "per shot", "per title"),
        "per title, probing / finals": lambda result: _cost(result.ladders["per title"]),
        "per shot, probing / finals": lambda result: _cost(result.ladders["per shot"]),
        "per title, mean error of VMAF": lambda result: _mean_error(result.ladders["per title"]),
        "per shot, mean error of VMAF": lambda result: _mean_error(result.ladders["per shot"]),
        "per title, largest error of VMAF": lambda result: max(map(abs, errors(result.ladders["per title"]))),
        "per shot, largest error of VMAF": lambda result: max(map(abs, errors(result.ladders["per shot"]))),
    }
    found: dict[str, tuple[float, float, float]] = {}
    for title, group in (
        ("all", list(results)),
        ("not tuned on", [result for result in results if not result.tuned]),
    ):
        if not group:
            continue
        print(f"\n## Mean of {len(group)} films, {title}\n")
        print("| | mean | 95 % interval | worst |\n| --- | --- | --- | --- |")
        for name, figure in figures.items():
            values = [value for value in map(figure, group) if value is not None]
            if not values:
                continue
            mean, low, high = mean_interval(values)
            found[f"{name}, {title}"] = (mean, low, high)
            write = percent if "BD-rate" in name else lambda value: number(value, 1, 2)
            print(f"| {name} | {write(mean)} | {write(low)} to {write(high)} | {write(max(values))} |")
    return found


def _cost(ladder: Ladder) -> float | None:
    return ladder.probe_cpu_seconds / ladder.final_cpu_seconds if ladder.final_cpu_seconds else None


def _mean_error(ladder: Ladder) -> float:
    return statistics.fmean(map(abs, errors(ladder)))


async def main() -> None:
    """Examine the films that were asked for, and print what there is."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("clip", type=Path, nargs="*", help="films to examine; without any, masters are made")
    parser.add_argument("--work", type=Path, default=Path("build/ladder"), help="directory for films, steps, results")
    parser.add_argument("--only", nargs="*", default=masters.NAMES, help="names of masters")
    parser.add_argument("--threads", type=int, default=2)
    parser.add_argument("--summary", action="store_true", help="print what there is, do nothing")
    masters.arguments(parser)
    asked = parser.parse_args()
    log.configure(json=False, level=logging.WARNING)
    asked.work.mkdir(parents=True, exist_ok=True)
    results_of = asked.work / "results"
    results_of.mkdir(exist_ok=True)
    films: list[tuple[Path, tuple[int, ...] | None, bool]] = [(path, None, False) for path in asked.clip]
    if not films and not asked.summary:
        stuff = masters.material(asked.work / "masters", asked.height, asked.photographs, asked.clips)
        films = [
            (masters.render(master, asked.work / "masters"), master.cuts, master.tuned)
            for master in masters.plan(stuff, asked.seconds)
            if master.name in asked.only
        ]
    async with studio(asked.work, asked.threads) as bench:
        for path, cuts, tuned in films:
            result = await examine(bench, path, cuts, tuned=tuned)
            (results_of / f"{path.stem}.json").write_bytes(msgspec.json.encode(result))
    results = [msgspec.json.decode(path.read_bytes(), type=Result) for path in sorted(results_of.glob("*.json"))]
    for result in results:
        show_film(result)
    if results:
        print(msgspec.json.encode(show_means(results)).decode())


if __name__ == "__main__":
    asyncio.run(main())
