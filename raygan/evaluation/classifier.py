"""The domain classifier: a small CNN trained on real images, which stands in for Inception in the scores.

Shapes: B batch, C channels, H x W pixels, F features, K classes.

    (B, C, H, W) -> Conv3 BN ReLU Pool2 -> (B, width, H/2, W/2) -> Conv3 BN ReLU Pool2
    -> (B, 2 width, H/4, W/4) -> Linear BN ReLU -> (B, F) -> Linear -> (B, K)

A recipe may leave the BN out.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Iterator
from dataclasses import dataclass

import numpy as np
import numpy.typing as npt
import torch
from torch import nn

from raygan.errors import InputError
from raygan.evaluation.images import (
    BATCH_SIZE,
    Images,
    ImageShape,
    Labels,
    as_images,
    as_labels,
    image_shape_of,
    scaled,
)


@dataclass(frozen=True)
class ClassifierRecipe:
    """A network's form and its training: Adam with decoupled weight decay."""

    epochs: int
    """Passes over the images."""
    min_steps: int = 300
    """A small set gets more passes, until at least this many optimizer steps were taken."""
    width: int = 16
    """Channels of the first convolution; the second has twice as many."""
    num_features: int = 128
    """Units of the penultimate layer (F)."""
    batch_size: int = 32
    """Images in one step."""
    lr: float = 1e-2
    """Highest learning rate."""
    weight_decay: float = 1e-2
    """AdamW's decay rate; with 0 it is Adam."""
    batch_norm: bool = True
    """Whether BatchNorm follows each layer but the last."""
    annealed: bool = True
    """Whether the learning rate warms up linearly and decays by a cosine; else it is `lr` all the time."""


QUICK = ClassifierRecipe(epochs=6)
"""For generation score, label agreement and FID during training. The high rate and the small batches make
it sure of itself in few steps: a judge that hedges lowers the generation score of perfect images."""
USEFULNESS = ClassifierRecipe(
    epochs=15, min_steps=0, width=32, batch_size=64, lr=1e-3, weight_decay=0.0, batch_norm=False, annealed=False
)
"""For usefulness: network and training of the code that was published with HuSCF-GAN (`Metrics/evaluation.py`)."""


