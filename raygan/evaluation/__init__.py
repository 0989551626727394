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
from raygan.evaluation.evaluator import DomainScores, Evaluator
from raygan.evaluation.fid import classifier_fid, inception_fid
from raygan.evaluation.generation_score import generation_score
from raygan.evaluation.grid import sample_grid
from raygan.evaluation.label_agreement import label_agreement
from raygan.evaluation.usefulness import Usefulness, classification_scores, usefulness

__all__ = [
    "QUICK",
    "USEFULNESS",
    "ClassifierRecipe",
    "DomainClassifier",
    "DomainScores",
    "Evaluator",
    "RealDomain",
    "Sample",
    "Usefulness",
    "classification_scores",
    "classifier_fid",
    "cluster_agreement",
    "generation_score",
    "inception_fid",
    "label_agreement",
    "load_or_train",
    "sample_grid",
    "train_classifier",
    "usefulness",
]
