"""Films that are odd in their times, formats and lengths: whole tracks come out, and what flashes still beeps."""

from fractions import Fraction

import pytest

from kinema.services.encoding.inspection import inspect, mezzanine_report
from kinema.services.encoding.tools import find_tools
from tests.support import clips
from tests.unit.encoding.making import making, said, times_of

FLASH = "drawbox=color=white:t=fill:enable='lt(mod(t,1),0.2)'"
BEEP = "aevalsrc='0.5*sin(2*PI*1000*t)*lt(mod(t,1),0.2)':sample_rate=48000:duration={}"


def flashing(
    path,
    *extra,
    seconds=4.0,
    sound=None,
    rate=25,
    inputs=(),
    filters=(),
    codec=("-c:v", "libx264", "-preset", "ultrafast", "-pix_fmt", "yuv420p"),
):
    """Write a film that flashes and beeps at the start of each second."""
    clips.ffmpeg(
        "-f", "lavfi", "-i", f"color=gray:size=160x90:rate={rate}:duration={seconds},noise=alls=20:all_seed=3",
        *inputs, "-f", "lavfi", "-i", BEEP.format(sound or seconds), "-vf", ",".join([FLASH, *filters]), *codec, *extra, str(path),
    )  # fmt: skip
    return path


async def tracks_of(opened, film):
    made = await making(opened, film)
    (track,) = await made.rungs(1)
    sounds = await made.sounds()
    return made, track, sounds


def seconds_of(track):
    return float(sum(segment.duration for segment in track.segments) / Fraction(track.timescale))


def assert_together(made, track, sound, *, count):
    """Assert that flashes and beeps come together, to a picture's duration, at least `count` of them."""
    luma = said(
        "-i", str(made.file(track)), "-vf", "signalstats,metadata=print:key=lavfi.signalstats.YAVG", "-f", "null", "-"
    )
    times = times_of(r"pts_time:([\d.]+)", luma)
    bright = [value > 180 for value in times_of(r"YAVG=([\d.]+)", luma)]
    flashes = [time for time, now, before in zip(times[1:], bright[1:], bright, strict=False) if now and not before]
    heard = said("-i", str(made.file(sound)), "-af", "silencedetect=n=-45dB:d=0.3", "-f", "null", "-")
    beeps = times_of(r"silence_end: ([\d.]+)", heard)
    inner = [beep for beep in beeps if 0.3 < beep < seconds_of(track) - 0.1]
    assert len(inner) >= count
    assert len(flashes) >= count
    picture = float(1 / Fraction(track.frame_rate))
    for flash in flashes:
        assert min(abs(flash - beep) for beep in beeps) <= picture + 0.006


@pytest.mark.parametrize(
    ("name", "options"),
    [
        ("screen recording", {"filters": ["select='lt(mod(t,1),0.04)+between(mod(t,1),0.19,0.25)+between(t,2.3,3)'"], "extra": ["-fps_mode", "vfr"]}),
        ("4:2:2 10 bit", {"suffix": "mov", "codec": ["-c:v", "prores_ks", "-profile:v", "3", "-pix_fmt", "yuv422p10le"]}),
        ("alpha", {"suffix": "mov", "codec": ["-c:v", "prores_ks", "-profile:v", "4444", "-pix_fmt", "yuva444p10le"]}),
        ("screen codec", {"suffix": "mov", "codec": ["-c:v", "qtrle", "-pix_fmt", "argb"]}),
        ("interlaced PAL", {"suffix": "mpg", "rate": 50, "filters": ["interlace=scan=tff"], "codec": ["-c:v", "mpeg2video", "-flags", "+ilme+ildct", "-q:v", "3"]}),
        ("AVI without presentation times", {"suffix": "avi", "codec": ["-c:v", "libx264", "-bf", "3", "-pix_fmt", "yuv420p", "-c:a", "pcm_s16le"]}),
        ("MPEG-4 in AVI", {"suffix": "avi", "codec": ["-c:v", "mpeg4", "-bf", "2", "-q:v", "3", "-c:a", "mp2"]}),
        ("times of zero", {"suffix": "mkv", "extra": ["-bsf:v", "setts=pts=0:dts=0"], "codec": ["-c:v", "mjpeg", "-q:v", "3"]}),
        ("stumbling times", {"suffix": "mkv", "extra": ["-bsf:v", "setts=pts=PTS+if(eq(mod(N\\,7)\\,3)\\,1\\,0)"], "codec": ["-c:v", "mjpeg", "-q:v", "3"]}),
    ],
)  # fmt: skip
async def test_flashes_and_beeps_stay_together(opened, tmp_path, name, options):
    extra = options.pop("extra", ())
    film = flashing(tmp_path / f"film.{options.pop('suffix', 'mp4')}", *extra, **options)
    made, track, (sound,) = await tracks_of(opened, film)
    assert seconds_of(track) == pytest.approx(4, abs=0.15), name
    assert seconds_of(sound) == pytest.approx(seconds_of(track), abs=0.1)
    assert_together(made, track, sound, count=2)


