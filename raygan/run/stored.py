"""A run on disk: metrics, generators and samples."""

from __future__ import annotations

import copy
from collections.abc import Iterable, Mapping
from functools import cached_property
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np
import torch

from raygan.algorithms import algorithm_of
from raygan.config import Config
from raygan.data import CommonShape, DomainInfo, common_shape, domain_names
from raygan.data.classes import label_names
from raygan.data.loaders.recordings import Hearing
from raygan.data.sound import hearing_of
from raygan.errors import RunError
from raygan.names import BlockState, Weights
from raygan.nn.network import GeneratorModule, network_spec
from raygan.nn.spec import NetworkSpec
from raygan.packed import read_packed
from raygan.parties.aggregator import generator_states, model_file
from raygan.parties.base import client_file
from raygan.parties.evaluator import load_generator, sample_images
from raygan.run.checkpoints import MODEL_FILE, Checkpoints
from raygan.run.folder import RunFolder
from raygan.run.metrics import flat
from raygan.run.view import as_html, in_a_line
from raygan.storage import block_states, read_arrays

if TYPE_CHECKING:
    import pandas as pd


class Generator:
    """A cluster's generator, ready to sample."""

    def __init__(self, spec: NetworkSpec, blocks: list[torch.nn.Module]) -> None:
        self._spec, self._blocks = spec, blocks

    @property
    def num_classes(self) -> int:
        """Labels that it knows: 0 to num_classes - 1."""
        return self._spec.num_classes

    @property
    def image_size(self) -> int:
        """Height and width of its images, pixels."""
        return self._spec.image_size

    def module(self) -> torch.nn.Module:
        """A copy as a plain module, in evaluation mode on the CPU: z float32 (B, Z), standard normal, and labels int64
        (B,) to images float32 (B, C, S, S) in [-1, 1]. `raygan export` writes it to a file."""
        return GeneratorModule(*copy.deepcopy(self._blocks)).eval()

    def sample(self, labels: list[int] | np.ndarray, seed: int = 0) -> np.ndarray:
        """Images for labels (N,): float32 (N, C, S, S) in [-1, 1]; the same seed gives the same images.

        Raises:
            RunError: a label that the networks do not know.
        """
        given = np.asarray(labels)
        if given.ndim != 1:
            raise RunError("labels", f"numbers of shape {given.shape}", "give a list of labels, such as [0, 1, 2]")
        if not (isinstance(seed, (int, np.integer)) and -(2**63) <= seed < 2**63):
            raise RunError("seed", repr(seed), "give a whole number of 64 bits")
        if len(given) and given.dtype.kind not in "iu":
            raise RunError("labels", f"{given.dtype} numbers", "give whole numbers")
        wanted = torch.as_tensor(given, dtype=torch.int64)
        if len(wanted) and not 0 <= int(wanted.min()) <= int(wanted.max()) < self.num_classes:
            first, last = int(wanted.min()), int(wanted.max())
            found = f"labels from {first} to {last}" if first < last else f"label {first}"
            raise RunError("labels", found, f"give labels from 0 to {self.num_classes - 1}")
        return sample_images(self._blocks, self._spec, wanted, torch.Generator().manual_seed(int(seed))).numpy()


