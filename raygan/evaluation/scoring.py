"""Scores of the generators of a domain, held against what is known of its real images.

Nothing here knows a network or a cluster: a generator comes as a function of labels.
"""

from __future__ import annotations

from collections.abc import Collection, Iterable, Mapping

import torch

from raygan.evaluation.drawing import Sample, draw
from raygan.evaluation.scores.state import Reference, gathered, new_state
from raygan.scores import Score, Value


def score(reference: Reference, sample: Sample, scores: Mapping[Score, int], seed: int = 0) -> dict[str, Value]:
    """Scores a generator as a source of one domain; the same seed and generator give the same scores.

    Args:
        scores: what to compute, each from how many images (>= 2), labels spread evenly over the classes that the
            domain has. Scores of equally many are computed from the same images.
        seed: of the labels' order, of torch's global CPU generator while `sample` runs, and of what a score trains.

    Raises:
        InputError: fewer than 2 images, images of another shape than the domain's, or values that are not finite or
            outside [-1, 1].
    """
    values: dict[str, Value] = {}
    for num_images in dict.fromkeys(scores.values()):
        mine = [score for score, count in scores.items() if count == num_images]
        values |= _values(mine, draw(sample, reference.real, num_images, seed), reference, seed)
    return values


def score_real(reference: Reference, scores: Collection[Score]) -> dict[str, Value]:
    """What real images score, as many as there are test images: the mark that a perfect generator would reach.

    Test images, or for scores that compare with these, training images drawn over the whole set (`Score.mark`).
    """
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
