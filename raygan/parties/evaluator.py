"""Scores every cluster's generator on the domains of its members, beside training."""

from __future__ import annotations

import time
import warnings
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from functools import cached_property
from pathlib import Path

import numpy as np
import torch
from torch import Tensor, nn

from raygan.config.schema import Config, DataConfig
from raygan.data.admission import Request
from raygan.data.classes import label_names
from raygan.data.client import forget_domains, image_set
from raygan.data.shape import CommonShape
from raygan.data.sound import hearing_of, wav_file, waves
from raygan.data.source import domain_names
from raygan.errors import InputError, RunError
from raygan.evaluation import scoring
from raygan.evaluation.cache import load_or_train
from raygan.evaluation.drawing import RealDomain, Sample
from raygan.evaluation.grid import of_classes, rows_of_a_screen, sample_grid
from raygan.evaluation.images import as_uint8
from raygan.evaluation.scores.state import Reference
from raygan.names import Weights, weights_in
from raygan.nn.network import build_networks, load_block_state, run_blocks
from raygan.nn.spec import NetworkSpec
from raygan.parties.aggregator import generator_states, model_file
from raygan.parties.base import Party
from raygan.randomness import torch_seed
from raygan.scores import Score, every_round
from raygan.storage import leave_gone_folder, replace_file
from raygan.wire.records import (
    BlockAverage,
    DomainScores,
    Evaluation,
    Lost,
    Traffic,
    num_bytes,
)
from raygan.wire.traffic import TrafficCounter

BATCH = 500
SAMPLES_PER_CLASS = 10
MAX_CLIPS = 20
"""Classes that are heard, where what is generated can be."""


@dataclass(frozen=True)
class EvaluatorPlan:
    """What the evaluator needs to know, without any image."""

    data: DataConfig
    shape: CommonShape
    spec: NetworkSpec
    blocks: str | None
    seed: int
    num_images: int
    samples: str | None
    """Folder of the pictures; None: draw none."""
    cache: str | None
    """Folder of trained classifiers."""
    last_round: int | None = None
    """The round (from 0) that also gets what the configuration asks for; None: every round does."""
    here: tuple[int, ...] | None = None
    """Domains whose real images this evaluator reads, by index; None: all that a client holds."""
    classes: tuple[tuple[str, ...], ...] = ()
    """Names of each domain's classes; empty: those of the images that it reads."""
    class_counts: tuple[tuple[int, ...], ...] = ()
    """Training images of each domain's classes; empty: all classes have some."""
    scores: Mapping[Score, int] | None = None
    """What to compute, each from how many generated images; None: what every round has, from `num_images`."""
    models_from: str = "aggregator"
    """Role of the parties that send it models, as traffic is counted."""
    weights: Weights = "average"
    """Which of the generators' weights it reads from checkpoints."""
    config: Config | None = None
    """The run's, which the site of a domain is asked about before the evaluator reads it; None: it is not asked."""

    def scores_of(self, round_number: int) -> Mapping[Score, int]:
        """What a round (from 0) gets."""
        scores = dict.fromkeys(every_round(), self.num_images) if self.scores is None else self.scores
        if self.last_round in (None, round_number):
            return scores
        return {score: count for score, count in scores.items() if score.asked_by is None}


@dataclass(frozen=True)
class ModelTask:
    """One model to score: which domains its clients hold (by index)."""

    cluster: int
    """Its identity."""
    name: str
    """What people call it: `cluster-0`."""
    domains: tuple[int, ...]
    file: str | None = None
    """The model's networks in the round's checkpoint: read where an average was lost with its aggregator."""

    @property
    def words(self) -> str:
        """Its name in a sentence: `cluster 0`."""
        return self.name.replace("-", " ")


def model_tasks(
    served: Mapping[int, int], domains: Mapping[int, int], kind: str, folder: Path | None = None
) -> list[ModelTask]:
    """The models in order, each with the domains of its clients.

    Args:
        served: client -> the model that serves it.
        domains: client -> index of its domain.
        kind: what models are called: `cluster`.
        folder: the round's checkpoint; None: not needed.
    """
    held: dict[int, set[int]] = {}
    for client, model in served.items():
        held.setdefault(model, set()).add(domains[client])
    names = {model: f"{kind}-{model}" for model in sorted(held)}
    files = {model: str(folder / model_file(name)) if folder else None for model, name in names.items()}
    return [ModelTask(m, name, tuple(sorted(held[m])), files[m]) for m, name in names.items()]


