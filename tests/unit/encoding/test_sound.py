"""Sound: brought to one loudness with its dynamics untouched, mixed down by the book, every channel and every click where it was."""

import array
import math
import subprocess

import pytest
from hypothesis import given
from hypothesis import strategies as st

from kinema.services.encoding.execution.work import kind_named
from kinema.services.encoding.inspection import AudioFacts, inspect
from kinema.services.encoding.packaging.command import package
from kinema.services.encoding.sound.commands import mix
from kinema.services.encoding.sound.loudness import FILM, SHORT_FORM, Loudness, gain_db, read_summaries
from kinema.services.encoding.sound.renditions import STEREO_AAC, SoundRendition, renditions, track_name
from kinema.services.encoding.sound.work import encode_sound, measure_sound
from kinema.services.encoding.tools import find_tools, run
from tests.support import clips

TOOLS = find_tools()
PICTURES = ("-f", "lavfi", "-i", "color=black:size=64x36:rate=25")
CODED = ("-c:v", "libx264", "-preset", "ultrafast", "-c:a", "pcm_s24le")
ORDER = ("FL", "FR", "FC", "LFE", "BL", "BR")
TONES = dict(zip(ORDER, (300, 500, 800, 60, 1300, 2100), strict=True))
EACH_CODEC = pytest.mark.parametrize("codec", ["aac", "opus"])


def film_with(path, sound, *extra, seconds=4):
    clips.ffmpeg(
        *PICTURES, "-f", "lavfi", "-i", sound, "-map", "0", "-map", "1", "-t", str(seconds), *CODED, *extra, str(path)
    )
    return path


def samples(*arguments, channels):
    """Return what a command plays: for each channel its samples at 48 kHz, 1.0 for full scale."""
    command = [TOOLS.ffmpeg, "-v", "error", *arguments, "-f", "f32le", "-ar", "48000", "-"]
    whole = array.array("f", subprocess.run(command, check=True, capture_output=True).stdout)
    return [whole[channel::channels] for channel in range(channels)]


def said_of(*arguments):
    command = [TOOLS.ffmpeg, "-hide_banner", "-nostats", *arguments, "-f", "null", "-"]
    return subprocess.run(command, check=True, capture_output=True, text=True).stderr


def level(wave, frequency):
    """Return the amplitude of a tone in a wave (Goertzel's single bin of a Fourier transform)."""
    part = wave[12_000:36_000]
    turn = 2 * math.pi * frequency / 48_000
    real = sum(value * math.cos(turn * at) for at, value in enumerate(part))
    imaginary = sum(value * math.sin(turn * at) for at, value in enumerate(part))
    return 2 * math.hypot(real, imaginary) / len(part)


def surround(*loud):
    """Return a lavfi source of 5.1 in which these channels have a tone of 0.4, the others nothing."""
    waves = "|".join(f"0.4*sin(2*PI*{TONES[name]}*t)" if name in loud else "0" for name in ORDER)
    return f"aevalsrc=exprs={waves}:channel_layout=5.1:sample_rate=48000:duration=1"


async def measured(path):
    facts = await inspect(path, TOOLS)
    return facts, await measure_sound(TOOLS, path, facts, facts.audio[0])


async def encoded(path, rendition, gain, output):
    facts = await inspect(path, TOOLS)
    await encode_sound(TOOLS, path, facts, facts.audio[0], rendition, gain, output)
    return output


@pytest.mark.parametrize(
    ("channel", "left", "right"),
    [("FL", 1, 0), ("FR", 0, 1), ("FC", 0.7071, 0.7071), ("LFE", 0, 0), ("BL", 0.7071, 0), ("BR", 0, 0.7071)],
)
def test_surround_is_mixed_down_by_bs775(channel, left, right):
    waves = samples("-f", "lavfi", "-i", surround(channel), "-af", mix(2), channels=2)
    assert [level(wave, TONES[channel]) for wave in waves] == pytest.approx([0.4 * left, 0.4 * right], abs=0.002)


def test_the_mix_is_not_cut_off_before_the_gain_has_made_room():
    waves = samples("-f", "lavfi", "-i", surround(*ORDER), "-af", f"{mix(2)},volume=-6dB", channels=2)
    assert max(waves[0]) <= 0.5 * 0.4 * (1 + 2 * 0.7071)
    assert level(waves[0], TONES["BL"]) == pytest.approx(0.4 * 0.7071 * 0.501, abs=0.003)


@EACH_CODEC
async def test_every_channel_of_surround_stays_in_its_place(tmp_path, codec):
    film = film_with(tmp_path / "film.mov", surround(*ORDER), seconds=1)
    rendition = SoundRendition(codec, 6, 384_000)
    waves = samples("-i", str(await encoded(film, rendition, -6.0, tmp_path / "sound.mp4")), channels=6)
    for channel, wave in zip(ORDER, waves, strict=True):
        loudest = max(TONES, key=lambda name, wave=wave: level(wave, TONES[name]))
        assert loudest == channel
        assert level(wave, TONES[channel]) == pytest.approx(0.2, rel=0.1)


