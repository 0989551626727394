"""What a score is computed with: batches go into a state, states merge, a state gives the value."""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Iterable
from dataclasses import dataclass
from functools import cached_property
from importlib import import_module
from typing import Any, Protocol

import numpy as np
import numpy.typing as npt
import torch

from raygan.evaluation.classifier import DomainClassifier
from raygan.evaluation.drawing import RealDomain
from raygan.evaluation.images import as_uint8, scaled
from raygan.scores import Score, Value

DRAWN = 1000


@dataclass(frozen=True)
class Reference:
    """What scores of one domain are held against; it lives as long as the evaluator."""

    real: RealDomain
    classifier: DomainClassifier

    @cached_property
    def test_features(self) -> torch.Tensor:
        """The classifier's features of the real test images, float32 (N, F)."""
        return self.classifier.features(self.real.test_images)

    @cached_property
    def drawn_rows(self) -> torch.Tensor:
        """Rows of at most `DRAWN` test images, drawn over the whole set: for scores that compare all pairs."""
        order = torch.randperm(len(self.real.test_images), generator=torch.Generator().manual_seed(0))
        return order[:DRAWN].sort().values

    @cached_property
    def drawn(self) -> tuple[torch.Tensor, torch.Tensor]:
        """Features (N, F) and labels (N,) of these images."""
        return self.test_features[self.drawn_rows], self.real.test_labels[self.drawn_rows]


@dataclass(frozen=True)
class Batch:
    """N images as scores take them; what no score of the pass needs is None."""

    labels: torch.Tensor
    """What they show, or were asked to show: int64 (N,)."""
    probabilities: npt.NDArray[np.float64] | None = None
    """The classifier's p(y|x), (N, K)."""
    features: torch.Tensor | None = None
    """Its penultimate layer, float32 (N, F)."""
    images: torch.Tensor | None = None
    """uint8 (N, C, H, W)."""

    def __len__(self) -> int:
        return len(self.labels)


class State(Protocol):
    """Sums of one score over batches, float64 or whole numbers. Made by `new_state`."""

    def update(self, batch: Batch) -> None:
        """Adds images."""

    def merge(self, other: Any) -> None:
        """Adds what another state of the same class and reference has seen, after what this one has."""

    def compute(self) -> Value:
        """The value over all images so far.

        Raises:
            InputError: too few for this score.
        """


class KeptFeatures(ABC):
    """A state that keeps features and labels, and computes on all of them."""

    def __init__(self, reference: Reference, seed: int) -> None:
        self._reference = reference
        self._features: list[torch.Tensor] = []
        self._labels: list[torch.Tensor] = []

    @property
    def features(self) -> torch.Tensor:
        """(M, F)."""
        return torch.cat(self._features)

    @property
    def labels(self) -> torch.Tensor:
        """(M,)."""
        return torch.cat(self._labels)

    def update(self, batch: Batch) -> None:
        """Adds features and labels."""
        assert batch.features is not None
        self._features.append(batch.features)
        self._labels.append(batch.labels)

    def merge(self, other: KeptFeatures) -> None:
        """Adds the other's."""
        self._features += other._features
        self._labels += other._labels

    @abstractmethod
    def compute(self) -> Value:
        """The value over all images so far."""


def new_state(score: Score, reference: Reference, seed: int) -> State:
    """A score's state that has seen nothing; `seed` is of what it trains."""
    module, _, name = score.state.partition(":")
    state: State = getattr(import_module(module), name)(reference, seed)
    return state


def gathered(
    batches: Iterable[tuple[torch.Tensor, torch.Tensor]], reference: Reference, scores: Iterable[Score]
) -> Batch:
    """All images, in the forms of `as_images`, with their labels as one batch, with what the scores need: one pass of the
    classifier at most."""
    needs = {score.needs for score in scores}
    with_features = bool(needs & {"probabilities", "features"})
    labels, features, images = [], [], []
    for part, part_labels in batches:
        labels.append(part_labels)
        if with_features:
            features.append(reference.classifier.features(part))
        if "images" in needs:
            images.append((part if part.dtype == torch.uint8 else as_uint8(scaled(part))).cpu())
    whole = torch.cat(features) if features else None
    return Batch(
        labels=torch.cat(labels),
        probabilities=reference.classifier.probabilities_of(whole) if whole is not None else None,
        features=whole,
        images=torch.cat(images) if images else None,
    )