async def test_a_clock_that_jumps_inside_the_film(opened, tmp_path):
    """Two recordings joined as bytes: the second one's clock begins an hour later, or before."""
    parts = [flashing(tmp_path / f"{offset}.ts", "-output_ts_offset", str(offset), seconds=3) for offset in (3600, 10)]
    for number, order in enumerate((parts, parts[::-1])):
        film = tmp_path / f"joined{number}.ts"
        film.write_bytes(b"".join(part.read_bytes() for part in order))
        made, track, (sound,) = await tracks_of(opened, film)
        assert made.facts.jumps == 1
        assert seconds_of(track) == pytest.approx(6, abs=0.2)
        assert_together(made, track, sound, count=4)


async def test_sound_that_lasts_longer_is_cut_with_the_pictures(opened, tmp_path):
    made, track, (sound,) = await tracks_of(opened, flashing(tmp_path / "film.mp4", seconds=3, sound=7))
    assert (seconds_of(track), seconds_of(sound)) == pytest.approx((3, 3), abs=0.05)
    assert any("4.0 s longer than the pictures" in warning for warning in mezzanine_report(made.facts).warnings)


async def test_sound_that_ends_early_is_followed_by_silence(opened, tmp_path):
    made, track, (sound,) = await tracks_of(opened, flashing(tmp_path / "film.mp4", seconds=5, sound=2))
    assert (seconds_of(track), seconds_of(sound)) == pytest.approx((5, 5), abs=0.05)
    assert any("3.0 s before the pictures" in warning for warning in mezzanine_report(made.facts).warnings)


async def test_a_film_of_one_picture(opened, tmp_path):
    film = flashing(tmp_path / "film.mp4", "-frames:v", "1", sound=3)
    made, track, (sound,) = await tracks_of(opened, film)
    assert (made.facts.packets, len(track.segments), len(sound.segments)) == (1, 1, 1)
    assert seconds_of(track) == pytest.approx(0.04, abs=0.001)


async def test_a_film_that_was_cut_by_an_edit_list_begins_where_it_says(opened, tmp_path):
    """Copied from 1.5 s on, an MP4 keeps the pictures since the key frame and tells players not to show them."""
    whole = flashing(tmp_path / "whole.mp4", "-g", "50", seconds=5)
    cut = tmp_path / "cut.mp4"
    clips.ffmpeg("-ss", "1.5", "-i", str(whole), "-c", "copy", str(cut))
    made, track, (sound,) = await tracks_of(opened, cut)
    assert seconds_of(track) == pytest.approx(3.5, abs=0.09)
    assert_together(made, track, sound, count=2)


async def test_a_phones_clip_stands_upright_with_its_sound(opened, tmp_path):
    flat, turned = flashing(tmp_path / "flat.mp4"), tmp_path / "turned.mov"
    clips.ffmpeg("-display_rotation", "-90", "-i", str(flat), "-c", "copy", str(turned))
    made, track, (sound,) = await tracks_of(opened, turned)
    assert (track.width, track.height, made.facts.rotation) == (90, 160, 270)
    assert_together(made, track, sound, count=3)


@pytest.mark.slow
async def test_a_film_of_three_hours(opened, tmp_path):
    """One picture a second and a beep: long in time, small in work."""
    film = tmp_path / "film.mkv"
    clips.ffmpeg(
        "-f", "lavfi", "-i", "color=gray:size=64x36:rate=1:duration=10800", "-f", "lavfi", "-i", BEEP.format(10800),
        "-c:v", "libx264", "-preset", "ultrafast", "-pix_fmt", "yuv420p", "-c:a", "libopus", "-b:a", "24k", "-ac", "1", str(film),
    )  # fmt: skip
    made, track, (sound,) = await tracks_of(opened, film)
    assert made.facts.duration_seconds == pytest.approx(10_800, abs=1)
    assert seconds_of(track) == pytest.approx(10_800, abs=1)
    heard = said("-ss", "10790", "-i", str(made.file(sound)), "-af", "silencedetect=n=-45dB:d=0.3", "-f", "null", "-")
    for beep in times_of(r"silence_end: ([\d.]+)", heard)[1:-1]:
        assert abs(beep - round(beep)) < 0.03


async def test_a_wrong_transfer_is_told(tmp_path):
    film = tmp_path / "film.mp4"
    clips.ffmpeg(
        "-f", "lavfi", "-i", "color=white:size=64x36:rate=25:duration=1,setparams=color_primaries=bt2020:color_trc=smpte2084:colorspace=bt2020nc:range=limited",
        "-c:v", "libx264", "-preset", "ultrafast", "-pix_fmt", "yuv420p", str(film),
    )  # fmt: skip
    facts = await inspect(film, find_tools())
    assert (facts.color.hdr, facts.color.matrix) == (False, "bt709")
    assert any(
        "high dynamic range that its pictures do not have" in warning for warning in mezzanine_report(facts).warnings
    )
