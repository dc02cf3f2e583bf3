"""Posters (with the title in the studio's lettering) and billboards (without), from the seed of the film, as JPEG."""

from __future__ import annotations

import subprocess
from typing import Literal

import numpy as np

from kinema.demo.ffmpeg import ffmpeg
from kinema.demo.film import Film, Picture, Stage
from kinema.demo.lettering import Ink, letter, line_width
from kinema.demo.paint import blend, bytes8, dither, ink_over, rgb

Kind = Literal["poster", "billboard"]
SIZES: dict[Kind, tuple[int, int]] = {"poster": (800, 1200), "billboard": (1920, 1080)}


def artwork(film: Film, kind: Kind, scale: float = 1.0) -> Picture:
    """The finished picture. `scale` makes it smaller, for tests and contact sheets."""
    width, height = (round(side * scale / 2) * 2 for side in SIZES[kind])
    stage = Stage(width, height, film.fps, film.seconds, film.seed)
    picture = np.clip(film.still(stage), 0, 1)
    if kind == "poster":
        _title(picture, film)
    noise = dither(256, 256, stage.rng("grain"))
    tiled = np.tile(noise, (height // 256 + 1, width // 256 + 1))[:height, :width]
    picture += ((tiled - 0.5) * 0.025)[:, :, None]
    return np.asarray(np.clip(picture, 0, 1), np.float32)


def _title(picture: Picture, film: Film) -> None:
    """The title as large as the width allows, and the studio's line at the foot."""
    height, width = picture.shape[:2]
    look = film.lettering
    wide = max(line_width(line, look.ink) for line in look.poster.upper().split("\n"))
    capital = min(width * 0.80 / wide, height * look.poster_height)
    text = letter(look.poster, capital, look.ink, margin=1.6)
    half = ((look.poster.count("\n") * look.ink.leading + 1) / 2) * capital / height
    y = min(max(look.poster_y, half + 0.05), look.foot_y - 0.045 - half)
    shade = rgb("#000000") if look.shade > 0 else rgb("#ffffff")
    blend(picture, text.glow(capital * 0.75) * abs(look.shade), 0.5, y, shade)
    ink_over(picture, text, 0.5, y, look.colour)
    foot = letter("Kinema Studio", height * 0.0125, Ink(0.11, 0.75))
    ink_over(picture, foot, 0.5, look.foot_y, look.colour, 0.8)


def jpeg(picture: Picture, quality: int = 3) -> bytes:
    """Encode as JPEG by ffmpeg; `quality` goes from 2 (best) to 31."""
    height, width = picture.shape[:2]
    command = [
        ffmpeg(), "-nostdin", "-loglevel", "error", "-f", "rawvideo", "-pix_fmt", "rgb24",
        "-s", f"{width}x{height}", "-i", "pipe:0", "-frames:v", "1", "-c:v", "mjpeg", "-pix_fmt", "yuvj444p",
        "-q:v", str(quality), "-f", "image2pipe", "pipe:1",
    ]  # fmt: skip
    done = subprocess.run(  # noqa: S603 -- our own ffmpeg, our own arguments
        command, input=bytes8(picture).tobytes(), stdout=subprocess.PIPE, check=True
    )
    return done.stdout
