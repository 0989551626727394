"""Domain classifiers kept on disk, so that a domain's classifier is trained once.

One safetensors file a classifier, `<key>.safetensors`, with its description as JSON in the file's header:
one file is either whole or absent. The key is a hash of data, recipe, seed and the network's own layout.
"""

from __future__ import annotations

import dataclasses
import hashlib
import json
import os
import uuid
import warnings
from pathlib import Path

import torch
from safetensors import SafetensorError, safe_open
from safetensors.torch import save_file

from raygan.evaluation.classifier import (
    QUICK,
    ClassifierRecipe,
    DomainClassifier,
    new_network,
    train_classifier,
)
from raygan.evaluation.images import BATCH_SIZE, Images, Labels, as_images, as_labels

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
    device: str = "cpu",
) -> DomainClassifier:
    """The classifier that `train_classifier` gives for these arguments, from the cache if it is there.

    A cache file that is damaged, or a cache that cannot be written, is a warning, never an error: the
    classifier is trained (again). The device is not part of the key.

    Args:
        cache_dir: folder of the cache, made if it is missing; None: no cache.
        images, labels, num_classes, recipe, seed, device: as for `train_classifier`.
    """
    if cache_dir is None:
        return train_classifier(images, labels, num_classes, recipe, seed, device)
    tensor = as_images(images)
    targets = as_labels(labels, len(tensor), num_classes)
    path = (
        Path(cache_dir).expanduser() / f"{cache_key(tensor, targets, num_classes, recipe, seed)}.safetensors"
    )
    if path.exists():
        try:
            return load_classifier(path, device)
        except (OSError, ValueError, KeyError, TypeError, RuntimeError, SafetensorError) as error:
            warnings.warn(f"{path}: damaged ({error}); training this classifier again", stacklevel=2)
    classifier = train_classifier(tensor, targets, num_classes, recipe, seed, device)
    try:
        save_classifier(classifier, path)
    except OSError as error:
        warnings.warn(f"{path}: cannot be written ({error}); this classifier is not kept", stacklevel=2)
    return classifier


def cache_key(
    images: torch.Tensor, labels: torch.Tensor, num_classes: int, recipe: ClassifierRecipe, seed: int
) -> str:
    """Hash of all that a trained classifier follows from: 32 hexadecimal digits.

    Args:
        images: as `as_images` returns them.
        labels: as `as_labels` returns them.
    """
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
    """Write the classifier under a temporary name and rename it: readers see a whole file or none."""
    path.parent.mkdir(parents=True, exist_ok=True)
    tensors = {name: t.cpu().contiguous() for name, t in classifier.network.state_dict().items()}
    description = {
        "image_shape": classifier.image_shape,
        "num_classes": classifier.num_classes,
        "recipe": dataclasses.asdict(classifier.recipe),
        "digest": _digest(tensors),
    }
    temporary = path.with_name(f".{path.name}.{uuid.uuid4().hex}")
    try:
        save_file(tensors, temporary, metadata={HEADER: json.dumps(description)})
        os.replace(temporary, path)
    finally:
        temporary.unlink(missing_ok=True)


def load_classifier(path: Path, device: str = "cpu") -> DomainClassifier:
    """Read a classifier back.

    Raises:
        ValueError, KeyError, RuntimeError, SafetensorError: the file is damaged or no classifier.
    """
    with safe_open(path, framework="pt") as file:
        description = json.loads((file.metadata() or {})[HEADER])
        tensors = {name: file.get_tensor(name) for name in file.keys()}  # noqa: SIM118 - no mapping
    if _digest(tensors) != description["digest"]:
        raise ValueError("its weights are not those that were written")
    recipe = ClassifierRecipe(**description["recipe"])
    channels, height, width = description["image_shape"]
    network = new_network((channels, height, width), description["num_classes"], recipe, seed=0)
    network.load_state_dict(tensors)
    return DomainClassifier(network.to(device), (channels, height, width), description["num_classes"], recipe)


def _digest(tensors: dict[str, torch.Tensor]) -> str:
    digest = hashlib.blake2b(digest_size=16)
    for name in sorted(tensors):
        digest.update(name.encode())
        digest.update(tensors[name].numpy().tobytes())
    return digest.hexdigest()
