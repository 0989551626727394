"""The evaluator: judges the generators of each domain with what it holds of the domain's real images.

It knows no network and no cluster: a generator comes as a function of labels. A plain class; the actor
wraps it.
"""

from __future__ import annotations

import os
import time
import warnings
from collections.abc import Iterable, Sequence
from dataclasses import dataclass

import numpy as np
import numpy.typing as npt
import torch

from raygan.errors import InputError
from raygan.evaluation.cache import load_or_train
from raygan.evaluation.classifier import QUICK, USEFULNESS, ClassifierRecipe, DomainClassifier
from raygan.evaluation.drawing import RealDomain, Sample, draw, draw_uint8
from raygan.evaluation.fid import FrechetDistance, inception_fid, torchmetrics_installed, why_no_inception
from raygan.evaluation.generation_score import generation_score
from raygan.evaluation.label_agreement import label_agreement
from raygan.evaluation.protocol import with_count
from raygan.evaluation.usefulness import Usefulness, usefulness


@dataclass(frozen=True)
class DomainScores:
    """One domain's scores of one generator."""

    domain: str
    images: int
    """Generated images behind all scores but usefulness."""
    generation_score: float
    """1 to the number of classes; higher is better."""
    label_agreement: float
    """0 to 1; higher is better."""
    fid: float | None
    """Fréchet distance to the real test images on the classifier's features, >= 0; lower is better.
    None: torchmetrics is not installed."""
    seconds: float
    """Wall time of all of them."""
    usefulness: Usefulness | None = None
    """None: not asked for."""
    inception_fid: float | None = None
    """None: not asked for, or Inception's weights are not at hand."""

    def named(self) -> dict[str, float]:
        """The scores that were computed, under names that state their protocol (`generation_score_5k`)."""
        scores = {
            "generation_score": self.generation_score,
            "label_agreement": self.label_agreement,
            "classifier_fid": self.fid,
            "inception_fid": self.inception_fid,
        }
        named = {with_count(name, self.images): value for name, value in scores.items() if value is not None}
        return {**named, **(self.usefulness.named() if self.usefulness else {})}


