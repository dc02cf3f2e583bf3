"""The one chain of filters from a source's pictures to plain ones: for the encoder, for what its quality is measured against,
and for single pictures. Whatever differs between films is in their facts, so all who use the chain see the same film.

    times -> fields made whole -> constant rate -> bars cut off -> alpha over black -> size -> colour -> 4:2:0

The decoder has turned the pictures upright before. Scaling is bicubic, always. Colour: standard range comes out as BT.709
in limited range with 8 bits, and says so. High dynamic range is kept with 10 bits where it is asked for; else it is
mapped (zscale, tonemap) so that HDR's reference white of 203 cd/m2 (ITU-R BT.2408) lies at 85 % of the signal, mid grey stays
where it was (43 %), and what is brighter, up to the film's own peak, is rolled off above 61 cd/m2 (Moebius).
"""

from fractions import Fraction

import msgspec

from kinema.services.encoding.inspection.color import is_rgb
from kinema.services.encoding.inspection.facts import Color, Facts

REFERENCE_WHITE = 203.0  # cd/m2 of a white sheet of paper in HDR, ITU-R BT.2408
_USUAL_PEAK = 1000.0  # cd/m2, where the film does not say its own
_HIGHEST_PEAK = 10_000.0
_LOWEST_PEAK = 1.2  # of reference white
_ALIKE = {
    "bt709",
    "smpte170m",
    "bt470m",
    "bt470bg",
    "smpte240m",
    "iec61966-2-1",
    "iec61966-2-4",
    "bt1361e",
    "bt2020-10",
    "bt2020-12",
    "smpte428",
}
_LIGHT_SIDE_DATA = (
    "MASTERING_DISPLAY_METADATA", "CONTENT_LIGHT_LEVEL", "DYNAMIC_HDR_PLUS", "DYNAMIC_HDR_VIVID", "DOVI_RPU_BUFFER", "DOVI_METADATA",
    "AMBIENT_VIEWING_ENVIRONMENT",
)  # fmt: skip
_ORDERS = {"top": "tff", "bottom": "bff"}
_PLAIN = "setparams=color_primaries=bt709:color_trc=bt709:colorspace=bt709:range=limited"


def video_filters(facts: Facts, width: int, height: int, *, hdr: bool = False) -> str:
    """Return ffmpeg's filter chain that makes the film's pictures `width` x `height`, at its constant rate from time 0.

    With `hdr` the pictures keep their high dynamic range (yuv420p10le), without it they are SDR (yuv420p). Raises
    ValueError when `hdr` is asked of a film that has none.
    """
    return ",".join([*timing_filters(facts), *picture_filters(facts, width, height, hdr=hdr)])


def timing_filters(facts: Facts) -> list[str]:
    """Return the first half of the chain: from the source's pictures to whole ones at the constant rate."""
    held = [f"tpad=stop_mode=clone:stop_duration={facts.held_seconds:.6f}"] if facts.held_seconds else []
    return [*_whole(facts), f"fps={facts.frame_rate}:start_time=0", *held]


def still_filters(facts: Facts, width: int, height: int) -> str:
    """Return the chain for one picture: the most typical of the next 48, which is hardly ever a fade."""
    return ",".join([*_whole(facts), "thumbnail=48", *picture_filters(facts, width, height)])


def _whole(facts: Facts) -> list[str]:
    filters: list[str] = []
    if facts.untimed:
        filters.append(f"setpts=N/({facts.frame_rate})/TB")
    elif facts.delayed:
        filters.append("setpts=PTS-STARTPTS")
    if facts.telecined:
        order = _ORDERS.get(facts.field_order, "auto")
        filters += [
            f"fps={Fraction(facts.frame_rate) * 5 / 4}:start_time=0",
            f"fieldmatch=order={order}:combmatch=full",
            "bwdif=mode=send_frame:deint=interlaced",
            "decimate",
        ]
    elif not facts.interlaced and facts.flagged_interlaced:
        filters.append("setfield=prog")
    elif facts.interlaced:
        if facts.field_order:
            filters.append(f"bwdif=mode=send_frame:parity={_ORDERS[facts.field_order]}:deint=all")
        else:
            filters.append("bwdif=mode=send_frame:deint=interlaced")
    return filters


