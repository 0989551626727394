"""KID, density, coverage and scores by class: by hand, by torchmetrics, and on a generator that has collapsed."""

from __future__ import annotations

import numpy as np
import pytest
import torch
from torchmetrics.image.kid import poly_mmd

from raygan.errors import InputError
from raygan.evaluation import kernel
from raygan.evaluation.classifier import train_classifier
from raygan.evaluation.drawing import RealDomain
from raygan.evaluation.kernel import kernel_distance
from raygan.evaluation.neighbours import Balls
from raygan.evaluation.scores.state import Reference
from raygan.evaluation.scoring import score, score_real
from raygan.scores import SCORES, every_round

from .toy import NUM_CLASSES, toy_images


def points(*values: float) -> torch.Tensor:
    return torch.tensor(values)[:, None]


def test_kid_by_hand() -> None:
    """F = 1 and k(a, b) = (ab + 1)^3: k(1, 2) = 27 among the reals, k(0, 3) = 1 among the others, between them
    k(1, 0) = k(2, 0) = 1, k(1, 3) = 64, k(2, 3) = 343."""
    assert kernel_distance(points(1, 2), points(0, 3)) == pytest.approx(27 + 1 - 2 * (1 + 1 + 64 + 343) / 4)


def test_kid_is_that_of_torchmetrics_and_the_mean_over_parts(monkeypatch: pytest.MonkeyPatch) -> None:
    draw = torch.Generator().manual_seed(0)
    real, fake = torch.randn(40, 6, generator=draw).double(), torch.randn(50, 6, generator=draw).double() + 0.3
    of_40 = float(poly_mmd(real, fake[:40], degree=3, gamma=None, coef=1.0))
    assert kernel_distance(real, fake[:40]) == pytest.approx(of_40, rel=1e-9)
    assert of_40 > 0
    monkeypatch.setattr(kernel, "PART", 20)
    halves = [kernel_distance(real, part) for part in (fake[:20], fake[20:40])]
    assert kernel_distance(real, fake) == pytest.approx(sum(halves) / 2), "the rest that fills no part is left out"


def test_kid_of_one_image_is_refused() -> None:
    with pytest.raises(InputError, match=r"^kid: 2 real and 1 generated images; give at least 2"):
        kernel_distance(points(1, 2), points(1))


def test_density_and_coverage_by_hand(monkeypatch: pytest.MonkeyPatch) -> None:
    """Reals at 0, 1, 3, 7 with k = 2: balls reach 3, 2, 3, 6. Samples at 1.5 and 1.5 lie in those of 0, 1, 3, 7; one at
    -2 in that of 0 alone."""
    monkeypatch.setattr("raygan.evaluation.neighbours.NEAREST", 2)
    balls = Balls(points(0, 1, 3, 7))
    assert balls.coverage(points(1.5, 1.5)) == 1.0
    assert balls.density(points(1.5, 1.5)) == (4 + 4) / (2 * 2)
    assert balls.coverage(points(-2.0)) == 1 / 4
    assert balls.density(points(-2.0, 100.0)) == 1 / (2 * 2)


def test_real_images_cover_themselves_and_a_class_of_equal_ones_is_covered_by_its_copy() -> None:
    features = torch.rand(30, 7, generator=torch.Generator().manual_seed(1))
    assert Balls(features).coverage(features) == 1.0
    same = torch.ones(9, 3)
    assert Balls(same).coverage(same[:1]) == 1.0
    assert Balls(same).coverage(same[:1] + 0.1) == 0.0


@pytest.fixture
def reference(toy, tiny_recipe) -> Reference:
    classifier = train_classifier(toy[0], toy[1], NUM_CLASSES, tiny_recipe)
    return Reference(RealDomain("toy", *toy, NUM_CLASSES), classifier)


def test_a_generator_that_has_collapsed_in_a_class_is_seen(reference: Reference) -> None:
    """Class 0 is one image again and again, classes 1 and 2 show each other; 3 is good."""
    one = torch.from_numpy(toy_images(np.zeros(1, dtype=np.int64), seed=9))

    def sample(labels: torch.Tensor) -> torch.Tensor:
        shown = torch.tensor([0, 2, 1, 3])[labels].numpy()
        images = torch.from_numpy(toy_images(shown, seed=int(torch.randint(10**6, (1,)))))
        images[labels == 0] = one.to(images.dtype)
        return images

    values = score(reference, sample, dict.fromkeys(every_round(), 300), seed=0)
    real = score_real(reference, every_round())
    coverage, agreement = values["class_coverage"], values["class_agreement"]
    assert isinstance(coverage, dict)
    assert isinstance(agreement, dict)
    assert agreement["0"] > 0.9, "label agreement does not see that it is one image"
    assert coverage["0"] < 0.5 * real["class_coverage"]["0"]
    assert agreement["1"] < 0.2
    assert max(coverage["1"], coverage["2"]) < 0.2, "though their images are there"
    assert coverage["3"] > 0.6
    assert values["coverage"] < real["coverage"]
    kid = {SCORES["classifier_kid"]: 300}
    always_one = score(reference, lambda labels: one.repeat(len(labels), 1, 1, 1), kid, seed=0)
    assert always_one["classifier_kid"] > 2 * abs(real["classifier_kid"])
    assert real["density"] == pytest.approx(1, abs=0.3)
    assert SCORES["class_agreement"].number(values) == min(agreement["1"], agreement["2"])
    assert SCORES["class_agreement"].reported == "class_agreement_worst"


def test_domains_have_the_mean_over_clients_of_each_class() -> None:
    from raygan.run.metrics import _mean_of_score

    entries = [
        {"class_coverage": {"images": 50, "0": 0.2, "10": 1.0}},
        {"class_coverage": {"images": 50, "0": 0.4, "2": 0.5}},
        {"class_coverage": None},
    ]
    found = _mean_of_score(SCORES["class_coverage"], entries)
    assert found == {"images": 50, "0": pytest.approx(0.3), "2": 0.5, "10": 1.0}
    assert list(found) == ["images", "0", "2", "10"]
