"""From a `Film` to a file: frames, sound and lettering are piped through ffmpeg into a lightly compressed H.264 film.

Rendered films are kept in a cache directory under a name that contains a digest of the code that made them, so a second
start renders nothing, and editing one film renders only that film again. A file appears under its name only when complete.
"""

from __future__ import annotations

import contextlib
import hashlib
import os
import shlex
import shutil
import subprocess
import tempfile
import threading
import time
from collections.abc import Callable
from functools import cache
from pathlib import Path

import msgspec
import numpy as np
import structlog

from kinema.demo.ffmpeg import ffmpeg
from kinema.demo.film import Cue, Film, Stage
from kinema.demo.lettering import letter
from kinema.demo.sound import wav

Progress = Callable[[int, int], None]
"""Called with (frames done, frames in all)."""

_HERE = Path(__file__).parent
_COMMON = ("film.py", "lettering.py", "paint.py", "render.py", "sound.py")
log = structlog.get_logger("demo")


class RenderFailed(Exception):
    """ffmpeg ended with an error while a demo film was written."""

    def __init__(self, film: str, reason: str) -> None:
        super().__init__(f"The demo film {film!r} could not be rendered: {reason or 'ffmpeg gave no reason'}.")


class RenderStopped(Exception):
    """The rendering was asked to stop; nothing was left behind."""


class Rendered(msgspec.Struct, frozen=True):
    """A rendered film."""

    path: Path
    seconds: float
    """Wall-clock time that it took; 0 when it was in the cache."""


def version(film: Film) -> str:
    """Digest (16 hex digits) of the code and the seed that a rendering of this film depends on."""
    digest = hashlib.sha256(_common_code())
    digest.update((_HERE / "films" / f"{film.slug.replace('-', '_')}.py").read_bytes())
    digest.update(str(film.seed).encode())
    return digest.hexdigest()[:16]


@cache
def _common_code() -> bytes:
    return b"\0".join((_HERE / name).read_bytes() for name in _COMMON)


def cached(film: Film, cache_dir: Path) -> Path:
    """Where the rendering of this film is kept, whether it exists or not."""
    return cache_dir / f"{film.slug}-{version(film)}.mp4"


def render_cached(
    film: Film, cache_dir: Path, progress: Progress | None = None, stop: threading.Event | None = None
) -> Rendered:
    """The rendering from the cache, made first if it is not there. See `render` for errors."""
    target = cached(film, cache_dir)
    if target.exists():
        return Rendered(target, 0.0)
    cache_dir.mkdir(parents=True, exist_ok=True)
    for stale in cache_dir.glob(f"{film.slug}-*.mp4"):
        stale.unlink(missing_ok=True)
    for scratch in cache_dir.glob(f"{film.slug}-*/"):  # of a run that was killed
        shutil.rmtree(scratch, ignore_errors=True)
    return render(film, target, progress=progress, stop=stop)


def render(
    film: Film,
    target: Path,
    *,
    stage: Stage | None = None,
    progress: Progress | None = None,
    stop: threading.Event | None = None,
) -> Rendered:
    """Render a film to `target`, which appears when complete. Blocks; run it in a thread.

    Raises RenderFailed when ffmpeg fails and RenderStopped when `stop` was set; then nothing remains.
    """
    stage = stage or film.stage()
    begun = time.monotonic()
    with tempfile.TemporaryDirectory(prefix=f"{film.slug}-", dir=target.parent) as scratch:
        half_done = Path(scratch) / "film.mp4"
        command = _command(film, stage, Path(scratch), half_done)
        log.debug("render", film=film.slug, command=shlex.join(command))
        _pipe(film, stage, command, progress, stop)
        with half_done.open("rb") as file:
            os.fsync(file.fileno())
        half_done.replace(target)
    return Rendered(target, time.monotonic() - begun)


