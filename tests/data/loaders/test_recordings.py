from pathlib import Path

import numpy as np
import pytest
from scipy.io import wavfile

from raygan.config import Config
from raygan.config.schema import DataConfig, DomainConfig
from raygan.data import client_slices, describe_domain, load_client, load_domain, survey_domain
from raygan.data.loaders.recordings import decode_recording, log_mel_picture, mel_bands
from raygan.errors import DataError


def tone(hz: float, seconds: float = 0.5, rate: int = 8000) -> np.ndarray:
    return np.sin(2 * np.pi * hz * np.arange(int(seconds * rate)) / rate)


def write(path: Path, wave: np.ndarray, rate: int = 8000) -> None:
    path.parent.mkdir(parents=True, exist_ok=True)
    wavfile.write(path, rate, (wave * 20000).astype(np.int16))


def load(root: Path):
    return load_domain(DomainConfig(wav=str(root)), DataConfig())


def band_of(hz: float) -> int:
    """Row of the picture whose triangle peaks nearest to a frequency, worked out from the recipe's words."""
    mel = lambda f: 2595 * np.log10(1 + f / 700)  # noqa: E731
    step = (mel(4000) - mel(60)) / 29
    return 27 - (round((mel(hz) - mel(60)) / step) - 1)


def test_bands_by_hand():
    bands = mel_bands()
    assert bands.shape == (28, 257)
    # 30 corners from mel(60) = 92.69 to mel(4000) = 2146.06, 70.81 apart: the first three lie at 60, 109.29
    # and 161.76 Hz. Frequency 6 is 93.75 Hz: (93.75 - 60) / (109.29 - 60). Frequency 9 is 140.625 Hz:
    # (161.76 - 140.625) / (161.76 - 109.29).
    assert bands[0, 6] == pytest.approx(0.685, abs=0.001)
    assert bands[0, 9] == pytest.approx(0.403, abs=0.001)
    assert bands[0, 3] == 0.0  # 46.9 Hz, below the band
    assert bands.max() <= 1.0
    assert bands.min() == 0.0
    inside = (bands[:, 8:250] > 0).sum(axis=0)
    assert inside.max() == 2  # triangles overlap with their neighbours only


@pytest.mark.parametrize("hz", [300.0, 700.0, 1500.0, 3000.0])
def test_a_tone_is_one_bright_row_where_the_recipe_puts_it(hz):
    picture = log_mel_picture(tone(hz))
    assert picture.shape == (28, 28)
    assert picture.dtype == np.uint8
    assert picture[:, 14].argmax() == band_of(hz)
    assert picture.max() == 255
    far = np.abs(np.arange(28) - band_of(hz)) > 6
    assert picture[far, 14].max() == 0  # a Hann window's side lobes are more than 60 dB below


def test_halves_of_a_clip_are_halves_of_the_picture_and_decibels_are_to_scale():
    wave = np.concatenate([tone(500, 1.0), 0.1 * tone(2500, 1.0)])
    picture = log_mel_picture(wave)
    assert picture[band_of(500), 3] == 255
    assert picture[band_of(500), 24] == 0
    assert picture[band_of(2500), 3] == 0
    # A tenth of the amplitude is 20 dB less: 255 * 40 / 60 = 170, but for where the tones lie in their bands.
    peak = {
        hz: (mel_bands() @ np.abs(np.fft.rfft(np.hanning(256) * tone(hz)[:256], 512)) ** 2).max() for hz in (500, 2500)
    }
    expected = 255 * (1 + (-20 + 10 * np.log10(peak[2500] / peak[500])) / 60)
    assert picture[band_of(2500), 24] == pytest.approx(expected, abs=3)


def test_the_picture_is_the_recipes_step_by_step():
    rng = np.random.default_rng(0)
    wave = tone(440, 0.3) * np.linspace(1, 0.1, 2400) + 0.05 * rng.standard_normal(2400)
    padded = np.pad(wave / np.abs(wave).max(), (128, 128 + 32))  # half a window at both ends, then whole steps
    window = 0.5 - 0.5 * np.cos(2 * np.pi * np.arange(256) / 256)
    frames = np.stack([padded[start : start + 256] for start in range(0, len(padded) - 255, 64)])
    power = np.abs(np.fft.rfft(frames * window / window.sum(), 512)) ** 2  # (T, F)
    decibels = 10 * np.log10(power @ mel_bands().T + 1e-10)  # (T, M)
    at = np.arange(28) * (len(frames) - 1) / 27
    low = np.minimum(at.astype(int), len(frames) - 2)
    columns = decibels[low] + (at - low)[:, None] * (decibels[low + 1] - decibels[low])
    expected = np.clip((columns - (columns.max() - 60)) / 60, 0, 1) * 255
    picture = log_mel_picture(wave)
    assert np.abs(picture - expected.T[::-1]).max() <= 0.5 + 1e-6


