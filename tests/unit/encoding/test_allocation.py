"""Which rungs a film gets, and how their bits are divided among its shots."""

import itertools
import math
from fractions import Fraction

import msgspec
import pytest
from hypothesis import assume, given, settings
from hypothesis import strategies as st

from kinema.core.errors import BadInput
from kinema.services.encoding.allocation.constraints import bucket, decoder_level
from kinema.services.encoding.allocation.lagrange import (
    ShotCurve,
    allocate,
    allocate_shots,
    film_points,
    points_under_peak,
    shot_curve,
)
from kinema.services.encoding.allocation.rungs import Policy, choose_rungs
from kinema.services.encoding.inspection import Facts
from kinema.services.encoding.quality.curve import Curve, Falling, Point
from kinema.services.encoding.quality.hull import Candidate, HullPoint, hull, upper

FACTS = Facts(
    container="mov",
    video_index=0,
    codec="h264",
    pixel_format="yuv420p",
    width=1920,
    height=1080,
    rotation=0,
    sample_aspect="1:1",
    frame_rate="25/1",
    variable_rate=False,
    interlaced=False,
    packets=1000,
    duration_seconds=40.0,
    audio=(),
)
SIZES = ((1920, 1080), (1280, 720), (960, 540), (640, 360), (426, 240))


def curve(rate=4e6, best=5.0, first=0.08, last=0.25):
    """A curve over CRF 16 to 46 whose rate is `rate` at its best end and whose logit of VMAF is `best` there."""
    return Curve((16.0, 46.0), Falling(16.0, 46.0, best, first, last), Falling(16.0, 46.0, math.log2(rate), 0.19, 0.14))


def film(hardness=1.0, quality=5.0):
    """The hull of a film whose rates are `hardness` times those of an ordinary one; small sizes lose their detail."""
    return hull(
        [
            Candidate(
                "x264",
                width,
                height,
                curve(hardness * 8e6 * (height / 1080) ** 1.4, quality * share, 0.08 * share, 0.25 * share),
            )
            for (width, height), share in zip(SIZES, (1, 0.75, 0.55, 0.3, 0.15), strict=True)
        ]
    )


films = st.builds(film, st.floats(0.01, 30), st.floats(2, 9))
curves = st.builds(curve, st.floats(1e5, 2e7), st.floats(2, 8), st.floats(0.02, 0.3), st.floats(0.02, 0.3))
policies = st.builds(
    Policy,
    top_vmaf=st.floats(80, 99),
    least_gain=st.floats(0, 8),
    step=st.floats(2, 15),
    least_ratio=st.floats(1.1, 2),
    bottom_bits_per_second=st.floats(1e5, 1e6),
    most_rungs=st.integers(1, 12),
)


# -- rungs -----------------------------------------------------------------------------------------------------------------


def test_an_ordinary_film_gets_steps_of_quality_with_smaller_pictures_for_fewer_bits():
    rungs = choose_rungs(film(), FACTS, Policy())
    assert [(rung.name, round(rung.vmaf)) for rung in rungs] == [
        (f"video-{rung.height}p-{round(rung.bits_per_second / 1000)}k", vmaf)
        for rung, vmaf in zip(rungs, [95, 87, 79, 71], strict=True)
    ]
    assert rungs[-1].bits_per_second == pytest.approx(200_000, rel=0.1)
    assert [rung.height for rung in rungs] == sorted((rung.height for rung in rungs), reverse=True)
    assert rungs[0].reason.endswith("more cannot be seen.")
    assert "poor networks" in rungs[-1].reason


@given(films, policies)
def test_rungs_lie_on_the_hull_and_fall_in_rate_and_quality_by_useful_steps(points, policy):
    assume(points[0].vmaf <= policy.top_vmaf)
    rungs = choose_rungs(points, FACTS, policy)
    assert 1 <= len(rungs) <= policy.most_rungs
    for rung in rungs:
        assert (rung.width, rung.height) in SIZES
        assert rung.vmaf <= policy.top_vmaf + 1e-6
        curves = {(point.width, point.height) for point in points}
        assert (rung.width, rung.height) in curves
        near = [p.crf for p in points if (p.width, p.height) == (rung.width, rung.height)]
        assert min(near) - 0.01 <= rung.shots[0].crf <= max(near) + 0.01
        better = [p.vmaf for p in points if p.bits_per_second <= rung.bits_per_second - 1]
        assert rung.vmaf >= max(better, default=0) - 1e-6
        assert rung.reason.count(".") >= 1
    for above, below in itertools.pairwise(rungs):
        assert above.vmaf > below.vmaf
        assert above.bits_per_second / below.bits_per_second >= policy.least_ratio**0.5 * 0.999
    assert len({rung.name for rung in rungs}) == len(rungs)


