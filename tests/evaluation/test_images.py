import numpy as np
import pytest
import torch

from raygan.errors import DataError
from raygan.evaluation.images import as_images, as_labels, as_uint8, scaled


@pytest.mark.parametrize(
    ("shape", "expected"),
    [
        ((5, 8, 12), (5, 1, 8, 12)),
        ((5, 8, 12, 1), (5, 1, 8, 12)),
        ((5, 8, 12, 3), (5, 3, 8, 12)),
        ((5, 3, 8, 12), (5, 3, 8, 12)),
    ],
)
def test_every_layout_becomes_channels_first(shape, expected):
    pixels = np.arange(np.prod(shape)).reshape(shape).astype(np.uint8)
    tensor = as_images(pixels)
    assert tuple(tensor.shape) == expected
    assert tensor.dtype == torch.uint8
    if shape[-1] == 3:
        assert int(tensor[2, 1, 4, 5]) == int(pixels[2, 4, 5, 1])


def test_uint8_and_float_meet_in_the_same_values():
    pixels = torch.arange(256, dtype=torch.uint8).reshape(1, 1, 16, 16)
    values = scaled(pixels)
    assert values.flatten()[[0, 255]].tolist() == [-1.0, 1.0]
    assert torch.equal(as_uint8(values), pixels)
    assert torch.equal(scaled(values), values)


@pytest.mark.parametrize(
    ("images", "message"),
    [
        (np.zeros((2, 8, 8), np.int32), "images: dtype torch.int32; pass uint8"),
        (np.zeros((2, 8), np.uint8), r"shape \(2, 8\); pass \(N, H, W\)"),
        (np.zeros((2, 2, 8, 8), np.uint8), "with C = 1 or 3"),
        (np.zeros((2, 4, 8), np.uint8), "at least 8 and divisible by 4"),
        (np.zeros((2, 8, 10), np.uint8), "at least 8 and divisible by 4"),
        (np.zeros((0, 8, 8), np.uint8), "no images; give at least one"),
    ],
)
def test_other_images_are_refused(images, message):
    with pytest.raises(DataError, match=message):
        as_images(images)


@pytest.mark.parametrize("value", [1.5, -2.0, float("nan"), float("inf")])
def test_floats_out_of_range_are_refused(value):
    images = torch.zeros(2, 1, 8, 8)
    images[1, 0, 3, 3] = value
    with pytest.raises(DataError, match=r"float values from .* scale them to"):
        scaled(as_images(images))


@pytest.mark.parametrize(
    ("labels", "message"),
    [
        (np.array([0.0, 1.0]), "dtype torch.float64; pass integers"),
        (np.array([0]), r"shape \(1,\); pass one for each of the 2 images"),
        (np.array([0, 3]), "labels from 0 to 3; number the 3 classes 0..2"),
        (np.array([-1, 0]), "labels from -1 to 0"),
    ],
)
def test_labels_that_do_not_fit_are_refused(labels, message):
    with pytest.raises(DataError, match=message):
        as_labels(labels, num_images=2, num_classes=3)
