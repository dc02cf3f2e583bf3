"""Colours: what files say and what holds; and the same colour on the screen, however the source has coded it."""

import subprocess

import msgspec
import pytest

from kinema.services.encoding.inspection import Color, Facts, inspect, mezzanine_report, video_filters
from kinema.services.encoding.inspection.color import color_of, corrected_by
from kinema.services.encoding.tools import find_tools
from tests.support import clips

FACTS = Facts("mp4", 0, "h264", "yuv420p", 1280, 720, 0, "1:1", "24/1", False, False, 240, 10.0, ())
ORANGE = (200, 120, 40)


def facts(color, pixel_format="yuv420p", **changes):
    return msgspec.structs.replace(FACTS, color=color, pixel_format=pixel_format, **changes)


def shown(source, its_facts, *, size=64, hdr=False):
    """Return the mean planes (8 or 10 bits) that the film's filters make of a lavfi source."""
    pixels = "yuv420p10le" if hdr else "yuv420p"
    command = [
        find_tools().ffmpeg, "-v", "error", "-f", "lavfi", "-i", f"{source},trim=end_frame=2", "-frames:v", "1",
        "-vf", f"{video_filters(its_facts, size, size, hdr=hdr)},format={pixels}", "-f", "rawvideo", "-",
    ]  # fmt: skip
    raw = subprocess.run(command, check=True, capture_output=True).stdout
    values = memoryview(raw).cast("H") if hdr else memoryview(raw)
    luma, chroma = size * size, size * size // 4
    planes = (values[:luma], values[luma : luma + chroma], values[luma + chroma :])
    return tuple(sum(plane) / len(plane) for plane in planes)


def coded(rgb, kr, kb, *, full=False, bits=8):
    """Return Y, Cb and Cr of an 8-bit colour by the equations of ITU-R BT.601 and BT.709."""
    red, green, blue = (value / 255 for value in rgb)
    luma = kr * red + (1 - kr - kb) * green + kb * blue
    cb, cr = (blue - luma) / (2 - 2 * kb), (red - luma) / (2 - 2 * kr)
    unit = 1 << (bits - 8)
    if full:
        return 255 * unit * luma, unit * (255 * cb + 128), unit * (255 * cr + 128)
    return unit * (219 * luma + 16), unit * (224 * cb + 128), unit * (224 * cr + 128)


def patch(planes, pixels="yuv420p"):
    luma, cb, cr = (round(value) for value in planes)
    return f"color=black:size=64x64:rate=24,format={pixels},geq=lum={luma}:cb={cb}:cr={cr}"


BT601, BT709, BT2020 = (0.299, 0.114), (0.2126, 0.0722), (0.2627, 0.0593)


@pytest.mark.parametrize(
    ("source", "its"),
    [
        (patch(coded(ORANGE, *BT709)), facts(Color())),
        (patch(coded(ORANGE, *BT601)), facts(Color(matrix="smpte170m"))),
        (patch(coded(ORANGE, *BT709, full=True)), facts(Color(full_range=True))),
        (patch(coded(ORANGE, *BT601, full=True), "yuvj420p"), facts(Color(matrix="bt470bg", full_range=True), "yuvj420p")),
        (patch(coded(ORANGE, *BT709, bits=10), "yuv422p10le"), facts(Color(), "yuv422p10le", bit_depth=10)),
        (patch(coded(ORANGE, *BT601, bits=10), "yuv444p10le"), facts(Color(matrix="smpte170m"), "yuv444p10le", bit_depth=10)),
        ("color=0xc87828:size=64x64:rate=24,format=rgb24", facts(Color(matrix="gbr", full_range=True), "rgb24")),
        ("color=0xc87828:size=64x64:rate=24,format=gbrp", facts(Color(matrix="gbr", full_range=True), "gbrp")),
    ],
    ids=["709", "601", "full", "601 full", "4:2:2 10 bit", "601 4:4:4 10 bit", "rgb", "planar rgb"],
)  # fmt: skip
def test_one_colour_comes_out_the_same_however_it_was_coded(source, its):
    assert shown(source, its) == pytest.approx(coded(ORANGE, *BT709), abs=1.2)


