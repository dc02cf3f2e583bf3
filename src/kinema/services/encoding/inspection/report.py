"""The mezzanine report: what a source is, and what its sender should know or better, as sentences. A pure function of its facts."""

from fractions import Fraction

import msgspec

from kinema.services.encoding.inspection.facts import Color, Facts

_THIN_BITS = 0.05  # bits a pixel below which H.264 pictures show what an encoder took away
_EFFICIENT = {"hevc": 0.6, "av1": 0.5, "vp9": 0.6, "vvc": 0.4}
_SMALL_LINES = 480
_OFF_SECONDS = 0.5
_LOW_SOUND_RATE = 32_000
_LARGE_PRIMES = {"bt709": "BT.709", "bt2020": "BT.2020", "smpte432": "Display P3", "smpte431": "DCI-P3"}


class MezzanineReport(msgspec.Struct, frozen=True):
    """`found` says in a few sentences what the source is and what is done with it; `warnings` what could be better."""

    found: tuple[str, ...]
    warnings: tuple[str, ...]


def mezzanine_report(facts: Facts) -> MezzanineReport:
    """Return the report on a source."""
    return MezzanineReport(
        found=(*_pictures_found(facts), *_streams_found(facts)),
        warnings=(
            *_picture_warnings(facts),
            *_color_warnings(facts.color),
            *_time_warnings(facts),
            *_stream_warnings(facts),
        ),
    )


def _pictures_found(facts: Facts) -> list[str]:
    rate = float(Fraction(facts.frame_rate))
    size = f"{facts.width} x {facts.height} as shown, {rate:.5g} pictures a second"
    lasting = f"{facts.duration_seconds:.2f} s, {facts.bits_per_second / 1e6:.2f} Mbit/s"
    found = [f"{facts.codec} in {facts.container.partition(',')[0]}, {size}, {lasting}."]
    if facts.color.hdr:
        found.append(
            f"The pictures have a high dynamic range ({_hdr_name(facts.color)}); SDR is made of them by tone mapping."
        )
    if facts.rotation:
        found.append(f"The pictures are turned by {facts.rotation} degrees.")
    if facts.crop:
        found.append(f"Black bars are cut off: {facts.crop.width} x {facts.crop.height} of the stored pixels remain.")
    if facts.telecined:
        found.append("The film was telecined (3:2 pulldown); its 24 pictures a second are restored.")
    elif facts.interlaced:
        found.append("The pictures are interlaced and become whole ones.")
    if facts.variable_rate:
        found.append("The pictures come at varying distances and are brought to a constant rate.")
    if facts.held_seconds:
        found.append(f"The last picture stands for {facts.held_seconds:.1f} s, because the sound goes on.")
    if facts.alpha:
        found.append("The pictures have transparent parts, which are laid over black.")
    return found


def _streams_found(facts: Facts) -> list[str]:
    found: list[str] = []
    for number, audio in enumerate(facts.audio, 1):
        label = f" ({audio.label})" if audio.label else ""
        purposes = "".join(f", {purpose}" for purpose in audio.dispositions)
        layout = audio.layout or f"{audio.channels} channels"
        found.append(f"Sound {number}: {audio.codec}, {layout}, {audio.language}{label}{purposes}.")
    if facts.texts:
        found.append(f"Subtitles: {', '.join(f'{text.language} ({text.codec})' for text in facts.texts)}.")
    if facts.chapters:
        found.append(f"{len(facts.chapters)} chapters.")
    return found


def _picture_warnings(facts: Facts) -> list[str]:
    warnings: list[str] = []
    pixels = facts.width * facts.height * float(Fraction(facts.frame_rate))
    if facts.bits_per_second < _THIN_BITS * _EFFICIENT.get(facts.codec, 1.0) * pixels:
        warnings.append(
            f"The source is thinly coded ({facts.bits_per_second / pixels:.3f} bits a pixel); what it has lost cannot come back, so send a mezzanine if there is one."
        )
    if min(facts.width, facts.height) < _SMALL_LINES:
        warnings.append(f"The pictures are only {facts.width} x {facts.height}; large screens will show them soft.")
    if facts.flagged_interlaced and not facts.interlaced and not facts.telecined:
        warnings.append("The file calls its pictures interlaced, but they are whole; they are left as they are.")
    if facts.interlaced and not facts.flagged_interlaced:
        warnings.append("The file calls its pictures progressive, but they are interlaced; they are deinterlaced.")
    elif facts.interlaced and facts.field_order:
        warnings.append(f"The file names the wrong order of fields; the {facts.field_order} field is shown first.")
    return warnings