@EACH_CODEC
async def test_clicks_stay_where_they_were_to_the_sample(tmp_path, codec):
    """Priming is left out by the edit list, in the encoder's file and in the packaged one, and no sample is lost at the start."""
    click = "aevalsrc='if(eq(mod(n,48000),24000),0.9,0)+if(eq(n,40),0.8,0)':sample_rate=48000:duration=4"
    film = film_with(tmp_path / "film.mov", click)
    plain = await encoded(film, SoundRendition(codec, 2, 128_000), 0.0, tmp_path / "sound.mp4")
    packaged = tmp_path / "packaged.mp4"
    await run(package(TOOLS, plain, "audio", packaged, tmp_path), 60)
    for path in (plain, packaged):
        wave = samples("-i", str(path), channels=2)[0]
        found = [
            max(range(at, at + 48_000), key=lambda place, wave=wave: abs(wave[place]))
            for at in range(12_000, 156_000, 48_000)
        ]
        assert found == [24_000, 72_000, 120_000]
        assert abs(max(range(2000), key=lambda place, wave=wave: abs(wave[place])) - 40) <= 1
        assert len(wave) == pytest.approx(4 * 48_000, abs=1024)


CLICKS = "aevalsrc='0.02*sin(2*PI*440*t)+0.8*eq(mod(n,24000),12000)':sample_rate=48000:duration=6"
SPEECH = "aevalsrc='{0}*sin(2*PI*440*t)*lt(mod(t,8),{1})+0.02*sin(2*PI*440*t)*gte(mod(t,8),{1})':sample_rate=48000:duration=16"


@pytest.mark.parametrize("target", [FILM, SHORT_FORM], ids=["film", "short form"])
async def test_loudness_comes_out_as_wanted_and_its_range_as_it_was(tmp_path, target):
    film = film_with(tmp_path / "film.mov", SPEECH.format(0.1, 4), "-ac", "2", seconds=16)
    _, before = await measured(film)
    assert before.range_lu > 10
    gain = gain_db(before, target)
    sound = await encoded(film, SoundRendition("opus", 2, 128_000), gain, tmp_path / "sound.mp4")
    after = read_summaries(said_of("-i", str(sound), "-af", "ebur128@stereo=peak=true:framelog=quiet"))
    assert after is not None
    assert after.lufs == pytest.approx(target.lufs, abs=0.3)
    assert after.range_lu == pytest.approx(before.range_lu, abs=0.5)


async def test_peaks_keep_below_the_limit_though_the_loudness_is_not_reached(tmp_path):
    film = film_with(tmp_path / "film.mov", CLICKS)
    _, loudness = await measured(film)
    assert loudness.lufs < -30
    gain = gain_db(loudness, SHORT_FORM)
    assert gain == pytest.approx(SHORT_FORM.true_peak - loudness.true_peak)
    assert loudness.lufs + gain < SHORT_FORM.lufs - 10
    sound = await encoded(film, STEREO_AAC, gain, tmp_path / "sound.mp4")
    assert max(map(max, samples("-i", str(sound), channels=2))) < 10 ** (-0.5 / 20)


async def test_dialogue_in_the_centre_is_the_anchor(tmp_path):
    waves = "0.1*sin(2*PI*300*t)|0.1*sin(2*PI*300*t)|0.14*sin(2*PI*800*t)|0|0|0"
    film = film_with(tmp_path / "film.mov", f"aevalsrc=exprs={waves}:channel_layout=5.1:sample_rate=48000:duration=4")
    _, loudness = await measured(film)
    assert loudness.centre_lufs is not None
    assert loudness.centre_lufs < loudness.lufs
    assert loudness.anchor == loudness.centre_lufs


async def test_silence_is_left_alone(tmp_path):
    film = film_with(tmp_path / "film.mov", "anullsrc=sample_rate=48000:duration=3")
    _, loudness = await measured(film)
    assert gain_db(loudness, FILM) == 0


figures = st.floats(-99, 6)


@given(figures, st.none() | figures, st.floats(0, 60), st.floats(-99, 20), st.sampled_from([FILM, SHORT_FORM]))
def test_no_gain_passes_the_peaks_limit_or_wakes_noise(lufs, centre, span, peak, target):
    gain = gain_db(Loudness(lufs, centre, span, peak), target)
    assert gain <= 20
    assert gain == 0 or peak + gain <= target.true_peak + 0.006


def sound(channels, layout="", language="eng"):
    return AudioFacts(1, "aac", channels, 48_000, language, "", layout)


@pytest.mark.parametrize(
    ("channels", "layout", "made"),
    [(1, "mono", [2, 2]), (2, "stereo", [2, 2]), (4, "quad", [2, 2]), (5, "5.0", [2, 2]), (6, "5.1(side)", [2, 2, 6, 6]), (8, "7.1", [2, 2, 6, 6]), (6, "", [2, 2, 6, 6])],
)  # fmt: skip
def test_surround_is_kept_beside_stereo(channels, layout, made):
    wanted = renditions(sound(channels, layout))
    assert [rendition.channels for rendition in wanted] == made
    assert wanted[0] == STEREO_AAC
    assert len({track_name(sound(channels), rendition, 0) for rendition in wanted}) == len(wanted)
    assert track_name(sound(2), STEREO_AAC, 1) == "audio-eng-2-aac-128k"


@pytest.mark.parametrize("layout", ["7.1", "5.1(side)", "hexagonal", "6.1"])
async def test_other_layouts_become_5_1(tmp_path, layout):
    film = film_with(
        tmp_path / "film.mov", f"anoisesrc=sample_rate=48000:duration=1:amplitude=0.1,aformat=channel_layouts={layout}"
    )
    facts, loudness = await measured(film)
    assert facts.audio[0].channels >= 6
    output = await encoded(film, SoundRendition("aac", 6, 384_000), gain_db(loudness, FILM), tmp_path / "sound.mp4")
    shown = said_of("-i", str(output))
    assert "5.1" in shown


def test_sound_is_work_that_any_machine_can_do():
    assert {kind_named(name).name for name in ("measure-sound", "encode-sound")} == {"measure-sound", "encode-sound"}
