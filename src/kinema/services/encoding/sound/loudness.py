"""Loudness by EBU R 128 in two passes: measure the whole film, then move it by one constant gain. Pure arithmetic.

What is measured (ITU-R BS.1770-4, by ffmpeg's ebur128): the gated loudness of the stereo mix, that of the centre channel where
there is one, the loudness range, the true peak of every mix that will be made. The anchor is dialogue: where the source has a
centre, which in films carries it, the loudness of that, unless it lies far below the whole; else the whole.

    gain = target - anchor, but at most so much that no mix's true peak passes the limit

One gain for all mixes of a sound, so that changing between them changes no level. It is what loudnorm does with
`linear=true` when it can; loudnorm falls back to riding the level when the loudness range or the peak do not fit, or
the range is measured as 0, and here nothing ever does: the range that comes out is the one that went in.
"""

import math
import re

import msgspec

_CENTRE_WITHIN = 5.0  # LU below the whole mix; a centre further down carries no dialogue
_SILENT = -60.0  # LUFS below which there is nothing to bring to a level
_MOST_GAIN = 20.0  # dB; what would need more is mostly noise
_NOTHING = -99.0


class LoudnessTarget(msgspec.Struct, frozen=True):
    """Where to: the anchor's loudness in LUFS, and the highest true peak in dBTP."""

    lufs: float
    true_peak: float


FILM = LoudnessTarget(lufs=-27.0, true_peak=-2.0)
"""Films and series: dialogue at -27 LUFS, which leaves effects and music their room."""
SHORT_FORM = LoudnessTarget(lufs=-14.0, true_peak=-1.0)
"""Trailers, clips, music: as loud as the web is."""


class Loudness(msgspec.Struct, frozen=True):
    """A sound as it was measured: loudness of the stereo mix and of the centre (None: there is none) in LUFS, range in LU, peak in dBTP."""

    lufs: float
    centre_lufs: float | None
    range_lu: float
    true_peak: float

    @property
    def anchor(self) -> float:
        """The loudness that is brought to the target, in LUFS."""
        if self.centre_lufs is not None and self.centre_lufs >= self.lufs - _CENTRE_WITHIN:
            return self.centre_lufs
        return self.lufs


def gain_db(loudness: Loudness, target: LoudnessTarget) -> float:
    """Return by how much to move a sound, in dB; 0 for silence."""
    if loudness.anchor <= _SILENT:
        return 0.0
    wanted = min(target.lufs - loudness.anchor, _MOST_GAIN)
    return round(min(wanted, target.true_peak - loudness.true_peak), 2)


_NAMED = re.compile(r"\[ebur128@(\w+) @ [^\]]+\] Summary:(.*?)(?=\n\[|\Z)", re.DOTALL)
_FIGURES = {
    "lufs": re.compile(r"I:\s+(\S+) LUFS"),
    "range": re.compile(r"LRA:\s+(\S+) LU\b"),
    "peak": re.compile(r"Peak:\s+(\S+) dBFS"),
}


def read_summaries(said: str) -> Loudness | None:
    """Return what ffmpeg's ebur128 filters said at their end, named "stereo", "surround" and "centre"; None without stereo."""
    found = {
        name: {key: _figure(pattern, summary) for key, pattern in _FIGURES.items()}
        for name, summary in _NAMED.findall(said)
    }
    stereo = found.get("stereo")
    if stereo is None:
        return None
    centre = found.get("centre")
    return Loudness(
        lufs=stereo["lufs"],
        centre_lufs=centre["lufs"] if centre else None,
        range_lu=max(0.0, stereo["range"]),
        true_peak=max(stereo["peak"], found.get("surround", stereo)["peak"]),
    )


def _figure(pattern: re.Pattern[str], summary: str) -> float:
    found = pattern.search(summary)
    value = float(found[1]) if found else _NOTHING
    return max(value, _NOTHING) if math.isfinite(value) else _NOTHING
