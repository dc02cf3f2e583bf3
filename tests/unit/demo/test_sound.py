"""The orchestra is in tune and the desk keeps its promises."""

import io
import wave

import numpy as np
import pytest

from kinema.demo import sound


def test_concert_pitch():
    assert sound.hertz(69) == 440
    assert sound.hertz(57) == 220


@pytest.mark.parametrize("instrument", [sound.pluck, sound.piano, lambda note: sound.wave(note, 2.0, sound.WARM)])
def test_an_instrument_plays_the_note_that_is_asked_for(instrument):
    heard = instrument(60)
    spectrum = np.abs(np.fft.rfft(heard * np.hanning(len(heard))))
    loudest = np.fft.rfftfreq(len(heard), 1 / sound.RATE)[spectrum.argmax()]
    assert loudest == pytest.approx(sound.hertz(60), rel=0.006)


def test_what_reaches_past_the_tape_is_cut_and_what_begins_before_it_is_joined():
    tape = sound.Tape(0.5)
    tape.lay(np.ones(sound.RATE, np.float32), -0.25)
    tape.lay(np.ones(sound.RATE, np.float32), 0.4)
    tape.lay(np.ones(10, np.float32), 9.0)
    assert tape.samples.shape == (sound.RATE // 2, 2)
    assert tape.samples[-1, 0] == pytest.approx(2.0)


def test_a_master_is_never_louder_than_the_limiter_allows():
    tape = sound.Tape(1.0)
    tape.lay(sound.wave(60, 1.0, sound.BRIGHT), 0, 50.0)
    assert np.abs(tape.master(loudness=5.0)).max() <= 0.841


def test_silence_stays_silence():
    assert not sound.Tape(0.2).master().any()


def test_a_wav_file_is_read_back_as_it_was():
    tone = np.stack([sound.wave(69, 0.1, sound.PURE) * 0.5] * 2, axis=1)
    with wave.open(io.BytesIO(sound.wav(tone))) as file:
        assert (file.getnchannels(), file.getsampwidth(), file.getframerate()) == (2, 2, sound.RATE)
        back = np.frombuffer(file.readframes(file.getnframes()), "<i2").reshape(-1, 2) / 32767
    assert np.abs(back - tone).max() < 1e-4