def test_an_odd_size_and_an_odd_matrix_go_together():
    its = facts(Color(matrix="smpte170m"))
    command = [
        find_tools().ffmpeg, "-v", "error", "-f", "lavfi", "-i", "testsrc2=size=427x241:rate=24:duration=0.1,format=yuv420p",
        "-vf", video_filters(its, 213, 121), "-f", "framemd5", "-",
    ]  # fmt: skip
    said = subprocess.run(command, check=True, capture_output=True, text=True).stdout
    assert "213x121" in said


def linear(value):
    """Return the light of an 8-bit signal, by the inverse of BT.709's transfer."""
    signal = value / 255
    return signal / 4.5 if signal < 0.081 else ((signal + 0.099) / 1.099) ** (1 / 0.45)


def signal(light):
    return 255 * (4.5 * light if light < 0.018 else 1.099 * light**0.45 - 0.099)


def test_wide_primaries_are_brought_into_bt709():
    """A grey stays; skin in Display P3 becomes what the matrix between the two sets of primaries says."""
    p3 = facts(Color(primaries="smpte432", declared=("primaries",)))
    assert shown(patch(coded((128, 128, 128), *BT709)), p3) == pytest.approx(coded((128, 128, 128), *BT709), abs=1.2)
    red, green, blue = map(linear, (180, 130, 110))
    narrow = (
        1.2249 * red - 0.2247 * green,
        -0.0420 * red + 1.0419 * green,
        -0.0197 * red - 0.0786 * green + 1.0979 * blue,
    )
    expected = coded(tuple(map(signal, narrow)), *BT709)
    assert shown(patch(coded((180, 130, 110), *BT709)), p3) == pytest.approx(expected, abs=1.5)


def test_transparent_parts_lie_over_black():
    its = facts(Color(matrix="gbr", full_range=True), "rgba", alpha=True)
    assert shown("color=0xc87828@0.0:size=64x64:rate=24,format=rgba", its) == pytest.approx((16, 128, 128), abs=1)
    half = shown("color=0xc87828@0.5:size=64x64:rate=24,format=rgba", its)
    assert half == pytest.approx(coded((100, 60, 20), *BT709), abs=1.5)


def pq(nits):
    """Return the signal of SMPTE ST 2084 for a luminance in cd/m2."""
    power = (nits / 10000) ** (2610 / 16384)
    return ((3424 / 4096 + 2413 / 128 * power) / (1 + 2392 / 128 * power)) ** (2523 / 32)


def grey(signal):
    return patch((64 + 876 * signal, 512, 512), "yuv420p10le")


PQ = Color(primaries="bt2020", transfer="smpte2084", matrix="bt2020nc", declared=("primaries", "transfer", "matrix"))
HLG = msgspec.structs.replace(PQ, transfer="arib-std-b67")


@pytest.mark.parametrize(
    ("code", "color"), [(pq(203), PQ), (0.75, HLG)], ids=["PQ", "HLG"]
)  # fmt: skip
def test_reference_white_becomes_a_bright_white_with_room_above(code, color):
    white, cb, cr = shown(grey(code), facts(color, "yuv420p10le", bit_depth=10))
    assert (white - 16) / 219 == pytest.approx(0.85, abs=0.02)
    assert (cb, cr) == pytest.approx((128, 128), abs=1)


@pytest.mark.parametrize(("code", "color"), [(pq(26), PQ), (0.38, HLG)], ids=["PQ", "HLG"])
def test_mid_grey_stays_mid_grey(code, color):
    luma = shown(grey(code), facts(color, "yuv420p10le", bit_depth=10))[0]
    assert (luma - 16) / 219 == pytest.approx(0.43, abs=0.02)


@pytest.mark.parametrize("peak", [400, 1000, 4000])
def test_brighter_is_never_darker_up_to_the_films_own_peak(peak):
    its = facts(msgspec.structs.replace(PQ, most_light=peak), "yuv420p10le", bit_depth=10)
    lumas = [shown(grey(pq(peak * share)), its)[0] for share in (0.001, 0.01, 0.05, 0.2, 0.5, 0.8, 1)]
    assert lumas == sorted(lumas)
    assert len(set(lumas)) == len(lumas)
    assert lumas[-1] == pytest.approx(235, abs=2)


def test_hdr_is_kept_where_it_is_asked_for():
    its = facts(PQ, "yuv420p10le", bit_depth=10)
    assert shown(grey(pq(203)), its, hdr=True) == pytest.approx((round(64 + 876 * pq(203)), 512, 512), abs=1)
    with pytest.raises(ValueError, match="no high dynamic range"):
        video_filters(FACTS, 64, 64, hdr=True)


