"""Scores: what they are made of, and that worse encodes get worse ones, picture by picture beside the right reference."""

from fractions import Fraction

import msgspec
import pytest
from hypothesis import given
from hypothesis import strategies as st

from kinema.services.encoding.chunks.encode import Encode, encode_chunk
from kinema.services.encoding.execution.work import Context, kind_named
from kinema.services.encoding.inspection import inspect
from kinema.services.encoding.quality.vmaf import (
    SCORE,
    Model,
    Score,
    Scoring,
    compare,
    comparison,
    joined,
    model_for,
    score,
    scored_size,
    summary,
)
from kinema.services.encoding.shots.timeline import Gop
from kinema.services.encoding.tools import ToolFailed, find_tools, run
from kinema.storage.content import store
from tests.support.clips import ffmpeg, make_clip

TOOLS = find_tools()
SAMPLES = st.lists(st.floats(0, 100), min_size=1, max_size=80).map(
    lambda values: [(3 * index, value) for index, value in enumerate(values)]
)


@given(SAMPLES, st.sampled_from([Fraction(1), Fraction(24000, 1001), Fraction(60)]))
def test_the_worst_second_is_no_better_than_the_mean_and_no_worse_than_the_worst_picture(samples, rate):
    made = summary(samples, [(0, 3 * len(samples))], rate, Model.HD)
    kept = [vmaf for number, vmaf in samples if number] or [samples[0][1]]
    assert min(kept) - 1e-3 <= made.worst_second <= made.mean + 1e-3
    assert made.harmonic <= made.mean + 1e-3
    assert made.gops == (made.mean,)


def test_the_worst_second_is_found_wherever_it_is():
    samples = [(3 * index, 50.0 if 12 <= index < 20 else 90.0) for index in range(40)]
    assert summary(samples, [], Fraction(24), Model.HD).worst_second == 50.0


def test_each_gop_has_its_own_mean_also_one_in_which_no_picture_was_scored():
    samples = [(0, 10.0), (3, 80.0), (6, 90.0), (9, 60.0)]
    assert summary(samples, [(0, 4), (4, 2), (6, 6)], Fraction(24), Model.HD).gops == (80.0, 80.0, 75.0)


def test_one_picture_is_scored_for_what_it_is():
    assert summary([(0, 77.0)], [(0, 1)], Fraction(24), Model.HD) == Score(Model.HD, 77.0, 77.0, 77.0, (77.0,))


def test_parts_are_joined_by_how_many_pictures_they_have():
    parts = [(30, Score(Model.HD, 90.0, 89.0, 80.0, (90.0,))), (10, Score(Model.HD, 70.0, 69.0, 60.0, (72.0, 68.0)))]
    assert joined(parts) == Score(Model.HD, 85.0, 83.0, 60.0, (90.0, 72.0, 68.0))


@pytest.mark.parametrize(
    ("size", "model"),
    [
        ((3840, 2160), Model.UHD),
        ((3840, 1600), Model.UHD),
        ((1920, 1080), Model.HD),
        ((1080, 1920), Model.HD),
        ((854, 480), Model.HD),
        ((640, 360), Model.PHONE),
    ],
)
def test_the_model_is_that_of_the_screen(size, model):
    assert model_for(*size) == model


@pytest.fixture(scope="module")
def film(tmp_path_factory):
    """Four seconds of 240 lines at uneven times, with sound that begins first."""
    uneven = (
        "-vf",
        "noise=alls=12:allf=t,select='not(mod(n,5))+lt(mod(n,40),9)',setpts=PTS+0.2/TB",
        "-fps_mode",
        "vfr",
    )
    colours = ("-colorspace", "bt709", "-color_primaries", "bt709", "-color_trc", "bt709", "-color_range", "tv")
    path = tmp_path_factory.mktemp("film") / "film.mkv"
    return make_clip(path, seconds=5, size="426x240", rate="24", extra=(*uneven, *colours, "-g", "20"))


@pytest.fixture
def context(opened, tmp_path):
    scratch = tmp_path / "it's scratch: a, [b]"
    scratch.mkdir()
    return Context(TOOLS, opened[0].blobs, scratch)


