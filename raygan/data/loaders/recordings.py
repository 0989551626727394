"""Folders of labelled `.wav` recordings, each turned into a 28x28 log-mel picture.

What is heard lies between the domain's `mel_range`, 60 and 4,000 Hz by default, of `sample_rate` samples a second.

Labels come from folders by class, a table (`csv`), or, where the recordings lie in the folder itself, from names such as
`{label}_{speaker}_{index}.wav` (the Free Spoken Digit Dataset's), which also give the group `speakers`; then
indices 0 to 4 are for testing, as that set's authors have it.

Legend: S samples, F frequencies, M mel bands, T frames.
"""

from __future__ import annotations

import re
import warnings
from dataclasses import dataclass, replace
from functools import cache, partial
from math import gcd
from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np

from raygan.data.loaders.folders import (
    Decode,
    Decoded,
    FolderSource,
    check_folder,
    hold_out,
    list_by_class,
    listing,
    unreadable,
)
from raygan.data.loaders.tables import list_by_table
from raygan.errors import DataError

if TYPE_CHECKING:
    from raygan.config.schema import DomainConfig

WINDOW_S, STEP_S, FFT_S = 0.032, 0.008, 0.064
BANDS, COLUMNS = 28, 28
DYNAMIC_RANGE_DB = 60.0
NAMED = re.compile(r"(?P<label>[^_]+)_(?P<speaker>.+)_(?P<index>\d+)\.wav", re.IGNORECASE)
TEST_INDICES = 5
SUFFIXES = (".wav",)
RATES = range(1_000, 1_000_001)  # Hz; outside of it a header is damaged
UNKNOWN_LENGTH = str(2**32 - 1 + 8)
"""What scipy expects of a file whose length its writer, a pipe's end, did not know."""


@dataclass(frozen=True)
class Hearing:
    """How recordings are heard."""

    sample_rate: int = 8000
    """Samples a second that they are brought to."""
    mel_range: tuple[float, float] = (60.0, 4000.0)
    """Lowest and highest frequency of the picture, Hz."""

    def samples(self, seconds: float) -> int:
        """So many seconds in samples."""
        return round(seconds * self.sample_rate)


EIGHT_KHZ = Hearing()


def open_recordings(root: Path, where: str, domain: DomainConfig) -> FolderSource:
    """The recordings of a folder; a DataError where there is none, or where their labels cannot be told."""
    check_folder(root, where)
    decode = partial(decode_recording, hearing=Hearing(domain.sample_rate, domain.mel_range))
    one_class = domain.classes is not None
    if domain.csv is not None:
        return list_by_table(root, domain.csv, SUFFIXES, where, decode)
    loose = sorted(path for path in root.iterdir() if path.suffix.lower() == ".wav" and path.is_file())
    loose = [path for path in loose if not path.name.startswith(".")]
    if loose:
        return _by_name(loose, where, decode, one_class)
    return list_by_class(root, SUFFIXES, where, decode, one_class)


def _by_name(paths: list[Path], where: str, decode: Decode, one_class: bool) -> FolderSource:
    matches = {path: NAMED.fullmatch(path.name) for path in paths}
    for path, match in matches.items():
        if match is None:
            remedy = "name it {label}_{speaker}_{index}.wav, use one folder a class, or give csv: a table of labels"
            raise DataError(where, f"the label of {path.name} cannot be told", remedy)
    parts = {path: match for path, match in matches.items() if match is not None}
    classes = sorted({match["label"] for match in parts.values()}, key=lambda label: (len(label), label))
    if len(classes) == 1 and len(paths) > 1 and not one_class:
        found = f"all {len(paths):,} names begin with {classes[0]!r}, which may not be their label"
        raise DataError(where, found, f"use one folder a class, or give classes: [{classes[0]}] if it is one class")
    by_class = [[path for path in paths if parts[path]["label"] == label] for label in classes]
    test = [[path for path in files if int(parts[path]["index"]) < TEST_INDICES] for files in by_class]
    train = [[path for path in files if int(parts[path]["index"]) >= TEST_INDICES] for files in by_class]
    if not any(test) or not all(train):
        train, test = hold_out(by_class)
    source = listing(where, decode, train, test, classes)
    speakers = np.array([parts[path]["speaker"] for path in source.train_files])
    return replace(source, groups={"speakers": speakers})


