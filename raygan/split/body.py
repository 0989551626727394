"""The shared body: the server's middle blocks of both networks, merged over all clients, and the clustering."""

from __future__ import annotations

import time
from collections import deque
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import TypeVar

import numpy as np
import torch
from torch import Tensor, nn

from raygan.config.schema import Config
from raygan.federated.clustering import cluster_clients
from raygan.federated.weighting import kld_weights, member_kld
from raygan.nn.network import adam, block_state, build_networks, frozen, is_finite, load_block_state
from raygan.nn.persistence import load_network_arrays, network_arrays
from raygan.randomness import torch_seed
from raygan.simulation.emulation import Pacer
from raygan.split.contract import Contract, enforce
from raygan.split.layout import Layout
from raygan.split.merged import MergedPass
from raygan.storage import read_arrays, write_arrays
from raygan.wire.codec import CPU, decode, encode
from raygan.wire.records import (
    Activations,
    Assignment,
    BlockAverage,
    BlockKey,
    BodyReport,
    Gradients,
    Lost,
    NetworkName,
    State,
    StepId,
    Traffic,
    WirePart,
    Written,
    num_bytes,
)
from raygan.wire.traffic import TrafficCounter

Sent = TypeVar("Sent", Activations, Gradients)
BODY_FILE = "body.safetensors"


@dataclass(frozen=True)
class Pass:
    """One kind of pass through the body."""

    network: NetworkName
    lanes: tuple[str, ...]
    """Merged batches that travel together but apart: each has its own BatchNorm statistics."""
    trains: bool
    """Whether the body's weights get gradients and step at the end of the backward pass."""


PASSES = {
    "generate": Pass("generator", ("fake",), trains=True),
    "discriminate": Pass("discriminator", ("fake", "real"), trains=True),
    "fool": Pass("discriminator", ("fake",), trains=False),
}


