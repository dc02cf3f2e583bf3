"""What samples of the pictures prove: how fields lie, and where the black bars end. Pure; doubts leave things as they are.

Scan. A file's flag is believed unless the pictures clearly contradict it. Called progressive, but four fifths of the
pictures are combed: interlaced. Called interlaced, but nine tenths are whole: progressive (often so with films made for
television). At 29.97 pictures a second a quarter to a half of the pictures repeating a field is 3:2 pulldown: telecined,
to be undone rather than deinterlaced. An order of fields that nine tenths contradict is corrected.

Bars. What is not black at any place stays: the bars are what is black in all samples. They are cut off only when there
are enough samples with something to see, when they take at least a fiftieth of a side, and when at least half of each
side remains. A title in a bar, a scene of another shape, a menu: all keep the picture whole.
"""

from collections.abc import Sequence
from fractions import Fraction

from kinema.services.encoding.inspection.facts import Crop, FieldOrder, Scan
from kinema.services.encoding.inspection.samples import Sample

_LEAST_PICTURES = 10
_COMBED = 0.8
_WHOLE = 0.9
_ORDERED = 0.9
_REPEATED = (0.25, 0.5)
_TELECINE_RATES = (Fraction(30000, 1001), Fraction(30))
_SMALLEST_BAR = 0.02
_LEAST_KEPT = 0.5
_TELLING = 24.0  # distance between dark and bright tenth above which a picture shows something
_TELLING_SHARE = 0.5


def scan_of(flag: str, rate: Fraction, samples: Sequence[Sample]) -> tuple[Scan, FieldOrder]:
    """Return how the pictures are scanned, and the order of fields where the file says it wrongly or not at all.

    `flag` is ffprobe's field_order, `rate` the pictures a second.
    """
    flagged = flag in {"tt", "bb", "tb", "bt"}
    top, bottom, whole = (sum(sample.fields[kind] for sample in samples) for kind in ("tff", "bff", "progressive"))
    seen = top + bottom + whole
    if seen < _LEAST_PICTURES:
        return ("interlaced" if flagged else "progressive"), ""
    order: FieldOrder = ""
    if max(top, bottom) >= _ORDERED * max(1, top + bottom):
        order = "top" if top > bottom else "bottom"
    repeated = sum(sample.repeated for sample in samples) / sum(sample.pictures for sample in samples)
    if rate in _TELECINE_RATES and _REPEATED[0] <= repeated <= _REPEATED[1] and top + bottom >= seen / 5:
        return "telecined", order
    if not flagged:
        return ("interlaced", order) if (top + bottom) >= _COMBED * seen and order else ("progressive", "")
    if whole >= _WHOLE * seen:
        return "progressive", ""
    said: FieldOrder = "top" if flag in {"tt", "tb"} else "bottom"
    return "interlaced", order if order != said and top + bottom >= _COMBED * seen else ""


def crop_of(width: int, height: int, samples: Sequence[Sample]) -> Crop | None:
    """Return the part inside the black bars of pictures of this size (upright), or None when they have none."""
    telling = [
        sample for sample in samples if max(map(_contrast, zip(sample.lows, sample.highs, strict=True))) >= _TELLING
    ]
    if not telling or len(telling) < _TELLING_SHARE * len(samples):
        return None
    left, top = max(0, min(sample.left for sample in samples)), max(0, min(sample.top for sample in samples))
    right = min(width, max(sample.right for sample in samples))
    bottom = min(height, max(sample.bottom for sample in samples))
    # Even distances, towards the bars, keep chroma where it was.
    left, top = left // 2 * 2, top // 2 * 2
    right, bottom = min(width, -(-right // 2) * 2), min(height, -(-bottom // 2) * 2)
    if width - (right - left) < _SMALLEST_BAR * width:
        left, right = 0, width
    if height - (bottom - top) < _SMALLEST_BAR * height:
        top, bottom = 0, height
    kept = (right - left, bottom - top)
    if kept == (width, height) or kept[0] < _LEAST_KEPT * width or kept[1] < _LEAST_KEPT * height:
        return None
    return Crop(width=kept[0], height=kept[1], x=left, y=top)


def _contrast(tenths: tuple[float, float]) -> float:
    low, high = tenths
    return high - low
