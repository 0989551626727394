"""Toy domains and a recipe that learns them at once."""

import pytest
import torch

from raygan.evaluation.classifier import ClassifierRecipe

from .toy import toy_images, toy_labels


@pytest.fixture
def toy():
    """200 training and 100 test images with labels."""
    train, test = toy_labels(200, seed=1), toy_labels(100, seed=2)
    return toy_images(train, seed=3), train, toy_images(test, seed=4), test


@pytest.fixture
def tiny_recipe():
    return ClassifierRecipe(epochs=2, min_steps=120, width=4, num_features=8)


@pytest.fixture
def perfect_sample():
    """A generator that gives what was asked for, with noise from torch's global generator."""

    def sample(labels):
        noise = torch.rand(len(labels), 1, 8, 8) * 0.1
        return torch.from_numpy(toy_images(labels.numpy())) + noise

    return sample