class SharedBody:
    """The server's side of every pass, stage by stage, and of a round's end."""

    def __init__(self, layout: Layout, config: Config, device: torch.device = CPU) -> None:
        self._layout, self._config, self._device = layout, config, device
        networks = build_networks(layout.spec, config.model.blocks, torch_seed(config.seed, "networks"))
        whole = {"generator": networks.generator, "discriminator": networks.discriminator}
        self._blocks: dict[str, dict[int, nn.Module]] = {"generator": {}, "discriminator": {}}
        for network, index in sorted(layout.body_held):
            self._blocks[network][index] = whole[network][index].to(device)
        training = config.training
        self._optimizers = {
            name: adam(blocks.values(), training.lr, training.betas) for name, blocks in self._blocks.items()
        }
        self._stages = layout.stages
        self._pacer = Pacer(layout.pace, "body")
        self._traffic = TrafficCounter()
        self._contract = Contract(layout, config.training.batch_size)
        self._faults: list[str] = []
        self._passes: dict[str, tuple[MergedPass, ...]] = {}
        self._maps: dict[int, deque[np.ndarray]] = {}
        self._seconds: dict[str, float] = {}
        self._absent: set[int] = set()
        self._step_started = time.perf_counter()

    def senders(self, direction: str, pass_name: str, stage_index: int) -> tuple[int, ...]:
        """The workers whose messages `forward` or `backward` takes, in order."""
        stage = self._stages[PASSES[pass_name].network][stage_index]
        return stage.entering if direction == "forward" else stage.leaving

    def begin_round(self, round_number: int) -> None:
        """Forgets the last round's anchor features."""
        self._traffic.forget()
        self._maps = {}
        self._seconds, self._absent = {}, set()
        self._faults = []
        self._step_started = time.perf_counter()

    def forward(
        self, step: StepId, pass_name: str, stage_index: int, messages: Sequence[Activations | Lost]
    ) -> list[Activations]:
        """One stage of a forward pass.

        Args:
            messages: one for each worker that enters at the stage, in the stage's order.

        Returns:
            One record for each worker that leaves after the stage, in the stage's order.
        """
        started = time.perf_counter()
        kind = PASSES[pass_name]
        stage = self._stages[kind.network][stage_index]
        if stage_index == 0:
            self._passes[pass_name] = self._begin(kind)
        entering = self._arrived(step, stage.entering, messages, pass_name, "forward")
        leaving = self._clients_of(stage.leaving)
        blocks = self._blocks[kind.network].values()
        outputs = []
        for lane, merged in enumerate(self._passes[pass_name]):
            parts = {client: decode(arrays[lane], self._device) for client, arrays in entering.items()}
            if kind.trains:
                outputs.append(merged.forward(stage.blocks, parts, leaving))
            else:
                with frozen(blocks):
                    outputs.append(merged.forward(stage.blocks, parts, leaving))
        self._keep_maps(pass_name)
        rows = [merged.num_rows for merged in self._passes[pass_name]]
        self._pacer.hold_body(kind.network, "forward", stage.blocks, rows, started)
        self._count(f"{pass_name} forward", started)
        out = [Activations(step, arrays) for arrays in self._pack(stage.leaving, outputs)]
        return self._leaving(stage.leaving, out, pass_name, "forward")

    def backward(
        self, step: StepId, pass_name: str, stage_index: int, messages: Sequence[Gradients | Lost]
    ) -> list[Gradients]:
        """One stage of a backward pass: the mirror image of `forward`; the body's update after the last."""
        started = time.perf_counter()
        kind = PASSES[pass_name]
        stage = self._stages[kind.network][stage_index]
        received = self._arrived(step, stage.leaving, messages, pass_name, "backward")
        rows = [merged.num_rows for merged in self._passes[pass_name]]
        outputs = []
        for lane, merged in enumerate(self._passes[pass_name]):
            parts = {client: decode(arrays[lane], self._device) for client, arrays in received.items()}
            outputs.append(merged.backward(parts))
        optimizer = self._optimizers[kind.network]
        if stage_index == 0 and kind.trains and optimizer is not None:
            optimizer.step()
            optimizer.zero_grad()
        self._pacer.hold_body(kind.network, "backward", stage.blocks, rows, started)
        self._count(f"{pass_name} backward", started)
        out = [Gradients(step, arrays) for arrays in self._pack(stage.entering, outputs)]
        return self._leaving(stage.entering, out, pass_name, "backward")

    def report(self, step: StepId) -> BodyReport:
        """Ends a step: where its time went, and who was not there."""
        self._faults += self._pacer.end_step(step)
        now = time.perf_counter()
        report = BodyReport(step, self._seconds, tuple(sorted(self._absent)), now - self._step_started)
        self._seconds, self._absent, self._step_started = {}, set(), now
        return report

    def assign(self, round_number: int, num_samples: Mapping[int, int]) -> Assignment | Lost:
        """Clusters and weighs the clients by their anchor features of the round.

        Args:
            num_samples: client -> training images, of every client that is there at the round's end.
        """
        clients = sorted(client for client in num_samples if self._maps.get(client))
        if not clients:
            return Lost("no client took part in the round")
        maps = np.stack([np.mean(np.stack(self._maps[client]), axis=0) for client in clients])
        flat = maps.reshape(len(clients), maps.shape[1] if maps.ndim > 2 else 1, -1)
        counts = np.array([num_samples[client] for client in clients], dtype=np.float64)
        assigned = _assign(clients, flat, counts, self._config, round_number)
        if isinstance(assigned, Lost):
            return assigned
        return replace(assigned, faults=(*assigned.faults, *self._faults))

    def state(self) -> State | Lost:
        """Parameters and buffers of the body's blocks; `Lost` where they are no longer finite."""
        blocks: dict[BlockKey, Mapping[str, np.ndarray]] = {}
        for key in self._layout.body_held:
            blocks[key] = block_state(self._block(key))
        if not is_finite(self._block(key) for key in self._layout.body_held):
            return Lost("the body's parameters are not finite")
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
        """Writes blocks and optimizers."""
        arrays: dict[str, np.ndarray] = {}
        for network, blocks in self._blocks.items():
            arrays |= network_arrays(network, blocks, self._optimizers[network])
        return write_arrays(Path(folder) / BODY_FILE, arrays)

    def restore(self, folder: str) -> None:
        """The inverse of `save`."""
        arrays = read_arrays(Path(folder) / BODY_FILE)
        for network, blocks in self._blocks.items():
            load_network_arrays(network, blocks, self._optimizers[network], arrays)

    def _block(self, key: BlockKey) -> nn.Module:
        return self._blocks[key[0]][key[1]]

    def _begin(self, kind: Pass) -> tuple[MergedPass, ...]:
        anchor = self._layout.anchors["discriminator"]
        observe = [anchor if kind.trains and lane == "real" else None for lane in kind.lanes]
        return tuple(MergedPass(self._blocks[kind.network], block) for block in observe)

    def _keep_maps(self, pass_name: str) -> None:
        keep = self._config.clusters.feature_batches
        for merged in self._passes[pass_name]:
            for client, feature in merged.observed.items():
                self._maps.setdefault(client, deque(maxlen=keep)).append(feature.cpu().numpy())
            merged.observed = {}

    def _clients_of(self, workers: Sequence[int]) -> tuple[int, ...]:
        return tuple(client for worker in workers for client in self._layout.workers[worker].ids)

    def _pack(
        self, workers: Sequence[int], lanes: list[dict[int, Tensor]]
    ) -> list[dict[int, tuple[WirePart, ...]]]:
        """Host by worker, what its clients are sent."""
        clients = [
            [client for client in self._layout.workers[worker].ids if client in lanes[0]]
            for worker in workers
        ]
        tensors = [lane[client] for group in clients for client in group for lane in lanes]
        direct = self._config.ray.transport == "direct"
        parts = iter(encode(tensors, self._config.wire.codec, direct))
        return [{client: tuple(next(parts) for _ in lanes) for client in group} for group in clients]

    def _leaving(
        self, workers: Sequence[int], records: list[Sent], pass_name: str, direction: str
    ) -> list[Sent]:
        """The records themselves: each holds its worker's clients only, in the form of their cuts."""
        for worker, record in zip(workers, records, strict=True):
            problem = self._contract.departure_problem(worker, pass_name, direction, record)
            enforce("body", f"{pass_name} {direction}", problem)
        return records

    def _arrived(
        self,
        step: StepId,
        workers: Sequence[int],
        messages: Sequence[Activations | Gradients | Lost],
        pass_name: str,
        direction: str,
    ) -> dict[int, tuple[WirePart, ...]]:
        """Client -> what everybody sent whose message of this step is there; notes who is absent."""
        arrays: dict[int, tuple[WirePart, ...]] = {}
        for worker, message in zip(workers, messages, strict=True):
            problem = self._contract.arrival_problem(worker, pass_name, direction, message)
            if problem is not None:
                self._faults.append(f"{self._layout.workers[worker].name} sent {problem}; it was not used")
            if isinstance(message, Lost) or message.step != step or problem is not None:
                self._absent.add(worker)
            else:
                arrays |= message.arrays
        return arrays

    def _count(self, phase: str, started: float) -> None:
        self._seconds[phase] = self._seconds.get(phase, 0.0) + time.perf_counter() - started


