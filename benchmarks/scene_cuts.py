"""Scene detection against cuts that are known: titles made of pieces of clips, joined by cuts, dissolves and fades.

    python -m benchmarks.scene_cuts CLIP... [--titles 6] [--seed 1] [--clip-cuts NAME=285,378]

A title has 24 pieces of 0.4 to 4 s at 640 x 360 and 25 pictures a second, from random places of random clips. Two of three
joints are cuts, the others dissolves, fades through black, and dips to white of 4 to 25 pictures. Some pieces are darkened to a
quarter, some get grain, some photo flashes of 1 to 4 pictures; a still picture given as a clip is panned over. A cut
counts as found when a detected one lies within one picture. Beside ours stands scdet alone at its usual thresholds. Cuts
inside the clips themselves must be named with --clip-cuts (pictures at 25 a second). The last line is JSON.
"""

import argparse
import asyncio
import random
import resource
import subprocess
import tempfile
from fractions import Fraction
from pathlib import Path
from typing import Any

import msgspec
import numpy as np
import numpy.typing as npt

from kinema.services.encoding.execution.work import Context
from kinema.services.encoding.inspection import inspect
from kinema.services.encoding.shots.detection import Search, detect
from kinema.services.encoding.shots.timeline import timeline
from kinema.services.encoding.tools import find_tools
from kinema.storage.blobs_files import FileBlobs
from kinema.storage.content import store

Pictures = npt.NDArray[Any]
WIDTH, HEIGHT, RATE = 640, 360, 25
PIECES = 24
STILLS = {".png", ".jpg", ".jpeg", ".webp"}


class Title(msgspec.Struct, frozen=True):
    """A film to be searched: its pictures, the pictures that begin a shot, and those inside of gradual changes and flashes."""

    pictures: Pictures
    cuts: tuple[int, ...]


def read(path: Path, ffmpeg: str) -> Pictures:
    """Return all pictures of a clip, or a pan of 5 s over a still picture."""
    still = path.suffix in STILLS
    pan = f"zoompan=z='1.15+0.002*on':x='on*2':y='on':d={5 * RATE}:s={WIDTH}x{HEIGHT}:fps={RATE}"
    filters = f"scale=1600:900:force_original_aspect_ratio=increase,crop=1600:900,{pan}" if still else f"fps={RATE}"
    command = [
        ffmpeg, "-v", "error", "-nostdin", "-i", str(path), "-an", "-vf", f"{filters},scale={WIDTH}:{HEIGHT}",
        "-frames:v", str(30 * RATE), "-pix_fmt", "gray", "-f", "rawvideo", "-",
    ]  # fmt: skip
    body = subprocess.run(command, check=True, capture_output=True).stdout
    return np.frombuffer(body, np.uint8).reshape(-1, HEIGHT, WIDTH)


def piece(clips: dict[str, Pictures], inside: dict[str, list[int]], rng: random.Random) -> tuple[Pictures, list[int]]:
    """Return some pictures of a clip, perhaps darkened, grainy or with a flash, and the cuts in them."""
    name = rng.choice(sorted(clips))
    length = min(len(clips[name]), round(RATE * rng.uniform(0.4, 4)))
    first = rng.randrange(len(clips[name]) - length + 1)
    pictures = clips[name][first : first + length].astype(np.float32)
    noise = np.random.default_rng(rng.randrange(1 << 30))
    kind = rng.random()
    if kind < 0.2:
        pictures = 16 + (pictures - 16) * 0.25
    elif kind < 0.4:
        pictures += noise.normal(0, 6, pictures.shape).astype(np.float32)
    elif kind < 0.6 and length > 12:
        at = rng.randrange(4, length - 6)
        lasts = rng.randrange(1, 5)
        pictures[at : at + lasts] += np.linspace(170, 60, lasts, dtype=np.float32)[:, None, None]
    cuts = [cut - first for cut in inside.get(name, []) if first < cut < first + length]
    return np.clip(pictures, 0, 255), cuts


def make(clips: dict[str, Pictures], inside: dict[str, list[int]], seed: int) -> Title:
    """Return a title; the same for the same clips and seed."""
    rng = random.Random(seed)
    film, cuts = piece(clips, inside, rng)
    parts, total = [film], len(film)
    for _ in range(PIECES - 1):
        after, within = piece(clips, inside, rng)
        before = parts[-1]
        joint = rng.random()
        lasts = min(len(before) - 1, len(after) - 1, rng.randrange(4, 26))
        down = np.linspace(1, 0, lasts, dtype=np.float32)[:, None, None]
        if joint < 0.67:
            cuts.append(total)
        elif joint < 0.8:
            mixed = before[-lasts:] * down + after[:lasts] * (1 - down)
            parts[-1], after = before[:-lasts], np.concatenate([mixed, after[lasts:]])
            total -= lasts
        else:
            level = 16.0 if joint < 0.92 else 235.0
            parts[-1] = np.concatenate([before[:-lasts], before[-lasts:] * down + level * (1 - down)])
            after = np.concatenate([after[:lasts] * (1 - down) + level * down, after[lasts:]])
        cuts += [total + cut for cut in within]
        parts.append(after)
        total += len(after)
    return Title(np.concatenate(parts).round().astype(np.uint8), tuple(sorted(cuts)))


