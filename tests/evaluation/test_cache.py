import dataclasses
import warnings

import pytest
import torch

from raygan.evaluation import cache as cache_module
from raygan.evaluation.cache import load_or_train

from .toy import NUM_CLASSES


@pytest.fixture
def trainings(monkeypatch):
    """Counts trainings."""
    calls = []
    train = cache_module.train_classifier

    def counted(*args):
        calls.append(args)
        return train(*args)

    monkeypatch.setattr(cache_module, "train_classifier", counted)
    return calls


def test_the_second_time_comes_from_the_cache_bit_for_bit(tmp_path, toy, tiny_recipe, trainings):
    images, labels, *_ = toy
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        first = load_or_train(tmp_path / "new", images, labels, NUM_CLASSES, tiny_recipe)
        again = load_or_train(tmp_path / "new", images, labels, NUM_CLASSES, tiny_recipe)
    assert len(trainings) == 1
    assert torch.equal(first.logits(images), again.logits(images))
    assert (again.image_shape, again.num_classes, again.recipe) == ((1, 8, 8), NUM_CLASSES, tiny_recipe)
    assert [path.suffix for path in (tmp_path / "new").iterdir()] == [".safetensors"]


def test_data_recipe_classes_and_seed_each_have_their_own_entry(tmp_path, toy, tiny_recipe, trainings):
    images, labels, *_ = toy
    changed = images.copy()
    changed[7, 0, 3, 3] += 0.01
    relabelled = labels.copy()
    relabelled[7] = (relabelled[7] + 1) % NUM_CLASSES
    load_or_train(tmp_path, images, labels, NUM_CLASSES, tiny_recipe)
    load_or_train(tmp_path, changed, labels, NUM_CLASSES, tiny_recipe)
    load_or_train(tmp_path, images, relabelled, NUM_CLASSES, tiny_recipe)
    load_or_train(tmp_path, images, labels, NUM_CLASSES + 1, tiny_recipe)
    load_or_train(tmp_path, images, labels, NUM_CLASSES, dataclasses.replace(tiny_recipe, width=6))
    load_or_train(tmp_path, images, labels, NUM_CLASSES, tiny_recipe, seed=1)
    assert len(trainings) == len(list(tmp_path.iterdir())) == 6


def _cut_off(path):
    path.write_bytes(path.read_bytes()[:-100])


def _flip_a_bit(path):
    data = bytearray(path.read_bytes())
    data[-10] ^= 1
    path.write_bytes(bytes(data))


def _empty(path):
    path.write_bytes(b"")


def _foreign(path):
    from safetensors.torch import save_file

    save_file({"x": torch.zeros(3)}, path)


@pytest.mark.parametrize("damage", [_cut_off, _flip_a_bit, _empty, _foreign])
def test_a_damaged_file_is_a_warning_and_is_mended(tmp_path, toy, tiny_recipe, trainings, damage):
    images, labels, *_ = toy
    first = load_or_train(tmp_path, images, labels, NUM_CLASSES, tiny_recipe)
    (path,) = tmp_path.iterdir()
    damage(path)
    with pytest.warns(UserWarning, match=r"damaged .* training this classifier again"):
        again = load_or_train(tmp_path, images, labels, NUM_CLASSES, tiny_recipe)
    assert torch.equal(first.logits(images), again.logits(images))
    load_or_train(tmp_path, images, labels, NUM_CLASSES, tiny_recipe)
    assert len(trainings) == 2


def test_a_cache_that_cannot_be_written_is_a_warning(tmp_path, toy, tiny_recipe):
    images, labels, *_ = toy
    (tmp_path / "file").write_text("in the way")
    with pytest.warns(UserWarning, match=r"cannot be written .* is not kept"):
        classifier = load_or_train(tmp_path / "file", images, labels, NUM_CLASSES, tiny_recipe)
    assert classifier.num_classes == NUM_CLASSES


def test_without_a_folder_nothing_is_kept(toy, tiny_recipe, trainings):
    images, labels, *_ = toy
    load_or_train(None, images, labels, NUM_CLASSES, tiny_recipe)
    load_or_train(None, images, labels, NUM_CLASSES, tiny_recipe)
    assert len(trainings) == 2
