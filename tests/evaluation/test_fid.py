import importlib.util

import numpy as np
import pytest
import torch
from scipy.linalg import sqrtm

from raygan.errors import InputError
from raygan.evaluation import classifier_fid, inception_fid, train_classifier
from raygan.evaluation import fid as fid_module
from raygan.evaluation.fid import FrechetDistance, why_no_inception

from .toy import NUM_CLASSES, toy_images, toy_labels

pytest.importorskip("torchmetrics", reason="the extra `fid` is not installed")


def reference(x, y):
    """The formula, with scipy's matrix root."""
    mean_x, mean_y = x.mean(axis=0), y.mean(axis=0)
    cov_x, cov_y = np.cov(x, rowvar=False), np.cov(y, rowvar=False)
    root = sqrtm(cov_x @ cov_y)
    return ((mean_x - mean_y) ** 2).sum() + np.trace(cov_x + cov_y - 2 * np.real(root))


def features(num_images, num_features=6, seed=0, shift=0.0):
    generator = torch.Generator().manual_seed(seed)
    mix = torch.randn(num_features, num_features, generator=torch.Generator().manual_seed(9))
    return torch.randn(num_images, num_features, generator=generator) @ mix + shift


def distance(x, y):
    metric = FrechetDistance(x)
    metric.update(y)
    return metric.compute()


def test_it_equals_the_formula():
    x, y = features(300), features(200, seed=1, shift=0.5) * 1.3
    assert distance(x, y) == pytest.approx(reference(x.double().numpy(), y.double().numpy()), rel=1e-8)


def test_a_hand_number():
    # Both have the variances (8/3, 8/3) and no covariance, the means are (3, 4) apart: 9 + 16.
    x = torch.tensor([[2.0, 0], [-2, 0], [0, 2], [0, -2]])
    assert distance(x, x + torch.tensor([3.0, 4.0])) == pytest.approx(25, abs=1e-9)
    # Twice the standard deviation: sum of (s - 2 s)^2 over two features, s^2 = 8/3.
    assert distance(x, 2 * x) == pytest.approx(2 * 8 / 3, abs=1e-9)


def test_the_same_images_are_at_distance_zero():
    x = features(100)
    assert distance(x, x) == pytest.approx(0, abs=1e-9)


def test_dead_and_double_features_keep_it_near_zero():
    x = torch.cat([features(50), torch.zeros(50, 20), features(50)], dim=1)
    scale = float(np.trace(np.cov(x.numpy(), rowvar=False)))
    assert 0 <= distance(x, x) <= 1e-6 * scale


def test_parts_add_up_and_the_real_side_is_kept():
    x, y = features(100), features(80, seed=1)
    metric = FrechetDistance(x)
    for part in y.split(30):
        metric.update(part)
    first = metric.compute()
    assert first == pytest.approx(distance(x, y), rel=1e-12)
    metric.update(y)
    assert metric.compute() == pytest.approx(first, rel=1e-12)


def test_classifier_fid_orders_images_by_quality(toy, tiny_recipe):
    images, labels, test_images, _ = toy
    classifier = train_classifier(images, labels, NUM_CLASSES, tiny_recipe)
    same = classifier_fid(classifier, test_images, test_images)
    fresh = classifier_fid(classifier, test_images, toy_images(toy_labels(100, seed=7), seed=8))
    one_class = classifier_fid(classifier, test_images, toy_images(np.zeros(100, int), seed=8))
    x, y = (classifier.features(part).double().numpy() for part in (test_images, images))
    assert classifier_fid(classifier, test_images, images) == pytest.approx(reference(x, y), rel=1e-5)
    assert same < 1e-4 * fresh < fresh < one_class


def test_too_few_images_are_refused():
    with pytest.raises(InputError, match="fid: 1 real images; give at least 2"):
        FrechetDistance(features(1))
    metric = FrechetDistance(features(10))
    metric.update(features(1))
    with pytest.raises(InputError, match="fewer than 2 images on one side"):
        metric.compute()


def test_without_torchmetrics_it_says_what_to_install(monkeypatch):
    monkeypatch.setitem(__import__("sys").modules, "torchmetrics.image.fid", None)
    with pytest.raises(InputError, match=r"fid: torchmetrics is not installed; pip install torchmetrics"):
        FrechetDistance(features(10))


def pretend_installed(monkeypatch, *packages):
    find = importlib.util.find_spec
    monkeypatch.setattr(
        fid_module.importlib.util, "find_spec", lambda name: True if name in packages else find(name)
    )


def test_inception_is_skipped_without_its_weights(monkeypatch, tmp_path):
    pretend_installed(monkeypatch, "torch_fidelity")
    monkeypatch.setattr(torch.hub, "get_dir", lambda: str(tmp_path))
    assert (
        f"{tmp_path}/checkpoints/weights-inception-2015-12-05-6726825d.pth is missing" in why_no_inception()
    )
    images = toy_images(toy_labels(4))
    assert inception_fid(images, images) is None


def test_inception_is_skipped_without_torch_fidelity(monkeypatch):
    monkeypatch.setattr(
        fid_module.importlib.util, "find_spec", lambda name: None if name == "torch_fidelity" else True
    )
    assert why_no_inception().startswith("Inception FID is skipped: torch-fidelity is not installed; pip")


def test_inception_gets_rgb_bytes_of_all_images(monkeypatch):
    seen = []

    class Metric:
        def __init__(self, feature):
            assert feature == 2048
            self.real_features_num_samples = self.fake_features_num_samples = torch.tensor(40)

        def update(self, images, real):
            seen.append((tuple(images.shape), images.dtype, real))

        def compute(self):
            return torch.tensor(12.5)

        def reset(self):
            pass

    monkeypatch.setattr(fid_module, "why_no_inception", lambda: None)
    monkeypatch.setattr(fid_module, "_metric_class", lambda: Metric)
    images = toy_images(toy_labels(40))
    assert inception_fid(images, images) == 12.5
    assert seen == [((n, 3, 8, 8), torch.uint8, real) for real in (True, False) for n in (32, 8)]
