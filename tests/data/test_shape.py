import numpy as np

from raygan.config.schema import ModelConfig
from raygan.data import CommonShape, DomainInfo, common_shape
from raygan.data.shape import to_float, to_shape

RNG = np.random.default_rng(0)


def info(channels: int, classes: int) -> DomainInfo:
    return DomainInfo(10, 10, (28, 28), channels, tuple("x" * classes), (1,) * classes)


def test_the_runs_shape_is_that_of_the_richest_domain():
    infos = [info(1, 10), info(3, 8)]
    assert common_shape(ModelConfig(image_size=32), infos) == CommonShape(32, 3, 10)
    assert common_shape(ModelConfig(channels=1), infos) == CommonShape(28, 1, 10)
    assert common_shape(ModelConfig(), [info(1, 4)]) == CommonShape(28, 1, 4)


def test_images_that_fit_are_untouched():
    grey = RNG.integers(0, 256, (5, 28, 28), dtype=np.uint8)
    assert np.array_equal(to_shape(grey, 28, 1), grey[:, None])
    colour = RNG.integers(0, 256, (5, 28, 28, 3), dtype=np.uint8)
    assert np.array_equal(to_shape(colour, 28, 3), colour.transpose(0, 3, 1, 2))


def test_grey_is_repeated_in_three_planes():
    grey = RNG.integers(0, 256, (2, 28, 28, 1), dtype=np.uint8)
    shaped = to_shape(grey, 28, 3)
    assert shaped.shape == (2, 3, 28, 28)
    assert all(np.array_equal(shaped[:, c], grey[..., 0]) for c in range(3))


def test_colour_becomes_luma():
    colours = [[255, 0, 0], [0, 255, 0], [0, 0, 255], [255, 255, 255], [100, 100, 100]]
    image = np.array(colours, np.uint8).reshape(5, 1, 1, 3).repeat(8, axis=1).repeat(8, axis=2)
    assert to_shape(image, 8, 1)[:, 0, 0, 0].tolist() == [76, 150, 29, 255, 100]


def test_smaller_images_are_averaged_not_sampled():
    stripes = np.zeros((1, 64, 64), np.uint8)
    stripes[:, :, ::2] = 255  # every second column: sampling would give 0 or 255
    shaped = to_shape(stripes, 16, 1)
    assert shaped.shape == (1, 1, 16, 16)
    assert abs(shaped.astype(int)[..., 1:-1] - 128).max() <= 2


def test_larger_and_oblong_images_are_resized_in_both_directions():
    ramp = np.broadcast_to(np.arange(0, 160, 10, dtype=np.uint8)[None, :, None], (3, 16, 20))
    shaped = to_shape(ramp, 28, 1)
    assert shaped.shape == (3, 1, 28, 28)
    assert np.all(np.diff(shaped[0, 0, :, 5].astype(int)) >= 0)
    flat = np.full((2, 16, 20, 3), 77, np.uint8)
    assert np.all(to_shape(flat, 28, 3) == 77)


def test_range_is_minus_one_to_one():
    values = to_float(np.array([0, 51, 255], np.uint8))
    assert values.dtype == np.float32
    assert values.tolist() == [-1.0, np.float32(51) / np.float32(127.5) - 1, 1.0]
