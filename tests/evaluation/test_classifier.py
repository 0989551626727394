import time

import numpy as np
import pytest
import torch
from torch import nn

from raygan.errors import InputError
from raygan.evaluation.classifier import (
    QUICK,
    USEFULNESS,
    ClassifierRecipe,
    new_network,
    num_steps,
    train_classifier,
)
from raygan.evaluation.scores.generation_score import generation_score

from .real import real_domain
from .toy import NUM_CLASSES, accuracy, toy_images, toy_labels


def test_it_learns_and_generalises(toy, tiny_recipe):
    images, labels, test_images, test_labels = toy
    classifier = train_classifier(images, labels, NUM_CLASSES, tiny_recipe)
    assert accuracy(classifier, test_images, test_labels) == 1.0


def test_shuffled_labels_teach_nothing(toy, tiny_recipe):
    images, labels, test_images, test_labels = toy
    shuffled = np.random.default_rng(0).permutation(labels)
    classifier = train_classifier(images, shuffled, NUM_CLASSES, tiny_recipe)
    assert accuracy(classifier, test_images, test_labels) < 0.6  # chance is 0.25


@pytest.mark.parametrize(("channels", "size", "num_classes"), [(3, 8, 4), (1, 12, 7), (3, 32, 4), (1, 28, 10)])
def test_shapes_for_any_image_and_class_count(channels, size, num_classes):
    labels = toy_labels(20)
    images = toy_images(labels, channels, size)
    recipe = ClassifierRecipe(epochs=1, min_steps=1, width=2, num_features=6)
    classifier = train_classifier(images, labels, num_classes, recipe)
    assert classifier.logits(images).shape == (20, num_classes)
    assert classifier.features(images).shape == (20, 6)
    assert classifier.probabilities_of(classifier.features(images)).sum(axis=1) == pytest.approx(1, abs=1e-12)
    both = classifier.probabilities_of(classifier.features(images))
    assert both == pytest.approx(classifier.logits(images).double().softmax(dim=1).numpy(), abs=1e-6)


def test_uint8_in_any_layout_scores_as_the_floats_do(toy, tiny_recipe):
    images, labels, *_ = toy
    classifier = train_classifier(images, labels, NUM_CLASSES, tiny_recipe)
    pixels = ((images + 1) * 127.5).round().astype(np.uint8)
    floats = pixels.astype(np.float32) / 127.5 - 1
    assert torch.equal(classifier.logits(pixels[:, 0]), classifier.logits(floats))
    assert torch.equal(classifier.logits(pixels.transpose(0, 2, 3, 1)), classifier.logits(floats))


def test_the_seed_decides_and_the_global_generator_is_left_alone(toy, tiny_recipe):
    images, labels, *_ = toy
    torch.manual_seed(5)
    expected = torch.rand(3)
    torch.manual_seed(5)
    first = train_classifier(images, labels, NUM_CLASSES, tiny_recipe, seed=1)
    assert torch.equal(torch.rand(3), expected)
    again = train_classifier(images, labels, NUM_CLASSES, tiny_recipe, seed=1)
    other = train_classifier(images, labels, NUM_CLASSES, tiny_recipe, seed=2)
    assert torch.equal(first.logits(images), again.logits(images))
    assert not torch.equal(first.logits(images), other.logits(images))


def test_batches_of_500_do_not_show(toy, tiny_recipe):
    images, labels, *_ = toy
    classifier = train_classifier(images, labels, NUM_CLASSES, tiny_recipe)
    many = np.concatenate([images] * 3)
    assert torch.allclose(classifier.logits(many)[400:], classifier.logits(images), atol=1e-5)


def test_steps_of_a_recipe():
    recipe = ClassifierRecipe(epochs=2, min_steps=10, batch_size=32)
    assert num_steps(320, recipe) == 20
    assert num_steps(64, recipe) == 10
    assert num_steps(65, recipe) == 12  # whole passes of 3


def test_a_last_batch_of_one_image_trains(tiny_recipe):
    labels = toy_labels(33)
    classifier = train_classifier(toy_images(labels), labels, NUM_CLASSES, tiny_recipe)
    assert torch.isfinite(classifier.logits(toy_images(labels))).all()


def test_usefulness_is_measured_with_the_published_network_and_training():
    """`Classifier` and `get_accuracy` of the published `Metrics/evaluation.py`, on one batch: order means nothing."""
    labels = toy_labels(40)
    images = torch.from_numpy(toy_images(labels, size=28))
    published = nn.Sequential(
        nn.Conv2d(1, 32, 3, padding=1), nn.ReLU(), nn.MaxPool2d(2),
        nn.Conv2d(32, 64, 3, padding=1), nn.ReLU(), nn.MaxPool2d(2),
        nn.Flatten(), nn.Linear(64 * 7 * 7, 128), nn.ReLU(), nn.Linear(128, 10),
    )  # fmt: skip
    initial = new_network((1, 28, 28), 10, USEFULNESS, seed=3).state_dict()
    published.load_state_dict(dict(zip(published.state_dict(), initial.values(), strict=True)))
    optimizer = torch.optim.Adam(published.parameters(), lr=0.001)
    for _ in range(15):
        optimizer.zero_grad()
        nn.functional.cross_entropy(published(images), torch.from_numpy(labels)).backward()
        optimizer.step()
    classifier = train_classifier(images, labels, 10, USEFULNESS, seed=3)
    assert torch.allclose(classifier.logits(images), published(images), rtol=1e-3, atol=1e-3)
    assert (USEFULNESS.epochs, USEFULNESS.batch_size, num_steps(30_000, USEFULNESS)) == (15, 64, 15 * 469)


def test_wrong_images_are_refused(toy, tiny_recipe):
    images, labels, *_ = toy
    with pytest.raises(InputError, match="1 training image; give at least 2"):
        train_classifier(images[:1], labels[:1], NUM_CLASSES, tiny_recipe)
    classifier = train_classifier(images, labels, NUM_CLASSES, tiny_recipe)
    with pytest.raises(InputError, match=r"bring them to its \(C, H, W\) = \(1, 8, 8\)"):
        classifier.logits(toy_images(labels, size=12))


@pytest.mark.slow
@pytest.mark.parametrize(
    ("name", "least_accuracy", "least_score"), [("mnist", 0.95, 9.0), ("fashion_mnist", 0.82, 7.0)]
)
def test_quick_recipe_on_real_images(name, least_accuracy, least_score):
    images, labels, test_images, test_labels = real_domain(name)
    rows = np.random.default_rng(0).permutation(len(images))[:5000]
    start = time.process_time()
    classifier = train_classifier(images[rows], labels[rows], 10, QUICK)
    share = accuracy(classifier, test_images, test_labels)
    score = generation_score(classifier.probabilities_of(classifier.features(test_images)))
    print(f"{name}: accuracy {share:.4f}, score {score:.3f}, {time.process_time() - start:.1f} CPU s")
    assert share >= least_accuracy
    assert score > least_score


@pytest.mark.slow
@pytest.mark.parametrize(("name", "least_accuracy"), [("mnist", 0.985), ("fashion_mnist", 0.89)])
def test_usefulness_recipe_on_real_images(name, least_accuracy):
    images, labels, test_images, test_labels = real_domain(name)
    classifier = train_classifier(images, labels, 10, USEFULNESS)
    share = accuracy(classifier, test_images, test_labels)
    print(f"{name}: accuracy {share:.4f}")
    assert share >= least_accuracy