async def encoded(context, film, crf, width=426, height=240, start=25):
    encode = Encode(
        source=await store(context.blobs, "sources", film),
        facts=await inspect(film, TOOLS),
        codec="x264",
        preset="superfast",
        width=width,
        height=height,
        start=start,
        frames=40,
        gops=(Gop(start, 20), Gop(start + 20, 20)),
        crfs=((start, 40, crf),),
        peak_bits_per_second=20_000_000,
        buffer_bits=20_000_000,
    )
    return encode, await encode_chunk(context, encode)


def scoring(encode, made, **changes):
    plain = Scoring(made.digest, encode.source, encode.facts, encode.start, encode.frames, encode.gops, Model.HD)
    return msgspec.structs.replace(plain, **changes)


async def test_better_encodes_score_better_and_a_shifted_one_is_noticed(context, film):
    encode, good = await encoded(context, film, 12)
    _, bad = await encoded(context, film, 40)
    _, small = await encoded(context, film, 12, 212, 120)
    best = await score(context, scoring(encode, good))
    worst = await score(context, scoring(encode, bad))
    half = await score(context, scoring(encode, small))
    assert best.mean > 92 > half.mean > worst.mean
    assert len(best.gops) == 2
    assert best.worst_second <= best.mean + 0.001
    shifted = await score(context, scoring(encode, good, start=encode.start + 10, gops=()))
    assert shifted.mean < best.mean - 10
    on_a_telephone = await score(context, scoring(encode, bad, model=Model.PHONE))
    assert on_a_telephone.model == Model.PHONE
    assert on_a_telephone.mean > worst.mean + 5
    assert list(context.scratch.iterdir()) == []


async def test_scores_are_those_of_libvmaf_on_the_decoded_pictures(context, film, tmp_path):
    encode, made = await encoded(context, film, 34)
    rate = f"fps={encode.facts.frame_rate}:start_time=0"
    ffmpeg("-i", str(film), "-an", "-vf", f"{rate},trim=start_frame=25:end_frame=65,setpts=PTS-STARTPTS", "-c:v", "ffv1",
           str(tmp_path / "reference.mkv"))  # fmt: skip
    path = await context.fetch("steps", made.digest)
    graph = (
        "[0:v]settb=1/24,setpts=N[a];[1:v]settb=1/24,setpts=N,format=yuv420p[b];"
        "[a][b]libvmaf=n_subsample=3:log_fmt=csv:log_path=/dev/stdout"
    )
    inputs = ["-i", str(path), "-i", str(tmp_path / "reference.mkv")]
    said = await run(
        [TOOLS.ffmpeg, "-v", "error", "-nostdin", *inputs, "-filter_complex", graph, "-f", "null", "-"], 60
    )
    lines = said.stdout.splitlines()
    column = lines[0].split(",").index("vmaf")
    values = [float(line.split(",")[column]) for line in lines[1:] if line[:1].isdigit()]
    assert (await score(context, scoring(encode, made))).mean == pytest.approx(
        sum(values[1:]) / len(values[1:]), abs=0.01
    )


async def test_a_file_with_too_few_pictures_is_not_scored(context, film):
    encode, made = await encoded(context, film, 30)
    with pytest.raises(ToolFailed, match="of 50 every third should be"):
        await score(context, scoring(encode, made, frames=50))


@pytest.mark.parametrize("size", ["16x16", "17x33", "30x500"])
async def test_tiny_and_odd_pictures_can_be_scored(tmp_path, size):
    path = make_clip(tmp_path / "tiny.mkv", seconds=0.5, size=size, pixels="yuv444p", sound=False)
    facts = await inspect(path, TOOLS)
    width, height = scored_size(facts)
    filters = [f"fps={facts.frame_rate}", f"scale={width}:{height}:flags=bicubic", "format=yuv420p"]
    command = comparison(TOOLS, path, ["-i", str(path)], filters, facts, Model.HD)
    scored, _ = await compare(command, 12)
    assert all(vmaf > 90 for _, vmaf in scored[1:])


def test_scores_can_be_made_anywhere():
    assert kind_named("score") is SCORE
