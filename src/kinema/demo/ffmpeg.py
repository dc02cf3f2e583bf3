"""Where the studio's ffmpeg is: the one that the imageio-ffmpeg package carries."""

from __future__ import annotations

import imageio_ffmpeg  # type: ignore[import-untyped]


def ffmpeg() -> str:
    """Return the path of ffmpeg. Raises RuntimeError when the package has none for this machine."""
    return str(imageio_ffmpeg.get_ffmpeg_exe())
