"""What is probed, what a probe measures, and what curves are made of it."""

from fractions import Fraction

import msgspec
import pytest
from hypothesis import given
from hypothesis import strategies as st

from kinema.core.errors import BadInput
from kinema.services.encoding.chunks.encode import Encode, encode_chunk
from kinema.services.encoding.codecs.table import CODECS, codec_named
from kinema.services.encoding.execution.work import Context, kind_named
from kinema.services.encoding.inspection import Facts, inspect
from kinema.services.encoding.quality.hull import hull
from kinema.services.encoding.quality.plan import Effort, Excerpt, Trial, shot_plan, sizes, title_plan, trials
from kinema.services.encoding.quality.probes import PROBE, Measured, Probe, Probed, candidates, probe
from kinema.services.encoding.quality.vmaf import Model, Score, Scoring, score
from kinema.services.encoding.shots.timeline import Gop, timeline
from kinema.services.encoding.tools import find_tools
from kinema.storage.content import store
from tests.support.clips import make_clip

TIMELINES = st.builds(
    timeline,
    st.lists(st.integers(1, 3000), max_size=20),
    st.integers(1, 3000),
    st.sampled_from([Fraction(1), Fraction(24000, 1001), Fraction(60)]),
)
EFFORTS = st.builds(Effort, st.floats(0.01, 1), st.floats(0.2, 5), st.floats(2, 30))


def check(excerpts, divided, effort):
    starts = {gop.start: gop.frames for gop in divided.gops}
    longest = max(1, round(float(Fraction(divided.frame_rate)) * effort.excerpt_seconds))
    assert [excerpt.start for excerpt in excerpts] == sorted({excerpt.start for excerpt in excerpts})
    for excerpt in excerpts:
        assert starts[excerpt.start] == excerpt.gop_frames
        assert 1 <= excerpt.frames <= min(excerpt.gop_frames, longest + 1)
        assert excerpt.weight > 0


@given(TIMELINES, EFFORTS)
def test_a_title_is_probed_where_gops_begin_and_every_picture_is_stood_for(divided, effort):
    excerpts = title_plan(divided, effort)
    check(excerpts, divided, effort)
    assert sum(excerpt.weight for excerpt in excerpts) == divided.frames
    longest = float(Fraction(divided.frame_rate)) * effort.excerpt_seconds + 1
    assert sum(excerpt.frames for excerpt in excerpts) <= divided.frames * effort.share * 1.5 + 4 * longest


@given(TIMELINES, EFFORTS)
def test_every_shot_is_probed_inside_itself(divided, effort):
    plan = shot_plan(divided, effort)
    for shot, excerpts in zip(divided.shots, plan, strict=True):
        check(excerpts, divided, effort)
        assert sum(excerpt.weight for excerpt in excerpts) == shot.frames
        assert all(shot.start <= each.start < each.start + each.frames <= shot.start + shot.frames for each in excerpts)


