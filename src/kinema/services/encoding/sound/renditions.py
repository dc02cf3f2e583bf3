"""Which tracks a source's sound becomes: stereo for everything that plays, 5.1 where the source has it, each as AAC and as Opus.

AAC is what every device decodes; Opus sounds the same at three quarters of the rate where it is decoded. The first rendition
is the one that a film needs before it can be played.
"""

from typing import Literal

import msgspec

from kinema.services.encoding.inspection import AudioFacts

SoundCodec = Literal["aac", "opus"]

STEREO, SURROUND = 2, 6
_SURROUND_LAYOUTS = ("5.1", "6.1", "7.1", "hexagonal", "octagonal", "22.2", "9.1", "downmix")


class SoundRendition(msgspec.Struct, frozen=True):
    """One way to encode a sound track: the codec, 2 or 6 channels, bits per second."""

    codec: SoundCodec
    channels: int
    bits_per_second: int


STEREO_AAC = SoundRendition("aac", STEREO, 128_000)
_STEREO = (STEREO_AAC, SoundRendition("opus", STEREO, 96_000))
_SURROUND = (SoundRendition("aac", SURROUND, 384_000), SoundRendition("opus", SURROUND, 256_000))


def has_surround(audio: AudioFacts) -> bool:
    """Whether a sound has the six channels of 5.1 or more; four and five are mixed down."""
    return audio.channels >= SURROUND and (not audio.layout or audio.layout.startswith(_SURROUND_LAYOUTS))


def renditions(audio: AudioFacts) -> tuple[SoundRendition, ...]:
    """Return what to make of a sound, the most needed first."""
    return (*_STEREO, *_SURROUND) if has_surround(audio) else _STEREO


def track_name(audio: AudioFacts, rendition: SoundRendition, before: int) -> str:
    """Return a track's name; `before` counts the sounds of the same language that come earlier in the film."""
    which = f"-{before + 1}" if before else ""
    channels = f"-{rendition.channels}ch" if rendition.channels != STEREO else ""
    return f"audio-{audio.language}{which}-{rendition.codec}{channels}-{rendition.bits_per_second // 1000}k"
