"""Small films and broken files, made on the spot by the ffmpeg that Kinema itself uses."""

import subprocess
from pathlib import Path

import imageio_ffmpeg


def ffmpeg(*arguments: str) -> None:
    """Run ffmpeg; raises CalledProcessError when it fails."""
    command = [imageio_ffmpeg.get_ffmpeg_exe(), "-hide_banner", "-loglevel", "error", "-nostdin", "-y", *arguments]
    subprocess.run(command, check=True, stdin=subprocess.DEVNULL)


def make_clip(
    path: Path,
    *,
    seconds: float = 4,
    size: str = "640x360",
    rate: str = "24",
    pixels: str = "yuv420p",
    sound: bool = True,
    picture: str = "testsrc2",
    extra: tuple[str, ...] = (),
) -> Path:
    """Write a moving test picture (one of ffmpeg's own) with a tone and return its path."""
    pictures = ("-f", "lavfi", "-i", f"{picture}=size={size}:rate={rate},trim=duration={seconds}")
    tone = ("-f", "lavfi", "-i", f"sine=frequency=440:duration={seconds}", "-c:a", "aac") if sound else ()
    ffmpeg(*pictures, *tone, "-c:v", "libx264", "-preset", "ultrafast", "-pix_fmt", pixels, *extra, str(path))
    return path


def text_as_film(path: Path) -> Path:
    """Write a text file under a film's name."""
    path.write_text("This is not a film. " * 500)
    return path


def empty_film(path: Path) -> Path:
    """Write a file of 0 bytes."""
    path.touch()
    return path


def truncated_film(path: Path) -> Path:
    """Write the first third of an MP4 whose index stands at its end, so that nothing in it can be found."""
    whole = make_clip(path.with_suffix(".whole.mp4"))
    path.write_bytes(whole.read_bytes()[: whole.stat().st_size // 3])
    return path


def audio_only(path: Path) -> Path:
    """Write an MP4 that holds a tone and no picture."""
    ffmpeg("-f", "lavfi", "-i", "sine=frequency=440:duration=3", "-c:a", "aac", str(path))
    return path


def rotated_film(path: Path) -> Path:
    """Write a landscape film with a display rotation of 90 degrees."""
    flat = make_clip(path.with_suffix(".flat.mp4"))
    ffmpeg("-display_rotation", "90", "-i", str(flat), "-c", "copy", str(path))
    return path


def variable_rate_film(path: Path) -> Path:
    """Write a film whose frames come at uneven times."""
    return make_clip(path, extra=("-vf", "select='not(mod(n,3))+lt(mod(n,24),8)'", "-fps_mode", "vfr"))


def deep_odd_film(path: Path) -> Path:
    """Write a 10-bit film with an odd width and height."""
    return make_clip(path, size="427x241", pixels="yuv444p10le", extra=("-profile:v", "high444"))


REFUSED = {"text": text_as_film, "empty": empty_film, "truncated": truncated_film, "audio only": audio_only}
ACCEPTED = {"rotated": rotated_film, "variable rate": variable_rate_film, "10-bit, odd size": deep_odd_film}