def _color_warnings(color: Color) -> list[str]:
    warnings: list[str] = []
    missing = [name for name in ("primaries", "transfer", "matrix", "range") if name not in color.declared]
    if missing and color.matrix != "gbr":
        warnings.append(
            f"The file does not declare its colours' {_joined(missing)}; {_LARGE_PRIMES.get(color.matrix, color.matrix)} with "
            f"{'full' if color.full_range else 'limited'} range is assumed."
        )
    if "transfer" in color.corrected:
        warnings.append(
            "The file declares a high dynamic range that its pictures do not have; they are read as BT.709."
        )
    elif "range" in color.corrected:
        warnings.append(
            "The file declares limited range, but its pictures use the full one; they are read as full range."
        )
    others = [name for name in color.corrected if name not in {"transfer", "range"}]
    if others and "transfer" not in color.corrected:
        warnings.append(f"The file declares a {_joined(others)} that cannot be; {color.matrix} is assumed.")
    if color.transfer == "smpte2084" and color.mastering is None and not color.most_light:
        warnings.append(
            "The film does not say how bright it is (no mastering display, no MaxCLL); 1,000 cd/m2 are assumed."
        )
    if color.dolby_vision:
        warnings.append(f"Dolby Vision profile {color.dolby_vision} is not kept; its base layer is used.")
    if color.hdr10_plus:
        warnings.append("HDR10+ metadata are not kept.")
    return warnings


def _time_warnings(facts: Facts) -> list[str]:
    warnings: list[str] = []
    if facts.untimed:
        warnings.append(
            "The pictures have no times; they are shown evenly, and whether the sound fits them should be looked at."
        )
    if facts.jumps:
        warnings.append(f"The clock jumps {facts.jumps} times inside the film; the parts are joined without a gap.")
    for number, audio in enumerate(facts.audio, 1):
        if not audio.duration_seconds:
            continue
        over = audio.start_seconds + audio.duration_seconds - facts.duration_seconds
        if over > _OFF_SECONDS:
            warnings.append(f"Sound {number} lasts {over:.1f} s longer than the pictures; it is cut with them.")
        elif over < -_OFF_SECONDS:
            warnings.append(f"Sound {number} ends {-over:.1f} s before the pictures; silence follows.")
        if audio.start_seconds > _OFF_SECONDS:
            warnings.append(f"Sound {number} begins {audio.start_seconds:.1f} s after the film; silence comes before.")
    return warnings


def _stream_warnings(facts: Facts) -> list[str]:
    warnings: list[str] = []
    if not facts.audio:
        warnings.append("The film has no sound.")
    warnings += [
        f"Sound {number} has only {audio.sample_rate} samples a second."
        for number, audio in enumerate(facts.audio, 1)
        if 0 < audio.sample_rate < _LOW_SOUND_RATE
    ]
    if facts.dropped_audio:
        warnings.append(
            f"{facts.dropped_audio} sound tracks are left out: there are too many, or they cannot be decoded."
        )
    bitmaps = [text.language for text in facts.texts if text.bitmap]
    if bitmaps:
        warnings.append(f"Subtitles in {_joined(bitmaps)} are pictures and are left out; send them as SRT or WebVTT.")
    if facts.dropped_texts:
        warnings.append(
            f"{facts.dropped_texts} subtitle tracks are left out: there are too many, or they are not understood."
        )
    return warnings


def _hdr_name(color: Color) -> str:
    if color.dolby_vision:
        return f"Dolby Vision profile {color.dolby_vision}"
    if color.transfer == "arib-std-b67":
        return "HLG"
    return "HDR10" if color.mastering or color.most_light else "PQ"


def _joined(names: list[str]) -> str:
    return names[0] if len(names) == 1 else f"{', '.join(names[:-1])} and {names[-1]}"
