"""A run on disk: metrics, generators and samples."""

from __future__ import annotations

from functools import cached_property
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
import torch

from raygan.actors.aggregator import cluster_file, generator_states
from raygan.actors.evaluator import load_generator, sample_images
from raygan.config import Config
from raygan.config.loading import read_config
from raygan.data import CommonShape, DomainInfo, common_shape, describe_domain
from raygan.errors import RunError
from raygan.nn.network import network_spec
from raygan.nn.spec import NetworkSpec
from raygan.storage import read_json, read_json_lines
from raygan.training.folder import RunFolder, checkpoint_is_whole


class Generator:
    """A cluster's generator, ready to sample."""

    def __init__(self, spec: NetworkSpec, blocks: list[torch.nn.Module]) -> None:
        self._spec, self._blocks = spec, blocks

    @property
    def num_classes(self) -> int:
        """Labels that it knows: 0 to num_classes - 1."""
        return self._spec.num_classes

    def sample(self, labels: list[int] | np.ndarray, seed: int = 0) -> np.ndarray:
        """Images for labels (N,): float32 (N, C, S, S) in [-1, 1]; the same seed gives the same images.

        Raises:
            RunError: a label that the networks do not know.
        """
        wanted = torch.as_tensor(np.asarray(labels), dtype=torch.int64)
        if len(wanted) and not 0 <= int(wanted.min()) <= int(wanted.max()) < self.num_classes:
            found = f"labels from {int(wanted.min())} to {int(wanted.max())}"
            raise RunError("labels", found, f"give labels from 0 to {self.num_classes - 1}")
        return sample_images(self._blocks, self._spec, wanted, torch.Generator().manual_seed(seed)).numpy()


class Run:
    """A run's folder, read back."""

    def __init__(self, folder: RunFolder, config: Config) -> None:
        self.path, self.config = folder.path, config
        self._folder = folder

    @classmethod
    def load(cls, path: str | Path) -> Run:
        """Opens a run's folder.

        Raises:
            RunError: there is no run in it.
        """
        folder = RunFolder(Path(path))
        if not folder.config_file.exists():
            raise RunError(
                str(path), "no config.yaml, so this is not a run's folder", "give the folder of a run"
            )
        return cls(folder, read_config(folder.config_file))

    @cached_property
    def metrics(self) -> pd.DataFrame:
        """One row a round (`metrics.jsonl`)."""
        return pd.DataFrame(read_json_lines(self._folder.metrics_file))

    @cached_property
    def clusters(self) -> pd.DataFrame:
        """One row a round and client: cluster, KLD, weights (`clusters.jsonl`)."""
        rows = read_json_lines(self._folder.clusters_file)
        return pd.DataFrame(
            {"round": row["round"], "client": int(client), **entry}
            for row in rows
            for client, entry in row["clients"].items()
        )

    @property
    def summary(self) -> dict[str, Any]:
        """`summary.json`.

        Raises:
            RunError: the run has not ended.
        """
        return read_json(self._folder.summary_file)

    @property
    def ended(self) -> bool:
        """Whether all of its rounds are done."""
        return self._folder.summary_file.exists()

    @property
    def samples(self) -> list[Path]:
        """The pictures, in the order of rounds and clusters."""
        return sorted(self._folder.samples.glob("*.png"))

    @property
    def rounds(self) -> list[int]:
        """Rounds (from 1) that have a whole checkpoint."""
        paths = sorted(self._folder.checkpoints.glob("round-*"))
        return [int(path.name.removeprefix("round-")) for path in paths if checkpoint_is_whole(path)]

    def kept_round(self, round_number: int | None = None) -> int:
        """The round itself if it has a whole checkpoint; None: the last that has.

        Raises:
            RunError: no whole checkpoint of that round.
        """
        kept = self.rounds
        number = round_number if round_number is not None else (kept[-1] if kept else 0)
        if number not in kept:
            have = ", ".join(map(str, kept)) or "none"
            raise RunError(str(self.path), f"no whole checkpoint of round {number}", f"choose one of: {have}")
        return number

    def membership(self, round_number: int) -> dict[int, int]:
        """Client -> cluster at the end of a kept round."""
        clusters = read_json(self._checkpoint(round_number) / "manifest.json")["clusters"]
        return {int(client): cluster for client, cluster in clusters.items()}

    @property
    def domain_of(self) -> dict[int, int]:
        """Client -> index of its domain."""
        domains = self.config.data.domains
        return dict(enumerate(i for i, domain in enumerate(domains) for _ in range(domain.clients)))

    def generators(self, round_number: int | None = None) -> dict[int, Generator]:
        """Cluster -> generator of a round (from 1); None: the last.

        Raises:
            RunError: no whole checkpoint of that round.
        """
        number = self.kept_round(round_number)
        return {cluster: self.generator(cluster, number) for cluster in self._clusters(number)}

    def generator(self, cluster: int, round_number: int | None = None) -> Generator:
        """One cluster's generator of a round (from 1); None: the last.

        Raises:
            RunError: no whole checkpoint of that round, or no such cluster in it.
        """
        states = self.generator_states(self.kept_round(round_number), cluster)
        return Generator(self.spec, load_generator(self.spec, self.config.model.blocks, states))

    def generator_states(self, round_number: int, cluster: int) -> dict[int, dict[str, np.ndarray]]:
        """Block -> parameters and buffers of a cluster's generator in a kept round.

        Raises:
            RunError: no such cluster in that round.
        """
        known = self._clusters(round_number)
        if cluster not in known:
            found = f"no cluster {cluster} in round {round_number}"
            raise RunError(str(self.path), found, f"choose one of: {', '.join(map(str, known))}")
        return generator_states(self._checkpoint(round_number) / cluster_file(cluster))

    def _clusters(self, round_number: int) -> list[int]:
        files = self._checkpoint(round_number).glob("cluster-*.safetensors")
        return sorted(int(file.stem.removeprefix("cluster-")) for file in files)

    def _checkpoint(self, round_number: int) -> Path:
        return self._folder.checkpoints / f"round-{round_number:04d}"

    @cached_property
    def infos(self) -> list[DomainInfo]:
        """What is known of each domain.

        Raises:
            DataError: the run's data is not where it was.
        """
        return [describe_domain(domain, self.config.data) for domain in self.config.data.domains]

    @cached_property
    def shape(self) -> CommonShape:
        """The form of all images."""
        return common_shape(self.config.model, self.infos)

    @cached_property
    def spec(self) -> NetworkSpec:
        """What the networks were built from."""
        return network_spec(self.config.model, self.shape.channels, self.shape.num_classes)
