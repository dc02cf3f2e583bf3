"""The writers on what a golden comparison does not reach: many languages, odd names, several edges, devices."""

import m3u8
import pytest
from hypothesis import given
from hypothesis import strategies as st
from mpegdash.parser import MPEGDASHParser

from kinema.core.errors import BadInput, Unavailable, Unsupported
from kinema.model.encoding import ByteRange, Manifest, Segment, Track
from kinema.model.playback import Device
from kinema.services.playback import dash, hls
from kinema.services.playback.addresses import edge_addresses, in_order, origin_of
from kinema.services.playback.selection import select
from tests.support.services import edge

SEGMENTS = (Segment(900, 1000, 96, ""), Segment(1900, 800, 48, ""))


def video(name="video-360p", height=360, codec="avc1.64001e", bandwidth=800_000, rate="24/1"):
    return Track(
        name=name,
        kind="video",
        digest="0" * 64,
        size=2700,
        codec=codec,
        bandwidth=bandwidth,
        average_bandwidth=bandwidth // 2,
        init=ByteRange(0, 800),
        index=ByteRange(800, 100),
        timescale=24,
        segments=SEGMENTS,
        width=height * 16 // 9,
        height=height,
        frame_rate=rate,
    )


def audio(name="audio-und-aac-128k", language="und", label="", codec="mp4a.40.2", bandwidth=128_000, channels=2):
    return Track(
        name=name,
        kind="audio",
        digest="0" * 64,
        size=2700,
        codec=codec,
        bandwidth=bandwidth,
        average_bandwidth=bandwidth,
        init=ByteRange(0, 800),
        index=ByteRange(800, 100),
        timescale=24,
        segments=SEGMENTS,
        sample_rate=48000,
        channels=channels,
        language=language,
        label=label,
    )


def manifest(*tracks):
    return Manifest("ast_1", 7, "ttl_1", 6.0, 0.0, tracks)


texts = st.text(st.characters(codec="utf-8"), max_size=30)
tracks = st.lists(
    st.one_of(
        st.builds(
            lambda height, codec, bandwidth: video(f"video-{height}-{codec[:4]}-{bandwidth}", height, codec, bandwidth),
            st.integers(2, 4320),
            st.sampled_from(["avc1.64001e", "hvc1.1.6.L93.B0", "av01.0.04M.08"]),
            st.integers(1000, 10**9),
        ),
        st.builds(
            lambda number, language, label, codec, bandwidth: audio(
                f"audio-{number}", language, label, codec, bandwidth
            ),
            st.integers(0, 10**6),
            st.sampled_from(["und", "en", "de", "pt-BR"]),
            texts,
            st.sampled_from(["mp4a.40.2", "opus"]),
            st.integers(1000, 10**6),
        ),
    ),
    min_size=1,
    max_size=8,
    unique_by=lambda track: track.name,
)


@given(tracks)
def test_hls_reads_back_as_it_was_written(chosen):
    source = manifest(*chosen)
    parsed = m3u8.loads(hls.multivariant(source, Device()))
    videos = [track for track in chosen if track.kind == "video"]
    assert {one.uri for one in parsed.playlists} == {f"{track.name}.m3u8" for track in videos or chosen}
    if videos:
        sounds = {track.name for track in chosen if track.kind == "audio"}
        assert {one.uri for one in parsed.media} == {f"{name}.m3u8" for name in sounds}
        groups = {one.group_id for one in parsed.media}
        assert len(parsed.playlists) == len(videos) * max(1, len(groups))
        names = [(one.group_id, one.name) for one in parsed.media]
        assert len(set(names)) == len(names)
        assert [one.default for one in parsed.media].count("YES") == (1 if sounds else 0)
    for track in chosen:
        playlist = m3u8.loads(hls.media(source, track, "https://cdn.test", "a.b.c"))
        assert [segment.byterange for segment in playlist.segments] == ["1000@900", "800@1900"]
        assert [segment.duration for segment in playlist.segments] == [4.0, 2.0]


@given(tracks)
def test_dash_reads_back_as_it_was_written(chosen):
    parsed = MPEGDASHParser.parse(dash.mpd(manifest(*chosen), Device(), ["https://a.test", "https://b.test"], "a.b.c"))
    found = [one for each in parsed.periods[0].adaptation_sets for one in each.representations]
    assert {one.id for one in found} == {track.name for track in chosen}
    for each in parsed.periods[0].adaptation_sets:
        assert len({one.codecs.partition(".")[0] for one in each.representations}) == 1
    assert [base.base_url_value for base in parsed.base_urls] == [
        "https://a.test/m/a.b.c/ast_1/7/",
        "https://b.test/m/a.b.c/ast_1/7/",
    ]


def test_a_label_cannot_break_out_of_its_place():
    source = manifest(video(), audio(label='"><x a="b"\n#EXT-X-ENDLIST & more'))
    assert len(hls.multivariant(source, Device()).splitlines()) == 6
    mpd = dash.mpd(source, Device(), ["https://a.test"], "a.b.c")
    assert "<x" not in mpd
    assert "&lt;x" in mpd


def test_a_device_is_offered_what_it_shows_and_decodes():
    source = manifest(video("low", 360), video("high", 1080), video("new", 1080, "av01.0.04M.08"), audio())
    names = [track.name for track in select(source, Device(max_height=720, codecs=("avc1", "mp4a"))).video]
    assert names == ["low"]
    assert [track.name for track in select(source, Device()).video] == ["low", "high", "new"]


def test_a_small_device_still_gets_the_lowest_rung():
    source = manifest(video("low", 360), video("high", 1080))
    assert [track.name for track in select(source, Device(max_height=100)).video] == ["low"]


def test_a_device_without_our_codecs_is_told_which_there_are():
    with pytest.raises(Unsupported, match="avc1, mp4a"):
        select(manifest(video(), audio()), Device(codecs=("hvc1", "mp4a")))


def test_sound_alone_is_playable():
    parsed = m3u8.loads(hls.multivariant(manifest(audio()), Device()))
    assert [one.uri for one in parsed.playlists] == ["audio-und-aac-128k.m3u8"]


def test_edges_are_reached_at_the_host_that_the_client_used():
    origin = origin_of("films.example:8080", "https")
    edges = (edge(":8081"), edge(":8081", "edge-2"), edge("https://cdn.example/", "edge-3"))
    assert edge_addresses(edges, origin) == ("https://films.example:8081", "https://cdn.example")
    assert edge_addresses((edge(":8081"),), origin_of("[::1]:8080", "http")) == ("http://[::1]:8081",)


def test_without_an_edge_nothing_can_be_delivered():
    with pytest.raises(Unavailable):
        edge_addresses((), origin_of("localhost", "http"))


@pytest.mark.parametrize("host", ["", "a b", 'x"y', "a/b", "host:99999", "host:", "évil.example", "a" * 300, "x\n"])
def test_what_is_no_host_is_refused(host):
    with pytest.raises(BadInput):
        origin_of(host, "http")


def test_an_edge_that_leaves_moves_only_its_own_assets():
    edges = [f"https://edge-{number}.test" for number in range(5)]
    assets = [f"ast_{number}" for number in range(200)]
    before = {asset: in_order(edges, asset)[0] for asset in assets}
    after = {asset: in_order(edges[1:], asset)[0] for asset in assets}
    assert {asset for asset in assets if before[asset] != after[asset]} == {
        asset for asset in assets if before[asset] == edges[0]
    }
    assert all(list(before.values()).count(one) > 15 for one in edges)
