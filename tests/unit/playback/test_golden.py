"""Our texts beside Shaka Packager's own for the same tracks.

The rule of tolerance: what is counted in bytes, pixels, samples and names must be equal; bandwidths may differ by the
rounding of one bit per second for each track that is summed; durations by half a millisecond, to which Packager rounds. Packager's peak counts every segment and ours no last one that is
shorter than half the longest (RFC 8216, 4.3.4.2); the tracks here end with a longer one, so both count all.
"""

import m3u8
import pytest
from mpegdash.parser import MPEGDASHParser

from kinema.model.playback import Device
from kinema.services.playback import dash, hls

EDGE = "http://edge.test:8081"
TOKEN = "payload.key.mac"


@pytest.fixture(scope="module")
def ours_hls(packaged):
    return m3u8.loads(hls.multivariant(packaged.manifest, Device()))


@pytest.fixture(scope="module")
def theirs_hls(packaged):
    return m3u8.loads(packaged.hls)


def test_multivariant_names_the_same_variants(ours_hls, theirs_hls):
    assert ours_hls.is_variant
    assert ours_hls.is_independent_segments == theirs_hls.is_independent_segments is True
    ours = {playlist.uri: playlist.stream_info for playlist in ours_hls.playlists}
    theirs = {playlist.uri: playlist.stream_info for playlist in theirs_hls.playlists}
    assert ours.keys() == theirs.keys()
    for name, info in ours.items():
        assert info.codecs == theirs[name].codecs
        assert info.resolution == theirs[name].resolution
        assert info.frame_rate == theirs[name].frame_rate
        assert info.closed_captions == theirs[name].closed_captions
        assert info.bandwidth == pytest.approx(theirs[name].bandwidth, abs=2)
        assert info.average_bandwidth == pytest.approx(theirs[name].average_bandwidth, abs=2)


def test_multivariant_names_the_same_sound(ours_hls, theirs_hls):
    (ours,), (theirs,) = ours_hls.media, theirs_hls.media
    assert (ours.type, ours.uri, ours.name, ours.channels, ours.autoselect) == (
        theirs.type,
        theirs.uri,
        theirs.name,
        theirs.channels,
        theirs.autoselect,
    )
    assert {playlist.stream_info.audio for playlist in ours_hls.playlists} == {ours.group_id}


@pytest.mark.parametrize("name", ["video-180p", "video-360p", "audio-und-aac-128k"])
def test_media_playlists_address_the_same_bytes(packaged, name):
    track = packaged.manifest.track(name)
    ours = m3u8.loads(hls.media(packaged.manifest, track, EDGE, TOKEN))
    theirs = m3u8.loads(packaged.hls_media[name])
    assert ours.target_duration == theirs.target_duration
    assert ours.playlist_type == theirs.playlist_type == "vod"
    assert ours.is_endlist
    assert ours.segment_map[0].byterange == theirs.segment_map[0].byterange
    assert _spans(ours) == _spans(theirs)
    assert [s.duration for s in ours.segments] == pytest.approx([s.duration for s in theirs.segments], abs=0.0005)
    address = f"{EDGE}/m/{TOKEN}/{packaged.manifest.asset}/3/{name}.mp4"
    assert ours.segment_map[0].uri == address
    assert [segment.uri for segment in ours.segments] == [f"{address}?{n}" for n in range(1, len(ours.segments) + 1)]


def _spans(playlist):
    """Return first byte and length of each segment; without an offset a range follows the one before (RFC 8216, 4.3.2.2)."""
    spans, end = [], 0
    for segment in playlist.segments:
        length, _, offset = segment.byterange.partition("@")
        begin = int(offset) if offset else end
        end = begin + int(length)
        spans.append((begin, int(length)))
    return spans


def test_dash_describes_the_same_presentation(packaged):
    ours = MPEGDASHParser.parse(dash.mpd(packaged.manifest, Device(), [EDGE], TOKEN))
    theirs = MPEGDASHParser.parse(packaged.dash)
    assert ours.type == theirs.type == "static"
    assert ours.profiles == theirs.profiles
    assert _seconds(ours.media_presentation_duration) == pytest.approx(
        _seconds(theirs.media_presentation_duration), abs=0.0005
    )
    assert [base.base_url_value for base in ours.base_urls] == [f"{EDGE}/m/{TOKEN}/{packaged.manifest.asset}/3/"]
    for kind in ("video", "audio"):
        _same_set(_adaptation_set(ours, kind), _adaptation_set(theirs, kind), kind)


def _same_set(ours, theirs, kind):
    assert ours.subsegment_alignment == theirs.subsegment_alignment
    assert (ours.max_width, ours.max_height, ours.frame_rate) == (
        theirs.max_width,
        theirs.max_height,
        theirs.frame_rate,
    )
    assert ours.roles[0].value == "main"
    assert len(ours.representations) == len(theirs.representations)
    by_size = {one.segment_bases[0].index_range + one.codecs: one for one in theirs.representations}
    for one in ours.representations:
        other = by_size[one.segment_bases[0].index_range + one.codecs]
        assert (one.width, one.height) == (other.width, other.height)
        assert one.audio_sampling_rate == other.audio_sampling_rate
        assert one.bandwidth == pytest.approx(other.bandwidth, abs=1)
        assert one.segment_bases[0].timescale == other.segment_bases[0].timescale
        assert one.segment_bases[0].initializations[0].range == other.segment_bases[0].initializations[0].range
        assert (one.mime_type or ours.mime_type) == other.mime_type == f"{kind}/mp4"
        if kind == "audio":
            (channels,), (others,) = one.audio_channel_configurations, other.audio_channel_configurations
            assert (channels.scheme_id_uri, channels.value) == (others.scheme_id_uri, others.value)


def _adaptation_set(mpd, kind):
    (found,) = [one for one in mpd.periods[0].adaptation_sets if one.content_type == kind]
    return found


def _seconds(duration):
    assert duration.startswith("PT")
    assert duration.endswith("S")
    return float(duration[2:-1])