@given(films, policies)
def test_no_two_neighbours_are_nearer_than_step_and_ratio_except_at_the_bottom(points, policy):
    rungs = choose_rungs(points, FACTS, policy)
    jump = max(
        (
            high.vmaf - low.vmaf
            for low, high in itertools.pairwise(points)
            if (low.width, low.height) != (high.width, high.height)
        ),
        default=0,
    )
    for above, below in itertools.pairwise(rungs[:-1]):
        assert above.vmaf - below.vmaf >= policy.step - 2 * jump - 0.5


@given(st.builds(film, st.floats(0.1, 1.5), st.floats(3, 9)), st.floats(0.5, 8))
def test_above_the_top_twice_the_bits_bring_less_than_the_least_gain(points, gain):
    policy = Policy(least_gain=gain)
    top = choose_rungs(points, FACTS, policy)[0]
    for point in points:
        if top.bits_per_second * 1.01 < point.bits_per_second and point.vmaf <= policy.top_vmaf:
            octaves = math.log2(point.bits_per_second / top.bits_per_second)
            assert point.vmaf - top.vmaf <= gain * octaves + 0.3


def test_an_easy_film_gets_few_rungs_and_a_hard_one_a_bottom_that_poor_networks_cannot_carry():
    assert len(choose_rungs(film(0.01), FACTS, Policy())) == 1
    hard = choose_rungs(film(40), FACTS, Policy())
    assert hard[-1].bits_per_second > 200_000
    assert "cheapest that was probed" in hard[-1].reason


def test_the_last_bits_are_left_out_where_they_buy_nothing():
    flat = [HullPoint("x264", 640, 360, 40 - n, 1e6 * 2**n, 80 + n) for n in range(4)]
    rungs = choose_rungs(flat, FACTS, Policy(least_gain=2))
    assert rungs[0].bits_per_second == 1_000_000
    assert "twice the bits would bring less than 2 points" in rungs[0].reason


def test_a_hull_may_be_one_point_and_must_not_be_empty():
    alone = HullPoint("x264", 640, 360, 23, 5e5, 80)
    (rung,) = choose_rungs([alone], FACTS, Policy())
    assert (rung.shots[0].crf, rung.shots[0].frames, rung.vmaf) == (23, 1000, 80)
    with pytest.raises(BadInput, match="probe the film"):
        choose_rungs([], FACTS, Policy())


@pytest.mark.parametrize("change", [{"step": 0}, {"least_ratio": 1}, {"top_vmaf": 101}, {"most_rungs": 0}])
def test_a_policy_that_no_ladder_can_follow_is_refused(change):
    with pytest.raises(BadInput, match="No ladder"):
        Policy(**change)


# -- constraints ------------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("codec", "size", "rate", "name"),
    [
        ("x264", (1920, 1080), 30, "4"),
        ("x264", (1920, 1080), 60, "4.2"),
        ("x264", (1280, 720), 30, "3.1"),
        ("x264", (3840, 2160), 30, "5.1"),
        ("x264", (1080, 1920), 30, "4"),
        ("x265", (1920, 1080), 30, "4"),
        ("x265", (3840, 2160), 60, "5.1"),
        ("svt-av1", (1920, 1080), 30, "4.0"),
        ("svt-av1", (3840, 2160), 60, "5.1"),
        ("svt-av1", (8192, 8192), 60, "6.2"),
    ],
)
def test_a_rung_gets_the_lowest_level_that_holds_its_pictures(codec, size, rate, name):
    assert decoder_level(codec, *size, Fraction(rate)).name == name


@given(st.floats(1e3, 1e9), st.floats(1, 4), st.floats(0.2, 4), st.floats(1, 10))
def test_no_window_can_hold_more_than_its_share_and_no_peak_leaves_the_level(average, ratio, buffer, window):
    level = decoder_level("x264", 1280, 720, Fraction(30))
    limits = bucket(average, level, ratio, buffer, window)
    most = limits.peak_bits_per_second * window + limits.buffer_bits
    assert most <= average * ratio * window * 1.001 + 4
    assert limits.peak_bits_per_second <= level.bits_per_second
    assert limits.buffer_bits <= level.buffer_bits


