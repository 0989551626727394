"""The shared body: the server's middle blocks of both networks, merged over all clients, and the clustering."""

from __future__ import annotations

import time
from collections import deque
from collections.abc import Mapping, Sequence
from dataclasses import replace
from pathlib import Path
from typing import ClassVar, TypeVar

import numpy as np
import torch
from torch import Tensor, nn

from raygan.config.schema import Config
from raygan.federated.assignment import cluster_and_weigh
from raygan.names import BlockKey, NetworkName
from raygan.nn.average import averaged_blocks, weight_average
from raygan.nn.network import (
    adam,
    block_state,
    build_networks,
    frozen,
    gradient_norm,
    has_gradients,
    is_finite,
    load_block_state,
)
from raygan.nn.persistence import average_arrays, load_average, load_network_arrays, network_arrays
from raygan.parties.base import Server
from raygan.randomness import torch_seed
from raygan.simulation.emulation import Pacer
from raygan.split.contract import Contract
from raygan.split.layout import Layout
from raygan.split.merged import MergedPass
from raygan.step import Crossing, Pass
from raygan.storage import read_arrays, write_arrays
from raygan.wire.codec import CPU, decode, encode
from raygan.wire.contract import enforce
from raygan.wire.records import (
    Activations,
    Assignment,
    BlockAverage,
    BodyReport,
    Gradients,
    Lost,
    State,
    StepId,
    Traffic,
    WirePart,
    Written,
    num_bytes,
)
from raygan.wire.statistics import Mean
from raygan.wire.traffic import TrafficCounter

Sent = TypeVar("Sent", Activations, Gradients)
BODY_FILE = "body.safetensors"