def test_the_excerpts_of_a_title_are_spread_over_it():
    divided = timeline([], 24 * 400, Fraction(24))
    excerpts = title_plan(divided, Effort(share=0.05, excerpt_seconds=2))
    assert [excerpt.start // 960 for excerpt in excerpts] == list(range(10))
    assert {excerpt.weight for excerpt in excerpts} == {960}


def test_a_short_title_is_probed_at_four_places():
    divided = timeline([72, 144, 216], 24 * 12, Fraction(24))
    excerpts = title_plan(divided, Effort())
    assert [excerpt.start // 72 for excerpt in excerpts] == [0, 1, 2, 3]
    assert {excerpt.frames for excerpt in excerpts} == {24}


@pytest.mark.parametrize("wrong", [{"share": 0}, {"share": 1.1}, {"excerpt_seconds": 0}, {"shot_seconds": -1}])
def test_an_effort_that_measures_nothing_is_refused(wrong):
    with pytest.raises(BadInput, match="probes nothing"):
        Effort(**wrong)


@pytest.fixture(scope="module")
def film(tmp_path_factory):
    """Two and a half seconds of 180 lines in colours that need no conversion."""
    colours = ("-colorspace", "bt709", "-color_primaries", "bt709", "-color_trc", "bt709", "-color_range", "tv")
    path = tmp_path_factory.mktemp("film") / "film.mp4"
    return make_clip(path, seconds=2.5, size="320x180", rate="24", extra=colours)


@pytest.fixture
async def facts(film):
    return await inspect(film, find_tools())


@pytest.mark.parametrize(
    ("size", "lines"),
    [
        ((1920, 1080), [1080, 720, 540, 360, 240]),
        ((3840, 2160), [2160, 1440, 1080, 720, 360]),
        ((1280, 534), [534, 400, 268, 178]),
        ((480, 854), [854, 640, 426]),
        ((854, 480), [480, 360, 240]),
        ((100, 50), [50]),
    ],
)
def test_the_usual_sizes_are_tried_below_the_films_own(facts, size, lines):
    tried = sizes(msgspec.structs.replace(facts, width=size[0], height=size[1]))
    assert [height for _, height in tried] == lines


@given(st.integers(16, 8192), st.integers(16, 8192))
def test_sizes_are_even_in_shape_and_never_larger_than_the_film(width, height):
    tried = sizes(msgspec.structs.replace(PLAIN, width=width, height=height))
    assert 1 <= len(tried) == len(set(tried)) <= 5
    assert all(2 <= w <= width and 2 <= h <= height and w % 2 == h % 2 == 0 for w, h in tried)


PLAIN = msgspec.convert(
    {
        "container": "mov,mp4", "video_index": 0, "codec": "h264", "pixel_format": "yuv420p", "width": 320, "height": 180,
        "rotation": 0, "sample_aspect": "1:1", "frame_rate": "24/1", "variable_rate": False, "interlaced": False,
        "packets": 60, "duration_seconds": 2.5, "audio": (),
    },
    type=Facts,
)  # fmt: skip


def test_each_size_is_tried_at_the_codecs_own_crfs():
    assert [(trial.width, trial.crf) for trial in trials("svt-av1", "8", [(640, 360), (320, 180)])] == [
        (width, crf) for width in (640, 320) for crf in codec_named("svt-av1").probe_crfs
    ]


@pytest.fixture
def context(opened, tmp_path):
    scratch = tmp_path / "scratch"
    scratch.mkdir()
    return Context(find_tools(), opened[0].blobs, scratch)


def trials_of(codec):
    preset = min(CODECS[codec].seconds, key=CODECS[codec].seconds.__getitem__)
    return trials(codec, preset, [(320, 180), (160, 90)] if codec == "x264" else [(320, 180)])


@pytest.mark.parametrize("codec", CODECS)
async def test_a_probe_foretells_what_the_encoder_will_make(context, film, facts, codec):
    source = await store(context.blobs, "sources", film)
    tried = trials_of(codec)
    excerpt = Excerpt(start=10, frames=24, gop_frames=48, weight=48)
    probed = await probe(context, Probe(source, facts, excerpt, tried, Model.HD))
    assert tuple(measured.trial for measured in probed.measured) == tried
    assert all(measured.cpu_seconds > 0 for measured in probed.measured)
    assert probed.cpu_seconds > sum(measured.cpu_seconds for measured in probed.measured)
    assert list(context.scratch.iterdir()) == []
    middle = probed.measured[1]
    encode = Encode(
        source=source, facts=facts, codec=codec, preset=middle.trial.preset, width=320, height=180, start=10, frames=48,
        gops=(Gop(10, 48),), crfs=((10, 48, middle.trial.crf),), peak_bits_per_second=50_000_000, buffer_bits=50_000_000,
    )  # fmt: skip
    made = await encode_chunk(context, encode)
    assert middle.bits_per_second == pytest.approx(8 * sum(made.gop_bytes) / 2, rel=0.25)
    real = await score(context, Scoring(made.digest, source, facts, 10, 48, encode.gops, Model.HD))
    assert middle.score.mean == pytest.approx(real.mean, abs=3)
    curves = candidates([probed])
    assert [(curve.width, curve.height) for curve in curves] == [(320, 180), (160, 90)][: len(curves)]
    assert hull(curves)[-1].width == 320


def measured(trial, rate, vmaf):
    return Measured(trial, rate, Score(Model.HD, vmaf, vmaf, vmaf, (vmaf,)), 0.1)


def test_excerpts_count_by_the_pictures_they_stand_for():
    trial = Trial("x264", "fast", 640, 360, 28.0)
    short = Probed(Excerpt(0, 10, 10, 10), (measured(trial, 4_000_000.0, 60.0),), 1.0)
    long = Probed(Excerpt(10, 10, 90, 90), (measured(trial, 1_000_000.0, 90.0),), 1.0)
    (candidate,) = candidates([short, long])
    assert candidate.curve.vmaf(28) == pytest.approx(87.0)
    assert candidate.curve.rate(28) == pytest.approx(1_300_000)


def test_excerpts_with_different_trials_are_not_mixed():
    one = Probed(Excerpt(0, 10, 10, 10), (measured(Trial("x264", "fast", 640, 360, 28.0), 1e6, 90.0),), 1.0)
    other = Probed(Excerpt(0, 10, 10, 10), (measured(Trial("x264", "fast", 640, 360, 29.0), 1e6, 90.0),), 1.0)
    for excerpts in ([], [one, other]):
        with pytest.raises(BadInput, match="same trials"):
            candidates(excerpts)


async def test_black_pictures_give_a_usable_hull(context, tmp_path):
    path = tmp_path / "black.mp4"
    make_clip(path, seconds=0.5, size="128x96", rate="24", extra=("-vf", "drawbox=t=fill:c=black"), sound=False)
    source, facts = await store(context.blobs, "sources", path), await inspect(path, context.tools)
    tried = trials("x264", "superfast", [(128, 96)])
    for frames in (1, 12):
        probed = await probe(context, Probe(source, facts, Excerpt(0, frames, 12, 12), tried, Model.HD))
        edge = hull(candidates([probed]))
        assert edge
        assert all(0 < point.bits_per_second < 1_000_000 and 0 < point.vmaf <= 100 for point in edge)


def test_probes_can_be_made_anywhere():
    assert kind_named("probe") is PROBE