@pytest.mark.parametrize(
    ("stream", "size", "expected"),
    [
        ({}, (1280, 720), Color()),
        ({}, (720, 576), Color(matrix="smpte170m")),
        ({"color_space": "bt709"}, (720, 576), Color(declared=("matrix",))),
        ({"color_space": "gbr"}, (1920, 1080), Color(corrected=("matrix",))),
        ({"color_space": "reserved", "color_primaries": "unknown"}, (1920, 1080), Color(corrected=("matrix",))),
        ({"pix_fmt": "gbrp", "color_space": "gbr"}, (640, 360), Color(matrix="gbr", full_range=True)),
        ({"pix_fmt": "yuvj420p"}, (1920, 1080), Color(full_range=True)),
        ({"pix_fmt": "yuv420p", "color_range": "pc"}, (1920, 1080), Color(full_range=True, declared=("range",))),
        ({"color_transfer": "smpte2084"}, (640, 360), Color("bt2020", "smpte2084", "bt2020nc", declared=("transfer",))),
    ],
)  # fmt: skip
def test_gaps_are_filled_and_impossible_claims_put_right(stream, size, expected):
    assert color_of(stream, *size) == expected


def test_pictures_are_believed_before_labels():
    limited = Color(declared=("range",))
    assert corrected_by(limited, [4.0, 30.0], [120.0, 250.0]).full_range
    assert corrected_by(limited, [4.0, 30.0], [120.0, 250.0]).corrected == ("range",)
    # Bars that are blacker than black, or a flash that is whiter than white, prove nothing.
    assert corrected_by(limited, [0.0], [200.0]) == limited
    assert corrected_by(limited, [40.0], [255.0]) == limited
    assert corrected_by(PQ, [20.0], [235.0]).transfer == "bt709"
    assert corrected_by(PQ, [20.0], [190.0]) == PQ
    mastered = msgspec.structs.replace(PQ, most_light=4000)
    assert corrected_by(mastered, [20.0], [235.0]) == mastered


async def test_a_full_range_film_with_the_wrong_label_is_put_right(tmp_path):
    film = tmp_path / "film.mp4"
    clips.ffmpeg(
        "-f", "lavfi", "-i", "color=black:size=320x180:rate=24:duration=2,format=yuv420p,geq=lum='if(lt(X,W/4),2,if(gt(X,W*3/4),252,255*X/W))':cb=128:cr=128,setparams=range=limited:colorspace=bt709",
        "-c:v", "libx264", "-preset", "ultrafast", "-color_range", "tv", "-colorspace", "bt709", str(film),
    )  # fmt: skip
    facts = await inspect(film, find_tools())
    assert (facts.color.full_range, facts.color.corrected) == (True, ("range",))
    assert any("full one" in warning for warning in mezzanine_report(facts).warnings)


async def test_an_hdr10_film_is_known_with_its_light(tmp_path):
    film = tmp_path / "film.mp4"
    light = "master-display=G(13250,34500)B(7500,3000)R(34000,16000)WP(15635,16450)L(10000000,1):max-cll=1000,400:log-level=error"
    clips.ffmpeg(
        "-f", "lavfi", "-i", "gradients=size=320x180:rate=24:duration=1:c0=0x101010:c1=0x909090,format=yuv420p10le",
        "-c:v", "libx265", "-preset", "ultrafast", "-x265-params", light, "-color_primaries", "bt2020", "-color_trc", "smpte2084", "-colorspace", "bt2020nc",
        "-vf", "setparams=color_primaries=bt2020:color_trc=smpte2084:colorspace=bt2020nc:range=limited", str(film),
    )  # fmt: skip
    facts = await inspect(film, find_tools())
    assert (facts.color.hdr, facts.bit_depth, facts.color.most_light, facts.color.average_light) == (
        True,
        10,
        1000,
        400,
    )
    assert facts.color.mastering is not None
    assert (facts.color.mastering.highest, facts.color.mastering.red) == (1000.0, (0.68, 0.32))
    assert "peak=4.9261" in video_filters(facts, 160, 90)
    assert any("HDR10" in line for line in mezzanine_report(facts).found)