# -- shots ------------------------------------------------------------------------------------------------------------------


def shots_of(*items):
    start, found = 0, []
    for frames, points in items:
        found.append(
            ShotCurve(start, frames, points) if isinstance(points, tuple) else shot_curve(start, frames, points)
        )
        start += frames
    return found


many = st.lists(st.tuples(st.integers(10, 500), curves), min_size=1, max_size=6).map(lambda items: shots_of(*items))


def concave(scale, ceiling):
    """Encodes whose quality is a concave function of their rate."""
    return tuple(Point(46 - 5 * n, scale * 2.0**n, ceiling * (1 - math.exp(-(2.0**n) / 8))) for n in range(6))


few = st.lists(
    st.tuples(st.integers(1, 9), st.builds(concave, st.floats(1e4, 1e6), st.floats(40, 100))), min_size=1, max_size=3
).map(lambda items: shots_of(*items))


@given(few, st.floats(0, 1))
def test_no_choice_of_encodes_within_the_budget_is_better(shots, share):
    total = sum(shot.frames for shot in shots)
    low, high = (sum(shot.frames * shot.points[end].bits_per_second for shot in shots) / total for end in (0, -1))
    budget = low * (high / low) ** share
    found = allocate(shots, budget)
    assert found.bits_per_second <= budget * 1.0001
    for choice in itertools.product(*(shot.points for shot in shots)):
        rate, vmaf = (
            sum(shot.frames * value(point) for shot, point in zip(shots, choice, strict=True)) / total
            for value in (lambda point: point.bits_per_second, lambda point: point.vmaf)
        )
        if rate <= budget:
            assert found.vmaf >= vmaf - 1e-6


@settings(max_examples=40)
@given(many, st.floats(0.01, 0.99))
def test_the_average_is_met_and_the_shots_add_up(shots, share):
    total = sum(shot.frames for shot in shots)
    rates = [sorted(point.bits_per_second for point in shot.points) for shot in shots]
    low, high = (sum(s.frames * r[end] for s, r in zip(shots, rates, strict=True)) / total for end in (0, -1))
    budget = low * (high / low) ** share
    found = allocate(shots, budget)
    assert found.bits_per_second == pytest.approx(budget, rel=1e-3)
    assert [(shot.start, shot.frames) for shot in found.shots] == [(shot.start, shot.frames) for shot in shots]
    assert sum(s.frames * s.bits_per_second for s in found.shots) / total == pytest.approx(budget, rel=1e-2)
    assert sum(s.frames * s.vmaf for s in found.shots) / total == pytest.approx(found.vmaf)


@settings(max_examples=40)
@given(many, st.floats(18, 44))
def test_equal_slopes_are_at_least_as_good_as_one_crf_for_all(shots, crf):
    total = sum(shot.frames for shot in shots)
    crf = 16 + 0.5 * round((crf - 16) / 0.5)
    alike = [next(point for point in shot.points if point.crf == crf) for shot in shots]
    rate, vmaf = (
        sum(shot.frames * value for shot, value in zip(shots, values, strict=True)) / total
        for values in ([point.bits_per_second for point in alike], [point.vmaf for point in alike])
    )
    assert allocate(shots, rate).vmaf >= vmaf - 0.5


def test_easy_and_hard_shots_share_better_than_at_equal_quality_and_than_at_one_crf():
    shots = shots_of((100, curve(1e6, 6)), (100, curve(1.6e7, 4)))
    found = allocate(shots, 1.5e6)
    hard, easy = curve(1.6e7, 4), curve(1e6, 6)

    def mean_at(crfs):
        return (easy.vmaf(crfs[0]) + hard.vmaf(crfs[1])) / 2, (easy.rate(crfs[0]) + hard.rate(crfs[1])) / 2

    def best(pair):
        low, high = 0.0, 1.0
        for _ in range(60):
            middle = (low + high) / 2
            low, high = (middle, high) if mean_at(pair(middle))[1] > 1.5e6 else (low, middle)
        return mean_at(pair(high))[0]

    assert found.vmaf > best(lambda share: (16 + 30 * share,) * 2)
    assert found.vmaf > best(lambda s: (easy.crf_for_vmaf(99 - 90 * s), hard.crf_for_vmaf(99 - 90 * s)))


