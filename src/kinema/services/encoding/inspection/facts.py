"""The facts about a source that everything behind inspection works from. They are stored, and part of every step's key."""

from typing import Literal

import msgspec

from kinema.core.errors import Unsupported

Scan = Literal["progressive", "interlaced", "telecined"]
FieldOrder = Literal["", "top", "bottom"]


class Unusable(Unsupported):
    """A source cannot be made into a film; the sentence says why."""


class Mastering(msgspec.Struct, frozen=True):
    """The display on which a film was graded (SMPTE ST 2086): CIE 1931 x and y of its primaries and white, luminance in cd/m2."""

    red: tuple[float, float]
    green: tuple[float, float]
    blue: tuple[float, float]
    white: tuple[float, float]
    lowest: float
    highest: float


class Color(msgspec.Struct, frozen=True):
    """How to read the pictures' numbers, in ffmpeg's names for the code points of ITU-T H.273.

    This is what holds, not what the file says: `declared` names the properties that the file gave ("matrix", "range",
    ...), `corrected` those that it gave wrongly. `most_light` and `average_light` are MaxCLL and MaxFALL in cd/m2, 0 when
    unknown. `dolby_vision` is the profile ("8.4"), empty when there is none.
    """

    primaries: str = "bt709"
    transfer: str = "bt709"
    matrix: str = "bt709"
    full_range: bool = False
    declared: tuple[str, ...] = ()
    corrected: tuple[str, ...] = ()
    mastering: Mastering | None = None
    most_light: int = 0
    average_light: int = 0
    dolby_vision: str = ""
    hdr10_plus: bool = False

    @property
    def hdr(self) -> bool:
        """Whether the pictures have a high dynamic range: PQ (SMPTE ST 2084) or HLG (ARIB STD-B67)."""
        return self.transfer in {"smpte2084", "arib-std-b67"}


class Crop(msgspec.Struct, frozen=True):
    """The part of the stored pictures (upright, before their pixels are made square) inside the black bars, in pixels."""

    width: int
    height: int
    x: int
    y: int


class AudioFacts(msgspec.Struct, frozen=True):
    """An audio stream: its index in the file, channels, and BCP 47-ish language as the container has it.

    `dispositions` are ffmpeg's names of what it is for ("default", "comment", "hearing_impaired", ...). Times are seconds
    from the film's start; `duration_seconds` is 0 when the container does not say it.
    """

    index: int
    codec: str
    channels: int
    sample_rate: int
    language: str
    label: str
    layout: str = ""
    dispositions: tuple[str, ...] = ()
    start_seconds: float = 0.0
    duration_seconds: float = 0.0


class TextFacts(msgspec.Struct, frozen=True):
    """A subtitle stream. `bitmap` ones (DVD, Blu-ray) are pictures and cannot become text."""

    index: int
    codec: str
    language: str
    label: str
    bitmap: bool
    dispositions: tuple[str, ...] = ()


class ChapterFacts(msgspec.Struct, frozen=True):
    """A chapter, in seconds from the film's start."""

    start_seconds: float
    end_seconds: float
    title: str


class Facts(msgspec.Struct, frozen=True):
    """A source that can be encoded. `width` and `height` are as shown: upright, inside the bars, with square pixels.

    `duration_seconds` is the time from the container's start to the end of the last picture; `frame_rate` is the constant
    rate to encode at ("30000/1001"). `start_seconds` is the container's time at the film's start. `untimed` pictures have
    no usable times and are counted instead; `jumps` is how often the clock jumped inside the film. `delayed` pictures have
    times of decoding only (AVI), and so come late by as many as the decoder holds back. `held_seconds` is how long the last
    picture of a film with a variable rate stands while the sound goes on. `field_order` is given
    where it must be told to the deinterlacer because the file is wrong about it. `dropped_audio` and `dropped_texts`
    count streams beyond the limits or without a decoder.
    """

    container: str
    video_index: int
    codec: str
    pixel_format: str
    width: int
    height: int
    rotation: int
    sample_aspect: str
    frame_rate: str
    variable_rate: bool
    interlaced: bool
    packets: int
    duration_seconds: float
    audio: tuple[AudioFacts, ...]
    telecined: bool = False
    field_order: FieldOrder = ""
    flagged_interlaced: bool = False
    color: Color = Color()
    crop: Crop | None = None
    alpha: bool = False
    bit_depth: int = 8
    texts: tuple[TextFacts, ...] = ()
    chapters: tuple[ChapterFacts, ...] = ()
    start_seconds: float = 0.0
    untimed: bool = False
    jumps: int = 0
    delayed: bool = False
    held_seconds: float = 0.0
    bits_per_second: int = 0
    dropped_audio: int = 0
    dropped_texts: int = 0

    @property
    def seekable(self) -> bool:
        """Whether decoding may begin anywhere and give the same pictures at the same times as from the start."""
        return not (self.untimed or self.jumps or self.delayed or self.telecined)
