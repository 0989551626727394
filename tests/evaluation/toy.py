"""Toy images that a small CNN learns in a second: a bright square whose place is the class."""

import numpy as np
import torch

NUM_CLASSES = 4


def toy_images(labels, channels=1, size=8, seed=0):
    """float32 (N, C, size, size) in [-1, 1]: quadrant `label` is bright, the rest is dark noise."""
    rng = np.random.default_rng(seed)
    images = rng.uniform(-1, -0.5, (len(labels), channels, size, size)).astype(np.float32)
    half = size // 2
    for image, label in zip(images, labels, strict=True):
        row, column = divmod(int(label), 2)
        image[:, row * half : (row + 1) * half, column * half : (column + 1) * half] += 1.2
    return images


def toy_labels(num_images, seed=0):
    return np.random.default_rng(seed).integers(0, NUM_CLASSES, num_images)


def accuracy(classifier, images, labels):
    """Share of images whose likeliest class is their label."""
    return float((classifier.logits(images).argmax(dim=1) == torch.as_tensor(labels)).double().mean())