@settings(max_examples=40)
@given(many, st.floats(0.05, 0.95), st.floats(20, 90), st.floats(2e5, 1e7))
def test_peaks_always_hold_and_floors_where_the_bits_suffice(shots, share, floor, peak):
    rates = [point.bits_per_second for shot in shots for point in shot.points]
    found = allocate(shots, min(rates) * (max(rates) / min(rates)) ** share, floor=floor, peak=peak)
    assert found.floor <= floor
    for shot, planned in zip(shots, found.shots, strict=True):
        cheapest = min(point.bits_per_second for point in shot.points)
        assert planned.bits_per_second <= max(peak, cheapest) * 1.0001 + 1
        reachable = max(point.vmaf for point in shot.points if point.bits_per_second <= max(peak, cheapest))
        assert planned.vmaf >= min(found.floor, reachable) - 1e-6


def test_a_floor_for_the_worst_second_is_raised_by_how_far_it_dips():
    steady, restless = (msgspec.structs.replace(shot, dip=dip) for shot, dip in zip(
        shots_of((100, curve(4e6)), (100, curve(4e6))), (0, 10), strict=True
    ))  # fmt: skip
    found = allocate([steady, restless], 1.7e5, floor=60)
    assert found.floor == 60
    assert found.shots[1].vmaf >= 70
    assert 60 <= found.shots[0].vmaf < 70


@given(few, st.floats(1e4, 1e7), st.randoms())
def test_the_order_of_shots_and_cuts_inside_of_them_do_not_matter(shots, budget, random):
    whole = allocate(shots, budget)
    longest_step = max(more.vmaf - less.vmaf for shot in shots for less, more in itertools.pairwise(shot.points))
    mixed = list(shots)
    random.shuffle(mixed)
    assert allocate(mixed, budget).vmaf == pytest.approx(whole.vmaf, abs=longest_step)
    halves = [msgspec.structs.replace(shot, frames=frames) for shot in shots for frames in (shot.frames,) * 2]
    assert allocate(halves, budget).vmaf == pytest.approx(whole.vmaf, abs=longest_step)


@settings(max_examples=40)
@given(many)
def test_the_points_of_a_film_are_its_allocations(shots):
    points = film_points("x264", 640, 360, shots)
    for point in points[:: max(1, len(points) // 5)]:
        found = allocate(shots, point.bits_per_second * 1.0000001)
        assert found.vmaf == pytest.approx(point.vmaf, abs=0.01)
    for less, more in itertools.pairwise(points):
        assert more.bits_per_second > less.bits_per_second
        assert more.vmaf >= less.vmaf


@settings(max_examples=25)
@given(many, st.floats(0, 1))
def test_a_planned_rung_keeps_its_peak_and_says_what_it_did(shots, share):
    points = upper(film_points("x264", 640, 360, shots))
    assume(len(points) > 1)
    policy = Policy(top_vmaf=60 + 39 * share)
    for rung in choose_rungs(points, FACTS, policy):
        planned = allocate_shots(rung, shots, FACTS, policy)
        cheapest = max(min(point.bits_per_second for point in shot.points) for shot in shots)
        assert (
            max(shot.bits_per_second for shot in planned.shots)
            <= max(planned.peak_bits_per_second * 1.02, cheapest) + 1
        )
        assert planned.peak_bits_per_second <= planned.bits_per_second * policy.peak_ratio + 1
        assert planned.bits_per_second <= rung.bits_per_second * 1.01 + 1 or planned.bits_per_second <= cheapest
        assert "Shots get CRF" in planned.reason
        assert sum(shot.frames for shot in planned.shots) == sum(shot.frames for shot in shots)


def test_a_size_at_which_a_hard_shot_cannot_keep_to_the_peak_has_no_points_there():
    shots = shots_of((30, curve(3e7, 3)), (300, curve(1e6, 6)))
    free = film_points("x264", 960, 540, shots)
    held = points_under_peak("x264", 960, 540, shots, FACTS, Policy())
    hardest = min(point.bits_per_second for point in shots[0].points)
    assert min(point.bits_per_second for point in held) * 1.6 >= hardest > 1.6 * free[0].bits_per_second
    for point in held:
        assert point.vmaf <= allocate(shots, point.bits_per_second * 1.000001).vmaf + 1e-6


def test_bits_cannot_be_divided_among_nothing():
    with pytest.raises(BadInput, match="probe every shot"):
        allocate([], 1e6)
    with pytest.raises(BadInput, match="probe every shot"):
        allocate([ShotCurve(0, 10, ())], 1e6)
    with pytest.raises(BadInput, match="divide it first"):
        film_points("x264", 640, 360, [])
