"""Which of a title's keys a track gets. Pure.

Sound and each class of resolution have keys of their own, so that a licence for a device that shows 480 lines does not open
the 4K rungs. Text and pictures for seeking stay clear: readers for them have no decryption.
"""

from kinema.model.encoding import Protection, Track

_TIERS = ((576, "sd"), (1080, "hd"))
SOUND = "audio"
BEST = "uhd"


def tier_of(track: Track) -> str:
    """Return the name of the key that encrypts a track: audio, sd, hd or uhd; empty when the track stays clear."""
    if track.kind == "audio":
        return SOUND
    if track.kind != "video":
        return ""
    lines = min(track.width, track.height)  # of films that stand upright too
    return next((tier for most, tier in _TIERS if lines <= most), BEST)


def protection_of(tracks: tuple[Track, ...]) -> Protection | None:
    """Return what a manifest says of these tracks' encryption; None when all are clear."""
    key_ids = tuple(dict.fromkeys(track.key_id for track in tracks if track.key_id))
    return Protection("cbcs", key_ids) if key_ids else None