def _pipe(
    film: Film, stage: Stage, command: list[str], progress: Progress | None, stop: threading.Event | None
) -> None:
    with (
        tempfile.TemporaryFile() as errors,
        subprocess.Popen(  # noqa: S603 -- our own ffmpeg, our own arguments
            command, stdin=subprocess.PIPE, stderr=errors
        ) as child,
    ):
        assert child.stdin is not None
        try:
            with contextlib.suppress(BrokenPipeError):
                for done, frame in enumerate(film.frames(stage), 1):
                    _check(stop, film)
                    child.stdin.write(np.ascontiguousarray(frame).data)
                    if progress is not None:
                        progress(done, stage.count)
                child.stdin.close()
        except BaseException:
            child.kill()
            raise
        if child.wait() != 0:
            errors.seek(0)
            raise RenderFailed(film.slug, errors.read().decode(errors="replace").strip()[-500:])


def _check(stop: threading.Event | None, film: Film) -> None:
    if stop is not None and stop.is_set():
        raise RenderStopped(f"Rendering {film.slug!r} was stopped.")


def _command(film: Film, stage: Stage, scratch: Path, target: Path) -> list[str]:
    """The whole ffmpeg command: frames on its standard input, the sound and one mask file for each cue beside it."""
    sound = scratch / "sound.wav"
    sound.write_bytes(wav(film.score(stage)))
    width, height = film.size
    inputs = ["-f", "rawvideo", "-pix_fmt", film.pixels, "-s", f"{stage.width}x{stage.height}", "-r", str(film.fps)]
    inputs += ["-i", "pipe:0", "-i", str(sound)]
    graph = f"[0:v]scale={width}:{height}:flags={film.scaler}:out_color_matrix=bt709:out_range=tv,format=yuv420p[v0]"
    shown = [cue for cue in film.cues if cue.start < stage.seconds]
    for number, cue in enumerate(shown):
        mask = scratch / f"cue{number}.gray"
        wide, tall = _write_cue(cue, height, film.fps, mask)
        inputs += ["-f", "rawvideo", "-pix_fmt", "gray", "-s", f"{wide}x{tall}", "-framerate", str(film.fps)]
        inputs += ["-itsoffset", f"{cue.start:.3f}", "-i", str(mask)]
        x, y = round(cue.x * width - wide / 2), round(cue.y * height - tall / 2)
        colour = cue.colour.replace("#", "0x")
        graph += (
            f";[{number + 2}:v]split[a{number}][b{number}];[a{number}]format=rgba,drawbox=c={colour}:t=fill[c{number}]"
        )
        graph += f";[c{number}][b{number}]alphamerge[k{number}]"
        graph += f";[v{number}][k{number}]overlay={x}:{y}:eof_action=pass[v{number + 1}]"
    graph += f";[v{len(shown)}]setparams=color_primaries=bt709:color_trc=bt709:colorspace=bt709:range=tv[out]"
    encode = ["-c:v", "libx264", "-preset", film.preset, "-crf", str(film.quality), "-g", str(film.fps * 2)]
    encode += ["-threads", "2", "-c:a", "aac", "-b:a", "192k", "-t", f"{stage.seconds:.3f}"]
    return [
        ffmpeg(), "-nostdin", "-loglevel", "error", "-y", *inputs, "-filter_complex_threads", "1",
        "-filter_complex", graph, "-map", "[out]", "-map", "1:a", *encode, "-movflags", "+faststart", str(target),
    ]  # fmt: skip


def _write_cue(cue: Cue, height: int, fps: int, path: Path) -> tuple[int, int]:
    """Write a cue's masks, one grey frame after another; returns their size, which is even."""
    text = letter(cue.text, cue.height * height, cue.ink)
    rows, columns = text.distance.shape
    with path.open("wb") as file:
        for index in range(round((cue.end - cue.start) * fps)):
            t = index / fps
            fading = min(1.0, max(0.0, (cue.end - cue.start - t) / cue.fade)) if cue.fade else 1.0
            written = min(1.0, t / cue.writing) if cue.writing else 1.0
            file.write((text.mask(written) * (255 * fading)).astype(np.uint8).data)
    return columns, rows
