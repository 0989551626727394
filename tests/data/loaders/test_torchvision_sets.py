"""Tiny files in the formats of the sets' authors, read by torchvision itself."""

import bz2
import hashlib
import pickle
from pathlib import Path

import numpy as np
import pytest
from scipy.io import savemat
from torchvision import datasets

from raygan.config.schema import DataConfig, DomainConfig
from raygan.data import describe_domain, load_domain
from raygan.errors import DataError

RNG = np.random.default_rng(0)


@pytest.fixture(autouse=True)
def _no_network(monkeypatch):
    def refuse(*args, **kwargs):
        raise OSError("no network in tests")

    monkeypatch.setattr("socket.create_connection", refuse)
    monkeypatch.setattr("socket.getaddrinfo", refuse)


def domain(name: str) -> DomainConfig:
    return DomainConfig(name=name)


def offline(root: Path) -> DataConfig:
    return DataConfig(root=str(root), download=False)


def write_idx(path: Path, array: np.ndarray) -> None:
    """The idx format: 0, 0, 8 (uint8), number of dimensions; these as big-endian int32; the bytes."""
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_bytes(bytes([0, 0, 8, array.ndim]) + np.array(array.shape, ">i4").tobytes() + array.tobytes())


def write_idx_set(folder: Path, prefixes: tuple[str, str], labels: tuple[np.ndarray, np.ndarray]) -> list:
    images = [RNG.integers(0, 256, (len(part), 28, 28), dtype=np.uint8) for part in labels]
    for prefix, pictures, values in zip(prefixes, images, labels, strict=True):
        write_idx(folder / f"{prefix}-images-idx3-ubyte", pictures)
        write_idx(folder / f"{prefix}-labels-idx1-ubyte", values.astype(np.uint8))
    return images


@pytest.mark.parametrize(
    ("name", "folder", "first_class"),
    [
        ("mnist", "MNIST", "0 - zero"),
        ("FashionMNIST", "FashionMNIST", "T-shirt/top"),
        ("kmnist", "KMNIST", "o"),
    ],
)
def test_mnist_and_its_likes(tmp_path, name, folder, first_class):
    labels = np.arange(20) % 10, np.arange(10)
    images = write_idx_set(tmp_path / folder / "raw", ("train", "t10k"), labels)
    arrays = load_domain(domain(name), offline(tmp_path))
    assert np.array_equal(arrays.train_images, images[0])
    assert np.array_equal(arrays.test_images, images[1])
    assert np.array_equal(arrays.train_labels, labels[0])
    assert arrays.train_labels.dtype == np.int64
    assert arrays.classes[0] == first_class
    assert describe_domain(domain(name), offline(tmp_path)).class_counts == (2,) * 10


@pytest.mark.parametrize(
    ("name", "split", "offset", "num_classes"),
    [("emnist", "balanced", 0, 47), ("emnist-digits", "digits", 0, 10), ("emnist_letters", "letters", 1, 26)],
)
def test_emnist_stands_upright_and_counts_from_zero(tmp_path, name, split, offset, num_classes):
    labels = np.arange(10) + offset, np.arange(10) + offset
    prefixes = f"emnist-{split}-train", f"emnist-{split}-test"
    images = write_idx_set(tmp_path / "EMNIST" / "raw", prefixes, labels)
    arrays = load_domain(domain(name), offline(tmp_path))
    assert np.array_equal(arrays.train_images, images[0].transpose(0, 2, 1))
    assert arrays.train_labels.tolist() == list(range(10))
    assert len(arrays.classes) == num_classes
    assert arrays.classes[0] == ("a" if split == "letters" else "0")


def test_usps(tmp_path):
    pixels = RNG.uniform(-1, 1, (10, 256)).round(4)
    lines = [f"{i + 1} " + " ".join(f"{j + 1}:{v}" for j, v in enumerate(row)) for i, row in enumerate(pixels)]
    for filename in ("usps.bz2", "usps.t.bz2"):
        (tmp_path / filename).write_bytes(bz2.compress(("\n".join(lines) + "\n").encode()))
    arrays = load_domain(domain("usps"), offline(tmp_path))
    assert arrays.train_images.shape == (10, 16, 16)
    assert np.abs(arrays.train_images.reshape(10, 256) - (pixels + 1) / 2 * 255).max() <= 1
    assert arrays.test_labels.tolist() == list(range(10))


