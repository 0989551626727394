import importlib.util

import numpy as np
import pytest
import torch
from scipy.linalg import sqrtm

from raygan.errors import InputError
from raygan.evaluation.classifier import train_classifier
from raygan.evaluation.drawing import RealDomain
from raygan.evaluation.frechet import FrechetDistance
from raygan.evaluation.scores import inception_fid as inception_module
from raygan.evaluation.scores.classifier_fid import ClassifierFid, GivenFeatures
from raygan.evaluation.scores.inception_fid import InceptionFid, why_no_inception
from raygan.evaluation.scores.state import Batch, Reference

from .toy import NUM_CLASSES, toy_images, toy_labels


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


def stream(x):
    metric = FrechetDistance(GivenFeatures(x.shape[1]))
    metric.add(x, real=True)
    return metric


def distance(x, y):
    metric = stream(x)
    metric.add(y, real=False)
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


def test_rounding_below_zero_is_zero(monkeypatch):
    class Rounded:
        real_features_num_samples = fake_features_num_samples = 100

        def __init__(self, **_):
            self.update = self.reset = lambda *_, **__: None

        def compute(self):
            return torch.tensor(-1e-9)

    monkeypatch.setattr("torchmetrics.image.fid.FrechetInceptionDistance", Rounded)
    assert distance(features(3), features(3)) == 0.0


def test_streams_merge_and_the_real_side_counts_once():
    x, y = features(100), features(80, seed=1)
    first, *others = [stream(x) for _ in range(3)]
    for metric, part in zip((first, *others), y.split(30), strict=True):
        metric.add(part, real=False)
    for metric in others:
        first.merge(metric)
    assert first.compute() == pytest.approx(distance(x, y), rel=1e-12)


def test_classifier_fid_orders_images_by_quality(toy, tiny_recipe):
    images, labels, test_images, _ = toy
    classifier = train_classifier(images, labels, NUM_CLASSES, tiny_recipe)
    against = Reference(RealDomain("toy", *toy, NUM_CLASSES), classifier)

    def classifier_fid(generated):
        state = ClassifierFid(against, seed=0)
        state.update(Batch(torch.zeros(len(generated)), features=classifier.features(generated)))
        return state.compute()

    same, fresh = classifier_fid(test_images), classifier_fid(toy_images(toy_labels(100, seed=7), seed=8))
    one_class = classifier_fid(toy_images(np.zeros(100, int), seed=8))
    x, y = (classifier.features(part).double().numpy() for part in (test_images, images))
    assert classifier_fid(images) == pytest.approx(reference(x, y), rel=1e-5)
    assert same < 1e-4 * fresh < fresh < one_class


def test_too_few_images_are_refused():
    with pytest.raises(InputError, match="fid: 1 real and 10 generated images; give at least 2"):
        distance(features(1), features(10))
    with pytest.raises(InputError, match="fid: 10 real and 1 generated images; give at least 2"):
        distance(features(10), features(1))


def inception_fid(images):
    """Of images to themselves."""
    labels = torch.zeros(len(images), dtype=torch.int64)
    domain = RealDomain("toy", images, labels, images, labels, 1)
    state = InceptionFid(Reference(domain, None), seed=0)
    state.update(Batch(labels, images=((torch.as_tensor(images) + 1) * 127.5).byte()))
    return state.compute()


def pretend_installed(monkeypatch, *packages):
    find = importlib.util.find_spec
    monkeypatch.setattr(
        inception_module.importlib.util, "find_spec", lambda name: True if name in packages else find(name)
    )


def test_inception_is_skipped_without_its_weights(monkeypatch, tmp_path):
    pretend_installed(monkeypatch, "torch_fidelity")
    monkeypatch.setattr(torch.hub, "get_dir", lambda: str(tmp_path))
    assert f"{tmp_path}/checkpoints/weights-inception-2015-12-05-6726825d.pth is missing" in why_no_inception()
    images = toy_images(toy_labels(4))
    with pytest.warns(UserWarning, match="Inception FID is skipped"):
        assert inception_fid(images) is None


def test_inception_is_skipped_without_torch_fidelity(monkeypatch):
    monkeypatch.setattr(
        inception_module.importlib.util, "find_spec", lambda name: None if name == "torch_fidelity" else True
    )
    assert why_no_inception().startswith("Inception FID is skipped: torch-fidelity is not installed; pip")


def test_inception_gets_rgb_bytes_of_all_images(monkeypatch):
    seen = []

    class Metric:
        def __init__(self, feature, normalize):
            assert (feature, normalize) == (2048, False)
            self.real_features_num_samples = self.fake_features_num_samples = torch.tensor(40)

        def update(self, images, real):
            seen.append((tuple(images.shape), images.dtype, real))

        def compute(self):
            return torch.tensor(12.5)

    monkeypatch.setattr(inception_module, "why_no_inception", lambda: None)
    monkeypatch.setattr("torchmetrics.image.fid.FrechetInceptionDistance", Metric)
    images = toy_images(toy_labels(40))
    assert inception_fid(images) == 12.5
    assert seen == [((n, 3, 8, 8), torch.uint8, real) for real in (True, False) for n in (32, 8)]
