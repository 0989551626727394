"""Scores and pictures: how good generated images are, judged by classifiers trained on real ones."""

from raygan.evaluation.cache import load_or_train
from raygan.evaluation.classifier import (
    QUICK,
    USEFULNESS,
    ClassifierRecipe,
    DomainClassifier,
    train_classifier,
)
from raygan.evaluation.cluster_agreement import cluster_agreement
from raygan.evaluation.drawing import RealDomain, Sample
from raygan.evaluation.evaluator import Evaluator
from raygan.evaluation.grid import sample_grid
from raygan.evaluation.scores.generation_score import generation_score
from raygan.evaluation.scores.label_agreement import label_agreement
from raygan.evaluation.scores.state import Batch, Reference, State
from raygan.evaluation.scores.usefulness import Usefulness, classification_scores, usefulness

__all__ = [
    "QUICK",
    "USEFULNESS",
    "Batch",
    "ClassifierRecipe",
    "DomainClassifier",
    "Evaluator",
    "RealDomain",
    "Reference",
    "Sample",
    "State",
    "Usefulness",
    "classification_scores",
    "cluster_agreement",
    "generation_score",
    "label_agreement",
    "load_or_train",
    "sample_grid",
    "train_classifier",
    "usefulness",
]
