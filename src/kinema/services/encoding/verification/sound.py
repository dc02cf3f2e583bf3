"""Checks on a finished sound track: it decodes without a fault, without a gap, begins with the pictures and ends with them."""

from itertools import pairwise
from pathlib import Path

from kinema.model.encoding import Track
from kinema.services.encoding.tools import Tools
from kinema.services.encoding.verification.errors import NotVerified
from kinema.services.encoding.verification.pictures import decode, packets

SYNC_SECONDS = 0.1
"""By how much sound may be longer or shorter than the pictures; ITU-R BT.1359 calls 0.09 s in advance and 0.185 s late acceptable."""

_PRIMING_SECONDS = 0.1  # AAC and Opus begin up to so much before 0, which decoders drop
_LATE_SECONDS = 0.045
_JITTER_TICKS = 2


async def verify_audio(path: Path, track: Track, film_seconds: float, tools: Tools) -> None:
    """Check a sound track of a film that lasts so long. Raises NotVerified."""
    seconds = sum(segment.duration for segment in track.segments) / track.timescale
    if abs(seconds - film_seconds) > SYNC_SECONDS:
        raise NotVerified(
            f"The sound {track.name} lasts {seconds:.2f} s, the film {film_seconds:.2f} s; upload the file again."
        )
    times = [time for time, _ in await packets(path, tools)]
    _check_times(track, times)
    await decode(path, track, tools)


def _check_times(track: Track, times: list[int]) -> None:
    if not times or not -_PRIMING_SECONDS <= times[0] / track.timescale <= _LATE_SECONDS:
        raise NotVerified(f"The sound {track.name} does not begin with the pictures; upload the file again.")
    gaps = [after - before for before, after in pairwise(times)]
    # The last packet may be cut; the first one's priming may be rounded.
    if gaps and max(gaps) - min(gaps[1:-1] or gaps) > _JITTER_TICKS:
        at = times[gaps.index(max(gaps))] / track.timescale
        raise NotVerified(f"The sound {track.name} has a gap at {at:.2f} s; upload the file again.")