class SharedBody(Server):
    """The server's side of every pass, stage by stage, and of a round's end."""

    merges: ClassVar[frozenset[str]] = frozenset({"forward", "backward"})

    def __init__(self, layout: Layout, config: Config, device: torch.device = CPU) -> None:
        self._layout, self._config, self._device = layout, config, device
        networks = build_networks(layout.spec, config.model.blocks, torch_seed(config.seed, "networks"))
        whole = {"generator": networks.generator, "discriminator": networks.discriminator}
        self._blocks: dict[NetworkName, dict[int, nn.Module]] = {"generator": {}, "discriminator": {}}
        for network, blocks in self._blocks.items():
            mine = sorted(index for name, index in layout.body_held if name == network)
            blocks.update({index: whole[network][index].to(device) for index in mine})
        training = config.training
        self._optimizers = {
            name: adam(blocks.values(), training.lr_of(name), training.betas) for name, blocks in self._blocks.items()
        }
        self._average = weight_average(self._blocks["generator"], training)
        self._stages = layout.stages
        self._pacer = Pacer(layout.pace, "body")
        self._traffic = TrafficCounter()
        self._contract = Contract(layout, config.training.batch_size)
        self._faults: list[str] = []
        self._passes: dict[str, tuple[MergedPass, ...]] = {}
        self._maps: dict[int, deque[np.ndarray]] = {}
        self._seconds: dict[str, float] = {}
        self._absent: set[int] = set()
        self._norms: dict[str, Tensor] = {}
        self._step_started = time.perf_counter()

    def begin_round(self, round_number: int) -> None:
        """Forgets the last round's anchor features."""
        self._traffic.forget()
        self._maps = {}
        self._seconds, self._absent, self._norms = {}, set(), {}
        self._faults = []
        self._step_started = time.perf_counter()

    def forward(
        self, step: StepId, pass_name: str, stage_index: int, messages: Mapping[int, Activations | Lost]
    ) -> list[Activations]:
        """One stage of a forward pass.

        Args:
            messages: worker -> its message, of every worker that enters at the stage.

        Returns:
            One record for each worker that leaves after the stage, in the stage's order.
        """
        started = time.perf_counter()
        crossing = Crossing(pass_name, "forward")
        way = crossing.way
        stage = self._stages[way.network][stage_index]
        if stage_index == 0:
            self._passes[pass_name] = self._begin(way)
        entering = self._arrived(step, stage.entering, messages, crossing)
        leaving = self._clients_of(stage.leaving)
        blocks = self._blocks[way.network].values()
        outputs = []
        for batch, merged in enumerate(self._passes[pass_name]):
            parts = {client: decode(arrays[batch], self._device) for client, arrays in entering.items()}
            if way.body_trains:
                outputs.append(merged.forward(stage.blocks, parts, leaving))
            else:
                with frozen(blocks):
                    outputs.append(merged.forward(stage.blocks, parts, leaving))
        self._keep_maps(pass_name)
        rows = [merged.num_rows for merged in self._passes[pass_name]]
        self._pacer.hold_body(way.network, "forward", stage.blocks, rows, started)
        self._count(crossing, started)
        out = [Activations(step, arrays) for arrays in self._pack(stage.leaving, outputs)]
        return self._leaving(stage.leaving, out, crossing)

    def backward(
        self, step: StepId, pass_name: str, stage_index: int, messages: Mapping[int, Gradients | Lost]
    ) -> list[Gradients]:
        """One stage of a backward pass: the mirror image of `forward`; the body's update after the last."""
        started = time.perf_counter()
        crossing = Crossing(pass_name, "backward")
        way = crossing.way
        stage = self._stages[way.network][stage_index]
        received = self._arrived(step, stage.leaving, messages, crossing)
        rows = [merged.num_rows for merged in self._passes[pass_name]]
        outputs = []
        for batch, merged in enumerate(self._passes[pass_name]):
            parts = {client: decode(arrays[batch], self._device) for client, arrays in received.items()}
            outputs.append(merged.backward(parts))
        optimizer = self._optimizers[way.network]
        if stage_index == 0 and way.body_trains and optimizer is not None:
            trained = has_gradients(optimizer)
            self._norms[f"body_{way.network}_gradient_norm"] = gradient_norm(optimizer)
            optimizer.step()
            optimizer.zero_grad()
            if way.network == "generator" and self._average is not None and trained:
                self._average.update()
        self._pacer.hold_body(way.network, "backward", stage.blocks, rows, started)
        self._count(crossing, started)
        out = [Gradients(step, arrays) for arrays in self._pack(stage.entering, outputs)]
        return self._leaving(stage.entering, out, crossing)

    def report(self, step: StepId) -> BodyReport:
        """Ends a step: where its time went, and who was not there."""
        self._faults += self._pacer.end_step(step)
        now = time.perf_counter()
        norms = torch.stack(list(self._norms.values())).tolist() if self._norms else []
        statistics = {name: Mean(norm, 1) for name, norm in zip(self._norms, norms, strict=True)}
        absent, step_s = tuple(sorted(self._absent)), now - self._step_started
        report = BodyReport(step, self._seconds, absent, step_s, statistics)
        self._seconds, self._absent, self._norms, self._step_started = {}, set(), {}, now
        return report

    def assign(self, round_number: int, num_samples: Mapping[int, int]) -> Assignment | Lost:
        """Clusters and weighs the clients by their anchor features of the round.

        Args:
            num_samples: client -> training images, of every client that is there at the round's end.
        """
        features = {
            client: np.mean(np.stack(maps), axis=0) for client, maps in self._maps.items() if client in num_samples
        }
        seed, settings = self._config.seed, self._config.clusters
        assigned = cluster_and_weigh(features, num_samples, settings, seed, round_number, self._layout.domains)
        if isinstance(assigned, Lost):
            return assigned
        return replace(assigned, faults=(*assigned.faults, *self._faults))

    def state(self) -> State | Lost:
        """Parameters and buffers of the body's blocks; `Lost` where they are no longer finite."""
        blocks: dict[BlockKey, Mapping[str, np.ndarray]] = {}
        for key in self._layout.body_held:
            blocks[key] = block_state(self._block(key))
        if not is_finite(self._block(key) for key in self._layout.body_held):
            return Lost("the body's parameters are not finite", "not_finite")
        return State(0, blocks)

    def load(self, averages: Sequence[BlockAverage | Lost]) -> Lost | None:
        """Takes over the averages over all clients: all of them, or none if one is lost."""
        for average in averages:
            if isinstance(average, Lost):
                return average
        for average in averages:
            assert isinstance(average, BlockAverage)
            load_block_state(self._block(average.block), dict(average.state))
            self._traffic.add("aggregator", "body", "BlockAverage", num_bytes(average))
        return None

    def traffic(self) -> Traffic:
        """What the aggregators sent since the round began; the other links are counted at their other ends."""
        return self._traffic.take()

    def save(self, folder: str) -> Written:
        """Writes blocks, optimizers and averages."""
        arrays: dict[str, np.ndarray] = {}
        for network, blocks in self._blocks.items():
            arrays |= network_arrays(network, blocks, self._optimizers[network])
        return write_arrays(Path(folder) / BODY_FILE, arrays | average_arrays(self._average))

    def restore(self, folder: str) -> None:
        """The inverse of `save`."""
        arrays = read_arrays(Path(folder) / BODY_FILE)
        for network, blocks in self._blocks.items():
            load_network_arrays(network, blocks, self._optimizers[network], arrays)
        load_average(self._average, arrays)

    def _block(self, key: BlockKey) -> nn.Module:
        network, index = key
        return averaged_blocks(self._average)[key] if network == "average" else self._blocks[network][index]

    def _begin(self, way: Pass) -> tuple[MergedPass, ...]:
        anchor = self._layout.anchors["discriminator"]
        observe = [anchor if way.body_trains and batch == "real" else None for batch in way.batches]
        return tuple(MergedPass(self._blocks[way.network], block) for block in observe)

    def _keep_maps(self, pass_name: str) -> None:
        keep = self._config.clusters.feature_batches
        for merged in self._passes[pass_name]:
            for client, feature in merged.observed.items():
                self._maps.setdefault(client, deque(maxlen=keep)).append(feature.cpu().numpy())
            merged.observed = {}

    def _clients_of(self, workers: Sequence[int]) -> tuple[int, ...]:
        return tuple(client for worker in workers for client in self._layout.workers[worker].ids)

    def _pack(self, workers: Sequence[int], batches: list[dict[int, Tensor]]) -> list[dict[int, tuple[WirePart, ...]]]:
        """Worker by worker, what its clients are sent.

        Args:
            batches: client -> what leaves, of each of the merged batches that travel together.
        """
        clients = [
            [client for client in self._layout.workers[worker].ids if client in batches[0]] for worker in workers
        ]
        tensors = [batch[client] for group in clients for client in group for batch in batches]
        direct = self._config.ray.transport == "direct"
        parts = iter(encode(tensors, self._config.wire.codec, direct))
        return [{client: tuple(next(parts) for _ in batches) for client in group} for group in clients]

    def _leaving(self, workers: Sequence[int], records: list[Sent], crossing: Crossing) -> list[Sent]:
        """The records themselves: each holds its worker's clients only, in the form of their cuts."""
        for worker, record in zip(workers, records, strict=True):
            problem = self._contract.departure_problem(worker, crossing, record)
            enforce("body", str(crossing), problem)
        return records

    def _arrived(
        self,
        step: StepId,
        workers: Sequence[int],
        messages: Mapping[int, Activations | Lost] | Mapping[int, Gradients | Lost],
        crossing: Crossing,
    ) -> dict[int, tuple[WirePart, ...]]:
        """Client -> what everybody sent whose message of this step is there; notes who is absent."""
        arrays: dict[int, tuple[WirePart, ...]] = {}
        for worker in workers:
            message = messages[worker]
            problem = self._contract.arrival_problem(worker, crossing, message)
            if problem is not None:
                self._faults.append(f"{self._layout.workers[worker].name} sent {problem}; it was not used")
            if isinstance(message, Lost) or message.step != step or problem is not None:
                self._absent.add(worker)
            else:
                arrays |= message.arrays
        return arrays

    def _count(self, crossing: Crossing, started: float) -> None:
        name = str(crossing)
        self._seconds[name] = self._seconds.get(name, 0.0) + time.perf_counter() - started
