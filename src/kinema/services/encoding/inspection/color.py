"""What a file says about its colours, made into what holds: gaps filled, impossible claims put right.

A file may leave the code points of ITU-T H.273 out, or state what cannot be (an RGB matrix for YUV pictures, a reserved
number). Missing ones are filled as players do it: pictures of 1280 columns or more than 576 lines are BT.709, smaller
ones have the matrix of BT.601; primaries and transfer that nobody declared are BT.709's, so that nothing is converted on
a guess. PQ and HLG without primaries are BT.2020, the only ones that they are used with.

What the pictures themselves look like is the second witness (`corrected_by`): limited range in which a tenth of a picture lies
below its black and a tenth above its white is full range; PQ without a mastering display, in which a tenth of a picture is
brighter than any display masters, is an SDR film with a wrong label.
"""

from collections.abc import Mapping, Sequence
from typing import Any

import msgspec

from kinema.services.encoding.inspection.facts import Color, Mastering

_MATRICES = {"bt709", "fcc", "bt470bg", "smpte170m", "smpte240m", "ycgco", "bt2020nc", "bt2020c", "ictcp"}
_PRIMARIES = {
    "bt709", "bt470m", "bt470bg", "smpte170m", "smpte240m", "film", "bt2020", "smpte428", "smpte431", "smpte432", "ebu3213",
}  # fmt: skip
_TRANSFERS = {
    "bt709", "bt470m", "bt470bg", "smpte170m", "smpte240m", "linear", "log100", "log316", "iec61966-2-4", "bt1361e",
    "iec61966-2-1", "bt2020-10", "bt2020-12", "smpte2084", "smpte428", "arib-std-b67",
}  # fmt: skip
_RANGES = {"tv": False, "pc": True}
_RGB = ("rgb", "bgr", "gbr", "argb", "abgr", "0rgb", "0bgr", "x2rgb", "x2bgr", "pal8", "bayer")
_HD_WIDTH, _SD_LINES = 1280, 576

_LIMITED_LOW, _LIMITED_HIGH = (
    10.0,
    243.0,
)  # 8-bit luma that a tenth of a picture in limited range (16 to 235) never passes
_BRIGHTEST_PQ = 208.0  # 8-bit luma of about 5,000 cd/m2 in PQ: a tenth of a picture is never as bright


def is_rgb(pixel_format: str) -> bool:
    """Whether a pixel format of ffmpeg's holds red, green and blue."""
    return pixel_format.startswith(_RGB)


def color_of(stream: Mapping[str, Any], width: int, height: int) -> Color:
    """Return the colour of a video stream that ffprobe described, whose stored pictures have this size."""
    pixel_format = str(stream.get("pix_fmt", ""))
    said = {
        "primaries": str(stream.get("color_primaries", "")),
        "transfer": str(stream.get("color_transfer", "")),
        "matrix": str(stream.get("color_space", "")),
        "range": str(stream.get("color_range", "")),
    }
    known = {"primaries": _PRIMARIES, "transfer": _TRANSFERS, "matrix": _MATRICES, "range": _RANGES}
    rgb = is_rgb(pixel_format)
    declared = tuple(name for name, value in said.items() if value in known[name])
    corrected = tuple(
        name
        for name, value in said.items()
        if name not in declared and value not in {"", "unknown", "unspecified"} and not (rgb and name == "matrix")
    )
    transfer = said["transfer"] if "transfer" in declared else "bt709"
    wide = transfer in {"smpte2084", "arib-std-b67"}
    primaries = said["primaries"] if "primaries" in declared else ("bt2020" if wide else "bt709")
    if "matrix" in declared:
        matrix = said["matrix"]
    elif wide or primaries == "bt2020":
        matrix = "bt2020nc"
    else:
        matrix = "bt709" if width >= _HD_WIDTH or height > _SD_LINES else "smpte170m"
    full = pixel_format.startswith(("yuvj", "gray")) and "range" not in declared
    color = Color(
        primaries=primaries,
        transfer=transfer,
        matrix="gbr" if rgb else matrix,
        full_range=rgb or full or pixel_format.startswith("yuvj") or _RANGES.get(said["range"], False),
        declared=declared,
        corrected=corrected,
    )
    return with_side_data(color, stream.get("side_data_list", []))


def with_side_data(color: Color, sides: Sequence[Mapping[str, Any]]) -> Color:
    """Return the colour with what a stream's or a picture's side data say: the mastering display, light levels, Dolby Vision."""
    changes: dict[str, Any] = {}
    for side in sides:
        kind = str(side.get("side_data_type", ""))
        if kind == "Mastering display metadata" and (mastering := _mastering(side)) is not None:
            changes["mastering"] = mastering
        elif kind == "Content light level metadata":
            changes["most_light"] = int(side.get("max_content") or 0)
            changes["average_light"] = int(side.get("max_average") or 0)
        elif kind == "DOVI configuration record":
            changes["dolby_vision"] = f"{side.get('dv_profile', '')}.{side.get('dv_bl_signal_compatibility_id', 0)}"
        elif "HDR10+" in kind or "SMPTE2094-40" in kind:
            changes["hdr10_plus"] = True
    return msgspec.structs.replace(color, **changes) if changes else color


def corrected_by(color: Color, lows: Sequence[float], highs: Sequence[float]) -> Color:
    """Return the colour put right by what sampled pictures look like.

    `lows` and `highs` are the 10th and 90th percentile of each picture's luma, as 8-bit codes.
    """
    if not lows or not highs:
        return color
    unmastered = color.mastering is None and not color.most_light
    if color.transfer == "smpte2084" and unmastered and max(highs) > _BRIGHTEST_PQ:
        # One wrong preset sets all three.
        wrong = tuple(dict.fromkeys((*color.corrected, "transfer", "primaries", "matrix")))
        matrix = color.matrix if color.matrix == "gbr" else "bt709"
        color = msgspec.structs.replace(color, transfer="bt709", primaries="bt709", matrix=matrix, corrected=wrong)
    outside = min(lows) < _LIMITED_LOW and max(highs) > _LIMITED_HIGH
    if not color.full_range and not color.hdr and outside:
        wrong = tuple(dict.fromkeys((*color.corrected, "range"))) if "range" in color.declared else color.corrected
        color = msgspec.structs.replace(color, full_range=True, corrected=wrong)
    return color


def _mastering(side: Mapping[str, Any]) -> Mastering | None:
    try:
        return Mastering(
            red=_point(side, "red"),
            green=_point(side, "green"),
            blue=_point(side, "blue"),
            white=_point(side, "white_point"),
            lowest=_ratio(side["min_luminance"]),
            highest=_ratio(side["max_luminance"]),
        )
    except (KeyError, ValueError, ZeroDivisionError):
        return None


def _point(side: Mapping[str, Any], name: str) -> tuple[float, float]:
    return _ratio(side[f"{name}_x"]), _ratio(side[f"{name}_y"])


def _ratio(text: object) -> float:
    numerator, _, denominator = str(text).partition("/")
    return float(numerator) / float(denominator or 1)
