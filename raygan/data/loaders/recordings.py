"""Folders of labelled `.wav` recordings, each turned into a 28x28 log-mel picture.

Labels come from folders by class, or, where the recordings lie in the folder itself, from names of the form
`{label}_{speaker}_{index}.wav` (the Free Spoken Digit Dataset's), which also give the group `speakers`; then
indices 0 to 4 are for testing, as that set's authors have it.

Legend: S samples, F frequencies, M mel bands, T frames.
"""

from __future__ import annotations

import re
import warnings
from dataclasses import replace
from functools import cache
from math import gcd
from pathlib import Path

import numpy as np

from raygan.data.loaders.folders import FolderSource, check_folder, hold_out, list_by_class, listing
from raygan.errors import DataError, reason

SAMPLE_RATE = 8000  # Hz
WINDOW, OVERLAP, FFT = 256, 192, 512  # samples
BANDS, COLUMNS = 28, 28
LOWEST_HZ, HIGHEST_HZ = 60.0, 4000.0
DYNAMIC_RANGE_DB = 60.0
NAMED = re.compile(r"(?P<label>[^_]+)_(?P<speaker>.+)_(?P<index>\d+)\.wav", re.IGNORECASE)
TEST_INDICES = 5


def open_recordings(root: Path, where: str) -> FolderSource:
    """The recordings of a folder; a DataError where there is none, or where their labels cannot be told."""
    check_folder(root, where)
    loose = sorted(path for path in root.iterdir() if path.suffix.lower() == ".wav" and path.is_file())
    return _by_name(loose, where) if loose else list_by_class(root, (".wav",), where, decode_recording)


def _by_name(paths: list[Path], where: str) -> FolderSource:
    matches = {path: NAMED.fullmatch(path.name) for path in paths}
    for path, match in matches.items():
        if match is None:
            remedy = "name it {label}_{speaker}_{index}.wav, or use one folder a class"
            raise DataError(where, f"the label of {path.name} cannot be told", remedy)
    parts = {path: match for path, match in matches.items() if match is not None}
    classes = sorted({match["label"] for match in parts.values()}, key=lambda label: (len(label), label))
    by_class = [[path for path in paths if parts[path]["label"] == label] for label in classes]
    test = [[path for path in files if int(parts[path]["index"]) < TEST_INDICES] for files in by_class]
    train = [[path for path in files if int(parts[path]["index"]) >= TEST_INDICES] for files in by_class]
    if not any(test) or not all(train):
        train, test = hold_out(by_class)
    source = listing(where, decode_recording, train, test, classes)
    speakers = np.array([parts[path]["speaker"] for path in source.train_files])
    return replace(source, groups={"speakers": speakers})


def decode_recording(path: Path) -> np.ndarray:
    """The log-mel picture of a recording, uint8 (28, 28).

    Channels are averaged and other sample rates resampled to 8 kHz.

    Raises:
        DataError: it cannot be read, or is empty or silent.
    """
    from scipy import signal
    from scipy.io import wavfile

    try:
        with warnings.catch_warnings():
            warnings.simplefilter("ignore", wavfile.WavFileWarning)  # chunks of other programs
            rate, samples = wavfile.read(path)
    except Exception as error:  # scipy raises many kinds for what is not a wav file
        found = f"not a readable recording ({reason(error)})"
        raise DataError(str(path), found, "mend or remove it") from error
    wave = _mono(samples)
    if rate != SAMPLE_RATE and len(wave):
        common = gcd(rate, SAMPLE_RATE)
        wave = signal.resample_poly(wave, SAMPLE_RATE // common, rate // common)
    if not np.abs(wave).max(initial=0.0) > 0:
        raise DataError(str(path), "an empty or silent recording", "remove it")
    return log_mel_picture(wave)


def _mono(samples: np.ndarray) -> np.ndarray:
    wave = samples.astype(np.float64)
    if samples.dtype == np.uint8:  # 8-bit wav files are unsigned around 128
        wave -= 128
    return wave.mean(axis=1) if wave.ndim == 2 else wave


def log_mel_picture(wave: np.ndarray) -> np.ndarray:
    """The picture of one clip at 8 kHz.

    1. divide by the largest absolute sample; 2. power of the short-time Fourier transform (Hann window of
    256, step 64, FFT of 512); 3. 28 triangular mel bands from 60 to 4,000 Hz; 4. 10 log10(power + 1e-10);
    5. linear interpolation in time to 28 columns from the first frame to the last; 6. the clip's top 60 dB
    as 0 .. 255.

    From a wave (S,) float, not all 0, to uint8 (28, 28): row 0 is the highest band, column 0 the start.
    """
    from scipy import signal

    scaled = wave / np.abs(wave).max()
    scaled = np.pad(scaled, (0, max(0, WINDOW - len(scaled))))  # scipy narrows the window for shorter clips
    _, _, spectrum = signal.stft(scaled, SAMPLE_RATE, "hann", WINDOW, OVERLAP, FFT, boundary="zeros", padded=True)
    decibels = 10 * np.log10(mel_bands() @ np.abs(spectrum) ** 2 + 1e-10)  # (M, T)
    frames = np.arange(decibels.shape[1])
    columns = np.linspace(0, frames[-1], COLUMNS)
    picture = np.stack([np.interp(columns, frames, band) for band in decibels])
    floor = picture.max() - DYNAMIC_RANGE_DB
    scaled = np.rint(np.clip((picture - floor) / DYNAMIC_RANGE_DB, 0, 1) * 255)
    return np.ascontiguousarray(scaled[::-1], dtype=np.uint8)


@cache
def mel_bands() -> np.ndarray:
    """(M, F) weights: triangles of peak 1, corners evenly spaced in mel(f) = 2595 log10(1 + f / 700)."""
    lowest, highest = (2595 * np.log10(1 + hz / 700) for hz in (LOWEST_HZ, HIGHEST_HZ))
    corners = 700 * (10 ** (np.linspace(lowest, highest, BANDS + 2) / 2595) - 1)
    left, peak, right = corners[:-2, None], corners[1:-1, None], corners[2:, None]
    hz = np.arange(FFT // 2 + 1) * SAMPLE_RATE / FFT
    return np.clip(np.minimum((hz - left) / (peak - left), (right - hz) / (right - peak)), 0, None)
