"""Domain classifiers kept on disk, so that a domain's classifier is trained once.

One safetensors file a classifier, `<key>.safetensors`, with a checksum in the file's header: it is either whole or
absent. The key is a hash of data, recipe, seed and the network's own layout.
"""

from __future__ import annotations

import dataclasses
import hashlib
import json
import os
import warnings
from pathlib import Path

import torch
from safetensors import SafetensorError, safe_open
from safetensors.torch import save

from raygan.config.loading import from_home
from raygan.evaluation.classifier import (
    QUICK,
    ClassifierRecipe,
    DomainClassifier,
    new_network,
    train_classifier,
)
from raygan.evaluation.images import (
    BATCH_SIZE,
    Images,
    ImageShape,
    Labels,
    as_images,
    as_labels,
    image_shape_of,
)
from raygan.storage import replace_file

FORMAT = 1
"""Part of the key: raise it when the network or the training changes in code."""
HEADER = "raygan"


def load_or_train(
    cache_dir: str | os.PathLike[str] | None,
    images: Images,
    labels: Labels,
    num_classes: int,
    recipe: ClassifierRecipe = QUICK,
    seed: int = 0,
) -> DomainClassifier:
    """The classifier that `train_classifier` gives for these arguments, from the cache if it is there.

    A cache file that is damaged, or a cache that cannot be written, is a warning, never an error: the classifier is
    trained (again). `cache_dir` is made if it is missing; None: no cache.
    """
    if cache_dir is None:
        return train_classifier(images, labels, num_classes, recipe, seed)
    tensor = as_images(images)
    targets = as_labels(labels, len(tensor), num_classes)
    key = cache_key(tensor, targets, num_classes, recipe, seed)
    path = from_home(str(cache_dir)) / f"{key}.safetensors"
    if path.exists():
        try:
            return load_classifier(path, image_shape_of(tensor), num_classes, recipe)
        except (OSError, ValueError, KeyError, TypeError, RuntimeError, SafetensorError) as error:
            warnings.warn(f"{path}: damaged ({error}); training this classifier again", stacklevel=2)
    classifier = train_classifier(tensor, targets, num_classes, recipe, seed)
    try:
        save_classifier(classifier, path)
    except OSError as error:
        warnings.warn(f"{path}: cannot be written ({error}); this classifier is not kept", stacklevel=2)
    return classifier


def cache_key(images: torch.Tensor, labels: torch.Tensor, num_classes: int, recipe: ClassifierRecipe, seed: int) -> str:
    """Hash of all that a trained classifier follows from: 32 hexadecimal digits."""
    description = {
        "format": FORMAT,
        "shape": list(images.shape),
        "dtype": str(images.dtype),
        "num_classes": num_classes,
        "recipe": dataclasses.asdict(recipe),
        "seed": seed,
    }
    digest = hashlib.blake2b(json.dumps(description, sort_keys=True).encode(), digest_size=16)
    for part in (*images.split(BATCH_SIZE), labels):
        digest.update(part.contiguous().numpy().tobytes())
    return digest.hexdigest()


def save_classifier(classifier: DomainClassifier, path: Path) -> None:
    """Writes the classifier: readers see a whole file or none."""
    tensors = {name: t.contiguous() for name, t in classifier.network.state_dict().items()}
    replace_file(path, save(tensors, metadata={HEADER: json.dumps({"digest": _digest(tensors)})}))


def load_classifier(
    path: Path, image_shape: ImageShape, num_classes: int, recipe: ClassifierRecipe
) -> DomainClassifier:
    """Reads a classifier back; errors of many kinds where the file is damaged."""
    with safe_open(path, framework="pt") as file:
        description = json.loads((file.metadata() or {})[HEADER])
        tensors = {name: file.get_tensor(name) for name in file.keys()}  # noqa: SIM118 - no mapping
    if _digest(tensors) != description["digest"]:
        raise ValueError("its weights are not those that were written")
    network = new_network(image_shape, num_classes, recipe, seed=0)
    network.load_state_dict(tensors)
    return DomainClassifier(network, image_shape, num_classes, recipe)


def _digest(tensors: dict[str, torch.Tensor]) -> str:
    digest = hashlib.blake2b(digest_size=16)
    for name in sorted(tensors):
        digest.update(name.encode())
        digest.update(tensors[name].numpy().tobytes())
    return digest.hexdigest()
