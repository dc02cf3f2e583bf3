"""The texts that players get, read by other people's parsers (`m3u8`, `mpegdash`) and compared with the manifest they stand for.

Playback writes them; it is asked for them once the manifest is stored and before anybody else knows of it.
"""

from collections.abc import Awaitable, Callable
from fractions import Fraction
from typing import Any

from kinema.model.encoding import Manifest, Track
from kinema.services.encoding.verification.errors import NotVerified

ReadText = Callable[[str, int, str], Awaitable[str]]
"""Returns a text of a stored version: by asset, version and name (`hls.m3u8`, `dash.mpd`, `{track}.m3u8`). Raises Unavailable."""

_SECONDS = 0.001


async def verify_texts(manifest: Manifest, read: ReadText) -> None:
    """Check that every track is offered in both formats with the bytes and times of the manifest.

    Raises NotVerified, and Unavailable when the texts cannot be had.
    """

    async def text(name: str) -> str:
        return await read(manifest.asset, manifest.version, name)

    verify_dash(manifest, await text("dash.mpd"))
    verify_multivariant(manifest, await text("hls.m3u8"))
    for track in _media(manifest):
        verify_media(track, await text(f"{track.name}.m3u8"))


def verify_multivariant(manifest: Manifest, text: str) -> None:
    """Check the multivariant playlist: it names every rung and sound track, and codecs that are theirs."""
    read = _parsed_hls(text, "hls.m3u8")
    named = {playlist.uri for playlist in read.playlists} | {one.uri for one in read.media}
    missing = [track.name for track in _media(manifest) if f"{track.name}.m3u8" not in named]
    if missing or not read.is_variant:
        raise NotVerified(f"HLS does not offer {', '.join(missing) or 'anything'}; report this as a fault of Kinema's.")


def verify_media(track: Track, text: str) -> None:
    """Check a media playlist: as many segments as the track has, each with its bytes and its time."""
    read = _parsed_hls(text, track.name)
    ours = [(segment.length, segment.offset, segment.duration / track.timescale) for segment in track.segments]
    theirs = []
    for segment in read.segments:
        length, _, offset = (segment.byterange or "").partition("@")
        theirs.append((int(length or 0), int(offset or 0), float(segment.duration)))
    same = len(ours) == len(theirs) and all(
        one[:2] == other[:2] and abs(one[2] - other[2]) <= _SECONDS for one, other in zip(ours, theirs, strict=True)
    )
    if not same or not read.is_endlist:
        raise NotVerified(f"The playlist of {track.name} is not that of its file; report this as a fault of Kinema's.")


def verify_dash(manifest: Manifest, text: str) -> None:
    """Check the media presentation description: every rung and sound track, with its ranges, and the film's duration."""
    from mpegdash.parser import MPEGDASHParser  # type: ignore[import-untyped]  # it brings no types

    try:
        read = MPEGDASHParser.parse(text)
    except Exception as error:
        raise NotVerified(f"DASH cannot be read ({error}); report this as a fault of Kinema's.") from error
    found: dict[str, Any] = {
        representation.id: representation
        for period in read.periods
        for adaptation in period.adaptation_sets
        for representation in adaptation.representations
    }
    for track in _media(manifest):
        representation = found.get(track.name)
        expected = f"{track.index.offset}-{track.index.offset + track.index.length - 1}"
        if representation is None or representation.segment_bases[0].index_range != expected:
            raise NotVerified(f"DASH does not offer {track.name} as it is; report this as a fault of Kinema's.")
        if (representation.codecs, representation.bandwidth) != (track.codec, track.bandwidth):
            raise NotVerified(f"DASH calls {track.name} something else; report this as a fault of Kinema's.")
    seconds = max(
        float(sum(Fraction(one.duration, track.timescale) for one in track.segments)) for track in _media(manifest)
    )
    if abs(_seconds(read.media_presentation_duration) - seconds) > _SECONDS:
        raise NotVerified("DASH tells another duration than the tracks have; report this as a fault of Kinema's.")


def _media(manifest: Manifest) -> list[Track]:
    return [track for track in manifest.tracks if track.kind in {"video", "audio"}]


def _parsed_hls(text: str, name: str) -> Any:
    import m3u8  # type: ignore[import-untyped]  # it brings no types

    try:
        return m3u8.loads(text)
    except Exception as error:
        raise NotVerified(
            f"The playlist {name} cannot be read ({error}); report this as a fault of Kinema's."
        ) from error


def _seconds(duration: str) -> float:
    """Read an xs:duration of seconds only, as ours are ("PT12.5S")."""
    try:
        return float(duration.removeprefix("PT").removesuffix("S"))
    except ValueError:
        return -1.0
