"""A run on recordings is heard: beside its pictures, in its report, by `raygan sample`."""

from __future__ import annotations

import base64
import re
from pathlib import Path

import numpy as np
import pytest
from scipy.io import wavfile

import raygan
from raygan.config.loading import make_config
from tests.cli.command import command

CLIP, PAUSE = 3392, 1200
"""Samples of a clip (54 frames, 64 apart) and of the pause behind it, at 8 kHz."""


@pytest.fixture(scope="module")
def heard(two_clients: dict, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A round on one domain of log-mel pictures and another of images."""
    first, second = two_clients["data"]["domains"]
    settings = two_clients | {
        "data": {"domains": [first | {"log_mel": True}, second]},
        "training": {"rounds": 1, "batch_size": 8},
        "algorithm": "local",
    }
    path = tmp_path_factory.mktemp("heard") / "run"
    return raygan.train(make_config(settings), path, in_process=True, progress=False).path


def test_only_what_is_sound_is_written_and_played(heard: Path) -> None:
    (file,) = (heard / "samples").glob("*.wav")
    assert file.name == "round-0001-model-0.wav"
    rate, samples = wavfile.read(file)
    assert (rate, len(samples)) == (8000, 4 * (CLIP + PAUSE)), "one of each class"
    (played,) = re.findall(r'<audio [^>]*src="data:audio/wav;base64,([^"]+)"', (heard / "report.html").read_text())
    assert base64.b64decode(played) == file.read_bytes()


def test_samples_as_sound(heard: Path, tmp_path: Path) -> None:
    chosen = ("--labels", "2,0", "--count", 3)
    done = command("sample", heard, *chosen, "--out", tmp_path / "a.wav")
    assert done.out == f"wrote {tmp_path / 'a.wav'}: 6 images of model 0 after round 1\n"
    _, samples = wavfile.read(tmp_path / "a.wav")
    assert len(samples) == 6 * (CLIP + PAUSE)
    assert np.abs(samples[:CLIP]).max() == pytest.approx(0.9 * 32767, abs=1)
    assert command("export", heard, "--format", "safetensors", "--out", tmp_path / "g.safetensors").status == 0
    assert command("sample", tmp_path / "g.safetensors", *chosen, "--out", tmp_path / "b.wav").status == 0
    assert (tmp_path / "a.wav").read_bytes() == (tmp_path / "b.wav").read_bytes()


def test_images_are_not_heard(heard: Path, tmp_path: Path) -> None:
    refused = command("sample", heard, "--cluster", 1, "--out", tmp_path / "a.wav")
    refused.assert_refused("--out: 'a.wav', but model 1 after round 1 draws no recordings; end it in .png or .npz")
    assert not list(tmp_path.iterdir())


def test_recordings_are_sound_unless_it_is_said_otherwise() -> None:
    domains = [{"wav": "a"}, {"wav": "a", "log_mel": False}, {"npz": "a.npz"}, {"npz": "a.npz", "log_mel": True}]
    found = make_config({"data": {"domains": domains}}).data.domains
    assert [domain.is_sound for domain in found] == [True, False, False, True]