def _assign(
    clients: list[int], maps: np.ndarray, counts: np.ndarray, config: Config, round_number: int
) -> Assignment | Lost:
    finite = np.isfinite(maps).all(axis=(1, 2))
    faults = tuple(
        f"client-{client:02d}: its anchor features are not finite; it is left out of the round's average"
        for client, good in zip(clients, finite, strict=True)
        if not good
    )
    clients = [client for client, good in zip(clients, finite, strict=True) if good]
    if not clients:
        return Lost(f"no client is left: {faults[0]}")
    maps, counts = maps[finite], counts[finite]
    settings = config.clusters
    warm_up = round_number < settings.warmup_rounds
    found = np.zeros(len(clients), dtype=np.int64)
    if not warm_up:
        count = settings.count if settings.count == "auto" else min(settings.count, len(clients))
        found = cluster_clients(maps.reshape(len(clients), -1), count, config.seed)
    beta = 0.0 if warm_up else settings.beta
    kld, weight = np.empty(len(clients)), np.empty(len(clients))
    for cluster in np.unique(found):
        members = found == cluster
        kld[members] = member_kld(maps[members])
        weight[members] = kld_weights(counts[members], kld[members], beta)
    body_weight = kld_weights(counts, member_kld(maps), beta)
    return Assignment(
        cluster=dict(zip(clients, found.tolist(), strict=True)),
        kld=dict(zip(clients, kld.tolist(), strict=True)),
        weight=dict(zip(clients, weight.tolist(), strict=True)),
        body_weight=dict(zip(clients, body_weight.tolist(), strict=True)),
        faults=faults,
    )
