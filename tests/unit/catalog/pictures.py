"""Real pictures, made by ffmpeg."""

from pathlib import Path

from tests.support.clips import ffmpeg

FORMATS = {"png": "png", "jpg": "mjpeg", "webp": "libwebp", "avif": "libsvtav1"}


def picture(directory: Path, kind: str = "png", size: str = "64x96", colour: str = "teal") -> bytes:
    """Return a picture of one colour."""
    path = directory / f"{size}-{colour}.{kind}"
    still = ("-still-picture", "1") if kind == "avif" else ()
    if not path.exists():
        source = f"color=c={colour}:s={size}"
        ffmpeg(
            "-f",
            "lavfi",
            "-i",
            source,
            "-frames:v",
            "1",
            "-pix_fmt",
            "rgb24" if kind == "png" else "yuv420p",
            "-c:v",
            FORMATS[kind],
            *still,
            str(path),
        )
    return path.read_bytes()