def write(title: Title, path: Path, ffmpeg: str) -> None:
    """Encode a title as a distributor would send it."""
    command = [
        ffmpeg, "-v", "error", "-nostdin", "-y", "-f", "rawvideo", "-pix_fmt", "gray", "-s", f"{WIDTH}x{HEIGHT}", "-r", str(RATE),
        "-i", "-", "-pix_fmt", "yuv420p", "-c:v", "libx264", "-preset", "ultrafast", "-crf", "18", str(path),
    ]  # fmt: skip
    arguments = [part for part in command if part != "-nostdin"]
    subprocess.run(arguments, check=True, input=title.pictures.tobytes())


def scdet(path: Path, threshold: float, ffmpeg: str) -> list[int]:
    """Return what scdet alone finds."""
    command = [
        ffmpeg, "-v", "error", "-nostdin", "-i", str(path),
        "-vf", f"scale=320:-2,scdet=threshold={threshold},metadata=print:key=lavfi.scd.time:file=-", "-f", "null", "-",
    ]  # fmt: skip
    said = subprocess.run(command, check=True, capture_output=True, text=True).stdout
    return [round(float(line.partition("=")[2]) * RATE) for line in said.splitlines() if "scd.time" in line]


def matched(found: list[int], cuts: tuple[int, ...]) -> tuple[int, int, int]:
    """Return how many cuts were found, missed, and invented."""
    left = set(cuts)
    hits = 0
    for each in found:
        near = next((cut for cut in (each, each - 1, each + 1) if cut in left), None)
        if near is not None:
            left.discard(near)
            hits += 1
    return hits, len(left), len(found) - hits


async def main() -> None:
    """Make the titles, search them, print a table."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("clips", nargs="+", type=Path)
    parser.add_argument("--titles", type=int, default=6)
    parser.add_argument("--seed", type=int, default=1)
    parser.add_argument("--clip-cuts", action="append", default=[], metavar="NAME=N,N")
    parser.add_argument("--show", action="store_true", help="name the pictures that were missed or invented")
    options = parser.parse_args()
    tools = find_tools()
    clips = {path.name: read(path, tools.ffmpeg) for path in options.clips}
    inside = {}
    for named in options.clip_cuts:
        name, _, numbers = named.partition("=")
        inside[name] = [int(number) for number in numbers.split(",")]
    totals: dict[str, list[int]] = {}
    seconds = frames = 0.0
    with tempfile.TemporaryDirectory() as directory:
        blobs = FileBlobs(Path(directory, "blobs"))
        context = Context(tools, blobs, Path(directory))
        for seed in range(options.seed, options.seed + options.titles):
            title = make(clips, inside, seed)
            path = Path(directory, f"{seed}.mp4")
            write(title, path, tools.ffmpeg)
            facts = await inspect(path, tools)
            before = resource.getrusage(resource.RUSAGE_CHILDREN)
            scenes = await detect(context, Search(await store(blobs, "sources", path), facts))
            after = resource.getrusage(resource.RUSAGE_CHILDREN)
            seconds += after.ru_utime + after.ru_stime - before.ru_utime - before.ru_stime
            frames += scenes.frames
            assert scenes.frames == len(title.pictures), (scenes.frames, len(title.pictures))
            ways = {"ours": list(scenes.cuts)}
            ways |= {f"scdet {threshold}": scdet(path, threshold, tools.ffmpeg) for threshold in (6, 10, 14)}
            for way, found in ways.items():
                totals[way] = [
                    a + b for a, b in zip(totals.get(way, [0, 0, 0]), matched(found, title.cuts), strict=True)
                ]
            if options.show:
                ours = set(scenes.cuts)
                near = {cut + step for cut in ours for step in (-1, 0, 1)}
                print(seed, "missed", [cut for cut in title.cuts if cut not in near])
                print(seed, "invented", [cut for cut in ours if not {cut - 1, cut, cut + 1} & set(title.cuts)])
            shots = timeline(scenes.cuts, scenes.frames, Fraction(RATE)).shots
            print(f"title {seed}: {scenes.frames} pictures, {len(title.cuts)} cuts, {len(shots)} shots")
    for way, (hits, missed, invented) in totals.items():
        precision, recall = hits / max(1, hits + invented), hits / max(1, hits + missed)
        print(
            f"{way:10} found {hits:4}  missed {missed:3}  invented {invented:3}  F1 {2 * hits / (2 * hits + missed + invented):.3f}  precision {precision:.3f}  recall {recall:.3f}"
        )
    print(f"ours: {1000 * seconds / frames:.2f} ms of CPU a picture")
    print(msgspec.json.encode({"totals": totals, "cpu_seconds_a_picture": seconds / frames}).decode())


if __name__ == "__main__":
    asyncio.run(main())
