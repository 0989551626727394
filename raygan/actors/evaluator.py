"""Scores every cluster's generator on the domains of its members, beside training."""

from __future__ import annotations

import time
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import torch
from torch import Tensor, nn

from raygan.config.schema import DataConfig
from raygan.data import CommonShape, train_set
from raygan.data.source import domain_label
from raygan.evaluation import DomainClassifier, generation_score, label_agreement, load_or_train, sample_grid
from raygan.messages import BlockAverage, DomainScores, Evaluation
from raygan.nn.network import build_networks, load_block_state, run_blocks
from raygan.nn.spec import NetworkSpec
from raygan.randomness import torch_seed

BATCH = 500
SAMPLES_PER_CLASS = 10


@dataclass(frozen=True)
class EvaluatorPlan:
    """What the evaluator needs to know, without any image."""

    data: DataConfig
    shape: CommonShape
    spec: NetworkSpec
    blocks: str | None
    seed: int
    num_images: int
    samples: str
    """Folder of the pictures."""
    cache: str | None
    """Folder of trained classifiers."""


@dataclass(frozen=True)
class ClusterTask:
    """One cluster to score: which domains its members hold (by index)."""

    cluster: int
    domains: tuple[int, ...]


@dataclass(frozen=True)
class _Domain:
    name: str
    classes: tuple[str, ...]
    classifier: DomainClassifier


class Evaluator:
    """Trains (or finds) one classifier a domain, then scores generators with it."""

    def __init__(self, plan: EvaluatorPlan) -> None:
        self._plan = plan
        self._domains: dict[int, _Domain] = {}

    def evaluate(
        self, round_number: int, tasks: Sequence[ClusterTask], generators: Sequence[Sequence[BlockAverage]]
    ) -> Evaluation:
        """Scores and pictures of one round.

        Args:
            tasks: the clusters.
            generators: for each of them all blocks of its averaged generator.
        """
        started = time.perf_counter()
        scores, pictures = [], []
        for task, blocks in zip(tasks, generators, strict=True):
            sample = self._sampler(blocks, round_number)
            scores += [self._score(task.cluster, index, sample) for index in task.domains]
            pictures.append(self._draw(round_number, task, sample))
        return Evaluation(round_number, tuple(scores), tuple(pictures), time.perf_counter() - started)

    def prepare(self) -> None:
        """Trains the classifiers of all domains, so that the first round's scores do not wait for them."""
        for index in range(len(self._plan.data.domains)):
            self._domain(index)

    def _domain(self, index: int) -> _Domain:
        if index not in self._domains:
            domain, plan = self._plan.data.domains[index], self._plan
            real = train_set(domain, plan.data, plan.shape)
            classifier = load_or_train(plan.cache, real.images, real.labels, len(real.classes))
            self._domains[index] = _Domain(domain_label(domain), real.classes, classifier)
        return self._domains[index]

    def _sampler(self, blocks: Sequence[BlockAverage], round_number: int) -> Callable[[Tensor], Tensor]:
        plan = self._plan
        generator = load_generator(
            plan.spec, plan.blocks, {average.block[1]: average.state for average in blocks}
        )
        latent = torch.Generator().manual_seed(torch_seed(plan.seed, "evaluation", round_number))
        return lambda labels: sample_images(generator, plan.spec, labels, latent)

    def _score(self, cluster: int, index: int, sample: Callable[[Tensor], Tensor]) -> DomainScores:
        domain = self._domain(index)
        labels = torch.arange(self._plan.num_images) % len(domain.classes)
        parts = [domain.classifier.probabilities(sample(part)) for part in labels.split(BATCH)]
        probabilities = np.concatenate(parts)
        return DomainScores(
            domain_index=index,
            cluster=cluster,
            generation_score=generation_score(probabilities),
            label_agreement=label_agreement(probabilities, labels.numpy()),
            num_images=len(labels),
        )

    def _draw(self, round_number: int, task: ClusterTask, sample: Callable[[Tensor], Tensor]) -> str:
        domains = [self._domain(index) for index in task.domains]
        classes = domains[0].classes if len(domains) == 1 else None
        num_classes = max(len(domain.classes) for domain in domains)
        labels = torch.arange(num_classes).repeat_interleave(SAMPLES_PER_CLASS)
        name = f"round-{round_number + 1:04d}-cluster-{task.cluster}.png"
        title = f"round {round_number + 1}, cluster {task.cluster}: {', '.join(domain.name for domain in domains)}"
        sample_grid(
            sample(labels), labels, Path(self._plan.samples) / name, classes, title, SAMPLES_PER_CLASS
        )
        return name


def load_generator(
    spec: NetworkSpec, blocks: str | None, states: Mapping[int, Mapping[str, np.ndarray]]
) -> list[nn.Module]:
    """The whole generator, ready to sample (BatchNorm uses its running statistics)."""
    network = build_networks(spec, blocks, 0).generator
    for index, state in states.items():
        load_block_state(network[index], dict(state))
    return [block.eval() for block in network]


def sample_images(
    generator: Sequence[nn.Module], spec: NetworkSpec, labels: Tensor, latent: torch.Generator
) -> Tensor:
    """Images (N, C, S, S) float32 in [-1, 1] for labels (N,), in batches."""
    with torch.inference_mode():
        return torch.cat(
            [
                run_blocks(generator, torch.randn(len(part), spec.latent_size, generator=latent), part)
                for part in labels.split(BATCH)
            ]
        )