def picture_filters(facts: Facts, width: int, height: int, *, hdr: bool = False) -> list[str]:
    """Return the second half of the chain, which changes each picture by itself: bars, alpha, size, colour. Raises ValueError like `video_filters`."""
    color = facts.color
    if hdr and not color.hdr:
        raise ValueError(f"The film's transfer is {color.transfer}, which has no high dynamic range to keep.")
    filters: list[str] = []
    if crop := facts.crop:
        # The bounds hold when a file changes its size in the middle.
        filters.append(f"crop=min({crop.width}\\,iw):min({crop.height}\\,ih):{crop.x}:{crop.y}")
    if facts.alpha:
        filters += [f"format={'gbrap' if facts.bit_depth <= 8 else 'gbrap16le'}", "premultiply=inplace=1"]
    if not is_rgb(facts.pixel_format) and not facts.alpha:
        filters.append(_setparams(color))
    if hdr:
        return [*filters, *_kept(facts, width, height), "setsar=1"]
    if color.hdr:
        return [*filters, *_tone_mapped(facts, width, height), _PLAIN, "setsar=1"]
    return [*filters, *_standard(facts, width, height), _PLAIN, "setsar=1"]


def _standard(facts: Facts, width: int, height: int) -> list[str]:
    """Return size and colour for SDR. Where only the scale of the numbers changes, the scaler does it on the way."""
    color = facts.color
    rgb = facts.alpha or color.matrix == "gbr"
    primaries = color.primaries if "primaries" in color.declared else "bt709"
    alike = color.transfer in _ALIKE
    size = _size(width, height)
    if alike and primaries == "bt709" and (rgb or color.matrix == "bt709"):
        return [f"{size}:out_color_matrix=bt709:out_range=limited", "format=yuv420p"]
    matrix, span = ("gbr", "full") if rgb else (color.matrix, "full" if color.full_range else "limited")
    transfer = "bt709" if alike else color.transfer
    return [
        size,
        *_zimg_format(facts, width, height),
        f"zscale=min={matrix}:pin={primaries}:tin={transfer}:rin={span}:m=bt709:p=bt709:t=bt709:r=limited:dither=ordered",
        *_halved(width, height),
    ]


def _tone_mapped(facts: Facts, width: int, height: int) -> list[str]:
    """Return size and colour for SDR made of HDR, in linear light with BT.709's primaries and 1.0 for reference white."""
    color = facts.color
    peak = min(_HIGHEST_PEAK, color.most_light or (color.mastering.highest if color.mastering else 0) or _USUAL_PEAK)
    rgb = facts.alpha or color.matrix == "gbr"
    matrix, span = ("gbr", "full") if rgb else (color.matrix, "full" if color.full_range else "limited")
    return [
        _size(width, height),
        "format=gbrp16le" if rgb else "format=yuv444p10le",
        f"zscale=min={matrix}:pin={color.primaries}:tin={color.transfer}:rin={span}:t=linear:p=bt709:npl={REFERENCE_WHITE:g}",
        "format=gbrpf32le",
        f"tonemap=mobius:desat=0:peak={max(_LOWEST_PEAK, peak / REFERENCE_WHITE):.4f}",
        "zscale=p=bt709:t=bt709:m=bt709:r=limited:dither=ordered",
        *_halved(width, height),
        *(f"sidedata=mode=delete:type={kind}" for kind in _LIGHT_SIDE_DATA),
    ]


def _kept(facts: Facts, width: int, height: int) -> list[str]:
    """Return size and depth for HDR that stays HDR."""
    color = facts.color
    rgb = facts.alpha or color.matrix == "gbr"
    into = ":out_color_matrix=bt2020" if rgb else ""
    matrix = "bt2020nc" if rgb else color.matrix
    told = _setparams(msgspec.structs.replace(color, matrix=matrix, full_range=False))
    return [f"{_size(width, height)}{into}:out_range=limited", "format=yuv420p10le", told]


def _size(width: int, height: int) -> str:
    return f"scale={width}:{height}:flags=bicubic"


def _zimg_format(facts: Facts, width: int, height: int) -> list[str]:
    """Return the format to hand to zimg, which takes no packed RGB and no chroma that does not divide the size."""
    if facts.alpha or facts.color.matrix == "gbr":
        return ["format=gbrp" if facts.bit_depth <= 8 else "format=gbrp16le"]
    if width % 2 or height % 2:
        return ["format=yuv444p" if facts.bit_depth <= 8 else "format=yuv444p10le"]
    return []


def _halved(width: int, height: int) -> list[str]:
    """Return the end of the way through zimg: chroma of half the size, by the scaler where zimg cannot."""
    return ["format=yuv444p", "format=yuv420p"] if width % 2 or height % 2 else ["format=yuv420p"]


def _setparams(color: Color) -> str:
    span = "full" if color.full_range else "limited"
    return (
        f"setparams=color_primaries={color.primaries}:color_trc={color.transfer}:colorspace={color.matrix}:range={span}"
    )
