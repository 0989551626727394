"""What a log-mel picture sounds like: the mel bands inverted, the phases found by Griffin and Lim's algorithm.

The picture keeps neither phases nor the clip's length nor what is more than 60 dB below its peak, so that this is one of
the sounds that look like it (D. Griffin, J. Lim: Signal estimation from modified short-time Fourier transform, 1984).

Legend: S samples, F frequencies, M mel bands, T frames.
"""

from __future__ import annotations

import io
from collections.abc import Iterable
from typing import Any

import numpy as np

from raygan.config.schema import DomainConfig
from raygan.data.loaders.recordings import (
    BANDS,
    COLUMNS,
    DYNAMIC_RANGE_DB,
    EIGHT_KHZ,
    FFT_S,
    STEP_S,
    WINDOW_S,
    Hearing,
    mel_bands,
)

FRAMES = 54
"""Of a clip: 0.42 s, since a picture does not keep how long its clip was."""
ITERATIONS = 30
PAUSE_S = 0.15
"""Behind each clip of a file."""


def hearing_of(domains: Iterable[DomainConfig]) -> Hearing | None:
    """How what is generated for these domains can be heard; None: one has images, or they are heard differently."""
    found = {Hearing(one.sample_rate, one.mel_range) if one.is_sound else None for one in domains}
    return found.pop() if len(found) == 1 else None


def waves(pictures: np.ndarray, hearing: Hearing = EIGHT_KHZ) -> list[np.ndarray]:
    """A sound for each log-mel picture: uint8 (N, H, W), row 0 the highest band, to float (S,) in [-1, 1]."""
    return [_wave(picture, hearing) for picture in _resized(pictures)]


def wav_file(clips: Iterable[np.ndarray], sample_rate: int = EIGHT_KHZ.sample_rate) -> bytes:
    """The content of a WAV file (mono, 16 bit): the clips one after the other, with a short pause behind each.

    Args:
        clips: float (S,) in [-1, 1].
    """
    from scipy.io import wavfile

    pause = np.zeros(int(PAUSE_S * sample_rate))
    sound = np.concatenate([part for clip in clips for part in (clip, pause)])
    content = io.BytesIO()
    wavfile.write(content, sample_rate, np.rint(sound * 32767).astype(np.int16))
    return content.getvalue()


def _wave(picture: np.ndarray, hearing: Hearing) -> np.ndarray:
    """A picture (M, T) to a sound, its loudest sample at 0.9."""
    from scipy import signal

    magnitudes = _magnitudes(picture, hearing)
    window, step, fft = (hearing.samples(seconds) for seconds in (WINDOW_S, STEP_S, FFT_S))
    form: dict[str, Any] = {"window": "hann", "nperseg": window, "noverlap": window - step, "nfft": fft}
    phases = np.exp(2j * np.pi * np.random.default_rng(0).random(magnitudes.shape))
    for _ in range(ITERATIONS):
        _, wave = signal.istft(magnitudes * phases, **form)
        _, _, spectrum = signal.stft(wave, **form)
        phases = np.exp(1j * np.angle(spectrum[:, : magnitudes.shape[1]]))
    _, wave = signal.istft(magnitudes * phases, **form)
    scaled: np.ndarray = 0.9 * wave / (np.abs(wave).max() or 1.0)
    return scaled


def _magnitudes(picture: np.ndarray, hearing: Hearing) -> np.ndarray:
    """(F, T): of the spectra that give these bands' powers and are not negative."""
    from scipy.optimize import nnls

    decibels = picture[::-1].astype(np.float64) / 255 * DYNAMIC_RANGE_DB - DYNAMIC_RANGE_DB
    places = np.linspace(0, COLUMNS - 1, FRAMES)
    power = 10 ** (np.stack([np.interp(places, np.arange(COLUMNS), band) for band in decibels]) / 10)
    power[power <= 10 ** (-DYNAMIC_RANGE_DB / 10)] = 0.0
    return np.sqrt(np.stack([nnls(mel_bands(hearing), frame)[0] for frame in power.T], axis=1))


def _resized(pictures: np.ndarray) -> np.ndarray:
    """(N, M, COLUMNS), of pictures that a run brought to another size."""
    from raygan.data.shape import to_shape

    if pictures.shape[1:] == (BANDS, COLUMNS):
        return pictures
    return to_shape(pictures, BANDS, 1)[:, 0]
