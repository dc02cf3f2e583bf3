"""What sources are: facts of odd ones, one sentence for hopeless ones, and no way out for hostile ones."""

import asyncio

import pytest

from kinema.services.encoding.inspection import ChapterFacts, Unusable, inspect
from kinema.services.encoding.tools import find_tools
from tests.support import clips


def facts_of(path):
    return inspect(path, find_tools())


async def sentence_of(path):
    with pytest.raises(Unusable) as caught:
        await facts_of(path)
    said = caught.value.detail
    assert said.count(". ") == 0
    assert "\n" not in said
    assert str(path) not in said
    return said


async def test_a_plain_film(clip):
    facts = await facts_of(clip)
    assert (facts.width, facts.height, facts.frame_rate, facts.variable_rate) == (854, 480, "12/1", False)
    assert facts.packets == 108
    assert abs(facts.duration_seconds - 9) < 0.05
    assert [(audio.channels, audio.language) for audio in facts.audio] == [(1, "und")]


@pytest.mark.parametrize(
    ("make", "word"),
    [
        (clips.text_as_film, "not a film"),
        (clips.empty_film, "0 bytes"),
        (clips.truncated_film, "cut short"),
        (clips.audio_only, "no moving picture"),
    ],
)
async def test_hopeless_files_get_one_sentence(tmp_path, make, word):
    assert word in await sentence_of(make(tmp_path / "film.mp4"))


