import numpy as np
import pytest

from raygan.data.arrays import Arrays, evenly
from raygan.errors import DataError

from .tiny import tiny_fields

WRONG = [
    ({"train_images": np.zeros((24, 8, 8), np.float32)}, "train_images is float32, not uint8"),
    ({"test_images": np.zeros((8, 64), np.uint8)}, r"test_images has the shape \(8, 64\)"),
    ({"train_images": np.zeros((24, 8, 8, 4), np.uint8)}, r"has the shape \(24, 8, 8, 4\)"),
    ({"train_images": np.zeros((0, 8, 8), np.uint8)}, "train_images holds no images"),
    ({"test_images": np.zeros((8, 9, 8), np.uint8)}, r"\(8, 8, 1\) and test images \(9, 8, 1\)"),
    ({"train_labels": np.zeros(24)}, "train_labels is float64, not whole numbers"),
    ({"train_labels": np.zeros(23, np.uint8)}, r"train_labels has the shape \(23,\) for 24 images"),
    ({"test_labels": np.full(8, 4)}, "test_labels run from 4 to 4 for 4 classes; use labels from 0 to 3"),
    ({"train_labels": np.full(24, -1)}, "train_labels run from -1 to -1"),
    ({"classes": np.zeros((0,), str)}, r"classes has the shape \(0,\)"),
]


@pytest.mark.parametrize(("change", "message"), WRONG)
def test_what_is_wrong_is_one_line_that_names_it(change, message):
    with pytest.raises(DataError, match=message) as caught:
        Arrays.checked("tiny.npz", tiny_fields() | change)
    assert str(caught.value).startswith("tiny.npz: ")
    assert "\n" not in str(caught.value)


@pytest.mark.parametrize("name", ["train_images", "train_labels", "test_images", "test_labels"])
def test_a_missing_array_is_named(name):
    fields = tiny_fields()
    del fields[name]
    with pytest.raises(DataError, match=f"no array '{name}'; give train_images, train_labels"):
        Arrays.checked("tiny.npz", fields)


def test_labels_become_int64_and_classes_and_groups_are_read():
    fields = tiny_fields() | {
        "train_labels": np.arange(24, dtype=np.uint8) % 4,
        "train_speakers": np.array(["a", "b"] * 12),
        "train_notes": np.zeros((24, 3)),  # not one value an image: not a group
    }
    arrays = Arrays.checked("tiny.npz", fields)
    assert arrays.train_labels.dtype == np.int64
    assert arrays.classes == ("ant", "bee", "cat", "dog")
    assert list(arrays.groups) == ["speakers"]


def test_without_class_names_the_labels_are_the_names():
    fields = tiny_fields()
    del fields["classes"]
    assert Arrays.checked("tiny.npz", fields).classes == ("0", "1", "2", "3")


def test_outline_has_the_form_of_the_images():
    outline = Arrays.checked("tiny.npz", tiny_fields(size=9, channels=3)).outline()
    assert (outline.image_size, outline.channels, outline.num_test) == ((9, 9), 3, 8)


def test_a_limit_draws_evenly_within_and_over_the_classes():
    assert evenly(np.zeros(10, int), 4).tolist() == [0, 2, 5, 7]
    assert evenly(np.arange(3), None).tolist() == evenly(np.arange(3), 5).tolist() == [0, 1, 2]
    assert evenly(np.tile([0, 1], 6), 6).tolist() == [0, 1, 4, 5, 8, 9]  # not every second: that is class 0
    assert evenly(np.repeat([0, 1], [9, 3]), 4).tolist() == [0, 3, 6, 9]  # in proportion
    fields = tiny_fields() | {"train_speakers": np.arange(24)}
    limited = Arrays.checked("tiny.npz", fields).limited(8)
    assert limited.train_images[:, 0, 0].tolist() == [0, 1, 2, 3, 12, 13, 14, 15]
    assert limited.train_labels.tolist() == [0, 1, 2, 3, 0, 1, 2, 3]
    assert limited.groups["speakers"].tolist() == [0, 1, 2, 3, 12, 13, 14, 15]
    assert len(limited.test_labels) == 8
