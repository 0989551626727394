"""What a log-mel picture sounds like: turned into a picture again, the sound gives the picture that it was made from."""

from __future__ import annotations

import io

import numpy as np
import pytest
from scipy.io import wavfile

from raygan.config.schema import DomainConfig
from raygan.data.loaders.recordings import EIGHT_KHZ, Hearing, log_mel_picture
from raygan.data.sound import hearing_of, wav_file, waves


def sweep(from_hz: float, to_hz: float, seconds: float = 0.43) -> np.ndarray:
    """A tone that rises or falls, and ends soft."""
    t = np.linspace(0, seconds, int(8000 * seconds))
    phase = 2 * np.pi * (from_hz * t + (to_hz - from_hz) * t**2 / (2 * seconds))
    return np.sin(phase) * np.linspace(1, 0.1, len(t))


@pytest.mark.parametrize(("from_hz", "to_hz"), [(400, 400), (300, 2000), (2500, 500)])
def test_the_sound_looks_like_its_picture(from_hz: float, to_hz: float) -> None:
    picture = log_mel_picture(sweep(from_hz, to_hz))
    (wave,) = waves(picture[None])
    again = log_mel_picture(wave).astype(float)
    assert np.corrcoef(again.ravel(), picture.ravel())[0, 1] > 0.9
    loud = picture > 170  # of 60 dB, the upper 20
    assert 60 / 255 * np.abs(again - picture)[loud].mean() < 3, "decibels"


@pytest.mark.parametrize("hearing", [EIGHT_KHZ, Hearing(16000, (60.0, 8000.0))])
def test_a_tones_pitch_is_heard_at_the_rate_of_its_picture(hearing: Hearing) -> None:
    rate = hearing.sample_rate
    tone = np.sin(2 * np.pi * 1000 * np.arange(rate // 2) / rate)
    (wave,) = waves(log_mel_picture(tone, hearing)[None], hearing)
    assert np.abs(np.fft.rfft(wave)).argmax() * rate / len(wave) == pytest.approx(1000, abs=150)  # about a band there


def test_domains_are_heard_alike_or_not_at_all() -> None:
    eight, other = DomainConfig(wav="a"), DomainConfig(wav="a", sample_rate=16000)
    assert hearing_of([eight, DomainConfig(npz="a.npz", log_mel=True)]) == EIGHT_KHZ
    assert hearing_of([other]) == Hearing(16000, (60.0, 4000.0))
    assert hearing_of([eight, other]) is None
    assert hearing_of([eight, DomainConfig(npz="a.npz")]) is None


def test_silence_is_silent_and_pictures_of_another_size_sound_alike() -> None:
    assert not waves(np.zeros((1, 28, 28), np.uint8))[0].any()
    picture = log_mel_picture(sweep(300, 2000))
    (small,), (large,) = waves(picture[None]), waves(np.kron(picture, np.ones((2, 2), np.uint8))[None])
    pictures = [log_mel_picture(wave).astype(float).ravel() for wave in (small, large)]
    assert np.corrcoef(*pictures)[0, 1] > 0.9


def test_clips_follow_each_other_in_a_file_with_pauses() -> None:
    clips = [np.full(800, 0.5), np.full(400, -1.0)]
    rate, samples = wavfile.read(io.BytesIO(wav_file(clips)))
    assert (rate, samples.dtype, samples.shape) == (8000, np.int16, (800 + 1200 + 400 + 1200,))
    assert set(samples[:800].tolist()) == {16384}
    assert set(samples[800:2000].tolist()) == {0}
    assert set(samples[2000:2400].tolist()) == {-32767}
