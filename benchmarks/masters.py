"""Masters for measurements of encoding: eight films with known cuts, made from a seed, half of them to be kept out of tuning.

    python -m benchmarks.masters DIRECTORY [--height 1080] [--seconds 40] [--photographs DIRECTORY] [--clips FILE...]

A master is a chain of shots of 1.2 to 7 s which differ in what they ask of an encoder: slow moves over a photograph, with more or
less grain; shaken ones; drawn pictures without noise; still cards; and pieces of real clips where some are given. Without
photographs their place is taken by dead leaves (Lee, Mumford, Huang, "Occlusion models for natural images", 2001): discs
that hide one another, sizes falling with the third power, which have the statistics of natural scenes. Each shot is encoded
apart, nearly without loss, and all are joined, so the cuts are exactly where the plan says. The same arguments give the same plan; the
bytes are those of the ffmpeg at hand.
"""

import argparse
import hashlib
import random
import subprocess
from collections.abc import Callable, Sequence
from pathlib import Path

import msgspec
import numpy as np

from kinema.services.encoding.tools import find_tools

RATE = 24
_SHORTEST, _LONGEST = 1.2, 7.0
_PIXELS = (
    "scale=out_color_matrix=bt709:out_range=limited,format=yuv420p,setsar=1,"
    "setparams=range=limited:color_primaries=bt709:color_trc=bt709:colorspace=bt709"
)
_GRAIN = {"fine": 4, "coarse": 12, "none": 0}


class Shot(msgspec.Struct, frozen=True):
    """Pictures from `start`, `frames` of them, as ffmpeg's source and filters make them."""

    start: int
    frames: int
    what: str
    source: tuple[str, ...]
    filters: str


class Master(msgspec.Struct, frozen=True):
    """A film to measure with. `tuned` says whether policies may be tuned on it."""

    name: str
    tuned: bool
    shots: tuple[Shot, ...]

    @property
    def cuts(self) -> tuple[int, ...]:
        """The pictures with which new shots begin, without the first."""
        return tuple(shot.start for shot in self.shots[1:])


class Material(msgspec.Struct, frozen=True):
    """What shots are made from: the size of pictures, photographs, clips with their lengths in seconds."""

    width: int
    height: int
    photographs: tuple[Path, ...]
    clips: tuple[tuple[Path, float], ...]


Made = tuple[str, tuple[str, ...], str]
Maker = Callable[[random.Random, Material, int], Made]


def _looped(path: Path) -> tuple[str, ...]:
    return "-loop", "1", "-framerate", str(RATE), "-i", f"file:{path}"


def _cover(material: Material, larger: float = 1.0) -> str:
    width, height = (2 * round(side * larger / 2) for side in (material.width, material.height))
    return f"scale={width}:{height}:force_original_aspect_ratio=increase:flags=lanczos,crop={width}:{height}"


def _grain(rng: random.Random, kind: str, material: Material) -> str:
    """Return the filter that adds grain of about the same size on the screen whatever the height."""
    strength = _GRAIN[kind]
    if not strength:
        return ""
    soft = f",gblur=sigma={material.height / 1600:.3f}" if material.height > 800 else ""
    return f",noise=alls={strength}:allf=t:all_seed={rng.randrange(1 << 20)}{soft}"


def _photograph(grain: str, shake: float, brightness: float) -> Maker:
    """Return the maker of moves over a photograph: from one place and zoom to another; `shake` in shares of the width."""

    def make(rng: random.Random, material: Material, frames: int) -> Made:
        path = rng.choice(material.photographs)
        zoom = sorted(rng.uniform(1.05, 1.6) for _ in range(2))
        if rng.random() < 0.5:
            zoom.reverse()
        places = [(rng.random(), rng.random()) for _ in range(2)]
        share = f"(on/{frames})"
        z = f"{zoom[0]:.4f}+{zoom[1] - zoom[0]:.4f}*{share}"
        trembling = [f"+iw*{shake}*sin(on*{rng.uniform(0.3, 0.9):.3f})" if shake else "" for _ in range(2)]
        x = f"(iw-iw/zoom)*({places[0][0]:.4f}+{places[1][0] - places[0][0]:.4f}*{share}){trembling[0]}"
        y = f"(ih-ih/zoom)*({places[0][1]:.4f}+{places[1][1] - places[0][1]:.4f}*{share}){trembling[1]}"
        pan = f"zoompan=z='{z}':x='{x}':y='{y}':d=1:s={material.width}x{material.height}:fps={RATE}"
        light = f",eq=brightness={brightness}:contrast=0.9" if brightness else ""
        filters = f"{_cover(material, 2)},{pan}{light}{_grain(rng, grain, material)}"
        return f"{path.stem}, {grain} grain", _looped(path), filters

    return make


