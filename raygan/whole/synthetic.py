"""A server that has every client's generator once, and mixes synthetic images for each client from the others'."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from pathlib import Path

import numpy as np
import torch

from raygan.config.schema import Config, PflGanConfig
from raygan.evaluation.classifier import train_classifier
from raygan.federated import Floats
from raygan.federated.affinity import gaussian_kl, mixing_weights
from raygan.parties.base import Server
from raygan.parties.evaluator import load_generator, sample_images
from raygan.parties.layout import ClientPlan, Layout
from raygan.randomness import stream, torch_seed
from raygan.storage import read_arrays, write_arrays
from raygan.wire.codec import CPU
from raygan.wire.records import ClassCounts, Fakes, Lost, State, StepId, Written

SERVER_FILE = "server.safetensors"
Synthetic = tuple[np.ndarray, np.ndarray]
"""float32 (N, C, S, S) in [-1, 1], and labels int64 (N,)."""


class SyntheticServer(Server):
    """Keeps nothing but the weights of its mixtures."""

    def __init__(self, layout: Layout[ClientPlan], config: Config, device: torch.device = CPU) -> None:
        self._layout, self._config = layout, config
        self._settings = config.pfl_gan or PflGanConfig()
        self._weights: Floats = np.zeros((0, 0))

    def begin_round(self, round_number: int) -> None:
        """Nothing: it has a part in one round's end alone."""

    def mix(self, generators: Sequence[State | Lost], counts: Sequence[ClassCounts | Lost]) -> list[Fakes]:
        """For each worker of the layout, its clients' mixtures; who gave no generator gets none.

        Args:
            generators: of each client, as `counts` in the order of their numbers.
            counts: how many images of each class it holds: the labels that its generator is asked for.
        """
        sets = {
            client: self._made(client, state, held)
            for client, state, held in zip(self._layout.ids, generators, counts, strict=True)
            if isinstance(state, State) and isinstance(held, ClassCounts) and held.counts
        }
        mixtures = self._mixtures(sets) if len(sets) > 1 else {}
        records = []
        for plan in self._layout.workers:
            mine = {client: mixtures[client] for client in plan.ids if client in mixtures}
            images = {client: (images,) for client, (images, _) in mine.items()}
            records.append(Fakes(StepId(0, 0), images, {client: (labels,) for client, (_, labels) in mine.items()}))
        return records

    def save(self, folder: str) -> Written:
        """Writes the weights."""
        return write_arrays(Path(folder) / SERVER_FILE, {"weights": self._weights})

    def restore(self, folder: str, serves: Mapping[int, int]) -> None:
        """The inverse of `save`."""
        self._weights = read_arrays(Path(folder) / SERVER_FILE)["weights"]

    def _made(self, client: int, state: State, held: ClassCounts) -> Synthetic:
        """What a client's generator makes, of its classes in their proportions."""
        spec, seed = self._layout.spec, self._config.seed
        blocks = {index: block for (_, index), block in state.blocks.items()}
        generator = load_generator(spec, self._config.model.blocks, blocks)
        classes, shares = np.array(list(held.counts)), np.array(list(held.counts.values()), dtype=float)
        rng = stream(seed, "synthetic_labels", client)
        labels = rng.choice(classes, self._settings.synthetic_images, p=shares / shares.sum())
        latent = torch.Generator().manual_seed(torch_seed(seed, "synthetic_latent", client))
        return sample_images(generator, spec, torch.from_numpy(labels), latent).numpy(), labels

    def _mixtures(self, sets: dict[int, Synthetic]) -> dict[int, Synthetic]:
        """Client -> others' images, drawn by how alike they are in the features of a classifier of all of them."""
        images, labels = (np.concatenate([one[part] for one in sets.values()]) for part in (0, 1))
        classifier = train_classifier(images, labels, self._layout.spec.num_classes, seed=self._config.seed)
        features = [classifier.features(one).double().numpy() for one, _ in sets.values()]
        self._weights = mixing_weights(gaussian_kl(features), self._settings.temperature)
        clients, count = list(sets), self._settings.synthetic_images
        mixtures: dict[int, Synthetic] = {}
        for client, weights in zip(clients, self._weights, strict=True):
            rng = stream(self._config.seed, "mixture", client)
            sources, rows = rng.choice(len(clients), count, p=weights), rng.integers(count, size=count)
            drawn = [(sets[clients[source]], row) for source, row in zip(sources, rows, strict=True)]
            mixtures[client] = np.stack([s[0][row] for s, row in drawn]), np.stack([s[1][row] for s, row in drawn])
        return mixtures
