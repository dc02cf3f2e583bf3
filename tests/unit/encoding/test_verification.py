"""Faulty tracks, films and texts are found before anybody hears of them, and sound ones are let pass."""

import msgspec
import pytest

from kinema.core.errors import Unavailable
from kinema.model.encoding import ByteRange, Segment, Track
from kinema.services.encoding.allocation.rungs import PlannedRung
from kinema.services.encoding.inspection import inspect
from kinema.services.encoding.packaging import command
from kinema.services.encoding.packaging.tracks import audio_track, bandwidths
from kinema.services.encoding.tools import find_tools, run
from kinema.services.encoding.verification import NotVerified, verify_audio, verify_presentation
from kinema.services.encoding.verification.content import Stretch, stretches, verify_content
from kinema.services.encoding.verification.promises import verify_promise
from tests.support.clips import ffmpeg
from tests.unit.encoding.test_packaging import SOUND as FACTS

TICKS = 24


def track(name="video-360p", kind="video", lengths=(1000, 1200, 500), durations=(96, 96, 48), codec="avc1.64001e"):
    segments, offset = [], 900
    for length, duration in zip(lengths, durations, strict=True):
        segments.append(Segment(offset, length, duration, "d", keyframe=length // 2 if kind == "video" else 0))
        offset += length
    peak, average = bandwidths(tuple(segments), TICKS)
    return Track(
        name, kind, "d", offset, codec, peak, average, ByteRange(0, 800), ByteRange(800, 100), TICKS, tuple(segments)
    )


def changed(one, **what):
    return msgspec.structs.replace(one, **what)


SOUND = track("audio", "audio", (400, 400, 100), (96, 96, 47))


def test_what_belongs_together_passes():
    av1 = track("video-av1", lengths=(700, 800, 300), codec="av01.0.04M.08")
    verify_presentation((track(), av1, SOUND, track("text", "text", (100, 50), (96, 150))))
    verify_presentation((SOUND,))


@pytest.mark.parametrize(
    ("faulty", "said"),
    [
        ((track(), track()), "Two tracks are called video-360p"),
        ((track(), track("video-av1", durations=(95, 97, 48))), "cut at different times"),
        ((track(), track("video-av1", lengths=(9, 9), durations=(96, 144))), "cut at different times"),
        ((track(), track("audio", "audio", durations=(96, 96, 30))), "lasts 9.25 s, the pictures 10.00 s"),
        ((changed(track(), size=5000),), "do not fill its file"),
        ((changed(track(), segments=track().segments[1:]),), "declared|fill"),
        ((changed(track(), bandwidth=1),), "not those it has"),
        ((changed(track(), average_bandwidth=999_999),), "not those it has"),
        (
            (changed(track(), segments=(changed(track().segments[0], keyframe=1001), *track().segments[1:])),),
            "key frame",
        ),
        ((changed(track(), segments=()),), "fill"),
    ],
)
def test_what_does_not_belong_together_is_told(faulty, said):
    with pytest.raises(NotVerified, match=said):
        verify_presentation(faulty)


PLANNED = PlannedRung("video-360p", "avc1", "fast", 640, 360, 100_000, 90.0, 200_000, 400_000, "a step", ())
LONG = (96,) * 8  # 32 seconds


@pytest.mark.parametrize("vmaf", [0.0, 88.0, 99.0])
def test_a_rung_that_keeps_its_promise_passes(vmaf):
    verify_promise(track(lengths=(50_000,) * 8, durations=LONG), PLANNED, vmaf)
    verify_promise(track(lengths=(5_000,) * 8, durations=LONG), PLANNED, vmaf)
    verify_promise(track(lengths=(500_000,), durations=(96,)), PLANNED, vmaf)


@pytest.mark.parametrize(
    ("lengths", "vmaf", "said"),
    [
        ((50_000,) * 8, 86.9, "looks worse"),
        ((57_000,) * 8, 0.0, "takes 114 kbit/s where 100 were planned"),
        ((30_000,) * 7 + (120_000,), 0.0, "peaks at 240 kbit/s"),
    ],
)
def test_a_broken_promise_is_told(lengths, vmaf, said):
    with pytest.raises(NotVerified, match=said):
        verify_promise(track(lengths=lengths, durations=LONG), PLANNED, vmaf)


HOLES = {
    "moving": ("null", "anull"),
    "black": ("drawbox=color=black:t=fill:enable='between(t,2,10)'", "anull"),
    "frozen": ("loop=loop=79:size=1:start=20,trim=end_frame=120", "anull"),
    "silent": ("null", "volume=0:enable='between(t,2,10)'"),
}


@pytest.fixture(scope="module")
def films(tmp_path_factory):
    """Small films of twelve seconds, by what they show from the third second to the tenth."""
    made = {}
    for shown, (pictures, sound) in HOLES.items():
        made[shown] = tmp_path_factory.mktemp("films") / f"{shown}.mp4"
        ffmpeg(
            "-f", "lavfi", "-i", "testsrc2=size=160x90:rate=10:duration=12",
            "-f", "lavfi", "-i", "sine=duration=12:sample_rate=48000",
            "-vf", pictures, "-af", sound, "-c:v", "libx264", "-preset", "ultrafast", "-c:a", "aac", "-shortest",
            str(made[shown]),
        )  # fmt: skip
    return made


@pytest.mark.parametrize("shown", ["black", "frozen", "silent"])
async def test_a_stretch_that_the_source_does_not_have_is_told_and_one_that_it_has_passes(films, shown):
    tools = find_tools()
    moving = await inspect(films["moving"], tools)
    with pytest.raises(NotVerified, match=f"the film is {shown} and its source is not"):
        await verify_content(tools, films["moving"], moving, films[shown], [(moving.audio[0].index, films[shown])])
    own = await inspect(films[shown], tools)
    found = await verify_content(tools, films[shown], own, films[shown], [(own.audio[0].index, films[shown])])
    assert shown in {stretch.kind for stretch in found}
    nothing = await verify_content(tools, films["moving"], moving, films["moving"], [(1, films["moving"])])
    assert nothing == ()


def test_a_stretch_without_an_end_lasts_to_the_end():
    said = "[freezedetect] lavfi.freezedetect.freeze_start: 3.5\n[silencedetect] silence_start: -0.01\nsilence_end: 7 |"
    assert stretches(said, 12.0) == (Stretch("silent", 0.0, 7.0), Stretch("frozen", 3.5, 12.0))
    assert stretches("black_start:1 black_end:8.25 black_duration:7.25", 9.0) == (Stretch("black", 1.0, 8.25),)


async def test_sound_that_has_a_hole_or_is_short_is_told(tmp_path):
    tools = find_tools()

    async def made(name, *options):
        source, output = tmp_path / f"{name}.source.mp4", tmp_path / f"{name}.mp4"
        ffmpeg("-f", "lavfi", "-i", "sine=duration=6:sample_rate=48000", *options, str(source))
        await run(command.package(tools, source, "audio", output, tmp_path), 30)
        return output, await audio_track(output, FACTS, name)

    whole, described = await made("whole", "-c:a", "aac")
    await verify_audio(whole, described, 6.0, tools)
    opus, described_opus = await made("opus", "-c:a", "libopus")
    await verify_audio(opus, described_opus, 6.0, tools)
    with pytest.raises(NotVerified, match=r"lasts 6\.0\d s, the film 7"):
        await verify_audio(whole, described, 7.0, tools)
    holed, described_holed = await made("holed", "-af", "asetpts='PTS+gt(T,3)*0.05/TB'", "-c:a", "aac")
    with pytest.raises(NotVerified, match=r"gap at [23]\.\d"):
        await verify_audio(holed, described_holed, 6.05, tools)


async def test_a_version_whose_texts_are_wrong_fails_its_job_and_is_not_announced(opened, tiny):
    room, client = opened
    await room.upload(client, tiny, title="Wrong")
    asked = []

    async def read_text(asset, version, name):
        asked.append(name)
        if len(asked) == 1:
            raise Unavailable("Playback is being started again.")
        return "<nothing/>"

    async with room.worker(read_text=read_text):
        (job,) = await room.ended()
    assert job.state == "failed"
    assert "DASH" in job.error
    assert asked == ["dash.mpd", "dash.mpd"], "asked again while nobody answers, not when the answer is wrong"
    assert room.announced == []