def _still(rng: random.Random, material: Material, _: int) -> Made:
    path = rng.choice(material.photographs)
    return f"{path.stem}, still", _looped(path), _cover(material)


def _drawn(rng: random.Random, material: Material, _: int) -> Made:
    size, seed = f"s={material.width}x{material.height}:r={RATE}", rng.randrange(1 << 20)
    small = f"s={material.width // 8}x{material.height // 8}:r={RATE}"
    source, filters = rng.choice([
        (f"gradients={size}:n=4:speed=0.02:seed={seed}", ""),
        (f"mandelbrot={size}:start_scale={rng.uniform(0.01, 2):.4f}:end_scale={rng.uniform(0.0005, 0.005):.5f}", ""),
        (f"life={small}:ratio=0.35:seed={seed}:mold=8:life_color=#c8a040:death_color=#203060:mold_color=#101820",
         f"scale={material.width}:{material.height}:flags=neighbor"),
        (f"testsrc2={size}", ""),
    ])  # fmt: skip
    return source.partition("=")[0], ("-f", "lavfi", "-i", source), filters or "null"


def _clip(rng: random.Random, material: Material, frames: int) -> Made:
    if not material.clips:
        return _photograph("fine", 0.004, 0.0)(rng, material, frames)
    path, seconds = rng.choice(material.clips)
    start = rng.uniform(0, max(0.0, seconds - frames / RATE))
    source = "-ss", f"{start:.3f}", "-i", f"file:{path}"
    # Shown at its own speed or slower, so that it lasts as long as the shot.
    slower = max(1.0, frames / RATE / max(0.5, seconds - start - 0.2))
    return f"{path.stem} from {start:.1f} s", source, f"setpts={slower:.4f}*PTS,fps={RATE},{_cover(material)}"


_CALM, _GRAINY = _photograph("none", 0.0, 0.0), _photograph("fine", 0.0, 0.0)
_NIGHT, _SHAKEN = _photograph("coarse", 0.0, -0.25), _photograph("fine", 0.006, 0.0)
_PLANS: tuple[tuple[str, bool, tuple[Maker, ...]], ...] = (
    # name, may be tuned on, what its shots are made by
    ("postcards", True, (_CALM, _GRAINY)),
    ("night", True, (_NIGHT, _NIGHT, _CALM)),
    ("drawings", True, (_drawn,)),
    ("magazine", True, (_CALM, _GRAINY, _SHAKEN, _drawn, _still, _clip)),
    ("journey", False, (_SHAKEN, _SHAKEN, _GRAINY)),
    ("old-film", False, (_NIGHT, _still, _GRAINY)),
    ("reel", False, (_clip,)),
    ("programme", False, (_clip, _drawn, _NIGHT, _CALM, _SHAKEN, _still)),
)
NAMES = tuple(name for name, _, _ in _PLANS)


def plan(material: Material, seconds: float, seed: int = 4) -> tuple[Master, ...]:
    """Return the eight masters of this length."""
    return tuple(
        Master(name, tuned, _shots(makers, material, seconds, random.Random(f"{seed} {name}")))
        for name, tuned, makers in _PLANS
    )


def _shots(makers: Sequence[Maker], material: Material, seconds: float, rng: random.Random) -> tuple[Shot, ...]:
    total = round(seconds * RATE)
    lengths: list[int] = []
    while (left := total - sum(lengths)) > 0:
        length = round(RATE * min(_LONGEST, _SHORTEST + rng.expovariate(1 / 2.0)))
        lengths.append(left if left - length < _SHORTEST * RATE else length)
    order = [makers[index % len(makers)] for index in range(len(lengths))]
    rng.shuffle(order)
    shots: list[Shot] = []
    for make, frames in zip(order, lengths, strict=True):
        what, source, filters = make(rng, material, frames)
        shots.append(Shot(sum(shot.frames for shot in shots), frames, what, source, filters))
    return tuple(shots)