def test_cifar10(tmp_path, monkeypatch):
    folder = tmp_path / "cifar-10-batches-py"
    folder.mkdir()
    planes = RNG.integers(0, 256, (6, 4, 3, 32, 32), dtype=np.uint8)
    names = [f"data_batch_{i}" for i in range(1, 6)] + ["test_batch"]
    contents = [{"data": part.reshape(4, -1), "labels": [0, 1, 2, 9]} for part in planes] + [
        {"label_names": list("abcdefghij")}
    ]
    sums = []
    for name, content in zip([*names, "batches.meta"], contents, strict=True):
        (folder / name).write_bytes(pickle.dumps(content))
        sums.append([name, hashlib.md5((folder / name).read_bytes()).hexdigest()])
    monkeypatch.setattr(datasets.CIFAR10, "train_list", sums[:5])
    monkeypatch.setattr(datasets.CIFAR10, "test_list", sums[5:6])
    monkeypatch.setattr(datasets.CIFAR10, "meta", {**datasets.CIFAR10.meta, "md5": sums[6][1]})
    arrays = load_domain(domain("CIFAR10"), offline(tmp_path))
    assert np.array_equal(arrays.train_images, planes[:5].reshape(20, 3, 32, 32).transpose(0, 2, 3, 1))
    assert arrays.test_labels.tolist() == [0, 1, 2, 9]
    assert arrays.classes == tuple("abcdefghij")


def test_svhn(tmp_path, monkeypatch):
    images = RNG.integers(0, 256, (32, 32, 3, 10), dtype=np.uint8)
    split_list = {}
    for part in ("train", "test"):
        path = tmp_path / f"{part}_32x32.mat"
        savemat(path, {"X": images, "y": np.arange(1, 11, dtype=np.uint8)[:, None]})  # 10 stands for the digit 0
        split_list[part] = ["", path.name, hashlib.md5(path.read_bytes()).hexdigest()]
    monkeypatch.setattr(datasets.SVHN, "split_list", split_list)
    arrays = load_domain(domain("svhn"), offline(tmp_path))
    assert np.array_equal(arrays.train_images, images.transpose(3, 0, 1, 2))
    assert arrays.train_labels.tolist() == [1, 2, 3, 4, 5, 6, 7, 8, 9, 0]
    assert arrays.classes == tuple("0123456789")


@pytest.mark.parametrize("name", ["mnist", "emnist", "usps", "cifar10", "svhn"])
def test_what_is_not_there_is_one_line(tmp_path, name):
    with pytest.raises(DataError, match=r"not readable in .*; set data.download to true") as caught:
        describe_domain(domain(name), offline(tmp_path))
    assert "\n" not in str(caught.value)
    assert list(tmp_path.iterdir()) == []


@pytest.mark.parametrize("name", ["mnist", "usps", "cifar10", "svhn"])
def test_what_cannot_be_downloaded_is_one_line(tmp_path, name, capsys):
    with pytest.raises(DataError, match=r"not readable in .*; connect to the network once") as caught:
        describe_domain(domain(name), DataConfig(root=str(tmp_path), download=True))
    assert "\n" not in str(caught.value)
    assert capsys.readouterr().out == ""


def test_a_cut_off_file_is_one_line(tmp_path):
    write_idx_set(tmp_path / "MNIST" / "raw", ("train", "t10k"), (np.arange(20) % 10, np.arange(10)))
    path = tmp_path / "MNIST" / "raw" / "t10k-images-idx3-ubyte"
    path.write_bytes(path.read_bytes()[:1000])
    with pytest.raises(DataError, match="mnist: not readable in"):
        describe_domain(domain("mnist"), offline(tmp_path))