class Evaluator(Party):
    """Trains (or finds) one classifier a domain, then scores generators with it."""

    def __init__(self, plan: EvaluatorPlan) -> None:
        self._plan = plan
        self._names = domain_names(plan.data)
        self._here = plan.data.held if plan.here is None else plan.here
        self._classes = dict(enumerate(plan.classes))
        self._told: set[str] = set()

    def evaluate(
        self,
        round_number: int,
        tasks: Sequence[ModelTask],
        generators: Sequence[Sequence[BlockAverage | Lost]],
    ) -> Evaluation:
        """Scores and pictures of one round.

        Args:
            round_number: from 0; the scores' seed follows from it.
            tasks: the models.
            generators: for each of them all blocks of its averaged generator.
        """
        started = time.perf_counter()
        leave_gone_folder()
        scores: list[DomainScores] = []
        pictures: list[str] = []
        faults: list[str] = []
        with self._collecting(faults):
            for task, blocks in zip(tasks, generators, strict=True):
                try:
                    sample = self._sampler(task, blocks, round_number)
                    scores += [
                        self._score(task.cluster, index, sample, round_number)
                        for index in task.domains
                        if index in self._here
                    ]
                    pictures += self._draw(round_number, task, sample)
                except InputError as error:  # a generator that has diverged: a finding, not the run's end
                    faults.append(f"round {round_number + 1}, {task.words} is not scored: {error}")
                except OSError as error:  # a full disk: what must be written will say so
                    faults.append(f"round {round_number + 1}, {task.words} has no picture: {error}")
            real = self._real
        seconds = time.perf_counter() - started
        traffic = _traffic_to(self._plan.models_from, generators)
        return Evaluation(round_number, tuple(scores), tuple(pictures), seconds, real, tuple(faults), traffic)

    def merge(self, parts: Sequence[Evaluation | Lost]) -> Evaluation | Lost:
        """One record of what several evaluators, each at its site, found in one round."""
        found = [part for part in parts if isinstance(part, Evaluation)]
        if len(found) < len(parts):
            return next(part for part in parts if isinstance(part, Lost))
        return Evaluation(
            round=found[0].round,
            scores=tuple(score for part in found for score in part.scores),
            samples=tuple(name for part in found for name in part.samples),
            seconds=max(part.seconds for part in found),
            real=tuple(score for part in found for score in part.real),
            faults=tuple(dict.fromkeys(fault for part in found for fault in part.faults)),
            traffic=Traffic(tuple(count for part in found if part.traffic for count in part.traffic.counts)),
        )

    def prepare(self) -> None:
        """Trains the classifiers of its domains, so that the first round's scores do not wait for them."""
        if self._here:
            assert self._references

    @cached_property
    def _references(self) -> dict[int, Reference]:
        """By the index of the domain."""
        plan, real = self._plan, {}
        for index in self._here:
            name, domain = self._names[index], plan.data.domains[index]
            if plan.config is not None:
                Request(plan.config, index, "scores").admitted()
            classes = plan.classes[index] if plan.classes else None
            train = image_set(domain, plan.data, plan.shape, "train", classes)
            test = image_set(domain, plan.data, plan.shape, "test", classes)
            parts = train.images, train.labels, test.images, test.labels
            real[index] = RealDomain(name, *parts, len(train.classes))
            self._classes[index] = train.classes
        forget_domains()
        return {
            index: Reference(d, load_or_train(plan.cache, d.train_images, d.train_labels, d.num_classes))
            for index, d in real.items()
        }

    @cached_property
    def _real(self) -> tuple[DomainScores, ...]:
        scores = list(self._plan.scores_of(0))
        return tuple(
            DomainScores(
                domain_index=index,
                cluster=None,
                num_images=len(reference.real.test_images),
                values=scoring.score_real(reference, scores),
            )
            for index, reference in self._references.items()
        )

    def _sampler(self, task: ModelTask, blocks: Sequence[BlockAverage | Lost], round_number: int) -> Sample:
        plan = self._plan
        there = [block for block in blocks if not isinstance(block, Lost)]
        states = {a.block[1]: weights_in(a.state) if a.block[0] == "average" else a.state for a in there}
        if len(states) < len(blocks):
            if task.file is None:
                found = f"an average of round {round_number + 1} was lost and it has no checkpoint"
                raise RunError("evaluation", found, "set checkpoints.every to 1")
            states = generator_states(Path(task.file), plan.weights)
        generator = load_generator(plan.spec, plan.blocks, states)
        return lambda labels: sample_images(generator, plan.spec, labels, torch.default_generator)

    def _score(self, cluster: int, index: int, sample: Sample, round_number: int) -> DomainScores:
        plan = self._plan
        seed = torch_seed(plan.seed, "evaluation", round_number)
        values = scoring.score(self._references[index], sample, plan.scores_of(round_number), seed)
        return DomainScores(index, cluster, plan.num_images, values)

    def _draw(self, round_number: int, task: ModelTask, sample: Callable[[Tensor], Tensor]) -> list[str]:
        if self._plan.samples is None:
            return []
        classes = label_names([self._classes[index] for index in task.domains])
        held = self._held(task, len(classes))
        rows = [held[place] for place in rows_of_a_screen(len(held), self._plan.shape.image_size)]
        labels = torch.tensor(rows).repeat_interleave(SAMPLES_PER_CLASS)
        name = f"round-{round_number + 1:04d}-{task.name}.png"
        names = ", ".join(self._names[index] for index in task.domains)
        title = f"round {round_number + 1}, {task.words}: {names}{of_classes(rows, len(held))}"
        with torch.random.fork_rng(devices=[]):
            # The same z in every round: the pictures of a cluster show one sample growing up.
            torch.default_generator.manual_seed(torch_seed(self._plan.seed, "pictures"))
            images = sample(labels)
        sample_grid(images, labels, Path(self._plan.samples) / name, classes, title, SAMPLES_PER_CLASS)
        if (hearing := hearing_of(self._plan.data.domains[index] for index in task.domains)) is not None:
            first = images[: MAX_CLIPS * SAMPLES_PER_CLASS : SAMPLES_PER_CLASS]
            sound = wav_file(waves(as_uint8(first)[:, 0].numpy(), hearing), hearing.sample_rate)
            replace_file((Path(self._plan.samples) / name).with_suffix(".wav"), sound)
        return [name]

    def _held(self, task: ModelTask, num_classes: int) -> list[int]:
        """Labels of which a model's domains have training images: of others it has learnt nothing."""
        counts = [self._plan.class_counts[index] for index in task.domains] if self._plan.class_counts else []
        return [
            label
            for label in range(num_classes)
            if not counts or any(label < len(own) and own[label] for own in counts)
        ]

    @contextmanager
    def _collecting(self, faults: list[str]) -> Iterator[None]:
        """Warnings become faults of the record, each once in a run: nobody reads an actor's standard error."""
        with warnings.catch_warnings(record=True) as caught:
            warnings.simplefilter("always", UserWarning)
            yield
        texts = dict.fromkeys(str(entry.message) for entry in caught if entry.category is UserWarning)
        faults += [text for text in texts if text not in self._told]
        self._told |= set(texts)


