"""Subtitles, thumbnails, key frames and chapters in the texts, as other people's parsers read them."""

import m3u8
import msgspec
from mpegdash.parser import MPEGDASHParser

from kinema.model.encoding import ByteRange, Chapter, Segment, Tiles, Track
from kinema.model.playback import Device
from kinema.services.playback import dash, hls, navigation
from kinema.services.playback.selection import select
from tests.unit.playback.test_texts import audio, manifest, video

EDGE = "http://edge.test"
TOKEN = "t.k.m"
BASE = f"{EDGE}/m/{TOKEN}/ast_1/7/"
NONE = ByteRange(0, 0)


def file(name, kind, codec, seconds, **other):
    segment = Segment(0, 1000, seconds * 1000, "")
    return Track(name, kind, "0" * 64, 1000, codec, 9000, 8000, NONE, NONE, 1000, (segment,), **other)


TILES = Tiles(10, 10, 160, 90, 2.0)
SHEETS = tuple(file(f"thumbnails-{n}", "image", "jpeg", s, tiles=TILES) for n, s in ((1, 200), (2, 150)))
VTT = (
    file("text-eng-vtt", "text", "vtt", 350, language="eng"),
    file("text-eng-2-vtt", "text", "vtt", 350, language="eng", roles=("forced-subtitle",)),
    file("text-deu-vtt", "text", "vtt", 350, language="deu", label="Für Gehörlose", roles=("caption",)),
)
WVTT = msgspec.structs.replace(
    audio("text-eng", "eng", codec="wvtt"), kind="text", channels=0, sample_rate=0, roles=("forced-subtitle",)
)
RUNG = msgspec.structs.replace(
    video(), segments=(Segment(900, 1000, 96, "", 90.0, 300), Segment(1900, 800, 48, "", 91.0, 250))
)
FILM = msgspec.structs.replace(
    manifest(RUNG, audio(), *VTT, WVTT, *SHEETS),
    duration_seconds=350.0,
    chapters=(Chapter(0.0, 200.0, "Dusk & <dawn>"), Chapter(200.0, 350.0, "Night --> day")),
)


def test_hls_offers_subtitles_with_every_rung():
    read = m3u8.loads(hls.multivariant(FILM, Device()))
    texts = [one for one in read.media if one.type == "SUBTITLES"]
    assert [(one.uri, one.language, one.name, one.forced) for one in texts] == [
        ("text-eng-vtt.m3u8", "eng", "(eng)", "NO"),
        ("text-eng-2-vtt.m3u8", "eng", "(eng) 2", "YES"),
        ("text-deu-vtt.m3u8", "deu", "Für Gehörlose (deu)", "NO"),
    ]
    assert "transcribes-spoken-dialog" in texts[2].characteristics
    assert {one.stream_info.subtitles for one in read.playlists} == {texts[0].group_id}
    segment = m3u8.loads(hls.subtitles(FILM, VTT[0], EDGE, TOKEN))
    assert [(one.uri, one.duration) for one in segment.segments] == [(f"{BASE}text-eng-vtt.vtt", 350.0)]
    assert segment.target_duration == 350


def test_hls_names_the_bytes_of_each_key_frame():
    read = m3u8.loads(hls.multivariant(FILM, Device()))
    (frames,) = read.iframe_playlists
    assert frames.uri == "video-360p.iframes.m3u8"
    assert frames.iframe_stream_info.bandwidth == 1000, "250 bytes in 2 seconds, the larger of both rates"
    assert frames.iframe_stream_info.resolution == (640, 360)
    only = m3u8.loads(hls.i_frames(FILM, RUNG, EDGE, TOKEN))
    assert only.is_i_frames_only
    assert [(one.byterange, one.duration) for one in only.segments] == [("300@900", 4.0), ("250@1900", 2.0)]


def test_a_manifest_of_before_has_no_key_frames_to_offer():
    assert "I-FRAME" not in hls.multivariant(manifest(video(), audio()), Device())


def test_hls_names_the_sheets_for_shaka_and_the_chapters_for_apple():
    text = hls.multivariant(FILM, Device())
    assert '#EXT-X-IMAGE-STREAM-INF:BANDWIDTH=9000,CODECS="jpeg",RESOLUTION=160x90,URI="thumbnails.m3u8"' in text
    assert '#EXT-X-SESSION-DATA:DATA-ID="com.apple.hls.chapters",URI="chapters.json"' in text
    sheets = hls.images(FILM, SHEETS, EDGE, TOKEN)
    assert sheets.count("#EXT-X-TILES:RESOLUTION=160x90,LAYOUT=10x10,DURATION=2\n") == 2
    assert [one.uri for one in m3u8.loads(sheets).segments] == [f"{BASE}thumbnails-{n}.jpg" for n in (1, 2)]
    assert msgspec.json.decode(navigation.chapters_json(FILM.chapters))[1] == {
        "chapter": 2,
        "start-time": 200.0,
        "duration": 150.0,
        "titles": [{"language": "und", "title": "Night --> day"}],
    }


def test_dash_has_text_as_mp4_and_the_sheets_as_tiles():
    sets = MPEGDASHParser.parse(dash.mpd(FILM, Device(), [EDGE], TOKEN)).periods[0].adaptation_sets
    kinds = {one.content_type: one for one in sets}
    assert list(kinds) == ["video", "audio", "text", "image"]
    text = kinds["text"]
    assert (text.mime_type, text.lang, [role.value for role in text.roles]) == (
        "application/mp4", "eng", ["forced-subtitle"],
    )  # fmt: skip
    assert text.representations[0].codecs == "wvtt"
    assert text.representations[0].base_urls[0].base_url_value == "text-eng.mp4"
    (tiles,) = kinds["image"].representations
    assert (tiles.width, tiles.height) == (1600, 900)
    assert (tiles.essential_properties[0].scheme_id_uri, tiles.essential_properties[0].value) == (
        "http://dashif.org/guidelines/thumbnail_tile", "10x10",
    )  # fmt: skip
    template = tiles.segment_templates[0]
    assert (template.media, template.duration, template.start_number) == ("thumbnails-$Number$.jpg", 200, 1)


def test_each_small_picture_has_a_cue_and_none_lies_behind_the_film():
    cues = [block.split("\n") for block in navigation.thumbnails_vtt(FILM, SHEETS, EDGE, TOKEN).split("\n\n")[1:]]
    assert len(cues) == 175
    assert [line.strip() for line in cues[111]] == [
        "00:03:42.000 --> 00:03:44.000",
        f"{BASE}thumbnails-2.jpg#xywh=160,90,160,90",
    ]
    assert cues[-1][0] == "00:05:48.000 --> 00:05:50.000"


def test_chapters_are_cues_whose_text_cannot_be_taken_for_more():
    assert navigation.chapters_vtt(FILM.chapters) == (
        "WEBVTT\n\n00:00:00.000 --> 00:03:20.000\nDusk &amp; &lt;dawn>\n\n00:03:20.000 --> 00:05:50.000\nNight -> day\n"
    )


def test_codecs_that_a_device_lists_say_nothing_of_text_and_pictures():
    chosen = select(FILM, Device(codecs=("avc1", "mp4a")))
    assert (chosen.texts, chosen.images) == ((*VTT, WVTT), SHEETS)