class Run:
    """A run's folder, read back."""

    def __init__(self, folder: RunFolder, config: Config) -> None:
        self.path, self.config = folder.path, config
        self._folder, self._checkpoints = folder, Checkpoints(folder.checkpoints, config.checkpoints)

    @classmethod
    def load(cls, path: str | Path) -> Run:
        """Opens a run's folder.

        Raises:
            RunError: there is no run in it.
        """
        folder = RunFolder(Path(path))
        if not folder.config_file.exists():
            found = "no config.yaml, so this is not a run's folder"
            raise RunError(str(path), found, "give the folder of a run")
        return cls(folder, folder.config())

    def __repr__(self) -> str:
        """The folder and how far the run has come; of a run whose files are damaged the folder alone."""
        try:
            return f"<raygan.Run {str(self.path)!r}: {in_a_line(self)}>"
        except RunError:
            return f"<raygan.Run {str(self.path)!r}>"

    def _repr_html_(self) -> str | None:
        """The same with the last scores and pictures, for notebooks; None: they show the other."""
        try:
            return as_html(self)
        except (RunError, OSError):
            return None

    @cached_property
    def metrics(self) -> pd.DataFrame:
        """One row a round: every number of `metrics.jsonl` in a column of its own, scores as `DOMAIN/label_agreement`."""
        return _table([flat(line) for line in self._folder.metrics()])

    @cached_property
    def records(self) -> pd.DataFrame:
        """One row a round, with mappings and lists as `metrics.jsonl` has them."""
        return _table(self._folder.metrics())

    @cached_property
    def clusters(self) -> pd.DataFrame:
        """One row a round and client: cluster, KLD, weights (`clusters.jsonl`)."""
        rows = self._folder.records("clusters")
        return _table(
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
        return self._folder.summary()

    @property
    def ended(self) -> bool:
        """Whether all rounds of its configuration are done, or all that clients' privacy budgets allow. A summary that
        was cut off is written again, so it does not count."""
        try:
            found = self._folder.summary()
            return bool(found["rounds"] >= self.config.training.rounds or found.get("budgets_spent"))
        except RunError:
            return False

    @property
    def samples(self) -> list[Path]:
        """The pictures, in the order of rounds and clusters; what lies behind a link is none of the run's."""
        if self._folder.samples.is_symlink():
            return []
        return sorted(file for file in self._folder.samples.glob("*.png") if file.is_file() and not file.is_symlink())

    @property
    def rounds(self) -> list[int]:
        """Rounds (from 1) whose networks are kept and undamaged."""
        return [c.round + 1 for c in self._checkpoints.stored() if c.damage() is None]

    def kept_round(self, round_number: int | None = None) -> int:
        """The round itself if its networks are kept; None: the last that has them.

        Raises:
            RunError: the round is not kept, is damaged, or was never trained.
        """
        stored = {checkpoint.round + 1: checkpoint for checkpoint in self._checkpoints.stored()}
        if round_number is None:
            last = next((number for number in reversed(stored) if stored[number].damage() is None), None)
            if last is None:
                remedy = "train at least one round, or use another run"
                raise RunError(str(self.path), "no round is kept", remedy)
            return last
        if round_number in stored:
            damage = stored[round_number].damage()
            if damage is None:
                return round_number
            found = f"the checkpoint of round {round_number} cannot be used ({damage})"
        elif 0 < round_number <= len(self._folder.metrics()):
            found = f"round {round_number} was not kept"
        else:
            found = f"there is no round {round_number}"
        have = ", ".join(map(str, self.rounds)) or "none"
        raise RunError(str(self.path), found, f"choose one of: {have}")

    def membership(self, round_number: int) -> dict[int, int]:
        """Client -> cluster at the end of a kept round.

        Raises:
            RunError: of clients that the run's configuration does not know.
        """
        clusters = dict(self._checkpoints.of(round_number - 1).manifest().clusters)
        if not clusters.keys() <= self.domain_of.keys():
            found = f"its round {round_number} has clients that its config.yaml has not"
            raise RunError(str(self.path), found, "put config.yaml back as the run wrote it")
        return clusters

    @property
    def domain_of(self) -> dict[int, int]:
        """Client -> index of its domain, of all that there ever were."""
        return {member.client: member.domain for member in self.config.data.everybody}

    @property
    def domain_names(self) -> list[str]:
        """By index."""
        return domain_names(self.config.data)

    def first_model(self, round_number: int) -> int:
        """The lowest number among the models that serve clients in a kept round; errors as `membership`."""
        return min(self.membership(round_number).values())

    def domains_of(self, model: int, round_number: int) -> list[int]:
        """Indices of the domains of a model's clients in a kept round; errors as `membership`."""
        members = self.membership(round_number).items()
        return sorted({self.domain_of[client] for client, number in members if number == model})

    def class_names(self, model: int, round_number: int) -> list[str]:
        """Names of the labels that a model's clients hold (`label_names`)."""
        held = self.domains_of(model, round_number)
        return label_names([self.infos[index].classes for index in held] or [info.classes for info in self.infos])

    def hearing(self, model: int, round_number: int) -> Hearing | None:
        """How what a model generates can be heard; None: its clients' domains are no recordings."""
        domains = self.config.data.domains
        held = self.domains_of(model, round_number) or range(len(domains))
        return hearing_of(domains[index] for index in held)

    def generators(self, round_number: int | None = None, weights: Weights | None = None) -> dict[int, Generator]:
        """Cluster -> generator of a round; arguments and errors as `generator`."""
        number = self.kept_round(round_number)
        return {cluster: self.generator(cluster, number, weights) for cluster in self.models(number)}

    def generator(self, cluster: int, round_number: int | None = None, weights: Weights | None = None) -> Generator:
        """One cluster's generator of a round.

        Args:
            round_number: from 1; None: the last.
            weights: as for `generator_states`.

        Raises:
            RunError: no whole checkpoint of that round, no such cluster in it, or networks of another form.
        """
        states = self.generator_states(self.kept_round(round_number), cluster, weights)
        blocks = load_generator(self.spec, self.config.model.blocks, states)
        return Generator(self.spec, list(GeneratorModule(*blocks).contiguous()))

    def generator_states(
        self, round_number: int, cluster: int, weights: Weights | None = None
    ) -> dict[int, BlockState]:
        """Block -> parameters and buffers of a cluster's generator in a kept round.

        Args:
            weights: their `average`, where the run has kept one, or the `last`; None: as `evaluation.weights` says.

        Raises:
            RunError: no such cluster in that round.
        """
        return generator_states(self._model_file(round_number, cluster), weights or self.config.evaluation.weights)

    def discriminator_states(self, round_number: int, model: int) -> dict[int, dict[str, np.ndarray]]:
        """Block -> parameters and buffers of a model's discriminator in a kept round; empty: its file has none.

        Raises:
            RunError: no such model in that round.
        """
        return block_states(read_arrays(self._model_file(round_number, model)), "discriminator")

    def client_arrays(self, round_number: int, client: int) -> dict[str, np.ndarray]:
        """What a client's file has in a kept round, by name.

        Raises:
            RunError: the round was thinned out to its models.
        """
        checkpoint = self._checkpoints.of(round_number - 1)
        name = checkpoint.manifest().sources(self.model_kind, {}, [client])[client]
        if not name:
            found = f"round {round_number} was thinned out to its models: it has no state of client {client}"
            raise RunError(str(self.path), found, "choose one of the last rounds")
        if name == client_file(client):
            return read_arrays(checkpoint.path / name)
        ((_, arrays),) = read_packed(checkpoint.path / name, [client])
        return arrays

    def _model_file(self, round_number: int, model: int) -> Path:
        known = self.models(round_number)
        if model not in known:
            found = f"no cluster {model} in round {round_number}"
            raise RunError(str(self.path), found, f"choose one of: {', '.join(map(str, known))}")
        return self._checkpoints.of(round_number - 1).path / model_file(f"{self.model_kind}-{model}")

    @property
    def model_kind(self) -> str:
        """What files call the models of its algorithm: `cluster`."""
        return algorithm_of(self.config.algorithm).model_kind

    def models(self, round_number: int) -> list[int]:
        """Numbers of the clusters (or other models) that a kept round has, ascending."""
        files = self._checkpoints.of(round_number - 1).manifest().files
        return sorted(int(match[2]) for name in files if (match := MODEL_FILE.fullmatch(name)))

    @cached_property
    def infos(self) -> list[DomainInfo]:
        """What is known of each domain, though its data may be elsewhere by now: it is not looked at.

        Raises:
            RunError: the run's file of it is missing or damaged, or is of another configuration.
        """
        infos = self._folder.infos()
        if len(infos) < len(self.config.data.domains):
            found = f"has {len(infos)} domains, config.yaml {len(self.config.data.domains)}"
            raise RunError(str(self._folder.domains_file), found, "put both back as the run wrote them")
        return infos[: len(self.config.data.domains)]  # one that was to join may be there already

    @property
    def classes(self) -> dict[str, tuple[str, ...]]:
        """Domain -> a name for each of its labels; errors as `infos`."""
        names = domain_names(self.config.data)
        return {name: info.classes for name, info in zip(names, self.infos, strict=True)}

    @cached_property
    def shape(self) -> CommonShape:
        """The form of all images."""
        return common_shape(self.config.model, self.infos)

    @cached_property
    def spec(self) -> NetworkSpec:
        """What the networks were built from."""
        private = self.config.privacy.dp is not None
        return network_spec(self.config.model, self.shape.channels, self.shape.num_classes, private)


def _table(rows: Iterable[Mapping[str, Any]]) -> pd.DataFrame:
    """A column for each key. pandas is imported when the first table is asked for: training does without it."""
    import pandas as pd

    return pd.DataFrame(rows)