async def test_a_film_cut_in_its_pictures_is_noticed_though_its_index_is_whole(tmp_path):
    whole = clips.make_clip(tmp_path / "whole.mp4", extra=("-movflags", "+faststart"))
    cut = tmp_path / "cut.mp4"
    cut.write_bytes(whole.read_bytes()[: whole.stat().st_size // 2])
    assert "cut short" in await sentence_of(cut)


async def test_a_picture_is_no_film(tmp_path):
    picture = tmp_path / "picture.png"
    clips.ffmpeg("-f", "lavfi", "-i", "testsrc=size=64x64:duration=1", "-frames:v", "1", str(picture))
    assert "not a film" in await sentence_of(picture)


async def test_a_cover_is_no_moving_picture(tmp_path):
    cover, sound, both = tmp_path / "c.jpg", tmp_path / "s.m4a", tmp_path / "b.m4a"
    clips.ffmpeg("-f", "lavfi", "-i", "testsrc=size=64x64:duration=1", "-frames:v", "1", str(cover))
    clips.ffmpeg("-f", "lavfi", "-i", "sine=duration=1", "-c:a", "aac", str(sound))
    clips.ffmpeg("-i", str(sound), "-i", str(cover), "-map", "0", "-map", "1", "-c", "copy",
                 "-disposition:v", "attached_pic", str(both))  # fmt: skip
    assert "no moving picture" in await sentence_of(both)


async def test_rotation_and_square_pixels(tmp_path):
    facts = await facts_of(clips.rotated_film(tmp_path / "rotated.mp4"))
    assert (facts.width, facts.height, facts.rotation) == (360, 640, 90)
    wide = clips.make_clip(tmp_path / "wide.mp4", size="320x240", extra=("-vf", "setsar=4/3"))
    assert ((await facts_of(wide)).width, (await facts_of(wide)).height) == (427, 240)


async def test_a_variable_rate(tmp_path):
    facts = await facts_of(clips.variable_rate_film(tmp_path / "vfr.mp4"))
    assert facts.variable_rate
    assert facts.frame_rate in {"24/1", "25/1", "24000/1001"}


async def test_all_sound_tracks_with_languages_and_purposes(tmp_path):
    film = tmp_path / "eight.mkv"
    tones = [part for number in range(8) for part in ("-f", "lavfi", "-i", f"sine={200 + 100 * number}:duration=1")]
    maps = [part for number in range(9) for part in ("-map", str(number))]
    clips.ffmpeg(
        "-f", "lavfi", "-i", "testsrc2=size=64x64:rate=24:duration=1", *tones, *maps, "-c:a", "aac", "-c:v", "libx264",
        "-metadata:s:a:0", "language=eng", "-metadata:s:a:1", "language=fre", "-metadata:s:a:1", "title=Comment\x07aire",
        "-metadata:s:a:2", "language=pt-BR", "-metadata:s:a:3", "language=eng", "-metadata:s:a:4", "language=not a language",
        "-disposition:a:0", "default", "-disposition:a:1", "comment", "-disposition:a:3", "visual_impaired", str(film),
    )  # fmt: skip
    facts = await facts_of(film)
    assert [(audio.language, audio.label) for audio in facts.audio] == [
        ("eng", ""), ("fre", "Comment aire"), ("pt-br", ""), ("eng", "Audio description"), ("und", ""), ("und", "Track 2"), ("und", "Track 3"), ("und", "Track 4"),
    ]  # fmt: skip
    assert [audio.dispositions for audio in facts.audio[:4]] == [
        ("default",),
        ("comment",),
        (),
        ("visual_impaired",),
    ]
    assert [audio.index for audio in facts.audio] == list(range(1, 9))
    assert facts.dropped_audio == 0


async def test_subtitles_and_chapters(tmp_path):
    words, marks, film = tmp_path / "words.srt", tmp_path / "marks.txt", tmp_path / "film.mkv"
    words.write_text("1\n00:00:00,000 --> 00:00:01,000\nHello\n")
    marks.write_text(
        ";FFMETADATA1\n[CHAPTER]\nTIMEBASE=1/1000\nSTART=0\nEND=1500\ntitle=One\n"
        "[CHAPTER]\nTIMEBASE=1/1000\nSTART=1500\nEND=9000\ntitle=Two\n[CHAPTER]\nTIMEBASE=1/1000\nSTART=9000\nEND=9500\n"
    )
    clips.ffmpeg(
        "-f", "lavfi", "-i", "testsrc2=size=64x64:rate=24:duration=3", "-i", str(words), "-i", str(marks), "-map", "0", "-map", "1", "-map", "1",
        "-map_chapters", "2", "-c:v", "libx264", "-c:s", "srt", "-metadata:s:s:0", "language=ger", "-disposition:s:0", "forced", str(film),
    )  # fmt: skip
    facts = await facts_of(film)
    assert [(text.codec, text.language, text.bitmap, text.dispositions) for text in facts.texts] == [
        ("subrip", "ger", False, ("forced",)),
        ("subrip", "und", False, ()),
    ]
    assert facts.chapters == (ChapterFacts(0.0, 1.5, "One"), ChapterFacts(1.5, 3.0, "Two"))


PLAYLIST = "#EXTM3U\n#EXT-X-TARGETDURATION:9\n#EXT-X-PLAYLIST-TYPE:VOD\n#EXTINF:9,\n{}\n#EXT-X-ENDLIST\n"
CONCAT = "ffconcat version 1.0\nfile '{}'\n"
DASH = (
    '<?xml version="1.0"?><MPD xmlns="urn:mpeg:dash:schema:mpd:2011" type="static" mediaPresentationDuration="PT9S">'
    '<Period><AdaptationSet mimeType="video/mp4"><Representation id="1" bandwidth="1">'
    "<BaseURL>{}</BaseURL></Representation></AdaptationSet></Period></MPD>"
)


@pytest.mark.parametrize("script", [PLAYLIST, CONCAT, DASH], ids=["hls", "concat", "dash"])
@pytest.mark.parametrize("extension", ["mp4", "m3u8", "ffconcat", "mpd"])
async def test_a_script_that_names_other_files_is_not_followed(tmp_path, clip, script, extension):
    target = tmp_path / "secret.mp4"
    target.write_bytes(clip.read_bytes())
    for name in ("secret.mp4", str(target), f"file://{target}", f"file:{target}"):
        attack = tmp_path / f"attack.{extension}"
        attack.write_text(script.format(name))
        await sentence_of(attack)


async def test_a_script_does_not_reach_the_network(tmp_path):
    called = []
    server = await asyncio.start_server(lambda reader, writer: called.append(1) or writer.close(), "127.0.0.1", 0)
    address = f"http://127.0.0.1:{server.sockets[0].getsockname()[1]}/x.ts"
    async with server:
        for script, extension in ((PLAYLIST, "m3u8"), (CONCAT, "ffconcat"), (DASH, "mpd")):
            attack = tmp_path / f"attack.{extension}"
            attack.write_text(script.format(address))
            await sentence_of(attack)
    assert not called


async def test_a_name_that_looks_like_an_option_or_an_address_is_a_file(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    for name in ("-version.mp4", "http:x.mp4", "a 'b' \"c\"\nd.mp4"):
        path = tmp_path / name
        path.write_bytes(clips.make_clip(tmp_path / "plain.mp4", seconds=1).read_bytes())
        assert (await facts_of(path)).packets == 24