def decode_recording(path: Path, hearing: Hearing = EIGHT_KHZ) -> Decoded:
    """The log-mel picture of a recording, uint8 (28, 28).

    Channels are averaged and other sample rates resampled.

    Raises:
        DataError: it cannot be read to its end, is empty or silent, or holds samples that are not finite.
    """
    from scipy import signal
    from scipy.io import wavfile

    try:
        with warnings.catch_warnings(record=True) as told:
            warnings.simplefilter("always", wavfile.WavFileWarning)
            rate, samples = wavfile.read(path)
    except Exception as error:  # scipy raises many kinds for what is not a wav file
        raise unreadable(path, "recording", error) from error
    ends = [str(one.message) for one in told if "EOF" in str(one.message)]  # others: chunks of other programs
    if ends and UNKNOWN_LENGTH not in ends[0]:
        raise unreadable(path, "recording", EOFError(f"cut off: {ends[0]}"))
    if rate not in RATES:
        raise DataError(str(path), f"a sample rate of {rate:,} Hz", "mend or remove it")
    wave = _mono(samples)
    if not np.isfinite(wave).all():
        raise DataError(str(path), "samples that are not finite numbers", "mend or remove it")
    if rate != hearing.sample_rate and len(wave):
        common = gcd(rate, hearing.sample_rate)
        wave = signal.resample_poly(wave, hearing.sample_rate // common, rate // common)
    if not np.abs(wave).max(initial=0.0) > 0:
        raise DataError(str(path), "an empty or silent recording", "remove it")
    picture = log_mel_picture(wave, hearing)
    form, highest = _form(rate, samples), hearing.mel_range[1]
    unheard = f"are recorded up to {rate // 2:,} Hz, of which what is above {highest:,g} Hz is not heard"
    return Decoded(picture, form, (BANDS, COLUMNS), unheard if rate / 2 > highest else None)


def _form(rate: int, samples: np.ndarray) -> str:
    kind = f"{'floating-point' if samples.dtype.kind == 'f' else f'{8 * samples.dtype.itemsize}-bit'}"
    channels = samples.shape[1] if samples.ndim == 2 else 1
    return f"{rate:,} Hz, {kind}, {channels} channel{'s' if channels > 1 else ''}"


def _mono(samples: np.ndarray) -> np.ndarray:
    wave = samples.astype(np.float64)
    if samples.dtype == np.uint8:  # 8-bit wav files are unsigned around 128
        wave -= 128
    return wave.mean(axis=1) if wave.ndim == 2 else wave


def log_mel_picture(wave: np.ndarray, hearing: Hearing = EIGHT_KHZ) -> np.ndarray:
    """The picture of one clip at the rate of `hearing`.

    1. divide by the largest absolute sample; 2. power of the short-time Fourier transform (at 8 kHz: Hann window of
    256, step 64, FFT of 512); 3. 28 triangular mel bands from 60 to 4,000 Hz; 4. 10 log10(power + 1e-10);
    5. linear interpolation in time to 28 columns from the first frame to the last; 6. the clip's top 60 dB
    as 0 .. 255.

    From a wave (S,) float, not all 0, to uint8 (28, 28): row 0 is the highest band, column 0 the start.
    """
    from scipy import signal

    scaled = wave / np.abs(wave).max()
    window, step, fft = (hearing.samples(seconds) for seconds in (WINDOW_S, STEP_S, FFT_S))
    scaled = np.pad(scaled, (0, max(0, window - len(scaled))))  # scipy narrows the window for shorter clips
    rate, overlap = hearing.sample_rate, window - step
    _, _, spectrum = signal.stft(scaled, rate, "hann", window, overlap, fft, boundary="zeros", padded=True)
    decibels = 10 * np.log10(mel_bands(hearing) @ np.abs(spectrum) ** 2 + 1e-10)  # (M, T)
    frames = np.arange(decibels.shape[1])
    columns = np.linspace(0, frames[-1], COLUMNS)
    picture = np.stack([np.interp(columns, frames, band) for band in decibels])
    floor = picture.max() - DYNAMIC_RANGE_DB
    scaled = np.rint(np.clip((picture - floor) / DYNAMIC_RANGE_DB, 0, 1) * 255)
    return np.ascontiguousarray(scaled[::-1], dtype=np.uint8)


@cache
def mel_bands(hearing: Hearing = EIGHT_KHZ) -> np.ndarray:
    """(M, F) weights: triangles of peak 1, corners evenly spaced in mel(f) = 2595 log10(1 + f / 700)."""
    lowest, highest = (2595 * np.log10(1 + hz / 700) for hz in hearing.mel_range)
    corners = 700 * (10 ** (np.linspace(lowest, highest, BANDS + 2) / 2595) - 1)
    left, peak, right = corners[:-2, None], corners[1:-1, None], corners[2:, None]
    fft = hearing.samples(FFT_S)
    hz = np.arange(fft // 2 + 1) * hearing.sample_rate / fft
    return np.clip(np.minimum((hz - left) / (peak - left), (right - hz) / (right - peak)), 0, None)