class ClassifierNetwork(nn.Module):
    """The CNN of the module's docstring."""

    def __init__(self, image_shape: ImageShape, num_classes: int, recipe: ClassifierRecipe) -> None:
        super().__init__()
        channels, height, width = image_shape
        flat = 2 * recipe.width * (height // 4) * (width // 4)
        norm = recipe.batch_norm
        self.trunk = nn.Sequential(
            *_stage(channels, recipe.width, norm),
            *_stage(recipe.width, 2 * recipe.width, norm),
            nn.Flatten(),
            nn.Linear(flat, recipe.num_features, bias=not norm),
            *([nn.BatchNorm1d(recipe.num_features)] if norm else []),
            nn.ReLU(),
        )
        self.head = nn.Linear(recipe.num_features, num_classes)

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        """(B, C, H, W) float32 in [-1, 1] -> logits (B, K)."""
        logits: torch.Tensor = self.head(self.trunk(x))
        return logits


def _stage(inputs: int, outputs: int, norm: bool) -> tuple[nn.Module, ...]:
    conv = nn.Conv2d(inputs, outputs, 3, padding=1, bias=not norm)
    return conv, *([nn.BatchNorm2d(outputs)] if norm else []), nn.ReLU(), nn.MaxPool2d(2)


@dataclass(frozen=True, eq=False)
class DomainClassifier:
    """A trained classifier of one domain. Never changes after training; evaluates in batches of 500."""

    network: ClassifierNetwork
    image_shape: ImageShape
    num_classes: int
    recipe: ClassifierRecipe

    def __post_init__(self) -> None:
        self.network.eval().requires_grad_(False)

    def logits(self, images: Images) -> torch.Tensor:
        """Logits, float32 (N, K), of images in either form of `as_images`."""
        return self._apply(self.network, images)

    def features(self, images: Images) -> torch.Tensor:
        """Penultimate features, float32 (N, F), >= 0."""
        return self._apply(self.network.trunk, images)

    def probabilities_of(self, features: torch.Tensor) -> npt.NDArray[np.float64]:
        """Class probabilities p(y|x), float64 (N, K), of features (N, F); rows sum to 1."""
        with torch.inference_mode():
            probabilities: npt.NDArray[np.float64]
            probabilities = self.network.head(features).double().softmax(dim=1).numpy()
            return probabilities

    def _apply(self, module: Callable[[torch.Tensor], torch.Tensor], images: Images) -> torch.Tensor:
        tensor = as_images(images)
        if image_shape_of(tensor) != self.image_shape:
            found = f"images of shape {image_shape_of(tensor)}"
            raise InputError("classifier", found, f"bring them to its (C, H, W) = {self.image_shape}")
        with torch.inference_mode():
            return torch.cat([module(scaled(b)) for b in tensor.split(BATCH_SIZE)])


def train_classifier(
    images: Images,
    labels: Labels,
    num_classes: int,
    recipe: ClassifierRecipe = QUICK,
    seed: int = 0,
) -> DomainClassifier:
    """Train a classifier; the same arguments give the same classifier, and torch's global RNG is left alone.

    Args:
        images: in any form of `as_images`, N >= 2.
        labels: integers (N,) in 0..num_classes-1; a class may be missing.
        num_classes: K.
        seed: of the initial weights and the order of the images.

    Raises:
        DataError: images or labels of another form.
    """
    tensor = as_images(images)
    targets = as_labels(labels, len(tensor), num_classes)
    if len(tensor) < 2:
        raise InputError("classifier", f"{len(tensor)} training image", "give at least 2")
    image_shape = image_shape_of(tensor)
    network = new_network(image_shape, num_classes, recipe, seed).train()
    optimizer = torch.optim.AdamW(network.parameters(), lr=recipe.lr, weight_decay=recipe.weight_decay)
    total = num_steps(len(tensor), recipe)
    for step, rows in enumerate(_batches(len(tensor), recipe.batch_size, total, seed)):
        for group in optimizer.param_groups:
            group["lr"] = recipe.lr * (_schedule(step, total) if recipe.annealed else 1)
        loss = nn.functional.cross_entropy(network(scaled(tensor[rows])), targets[rows])
        optimizer.zero_grad()
        loss.backward()
        optimizer.step()
    return DomainClassifier(network, image_shape, num_classes, recipe)


def new_network(image_shape: ImageShape, num_classes: int, recipe: ClassifierRecipe, seed: int) -> ClassifierNetwork:
    """An untrained network whose weights follow from the seed."""
    with torch.random.fork_rng(devices=[]):
        torch.default_generator.manual_seed(seed)  # the CPU's alone: torch.manual_seed would reseed GPUs too
        return ClassifierNetwork(image_shape, num_classes, recipe)


def num_steps(num_images: int, recipe: ClassifierRecipe) -> int:
    """Optimizer steps of a recipe: whole passes, at least `epochs` and at least `min_steps` steps."""
    per_epoch = math.ceil(num_images / recipe.batch_size)
    return per_epoch * max(recipe.epochs, math.ceil(recipe.min_steps / per_epoch))


def _batches(num_images: int, batch_size: int, total: int, seed: int) -> Iterator[torch.Tensor]:
    """`total` batches of row numbers, shuffled anew in each pass; at least 2 in each, for BatchNorm."""
    generator = torch.Generator().manual_seed(seed)
    given = 0
    while given < total:
        order = torch.randperm(num_images, generator=generator)
        for rows in order.split(batch_size)[: total - given]:
            given += 1
            yield rows if len(rows) > 1 else order[-2:]


def _schedule(step: int, total: int) -> float:
    """Share of the highest learning rate: linear over the first tenth, then half a cosine to zero."""
    progress = (step + 1) / (total + 1)
    return min(progress / 0.1, 0.5 * (1 + math.cos(math.pi * progress)))
