"""`python -m kinema.demo`: render one film, or look at what the studio makes without a region."""

from __future__ import annotations

import argparse
import resource
import subprocess
import sys
from pathlib import Path

import numpy as np

from kinema.demo.artwork import SIZES, Kind, artwork, jpeg
from kinema.demo.ffmpeg import ffmpeg
from kinema.demo.film import Film, Picture
from kinema.demo.films import FILMS, film
from kinema.demo.render import render


def main(arguments: list[str] | None = None) -> int:
    """Parse the command line and do what it says."""
    parser = argparse.ArgumentParser(prog="python -m kinema.demo", description=__doc__)
    verbs = parser.add_subparsers(dest="verb", required=True)
    for verb, text in (
        ("render", "render a film to a file"),
        ("sheet", "a contact sheet of twelve frames of a rendered film"),
        ("poster", "its poster"),
        ("billboard", "its billboard"),
    ):
        sub = verbs.add_parser(verb, help=text)
        sub.add_argument("film", choices=FILMS)
        sub.add_argument("-o", "--output", type=Path, required=True)
        if verb == "sheet":
            sub.add_argument("--video", type=Path, required=True, help="the film as rendered")
    chosen = parser.parse_args(arguments)
    picked = film(chosen.film)
    if chosen.verb == "render":
        _render(picked, chosen.output)
    elif chosen.verb == "sheet":
        chosen.output.write_bytes(contact_sheet(chosen.video, picked))
    else:
        kind: Kind = chosen.verb
        assert kind in SIZES
        chosen.output.write_bytes(jpeg(artwork(picked, kind)))
    return 0


def _render(picked: Film, target: Path) -> None:
    def show(done: int, total: int) -> None:
        if sys.stderr.isatty() or done in (1, total):
            sys.stderr.write(f"\r{picked.title}: {done}/{total} frames")

    made = render(picked, target, progress=show)
    own, child = resource.getrusage(resource.RUSAGE_SELF), resource.getrusage(resource.RUSAGE_CHILDREN)
    sys.stderr.write(
        f"\n{target}: {target.stat().st_size / 1e6:.1f} MB in {made.seconds:.1f} s; CPU: painting "
        f"{own.ru_utime + own.ru_stime:.1f} s, ffmpeg {child.ru_utime + child.ru_stime:.1f} s\n"
    )


def contact_sheet(video: Path, picked: Film, columns: int = 3, rows: int = 4) -> bytes:
    """Frames at even distances over a rendered film, as one JPEG."""
    width, height = 480, 270
    wanted = columns * rows
    rate = wanted / picked.seconds
    command = [ffmpeg(), "-nostdin", "-loglevel", "error", "-i", str(video)]
    command += [
        "-vf",
        f"fps={rate:.6f},scale={width}:{height}",
        "-frames:v",
        str(wanted),
        "-f",
        "rawvideo",
        "-pix_fmt",
        "rgb24",
        "-",
    ]
    raw = subprocess.run(command, stdout=subprocess.PIPE, check=True).stdout  # noqa: S603 -- our own ffmpeg
    shots = np.frombuffer(raw, np.uint8).reshape(-1, height, width, 3)
    sheet: Picture = np.zeros((rows * height, columns * width, 3), np.float32)
    for index, shot in enumerate(shots[:wanted]):
        y, x = divmod(index, columns)
        sheet[y * height : (y + 1) * height, x * width : (x + 1) * width] = shot / np.float32(255)
    return jpeg(sheet)


if __name__ == "__main__":
    sys.exit(main())
