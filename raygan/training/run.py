"""A run on disk: metrics, generators and samples."""

from __future__ import annotations

from functools import cached_property
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
import torch

from raygan.actors.evaluator import load_generator, sample_images
from raygan.config import Config
from raygan.config.loading import read_config
from raygan.data import common_shape, describe_domain
from raygan.errors import RunError
from raygan.nn.network import network_spec
from raygan.nn.spec import NetworkSpec
from raygan.storage import read_arrays, read_json, read_json_lines
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
    def samples(self) -> list[Path]:
        """The pictures, in the order of rounds and clusters."""
        return sorted(self._folder.samples.glob("*.png"))

    @property
    def rounds(self) -> list[int]:
        """Rounds (from 1) that have a whole checkpoint."""
        paths = sorted(self._folder.checkpoints.glob("round-*"))
        return [int(path.name.removeprefix("round-")) for path in paths if checkpoint_is_whole(path)]

    def generators(self, round_number: int | None = None) -> dict[int, Generator]:
        """Cluster -> generator of a round (from 1); None: the last.

        Raises:
            RunError: no whole checkpoint of that round.
        """
        kept = self.rounds
        number = round_number or (kept[-1] if kept else 0)
        if number not in kept:
            have = ", ".join(map(str, kept)) or "none"
            raise RunError(str(self.path), f"no whole checkpoint of round {number}", f"choose one of: {have}")
        folder = self._folder.checkpoints / f"round-{number:04d}"
        files = sorted(folder.glob("cluster-*.safetensors"))
        return {int(file.stem.removeprefix("cluster-")): self._generator(file) for file in files}

    def _generator(self, file: Path) -> Generator:
        states: dict[int, dict[str, np.ndarray]] = {}
        for name, array in read_arrays(file).items():
            network, index, key = name.split(".", 2)
            if network == "generator":
                states.setdefault(int(index), {})[key] = array
        return Generator(self._spec, load_generator(self._spec, self.config.model.blocks, states))

    @cached_property
    def _spec(self) -> NetworkSpec:
        data = self.config.data
        shape = common_shape(self.config.model, [describe_domain(domain, data) for domain in data.domains])
        return network_spec(self.config.model, shape.channels, shape.num_classes)
