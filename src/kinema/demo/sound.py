"""The studio's orchestra: a handful of synthesised instruments, a hall and a mastering desk, all in numpy.

A score makes a `Tape`, places notes on it and masters it. Pitches are MIDI numbers (69 is the A of 440 Hz); times are seconds.
Long sounds read single-cycle waves from a table, since a film's score should cost less than a second.
"""

from __future__ import annotations

from collections.abc import Sequence
from functools import lru_cache
from typing import Any

import numpy as np
import numpy.typing as npt

RATE = 48_000
"""Samples a second."""

Mono = npt.NDArray[Any]
"""float32 samples."""

Stereo = npt.NDArray[Any]
"""float32: samples x 2."""

_TABLE = 4096


def hertz(note: float) -> float:
    """Frequency of a MIDI note number in equal temperament."""
    return float(440.0 * 2 ** ((note - 69) / 12))


def seconds(length: float) -> npt.NDArray[np.float64]:
    """The moments of all samples of a sound of this length."""
    return np.arange(round(length * RATE)) / RATE


def envelope(length: float, attack: float, release: float) -> Mono:
    """0 to 1 in `attack` seconds, held, and back to 0 during the last `release` seconds; both with soft corners."""
    t = seconds(length)
    up = np.clip(t / max(attack, 1e-4), 0, 1)
    down = np.clip((length - t) / max(release, 1e-4), 0, 1)
    out: Mono = (np.sin(up * np.pi / 2) ** 2 * np.sin(down * np.pi / 2) ** 2).astype(np.float32)
    return out


def follow(length: float, points: Sequence[tuple[float, float]]) -> Mono:
    """A curve through (time, value) points, for fades and swells."""
    times, values = zip(*points, strict=True)
    return np.asarray(np.interp(seconds(length), times, values), np.float32)


def wave(note: float, length: float, partials: Sequence[float], start: float = 0.0, bend: Mono | None = None) -> Mono:
    """A steady tone whose harmonics have these strengths. `bend` (semitones for each sample) lets it waver."""
    turns = np.arange(_TABLE) / _TABLE
    table = np.asarray(sum(level * np.sin(2 * np.pi * (k + 1) * turns) for k, level in enumerate(partials)), np.float32)
    count = round(length * RATE)
    # The phase is a 32-bit integer that wraps around once a cycle; its upper 12 bits are the place in the table.
    step = hertz(note) / RATE * 2**32
    offset = np.uint32(start % 1.0 * 2**32)
    if bend is None:
        phase = np.arange(count, dtype=np.uint32) * np.uint32(step) + offset
    else:
        phase = np.cumsum((step * np.exp2(bend / np.float32(12))).astype(np.uint32), dtype=np.uint32) + offset
    out: Mono = table[phase >> np.uint32(20)]
    return out


WARM = (1.0, 0.45, 0.28, 0.12, 0.09, 0.04, 0.03, 0.015)
HOLLOW = (1.0, 0.03, 0.33, 0.02, 0.14, 0.01, 0.05)
PURE = (1.0, 0.12, 0.03)
BRIGHT = (1.0, 0.7, 0.5, 0.4, 0.3, 0.22, 0.16, 0.12, 0.09, 0.06, 0.04)


def pad(
    notes: Sequence[float], length: float, attack: float = 2.0, release: float = 3.0, partials: Sequence[float] = WARM
) -> Stereo:
    """A chord held by two slightly detuned voices a note, one on each side, breathing slowly."""
    out = np.zeros((round(length * RATE), 2), np.float32)
    t = seconds(length).astype(np.float32)
    for index, note in enumerate(notes):
        breath = 0.8 + 0.2 * np.sin(t * np.float32(2 * np.pi * (0.07 + 0.013 * index)) + np.float32(index * 1.7))
        for side, cents in ((0, -0.045), (1, 0.05)):
            out[:, side] += wave(note + cents, length, partials, start=0.37 * index + 0.5 * side) * breath
    out *= (envelope(length, attack, release) / max(1, len(notes)))[:, None]
    return out


@lru_cache(maxsize=256)
def bell(note: float, length: float = 3.0, strike: float = 1.0) -> Mono:
    """A small bell: partials that are nearly, but not quite, in tune with each other, the high ones gone first."""
    t = seconds(length)
    out = np.zeros(len(t))
    for ratio, level, decay in (
        (0.5, 0.25, 1.2),
        (1, 1, 1.6),
        (2.0, 0.55, 2.6),
        (2.76, 0.28 * strike, 4.5),
        (4.07, 0.18 * strike, 7),
        (5.4, 0.12 * strike, 10),
    ):
        if hertz(note) * ratio < RATE / 2.2:
            out += level * np.exp(-decay * t * 3 / length) * np.sin(2 * np.pi * hertz(note) * ratio * t)
    return (out * _onset(t, 0.002) * _ending(t, length)).astype(np.float32)


@lru_cache(maxsize=256)
def pluck(note: float, length: float = 1.4, bright: float = 0.6) -> Mono:
    """A plucked string or a kalimba: harmonics that fade the faster the higher they are."""
    t = seconds(length)
    out = np.zeros(len(t))
    for k in range(1, 9):
        if hertz(note) * k < RATE / 2.2:
            out += (
                bright ** (k - 1)
                / k**0.5
                * np.exp(-(2.2 + 1.5 * k) * t / length)
                * np.sin(2 * np.pi * hertz(note) * k * t)
            )
    return (out * _onset(t, 0.003) * _ending(t, length)).astype(np.float32)


