"""The evaluator: judges the generators of each domain with what it holds of the domain's real images.

It knows no network and no cluster: a generator comes as a function of labels. A plain class; the actor
wraps it.
"""

from __future__ import annotations

import os
from collections.abc import Collection, Iterable, Mapping, Sequence

import torch

from raygan.errors import InputError
from raygan.evaluation.cache import load_or_train
from raygan.evaluation.classifier import QUICK, ClassifierRecipe, DomainClassifier
from raygan.evaluation.drawing import RealDomain, Sample, draw
from raygan.evaluation.scores.state import Reference, gathered, new_state
from raygan.scores import Score, Value


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
        pairs = zip(domains, classifiers, strict=True)
        self._references = {d.name: Reference(d, classifier, device) for d, classifier in pairs}
        if len(self._references) < len(domains):
            raise InputError("evaluator", "two domains of one name", "give each domain its own name")

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

    def reference(self, domain: str) -> Reference:
        """What generators are held against in the domain of that name.

        Raises:
            InputError: there is none.
        """
        if domain not in self._references:
            raise InputError("domain", f"{domain!r} is unknown", f"use one of {', '.join(self._references)}")
        return self._references[domain]

    def score(
        self, domain: str, sample: Sample, scores: Mapping[Score, int], seed: int = 0
    ) -> dict[str, Value]:
        """Score a generator as a source of one domain; the same seed and generator give the same scores.

        Args:
            domain: name of the domain.
            sample: the generator.
            scores: what to compute, each from how many images (>= 2), labels spread evenly over the classes that the
                domain has. Scores of equally many are computed from the same images.
            seed: of the labels' order, of torch's global CPU generator while `sample` runs, and of what a score
                trains.

        Returns:
            Values by the scores' names.

        Raises:
            InputError: a domain that is not known, fewer than 2 images, images of another shape than the
                domain's, or values that are not finite or outside [-1, 1].
        """
        reference = self.reference(domain)
        values: dict[str, Value] = {}
        for num_images in dict.fromkeys(scores.values()):
            mine = [score for score, count in scores.items() if count == num_images]
            values |= _values(mine, draw(sample, reference.real, num_images, seed), reference, seed)
        return values

    def score_real(self, domain: str, scores: Collection[Score]) -> dict[str, Value]:
        """What real images score, as many as there are test images: the mark that a perfect generator would reach.

        Test images, or for scores that compare with these, training images drawn over the whole set (`Score.mark`).
        """
        reference = self.reference(domain)
        real = reference.real
        order = torch.randperm(len(real.train_images), generator=torch.Generator().manual_seed(0))
        drawn = order[: len(real.test_images)]
        marks = {
            "test": (real.test_images, real.test_labels),
            "train": (real.train_images[drawn], real.train_labels[drawn]),
        }
        values: dict[str, Value] = {}
        for mark, images in marks.items():
            mine = [score for score in scores if score.mark == mark]
            values |= _values(mine, [images], reference, seed=0)
        return values


def _values(
    scores: Collection[Score],
    batches: Iterable[tuple[torch.Tensor, torch.Tensor]],
    reference: Reference,
    seed: int,
) -> dict[str, Value]:
    if not scores:
        return {}
    whole = gathered(batches, reference, scores)
    values: dict[str, Value] = {}
    for score in scores:
        state = new_state(score, reference, seed)
        state.update(whole)
        values[score.name] = state.compute()
    return values
