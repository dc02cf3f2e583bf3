"""Tracks from awkward films: as they should look, in step with their sound, the same whenever they are made."""

import shutil
from fractions import Fraction
from itertools import pairwise

import pytest

from kinema.core.errors import StorageFull
from kinema.services.encoding import tools as tools_module
from kinema.services.encoding.inspection import Unusable
from kinema.services.encoding.ladder import rungs_for
from kinema.services.encoding.tools import ToolFailed, find_tools, run
from kinema.services.encoding.verification import NotVerified, verify_presentation, verify_video
from kinema.storage.content import content_key
from tests.support import clips
from tests.unit.encoding.making import making, said, times_of


@pytest.mark.parametrize("make", clips.ACCEPTED.values(), ids=clips.ACCEPTED.keys())
async def test_awkward_films_become_plain_tracks(opened, tmp_path, make):
    made = await making(opened, make(tmp_path / "film.mp4"))
    (track,) = (await made.rungs(1))[:1]
    (sound,) = await made.sounds()
    shown = said("-i", str(made.file(track)), "-f", "null", "-")
    assert "h264" in shown
    assert "yuv420p" in shown
    assert f"{track.width}x{track.height}" in shown
    assert "displaymatrix" not in shown
    assert track.width % 2 == track.height % 2 == 0
    seconds = sum(segment.duration for segment in track.segments) / track.timescale
    assert abs(seconds - 4) < 0.2
    assert (sound.channels, sound.sample_rate, sound.codec) == (2, 48000, "mp4a.40.2")


async def test_rungs_of_a_fractional_rate_are_cut_at_the_same_pictures(opened, tmp_path):
    film = clips.make_clip(tmp_path / "film.mp4", seconds=13, size="854x480", rate="30000/1001")
    tracks = await (await making(opened, film)).rungs()
    verify_presentation(tuple(tracks))
    assert {track.frame_rate for track in tracks} == {"30000/1001"}
    durations = [Fraction(segment.duration, tracks[0].timescale) for segment in tracks[0].segments]
    assert durations[:-1] == [Fraction(120 * 1001, 30000)] * 3


async def test_sound_stays_with_the_pictures_though_it_starts_late(opened, tmp_path):
    """White flashes and beeps each second; in the file the sound begins 0.7 s after the pictures, and in MPEG-TS both late."""
    film = tmp_path / "film.ts"
    clips.ffmpeg(
        "-f", "lavfi", "-i", "color=black:size=320x240:rate=25:duration=6",
        "-itsoffset", "0.7", "-f", "lavfi", "-i", "aevalsrc='0.8*sin(2*PI*1000*t)*lt(mod(t+0.7,1),0.2)':s=48000:d=5.3",
        "-vf", "drawbox=color=white:t=fill:enable='lt(mod(t,1),0.2)'",
        "-c:v", "libx264", "-c:a", "mp2", "-muxdelay", "3", str(film),
    )  # fmt: skip
    made = await making(opened, film)
    (track,) = await made.rungs()
    (sound,) = await made.sounds()
    flashes = times_of(
        r"black_end:([\d.]+)", said("-i", str(made.file(track)), "-vf", "blackdetect=d=0.1", "-f", "null", "-")
    )
    beeps = times_of(
        r"silence_end: ([\d.]+)",
        said("-i", str(made.file(sound)), "-af", "silencedetect=n=-30dB:d=0.3", "-f", "null", "-"),
    )
    assert len(beeps) >= 5
    for beep in beeps[:5]:
        assert min(abs(beep - flash) for flash in flashes) < 0.045


async def test_a_hole_in_the_sound_does_not_shift_what_follows(opened, tmp_path):
    film = tmp_path / "film.mkv"
    clips.ffmpeg(
        "-f", "lavfi", "-i", "testsrc2=size=320x240:rate=25:duration=6",
        "-f", "lavfi", "-i", "aevalsrc='0.8*sin(2*PI*1000*t)*lt(mod(t,1),0.2)':s=48000:d=6",
        "-af", "aselect='not(between(t,2.5,3.5))'", "-c:v", "libx264", "-c:a", "pcm_s16le", str(film),
    )  # fmt: skip
    made = await making(opened, film)
    await made.rungs()
    (sound,) = await made.sounds()
    beeps = times_of(
        r"silence_end: ([\d.]+)",
        said("-i", str(made.file(sound)), "-af", "silencedetect=n=-30dB:d=0.3", "-f", "null", "-"),
    )
    assert [round(beep, 1) for beep in beeps if beep < 5.5] == [1, 2, 4, 5]


