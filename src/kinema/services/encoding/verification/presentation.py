"""Checks on all tracks of a version together. Pure: what is read from the tracks' descriptions, which were read from the files.

Rungs of all codecs have the same boundaries, so that a player can change rungs at each; sound is as long as the
pictures; segments follow each other to the end of their file; what is declared of bit rates is what the segments have.
"""

from fractions import Fraction
from itertools import pairwise

from kinema.model.encoding import Track
from kinema.services.encoding.packaging.tracks import bandwidths
from kinema.services.encoding.verification.errors import NotVerified
from kinema.services.encoding.verification.sound import SYNC_SECONDS


def verify_presentation(tracks: tuple[Track, ...]) -> None:
    """Raise NotVerified, with the first thing that is wrong, when these tracks do not make one presentation."""
    names = [track.name for track in tracks]
    if len(set(names)) < len(names):
        raise NotVerified(f"Two tracks are called {max(names, key=names.count)}; upload the file again.")
    for track in tracks:
        _check_segments(track)
        _check_rates(track)
    rungs = [track for track in tracks if track.kind == "video"]
    boundaries = {tuple(Fraction(one.duration, rung.timescale) for one in rung.segments) for rung in rungs}
    if len(boundaries) > 1:
        raise NotVerified("The rungs are cut at different times; upload the file again.")
    for cut in boundaries:
        _check_lengths(tracks, float(sum(cut)))


def _check_segments(track: Track) -> None:
    position = track.index.offset + track.index.length
    starts = [segment.offset for segment in track.segments]
    ends = [segment.offset + segment.length for segment in track.segments]
    together = all(end == start for end, (_, start) in zip(ends, pairwise(starts), strict=False))
    if not track.segments or starts[0] < position or not together or ends[-1] != track.size:
        raise NotVerified(f"The segments of {track.name} do not fill its file; upload the file again.")
    if any(segment.keyframe > segment.length for segment in track.segments):
        raise NotVerified(f"A key frame of {track.name} is larger than its segment; upload the file again.")


def _check_rates(track: Track) -> None:
    if (track.bandwidth, track.average_bandwidth) != bandwidths(track.segments, track.timescale):
        raise NotVerified(
            f"The bit rates that are declared of {track.name} are not those it has; upload the file again."
        )


def _check_lengths(tracks: tuple[Track, ...], film: float) -> None:
    for track in tracks:
        seconds = sum(segment.duration for segment in track.segments) / track.timescale
        if track.kind == "audio" and abs(seconds - film) > SYNC_SECONDS:
            raise NotVerified(
                f"The sound {track.name} lasts {seconds:.2f} s, the pictures {film:.2f} s; upload the file again."
            )