def test_loudness_and_length_do_not_show():
    assert np.array_equal(log_mel_picture(tone(700)), log_mel_picture(0.01 * tone(700)))
    middle = slice(4, 24)
    long, short = log_mel_picture(tone(700, 2.0)), log_mel_picture(tone(700, 0.5))
    assert np.abs(long[:, middle].astype(int) - short[:, middle]).max() <= 40
    assert log_mel_picture(tone(700, 0.01)).shape == (28, 28)  # shorter than one window


def test_names_of_the_spoken_digit_set_give_label_speaker_and_part(tmp_path):
    for digit in (3, 7):
        for speaker in ("ann", "bob_b"):
            for index in range(8):
                write(tmp_path / f"{digit}_{speaker}_{index}.wav", tone(300 * digit))
    arrays = load(tmp_path)
    assert arrays.classes == ("3", "7")
    assert len(arrays.train_labels) == 2 * 2 * 3
    assert len(arrays.test_labels) == 2 * 2 * 5
    assert set(arrays.groups["speakers"]) == {"ann", "bob_b"}
    assert np.array_equal(arrays.train_images[0], log_mel_picture((tone(900) * 20000).astype(np.int16) / 1.0))

    data = {"domains": [{"wav": str(tmp_path), "clients": 2}], "partition": {"natural": "speakers"}}
    config = Config.model_validate({"data": data})
    assert [row.num_images for row in survey_domain(config, 0).holdings] == [6, 6]
    info = describe_domain(config.data.domains[0], config.data)
    assert (info.image_size, info.channels) == ((28, 28), 1)
    assert load_client(client_slices(config, [info])[1]).images.shape == (6, 1, 28, 28)


def test_digits_are_in_the_order_of_numbers(tmp_path):
    for digit in (10, 9, 2):
        for index in (0, 5):
            write(tmp_path / f"{digit}_a_{index}.wav", tone(500))
    assert load(tmp_path).classes == ("2", "9", "10")


def test_folders_by_class(tmp_path):
    for name in ("yes", "no"):
        for index in range(6):
            write(tmp_path / name / f"{index}.wav", tone(500))
    arrays = load(tmp_path)
    assert arrays.classes == ("no", "yes")
    assert np.bincount(arrays.train_labels).tolist() == [5, 5]
    assert arrays.groups == {}


def test_other_rates_channels_and_widths_give_nearly_the_same_picture(tmp_path):
    reference = log_mel_picture(tone(900, 1.0))
    forms = {
        "rate": (16000, (tone(900, 1.0, 16000) * 20000).astype(np.int16)),
        "stereo": (8000, np.stack([tone(900, 1.0)] * 2, axis=1).astype(np.float32)),
        "bytes": (8000, (128 + 100 * tone(900, 1.0)).round().astype(np.uint8)),
    }
    for index, (rate, samples) in enumerate(forms.values()):
        (tmp_path / "a").mkdir(exist_ok=True)
        wavfile.write(tmp_path / "a" / f"{index}.wav", rate, samples)
    arrays = load(tmp_path)
    for picture in (*arrays.train_images, *arrays.test_images):
        row = band_of(900)
        assert picture[:, 14].argmax() == row
        assert np.abs(picture[row - 1 : row + 2, 4:24].astype(int) - reference[row - 1 : row + 2, 4:24]).max() <= 4


@pytest.mark.parametrize(
    ("content", "message"),
    [
        (b"not a recording", "not a readable recording"),
        (b"", "not a readable recording"),
        (np.zeros(4000), "an empty or silent recording; remove it"),
        (np.zeros(0), "an empty or silent recording; remove it"),
    ],
)
def test_what_is_no_recording_is_named(tmp_path, content, message):
    for index in range(3):
        write(tmp_path / f"1_ann_{index + 4}.wav", tone(500))
    write(tmp_path / "2_ann_9.wav", tone(900))
    bad = tmp_path / "1_ann_9.wav"
    if isinstance(content, bytes):
        bad.write_bytes(content)
    else:
        write(bad, content)
    for read in (load, lambda root: describe_domain(DomainConfig(wav=str(root)), DataConfig())):
        with pytest.raises(DataError, match=f"1_ann_9.wav: {message}"):
            read(tmp_path)


def test_silence_in_eight_bits_is_silence(tmp_path):
    path = tmp_path / "quiet.wav"
    wavfile.write(path, 8000, np.full(4000, 128, np.uint8))
    with pytest.raises(DataError, match=r"quiet.wav: an empty or silent recording"):
        decode_recording(path)


def test_a_name_without_a_label(tmp_path):
    write(tmp_path / "hello.wav", tone(500))
    with pytest.raises(DataError, match=r"the label of hello.wav cannot be told; name it \{label\}_\{speaker\}_"):
        load(tmp_path)