def render(master: Master, directory: Path) -> Path:
    """Write a master unless it is there, and return its path. Raises CalledProcessError when ffmpeg fails."""
    target = directory / f"{master.name}-{hashlib.sha256(msgspec.json.encode(master)).hexdigest()[:10]}.mp4"
    if target.exists():
        return target
    directory.mkdir(parents=True, exist_ok=True)
    ffmpeg = [find_tools().ffmpeg, "-hide_banner", "-nostdin", "-y", "-v", "error"]
    pieces: list[Path] = []
    for index, shot in enumerate(master.shots):
        piece = directory / f"{master.name}-{index}.part.mp4"
        subprocess.run(
            [
                *ffmpeg, *shot.source, "-vf", f"{shot.filters},{_PIXELS},tpad=stop_mode=clone:stop=-1",
                "-frames:v", str(shot.frames), "-an", "-c:v", "libx264", "-preset", "veryfast", "-crf", "6",
                "-x264-params", "keyint=48:open-gop=0:stitchable=1", "-video_track_timescale", str(RATE * 512), str(piece),
            ],
            check=True,
        )  # fmt: skip
        pieces.append(piece)
    chain = directory / f"{master.name}.ffconcat"
    chain.write_text(
        "ffconcat version 1.0\n"
        + "".join(
            f"file '{piece.absolute()}'\nduration {shot.frames / RATE:.6f}\n"
            for piece, shot in zip(pieces, master.shots, strict=True)
        )
    )
    whole = target.with_suffix(".part.mp4")
    subprocess.run([*ffmpeg, "-f", "concat", "-safe", "0", "-i", str(chain), "-c", "copy", str(whole)], check=True)
    whole.replace(target)
    for path in (*pieces, chain):
        path.unlink()
    return target


def dead_leaves(directory: Path, width: int, height: int, count: int, seed: int) -> tuple[Path, ...]:
    """Write pictures of discs that hide one another, with a texture each, and return their paths."""
    directory.mkdir(parents=True, exist_ok=True)
    paths = []
    for number in range(count):
        path = directory / f"leaves-{width}x{height}-{seed}-{number}.ppm"
        paths.append(path)
        if path.exists():
            continue
        rng = np.random.default_rng((seed, number))
        picture = np.tile(rng.uniform(40, 200, 3).astype(np.float32), (height, width, 1))
        # Radii r with density r^-3 between a pixel and a third of the height, largest first: many small ones stay seen.
        radii = np.sort(1.5 / np.sqrt(rng.uniform((4.5 / height) ** 2, 1.0, 6000)))[::-1]
        for radius in radii:
            x, y = rng.uniform(0, width), rng.uniform(0, height)
            top, bottom = max(0, int(y - radius)), min(height, int(y + radius) + 2)
            left, right = max(0, int(x - radius)), min(width, int(x + radius) + 2)
            rows, columns = np.mgrid[top:bottom, left:right]
            edge = np.clip(radius - np.hypot(rows - y, columns - x), 0, 1)[..., None]
            waves = 12 * np.sin(rows * rng.uniform(0.05, 0.9) + columns * rng.uniform(0.05, 0.9))[..., None]
            colour = rng.uniform(10, 245, 3) + waves * rng.uniform(0, 1)
            picture[top:bottom, left:right] += edge * (colour - picture[top:bottom, left:right])
        path.write_bytes(b"P6 %d %d 255\n" % (width, height) + np.clip(picture, 0, 255).astype(np.uint8).tobytes())
    return tuple(paths)


def material(directory: Path, height: int, photographs: Path | None, clips: Sequence[Path]) -> Material:
    """Return what shots are made from: the photographs and clips given, dead leaves where there are no photographs."""
    width = 2 * round(height * 16 / 18)
    found = (
        sorted(path for path in photographs.iterdir() if path.suffix.lower() in {".jpg", ".jpeg", ".png"})
        if photographs
        else []
    )
    if not found:
        found = list(dead_leaves(directory, width * 3 // 2, height * 3 // 2, 8, 4))
    return Material(width, height, tuple(found), tuple((path, _seconds(path)) for path in clips))


def _seconds(path: Path) -> float:
    show = ["-v", "error", "-show_entries", "format=duration", "-of", "csv=p=0", str(path)]
    return float(subprocess.run([find_tools().ffprobe, *show], check=True, capture_output=True, text=True).stdout)


def arguments(parser: argparse.ArgumentParser) -> None:
    """Add the options that say which masters are made."""
    parser.add_argument("--height", type=int, default=1080, help="lines of the masters")
    parser.add_argument("--seconds", type=float, default=40.0, help="length of each master")
    parser.add_argument("--photographs", type=Path, help="directory with JPEG or PNG pictures")
    parser.add_argument("--clips", type=Path, nargs="*", default=[], help="films from which pieces are taken")


def main() -> None:
    """Write all masters and say where their cuts are."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("directory", type=Path)
    arguments(parser)
    asked = parser.parse_args()
    stuff = material(asked.directory, asked.height, asked.photographs, asked.clips)
    for master in plan(stuff, asked.seconds):
        print(f"{render(master, asked.directory)}  cuts at {' '.join(map(str, master.cuts))}")
        for shot in master.shots:
            print(f"    {shot.start:5d} {shot.frames:4d}  {shot.what}")


if __name__ == "__main__":
    main()
