"""The scores, as a table: what every part of raygan knows of a score follows from its row.

A score is one file, `raygan/evaluation/scores/NAME.py`, and one row here. The evaluator computes what the table names;
configuration, `metrics.jsonl`, checkpoints, report, searches and metrics take names, directions and ranges from it. A
score of your own takes a row as well, before the run begins:

    SCORES["sharpness"] = Score("sharpness", "max", "my_scores:Sharpness", needs="images")

This module brings neither torch nor scikit-learn along: `state` is imported where the score is computed.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from typing import Any, Literal, Protocol

Mode = Literal["max", "min"]
Value = float | Mapping[str, float] | None
"""Of one score: a number; None, where it could not be computed; or several numbers by name, with the generated `images`
behind them."""


class Asked(Protocol):
    """The section `evaluation` of the configuration, as far as it is read here."""

    @property
    def images(self) -> int:
        """Generated images of a domain behind a score that does not ask for a number of its own."""


@dataclass(frozen=True)
class Part:
    """One of several numbers that a score consists of, each from 0 to 1."""

    name: str
    mode: Mode = "max"


@dataclass(frozen=True)
class Score:
    """One score."""

    name: str
    mode: Mode
    """Which of two values is better."""
    state: str
    """`package.module:Class`, a `raygan.evaluation.scores.state.State`."""
    needs: Literal["probabilities", "features", "images"]
    """What it is computed from, beside the labels: the domain classifier's class probabilities or penultimate features,
    or the images as bytes."""
    is_share: bool = False
    """A number from 0 to 1, shown as a percentage."""
    title: str | None = None
    """Of its chart over the rounds; None: it has none."""
    mark: Literal["test", "train"] | None = "test"
    """Real images that show what a perfect generator would score; `train`, where the score itself compares with the
    test images. None: it is not computed of real images."""
    asked_by: str | None = None
    """Key of `evaluation` that asks for it after the last round: true, or a number of images of its own.
    None: every evaluated round has it."""
    parts: tuple[Part, ...] = ()
    """Where it is several numbers: which. The first stands for all in searches."""
    by_class: bool = False
    """Where it is a number for each class of the domain, by the class's number: the worst stands for all in searches."""

    @property
    def is_number(self) -> bool:
        """Whether it is one number."""
        return not self.parts and not self.by_class

    @property
    def reported(self) -> str:
        """Its one number's name in searches."""
        return f"{self.name}_{'worst' if self.by_class else self.parts[0].name}" if not self.is_number else self.name

    def number(self, entry: Mapping[str, Any]) -> float | None:
        """Its one number in an entry of `metrics.jsonl`; None: it is not there."""
        found = entry.get(self.name)
        if self.by_class:
            worst = min if self.mode == "max" else max
            return worst((value for name, value in (found or {}).items() if name != "images"), default=None)
        return (found or {}).get(self.parts[0].name) if self.parts else found

    def shown(self, entry: Mapping[str, Any]) -> float | None:
        """That number in its `unit`."""
        found = self.number(entry)
        return 100 * found if self.is_share and found is not None else found

    @property
    def unit(self) -> str:
        """Of what people are shown."""
        return "%" if self.is_share else "no unit"

    def num_images(self, asked: Asked) -> int | None:
        """Images to generate for it, as `evaluation` asks; None: it is not asked for."""
        wanted = True if self.asked_by is None else getattr(asked, self.asked_by)
        return asked.images if wanted is True else wanted or None


HERE = "raygan.evaluation.scores"
SCORES: dict[str, Score] = {
    score.name: score
    for score in (
        Score(
            "label_agreement",
            "max",
            f"{HERE}.label_agreement:LabelAgreement",
            needs="probabilities",
            is_share=True,
            title="Samples that show the class asked for",
        ),
        Score(
            "generation_score",
            "max",
            f"{HERE}.generation_score:GenerationScore",
            needs="probabilities",
            title="Clear images of all classes",
        ),
        Score(
            "classifier_fid",
            "min",
            f"{HERE}.classifier_fid:ClassifierFid",
            needs="features",
            title="Fréchet distance to real images",
            mark="train",
        ),
        Score("classifier_kid", "min", f"{HERE}.classifier_kid:ClassifierKid", needs="features", mark="train"),
        Score("density", "max", f"{HERE}.density:Density", needs="features", mark="train"),
        Score(
            "coverage",
            "max",
            f"{HERE}.coverage:Coverage",
            needs="features",
            is_share=True,
            title="Real images that have a sample near them",
            mark="train",
        ),
        Score(
            "class_agreement",
            "max",
            f"{HERE}.class_agreement:ClassAgreement",
            needs="probabilities",
            is_share=True,
            by_class=True,
        ),
        Score(
            "class_coverage",
            "max",
            f"{HERE}.class_coverage:ClassCoverage",
            needs="features",
            is_share=True,
            mark="train",
            by_class=True,
        ),
        Score(
            "inception_fid",
            "min",
            f"{HERE}.inception_fid:InceptionFid",
            needs="images",
            mark=None,
            asked_by="inception_fid",
        ),
        Score(
            "inception_kid",
            "min",
            f"{HERE}.inception_kid:InceptionKid",
            needs="images",
            mark=None,
            asked_by="inception_fid",
        ),
        Score(
            "usefulness",
            "max",
            f"{HERE}.usefulness:TrainedClassifier",
            needs="images",
            is_share=True,
            mark=None,
            asked_by="usefulness_images",
            parts=(
                Part("accuracy"),
                Part("precision"),
                Part("recall"),
                Part("f1"),
                Part("false_positive_rate", "min"),
            ),
        ),
    )
}
"""All scores by name, in the order in which they are written and shown."""

HEADLINE = "label_agreement"
"""The score that is shown where there is room for one."""


FID_IMAGES = 5000
"""Test images from which on the FID on the domain classifier's features is less than 0.1 above that of 10,000
(`raygan/docs/measurements.md`, "Scores")."""


def fid_bias(num_test: int) -> str | None:
    """What is to be said of an FID against so few real images; None: nothing."""
    if num_test >= FID_IMAGES:
        return None
    return f"{num_test:,} test images, so its FID is biased upwards; from {FID_IMAGES:,} on it is not"


def single() -> list[Score]:
    """Those that are one number."""
    return [score for score in SCORES.values() if score.is_number]


def every_round() -> list[Score]:
    """Those that every evaluated round has: rounds can be compared by them."""
    return [score for score in SCORES.values() if score.asked_by is None]


def names(scores: Iterable[Score]) -> list[str]:
    """Their names."""
    return [score.name for score in scores]


def with_count(name: str, num_images: int) -> str:
    """The name with the image count that a score depends on, thousands as k.

    Example:
        >>> with_count("generation_score", 5000), with_count("accuracy", 750)
        ('generation_score_5k', 'accuracy_750')
    """
    short = f"{num_images // 1000}k" if num_images and num_images % 1000 == 0 else str(num_images)
    return f"{name}_{short}"