class Evaluator:
    """Holds each domain's classifier and real images; scores generators against them.

    Args:
        domains: real images, one entry a domain, names all different.
        classifiers: one a domain, in the same order.
        device: torch device of what is trained for usefulness.
    """

    def __init__(
        self, domains: Sequence[RealDomain], classifiers: Sequence[DomainClassifier], device: str = "cpu"
    ) -> None:
        self._domains = {domain.name: domain for domain in domains}
        self._classifiers = {d.name: c for d, c in zip(domains, classifiers, strict=True)}
        if len(self._domains) < len(domains):
            raise InputError("evaluator", "two domains of one name", "give each domain its own name")
        self._distances: dict[str, FrechetDistance | None] = {}
        self._device = device

    @classmethod
    def create(
        cls,
        domains: Sequence[RealDomain],
        cache_dir: str | os.PathLike[str] | None = None,
        recipe: ClassifierRecipe = QUICK,
        seed: int = 0,
        device: str = "cpu",
    ) -> Evaluator:
        """An evaluator whose classifiers are trained here, or come from the cache."""
        classifiers = [
            load_or_train(cache_dir, d.train_images, d.train_labels, d.num_classes, recipe, seed, device)
            for d in domains
        ]
        return cls(domains, classifiers, device)

    def classifier(self, domain: str) -> DomainClassifier:
        """The domain's classifier."""
        return self._classifiers[self.domain(domain).name]

    def domain(self, name: str) -> RealDomain:
        """The domain of that name.

        Raises:
            InputError: there is none.
        """
        if name not in self._domains:
            raise InputError("domain", f"{name!r} is unknown", f"use one of {', '.join(self._domains)}")
        return self._domains[name]

    def score(
        self,
        domain: str,
        sample: Sample,
        num_images: int = 5000,
        seed: int = 0,
        usefulness_images: int | None = None,
        usefulness_recipe: ClassifierRecipe = USEFULNESS,
        with_inception: bool = False,
    ) -> DomainScores:
        """Score a generator as a source of one domain; the same seed and generator give the same scores.

        Args:
            domain: name of the domain.
            sample: the generator.
            num_images: images to draw, >= 2, labels spread evenly over the classes that the domain has.
            seed: of the labels' order, of torch's global CPU generator while `sample` runs, and of the
                CNN for usefulness.
            usefulness_images: images to draw for usefulness (the paper: 30,000); None: no usefulness.
            usefulness_recipe: the CNN that is trained on them.
            with_inception: compute the Inception FID as well, where its weights are at hand (slow).

        Raises:
            InputError: a domain that is not known, fewer than 2 images, images of another shape than the
                domain's, or values that are not finite or outside [-1, 1].
        """
        start = time.perf_counter()
        real = self.domain(domain)
        probabilities, labels, features = self._judge(real, draw(sample, real, num_images, seed))
        useful = None
        if usefulness_images is not None:
            useful = self.usefulness(domain, sample, usefulness_images, seed, usefulness_recipe)
        return DomainScores(
            domain=domain,
            images=num_images,
            generation_score=generation_score(probabilities),
            label_agreement=label_agreement(probabilities, labels),
            fid=self._classifier_fid(real, features),
            inception_fid=self.inception_fid(domain, sample, num_images, seed) if with_inception else None,
            usefulness=useful,
            seconds=time.perf_counter() - start,
        )

    def score_real(self, domain: str) -> DomainScores:
        """What real images score: the mark that a perfect generator would reach.

        Generation score and label agreement (here: the classifier's accuracy) are those of the test images,
        FID is that of as many training images, drawn over the whole set, to the test images.
        """
        start = time.perf_counter()
        real = self.domain(domain)
        probabilities, labels, _ = self._judge(real, [(real.test_images, real.test_labels)])
        order = torch.randperm(len(real.train_images), generator=torch.Generator().manual_seed(0))
        train = self._classifiers[domain].features(real.train_images[order[: len(real.test_images)]])
        return DomainScores(
            domain=domain,
            images=len(real.test_images),
            generation_score=generation_score(probabilities),
            label_agreement=label_agreement(probabilities, labels),
            fid=self._classifier_fid(real, train),
            seconds=time.perf_counter() - start,
        )

    def usefulness(
        self,
        domain: str,
        sample: Sample,
        num_images: int = 30_000,
        seed: int = 0,
        recipe: ClassifierRecipe = USEFULNESS,
    ) -> Usefulness:
        """Usefulness of a generator's images; arguments and errors as for `score`. Takes minutes on CPUs."""
        real = self.domain(domain)
        images, labels = draw_uint8(sample, real, num_images, seed)
        tests = real.test_images, real.test_labels
        return usefulness(images, labels, *tests, real.num_classes, recipe, seed, self._device)

    def inception_fid(
        self, domain: str, sample: Sample, num_images: int = 5000, seed: int = 0
    ) -> float | None:
        """The usual FID of a generator's images; None, after a warning, where Inception is not at hand."""
        real = self.domain(domain)
        if reason := why_no_inception():
            warnings.warn(reason, stacklevel=2)
            return None
        return inception_fid(real.test_images, draw_uint8(sample, real, num_images, seed)[0])

    def _judge(
        self, real: RealDomain, batches: Iterable[tuple[torch.Tensor, torch.Tensor]]
    ) -> tuple[npt.NDArray[np.float64], npt.NDArray[np.int64], torch.Tensor]:
        """Class probabilities (N, K), labels (N,) and features (N, F): one pass of the classifier."""
        classifier = self._classifiers[real.name]
        pairs = [(classifier.features(images), labels) for images, labels in batches]
        features = torch.cat([features for features, _ in pairs])
        probabilities = classifier.logits_of(features).double().softmax(dim=1)
        return probabilities.numpy(), torch.cat([labels for _, labels in pairs]).numpy(), features

    def _classifier_fid(self, real: RealDomain, features: torch.Tensor) -> float | None:
        if real.name not in self._distances:
            self._distances[real.name] = self._real_distance(real)
        distance = self._distances[real.name]
        if distance is None:
            return None
        distance.update(features)
        return distance.compute()

    def _real_distance(self, real: RealDomain) -> FrechetDistance | None:
        if not torchmetrics_installed():
            warnings.warn(
                "FID is skipped: torchmetrics is not installed; pip install torchmetrics", stacklevel=2
            )
            return None
        return FrechetDistance(self._classifiers[real.name].features(real.test_images))