def _traffic_to(source: str, generators: Sequence[Sequence[BlockAverage | Lost]]) -> Traffic:
    counter = TrafficCounter()
    for average in (average for blocks in generators for average in blocks):
        if not isinstance(average, Lost):
            counter.add(source, "evaluator", "BlockAverage", num_bytes(average))
    return counter.take()


def load_generator(
    spec: NetworkSpec, blocks: str | None, states: Mapping[int, Mapping[str, np.ndarray]]
) -> list[nn.Module]:
    """The whole generator, ready to sample (BatchNorm uses its running statistics).

    Raises:
        RunError: the states are another network's.
    """
    network = build_networks(spec, blocks, 0).generator
    try:
        for index, state in states.items():
            load_block_state(network[index], dict(state))
    except (RuntimeError, IndexError):  # torch's words for shapes or blocks that differ
        found = "the checkpoint's networks are not those of its config.yaml"
        raise RunError("the run", found, "put config.yaml back as the run wrote it") from None
    return [block.eval() for block in network]


def sample_images(generator: Sequence[nn.Module], spec: NetworkSpec, labels: Tensor, latent: torch.Generator) -> Tensor:
    """Images (N, C, S, S) float32 in [-1, 1] for labels (N,), in batches."""
    with torch.inference_mode():
        return torch.cat(
            [
                run_blocks(generator, torch.randn(len(part), spec.latent_size, generator=latent), part)
                for part in labels.split(BATCH)
            ]
        ).contiguous()