@lru_cache(maxsize=256)
def piano(note: float, length: float = 1.6, velocity: float = 0.8) -> Mono:
    """An upright piano of good will: stretched partials in pairs that beat, and a felt knock at the start."""
    t = seconds(length)
    out = np.zeros(len(t))
    base = hertz(note)
    for k in range(1, 11):
        frequency = base * k * (1 + 0.0004 * k * k) ** 0.5
        if frequency < RATE / 2.2:
            level = velocity ** (k - 1) / k**0.9
            decay = 1.1 + 0.5 * k + (note - 48) * 0.03
            out += (
                level
                * np.exp(-decay * t)
                * (np.sin(2 * np.pi * frequency * t) + 0.6 * np.sin(2 * np.pi * frequency * 1.0011 * t + 0.4))
            )
    knock = np.random.default_rng(round(note)).standard_normal(len(t)) * np.exp(-t * 220) * 0.25
    return ((out + knock) * 0.5 * _onset(t, 0.002) * _ending(t, length)).astype(np.float32)


def _onset(t: npt.NDArray[np.float64], length: float) -> npt.NDArray[np.float64]:
    rise: npt.NDArray[np.float64] = np.clip(t / length, 0, 1)
    return rise


def _ending(t: npt.NDArray[np.float64], length: float) -> npt.NDArray[np.float64]:
    fall: npt.NDArray[np.float64] = np.clip((length - t) / min(0.25, length / 3), 0, 1)
    return fall


def hiss(length: float, rng: np.random.Generator, low: float, high: float, slope: float = 0.0) -> Mono:
    """Noise between two frequencies (Hz), its spectrum falling with frequency to the power of `slope`; deviation 1."""
    count = round(length * RATE)
    size = 1 << (count - 1).bit_length()
    spectrum = np.fft.rfft(rng.standard_normal(size, dtype=np.float32))
    frequency = np.fft.rfftfreq(size, 1 / RATE) + 1e-6
    gain = np.exp(
        -((np.maximum(0, np.log(low / frequency)) * 2) ** 2) - (np.maximum(0, np.log(frequency / high)) * 2) ** 2
    )
    out = np.fft.irfft(spectrum * gain * (frequency / low) ** -slope, size)[:count]
    return (out / (out.std() or 1)).astype(np.float32)


class Tape:
    """Stereo tape of a fixed length onto which sounds are laid; what reaches past its end is cut."""

    def __init__(self, length: float) -> None:
        self.samples: Stereo = np.zeros((round(length * RATE), 2), np.float32)
        self.length = length

    def lay(self, sound: Mono | Stereo, at: float = 0.0, gain: float = 1.0, pan: float = 0.0) -> None:
        """Add a sound at a moment. `pan` goes from -1 (left) to 1 (right), at constant power; stereo keeps its sides."""
        start = round(at * RATE)
        skip = max(0, -start)
        start = max(0, start)
        part = sound[skip : skip + max(0, len(self.samples) - start)]
        if not len(part):
            return
        angle = (pan + 1) * np.pi / 4
        sides = np.array([np.cos(angle), np.sin(angle)], np.float32) * np.float32(gain * 1.41421356)
        self.samples[start : start + len(part)] += (part[:, None] if part.ndim == 1 else part) * sides

    def hall(self, size: float = 2.2, wet: float = 0.3, dark: float = 4000.0) -> None:
        """Put everything so far into a room whose sound dies in `size` seconds and keeps little above `dark` Hz."""
        rng = np.random.default_rng(7)
        t = seconds(size)
        shape = np.exp(-6.9 * t / size) * np.clip(t / 0.012, 0, 1)
        length = len(self.samples) + len(t)
        fast = _fast_length(length)
        tone = (1 / (1 + (np.fft.rfftfreq(fast, 1 / RATE) / dark) ** 2)).astype(np.float32)
        for side in (0, 1):
            impulse = (rng.standard_normal(len(t)) * shape).astype(np.float32)
            impulse /= np.sqrt((impulse**2).sum())
            wave_ = np.fft.rfft(self.samples[:, side], fast) * np.fft.rfft(impulse, fast) * tone
            echo = np.fft.irfft(wave_, fast)[: len(self.samples)]
            self.samples[:, side] += np.float32(wet) * echo

    def master(self, loudness: float = 0.11, rise: float = 0.6, fall: float = 2.0) -> Stereo:
        """The finished sound: level set to `loudness` (RMS of its louder half), peaks rounded below -1.5 dBFS, faded."""
        loud = np.abs(self.samples).max(axis=1)
        heard = loud[loud > np.median(loud)] if loud.any() else loud
        level = float(np.sqrt((heard**2).mean())) if heard.size else 0.0
        out: Stereo = self.samples * np.float32(loudness / level if level else 0.0)
        out = np.float32(0.84) * np.tanh(out / np.float32(0.84))
        out *= envelope(self.length, rise, fall)[:, None]
        return out


def _fast_length(count: int) -> int:
    """The next length of the form 2^a or 3 x 2^a, for which the Fourier transform is quick."""
    power = 1 << (count - 1).bit_length()
    return power * 3 // 4 if power * 3 // 4 >= count else power


def wav(sound: Stereo) -> bytes:
    """A RIFF WAVE file of 16 bits a sample."""
    body = (np.clip(sound, -1, 1) * 32767).astype("<i2").tobytes()
    form = np.array([1 | 2 << 16, RATE, RATE * 4, 4 | 16 << 16], "<u4").tobytes()
    size = np.array([36 + len(body)], "<u4").tobytes()
    return b"RIFF" + size + b"WAVEfmt \x10\x00\x00\x00" + form + b"data" + np.array([len(body)], "<u4").tobytes() + body
