import sys

import numpy as np
import pytest

from raygan.config.schema import DataConfig, DomainConfig
from raygan.data import describe_domain, load_domain
from raygan.errors import DataError

RNG = np.random.default_rng(0)


def read(name, root, download=False):
    return load_domain(DomainConfig(medmnist=name), DataConfig(root=str(root), download=download))


def write_set(path, channels):
    """A MedMNIST file: three parts, labels (N, 1)."""
    form = (28, 28, 3) if channels == 3 else (28, 28)
    fields = {}
    for part, count in (("train", 16), ("val", 4), ("test", 8)):
        fields[f"{part}_images"] = RNG.integers(0, 256, (count, *form), dtype=np.uint8)
        fields[f"{part}_labels"] = (np.arange(count, dtype=np.uint8) % 8)[:, None]
    np.savez(path, **fields)
    return fields


@pytest.mark.parametrize(("name", "channels"), [("bloodmnist", 3), ("organamnist", 1)])
def test_train_and_test_are_read(tmp_path, name, channels):
    pytest.importorskip("medmnist")
    fields = write_set(tmp_path / f"{name}.npz", channels)
    arrays = read(name, tmp_path)
    assert np.array_equal(arrays.train_images, fields["train_images"])
    assert np.array_equal(arrays.test_labels, np.arange(8))
    info = describe_domain(DomainConfig(medmnist=name), DataConfig(root=str(tmp_path)))
    assert (info.num_train, info.num_test, info.channels) == (16, 8, channels)
    assert len(info.classes) == (8 if channels == 3 else 11)
    if name == "bloodmnist":
        assert info.classes[0] == "basophil"


@pytest.mark.parametrize(
    ("name", "message"),
    [
        ("chestmnist", "has several labels an image; use a 2D set with one label: .*bloodmnist"),
        ("organmnist3d", "has 3D images; use a 2D set"),
        ("bloodmnits", r"no such MedMNIST set; did you mean bloodmnist\?"),
        ("pathmnist", "not readable in .*; set data.download to true, or put the set's files there"),
    ],
)
def test_what_cannot_be_used_is_one_line(tmp_path, name, message):
    pytest.importorskip("medmnist")
    with pytest.raises(DataError, match=message) as caught:
        read(name, tmp_path)
    assert "\n" not in str(caught.value)


def test_without_the_package_the_extra_is_named(tmp_path, monkeypatch):
    monkeypatch.setitem(sys.modules, "medmnist", None)
    with pytest.raises(DataError, match=r"medmnist is not installed; install it with: pip install 'raygan\[medmn"):
        read("bloodmnist", tmp_path)
