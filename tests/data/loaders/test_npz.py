from pathlib import Path

import numpy as np
import pytest

from raygan.config.schema import DataConfig, DomainConfig
from raygan.data import describe_domain, load_domain
from raygan.errors import DataError

from ..tiny import tiny_fields


def both_refuse(path: str, message: str) -> None:
    """The driver's look without images and the client's loading find the same fault."""
    for read in (describe_domain, load_domain):
        with pytest.raises(DataError, match=message) as caught:
            read(DomainConfig(npz=path), DataConfig())
        assert str(caught.value).startswith(path)
        assert "\n" not in str(caught.value)


def test_outline_and_arrays_agree(make_npz):
    groups = {"train_site": np.arange(24) % 3}
    domain = DomainConfig(npz=make_npz(size=9, channels=3, changes=groups))
    info, arrays = describe_domain(domain, DataConfig()), load_domain(domain, DataConfig())
    outline = arrays.outline()
    assert (info.image_size, info.channels, info.classes) == ((9, 9), 3, outline.classes)
    assert info.class_counts == tuple(np.bincount(arrays.train_labels))
    assert list(arrays.groups) == ["site"]


def test_the_driver_never_reads_images(make_npz, monkeypatch):
    path = make_npz()
    names = []
    read = np.lib.npyio.NpzFile.__getitem__
    monkeypatch.setattr(np.lib.npyio.NpzFile, "__getitem__", lambda self, key: names.append(key) or read(self, key))
    describe_domain(DomainConfig(npz=path), DataConfig())
    assert sorted(names) == ["classes", "test_labels", "train_labels"]


@pytest.mark.parametrize(
    ("change", "message"),
    [
        ({"train_images": None}, "no array 'train_images'"),
        ({"test_labels": None}, "no array 'test_labels'"),
        ({"train_images": np.zeros((24, 8, 8))}, "train_images is float64, not uint8"),
        ({"test_images": np.zeros((8, 7, 7), np.uint8)}, r"test images \(7, 7, 1\)"),
        ({"train_labels": np.full(24, 9)}, "train_labels run from 9 to 9 for 4 classes"),
        ({"train_labels": np.zeros(5, int)}, r"train_labels has the shape \(5,\) for 24 images"),
        (
            {"train_images": np.zeros((0, 8, 8), np.uint8), "train_labels": np.zeros(0, int)},
            "holds no images",
        ),
    ],
)
def test_a_wrong_form_is_found_by_both(make_npz, change, message):
    both_refuse(make_npz(changes=change), message)


def test_pickled_objects_are_never_read(make_npz):
    path = make_npz(changes={"classes": np.array(["a", None, {}, 1], dtype=object)})
    both_refuse(path, "not a whole .npz file of plain arrays .*allow_pickle")


def test_a_missing_file_and_a_folder(tmp_path):
    both_refuse(str(tmp_path / "none.npz"), "no such file; give the path of an .npz file with train_images")
    both_refuse(str(tmp_path), "a folder; give the path")


@pytest.mark.parametrize("keep", [0, 10, 0.3, 0.99])
def test_a_truncated_file_is_corrupt(make_npz, keep):
    path = Path(make_npz())
    content = path.read_bytes()
    path.write_bytes(content[: int(keep * len(content)) if isinstance(keep, float) else keep])
    both_refuse(str(path), "not a whole .npz file of plain arrays")


def test_an_overwritten_byte_is_found_by_its_checksum(tmp_path):
    path = tmp_path / "bad.npz"
    np.savez_compressed(
        path,
        **tiny_fields(size=28)
        | {"train_images": np.random.default_rng(0).integers(0, 256, (24, 28, 28), dtype=np.uint8)},
    )
    content = bytearray(path.read_bytes())
    content[len(content) // 2] ^= 0xFF
    path.write_bytes(bytes(content))
    both_refuse(str(path), "not a whole .npz file of plain arrays")


def test_something_else_with_that_name(tmp_path):
    path = tmp_path / "text.npz"
    path.write_text("these are not arrays")
    both_refuse(str(path), "not a whole .npz file")
    np.save(tmp_path / "one.npy", np.zeros(3))
    both_refuse(str(tmp_path / "one.npy"), "not a whole .npz file")