async def test_pictures_that_cannot_be_decoded_are_refused(opened, tmp_path):
    film = clips.make_clip(tmp_path / "film.mp4", extra=("-movflags", "+faststart"))
    body = bytearray(film.read_bytes())
    start = body.index(b"mdat") + 4
    body[start:] = b"\x00\x00\x00\x07" * ((len(body) - start) // 4 + 1)
    film.write_bytes(bytes(body))
    with pytest.raises(Unusable, match="decoded"):
        await (await making(opened, film)).rungs()


async def test_a_finished_step_is_not_done_again_and_gives_the_same_bytes(opened, tmp_path, tiny):
    made = await making(opened, tiny)
    (first,) = await made.rungs()
    changed = made.file(first).stat().st_mtime_ns
    (again,) = await made.rungs()
    assert again == first
    # Without ledger and blobs, in another place, the same bytes come out.
    from tests.unit.encoding.room import open_room

    async with open_room(tmp_path / "other") as other:
        (elsewhere,) = await (await making(other, tiny)).rungs()
    assert elsewhere == first
    assert made.file(first).stat().st_mtime_ns == changed


async def test_a_track_that_vanished_is_made_again(opened, tiny):
    made = await making(opened, tiny)
    (first,) = await made.rungs()
    await opened[0].blobs.delete(content_key("media", first.digest))
    assert await made.rungs() == [first]
    assert made.file(first).exists()


async def test_damage_is_found_before_publishing(opened, tmp_path, tiny):
    made = await making(opened, tiny)
    (track,) = await made.rungs()
    damaged = tmp_path / "damaged.mp4"
    body = bytearray(made.file(track).read_bytes())
    middle = track.segments[0].offset + track.segments[0].length // 2
    body[middle : middle + 6000] = bytes(6000)
    damaged.write_bytes(bytes(body))
    with pytest.raises(NotVerified):
        await verify_video(damaged, track, (48,), find_tools())
    with pytest.raises(NotVerified, match="47 were encoded"):
        await verify_video(made.file(track), track, (47,), find_tools())


async def test_the_poster_is_not_a_black_picture(opened, tmp_path):
    film = tmp_path / "film.mp4"
    clips.ffmpeg(
        "-f", "lavfi", "-i", "testsrc2=size=320x180:rate=24:duration=20",
        "-vf", "drawbox=color=black:t=fill:enable='lt(t,12)'", "-c:v", "libx264", "-preset", "ultrafast", str(film),
    )  # fmt: skip
    made = await making(opened, film)
    digest = await made.pipeline.poster(await made.pipeline.facts())
    poster = opened[0].blobs.local_path(content_key("artwork", digest))
    luma = said("-i", str(poster), "-vf", "scale=160:-2,format=yuv420p,signalstats,metadata=print", "-f", "null", "-")
    assert times_of(r"YAVG=([\d.]+)", luma)[0] > 40


async def test_a_program_that_takes_too_long_is_killed():
    endless = [find_tools().ffmpeg, "-v", "error", "-re", "-f", "lavfi", "-i", "testsrc", "-f", "null", "-"]
    with pytest.raises(ToolFailed, match="took more than"):
        await run(endless, 0.5)


async def test_a_full_disk_is_told_as_such():
    flood = [
        find_tools().ffmpeg,
        "-v",
        "error",
        "-f",
        "lavfi",
        "-i",
        "testsrc=d=1",
        "-f",
        "rawvideo",
        "-y",
        "/dev/full",
    ]
    with pytest.raises(StorageFull, match="free some space"):
        await run(flood, 30)


async def test_programs_run_at_the_lowest_priority():
    nice = shutil.which("nice")
    output = await run([nice], 10)
    assert output.stdout.strip() == "19"
    assert tools_module._prefix()


def test_progress_is_monotonic_in_the_ladder_order():
    heights = [rung.height for rung in rungs_for(1920, 1080, Fraction(24))]
    assert all(low < high for low, high in pairwise(heights[:-1]))
    assert heights[-1] == 240
