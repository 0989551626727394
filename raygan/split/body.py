"""The body: the server's middle blocks of both networks, merged over all clients, and the clustering.

All clients share one trunk of blocks (the paper's), or after the warm-up each cluster has one of its own, in which its
clients alone are merged (`cuts.bodies`)."""

from __future__ import annotations

import time
from collections import Counter, deque
from collections.abc import Collection, Mapping, Sequence
from contextlib import nullcontext
from dataclasses import replace
from itertools import chain
from pathlib import Path
from typing import ClassVar, TypeVar

import numpy as np
import torch
from torch import Tensor, nn

from raygan.config.schema import Config
from raygan.federated.assignment import cluster_and_weigh
from raygan.names import NetworkName
from raygan.nn.network import frozen, placed
from raygan.nn.start import initial_networks
from raygan.parties.base import Server
from raygan.parties.peers import Peers
from raygan.secure import least_members
from raygan.simulation.emulation import Pacer
from raygan.split.contract import Contract
from raygan.split.layout import Layout
from raygan.split.merged import MergedPass
from raygan.split.replication import all_features, anywhere, differing, sum_gradients
from raygan.split.trunk import Trunk, joint_norm
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
SHARED = 0
"""The trunk that begins, and that serves every client in the warm-up; of all models, the first."""


class SharedBody(Server):
    """The server's side of every pass, stage by stage, and of a round's end."""

    merges: ClassVar[frozenset[str]] = frozenset({"forward", "backward"})

    def __init__(
        self, layout: Layout, config: Config, device: torch.device = CPU, replica: int = 0, section: int = 0
    ) -> None:
        self._layout, self._config, self._device = layout, config, device
        self._replica, self._section = replica, section
        self._held = layout.held_by(section)
        self._peers: Peers | None = None
        self._sent_before = 0
        """Bytes to other replicas, before the round."""
        networks = initial_networks(layout.spec, config)
        whole = {"generator": networks.generator, "discriminator": networks.discriminator}
        blocks: dict[NetworkName, dict[int, nn.Module]] = {"generator": {}, "discriminator": {}}
        for network, held in blocks.items():
            mine = sorted(index for name, index in self._held if name == network)
            held.update({index: placed(whole[network][index], device) for index in mine})
        self._trunks = {SHARED: Trunk(blocks, config.training)}
        self._serves = {client.client: SHARED for client in layout.clients}
        self._stages = layout.stages_of(replica)
        self._pacer = Pacer(layout.pace, "body")
        self._traffic = TrafficCounter()
        self._contract = Contract(layout, config.training.batch_size)
        self._faults: list[str] = []
        self._passes: dict[str, tuple[dict[int, MergedPass], ...]] = {}
        self._maps: dict[int, deque[np.ndarray]] = {}
        self._seconds: dict[str, float] = {}
        self._absent: set[int] = set()
        self._norms: dict[str, Tensor] = {}
        self._step_started = time.perf_counter()

    def join(self, peers: Peers) -> None:
        """It is one of several, which are one body (`raygan.split.replication`)."""
        self._peers = peers
        for trunk in self._trunks.values():
            trunk.join(peers)

    def begin_round(self, round_number: int) -> None:
        """Forgets the last round's anchor features, and sets the round's learning rates."""
        self._traffic.forget()
        self._sent_before = self._peers.sent_bytes if self._peers is not None else 0
        self._maps = {}
        self._seconds, self._absent, self._norms = {}, set(), {}
        self._faults = []
        for trunk in self._trunks.values():
            trunk.begin_round(round_number)
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
        started, waited_s = time.perf_counter(), self._waited_s()
        crossing = Crossing(pass_name, "forward")
        way = crossing.way
        stage = self._stages[way.network][stage_index]
        if stage_index == 0:
            self._passes[pass_name] = self._begin(way)
        entering = self._arrived(step, stage.entering, messages, crossing)
        leaving = self._clients_of(stage.leaving)
        outputs: list[dict[int, Tensor]] = [{} for _ in way.batches]
        parts = self._dealt(pass_name, entering)
        rows_here = [one.num_rows_with(part) for _, one, part in parts]
        for (batch, one, part), any_rows in zip(parts, anywhere(rows_here, self._peers), strict=True):
            nobody = self._empty_batch(way.network, stage.blocks.start) if any_rows else None
            with nullcontext() if way.body_trains else frozen(one.blocks.values()):
                outputs[batch] |= one.forward(stage.blocks, part, leaving, nobody)
        self._keep_maps(pass_name)
        rows = self._rows(pass_name)
        self._pacer.hold_body(way.network, "forward", stage.blocks, rows, started + self._waited_s(waited_s))
        self._count(crossing, started)
        out = [Activations(step, arrays) for arrays in self._pack(stage.leaving, outputs, crossing)]
        return self._leaving(stage.leaving, out, crossing)

    def backward(
        self, step: StepId, pass_name: str, stage_index: int, messages: Mapping[int, Gradients | Lost]
    ) -> list[Gradients]:
        """One stage of a backward pass: the mirror image of `forward`; the body's update after the last."""
        started, waited_s = time.perf_counter(), self._waited_s()
        crossing = Crossing(pass_name, "backward")
        way = crossing.way
        stage = self._stages[way.network][stage_index]
        received = self._arrived(step, stage.leaving, messages, crossing)
        rows = self._rows(pass_name)
        outputs: list[dict[int, Tensor]] = [{} for _ in way.batches]
        parts = self._dealt(pass_name, received)
        known_here = [one.has_gradient(part) for _, one, part in parts]
        for (batch, one, part), known in zip(parts, anywhere(known_here, self._peers), strict=True):
            outputs[batch] |= one.backward(part, anyway=known)
        if stage_index == 0 and way.body_trains:
            self._update(way.network)
        self._pacer.hold_body(way.network, "backward", stage.blocks, rows, started + self._waited_s(waited_s))
        self._count(crossing, started)
        out = [Gradients(step, arrays) for arrays in self._pack(stage.entering, outputs, crossing)]
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
        features = {client: np.mean(np.stack(maps), axis=0) for client, maps in self._maps.items()}
        if self._peers is not None:
            self._check_replicas(self._peers)
            shape = self._layout.output_shapes["discriminator"][self._layout.anchors["discriminator"]]
            features = all_features(features, 1 + max(self._layout.ids), shape, self._peers)
        features = {client: feature for client, feature in features.items() if client in num_samples}
        seed, settings = self._config.seed, self._config.clusters
        domains, least = self._layout.domains, least_members(self._config.privacy)
        assigned = cluster_and_weigh(features, num_samples, settings, seed, round_number, domains, least)
        if isinstance(assigned, Lost):
            return assigned
        return replace(assigned, faults=(*assigned.faults, *self._faults))

    def state(self, cluster: int = SHARED, clients: Collection[int] = ()) -> State | Lost:
        """Parameters and buffers of the trunk of a cluster's clients; `Lost` where they are no longer finite."""
        return self._trunk_of(cluster, clients).state(self._held)

    def load(self, averages: Sequence[BlockAverage | Lost]) -> Lost | None:
        """Takes over the averages over all clients: all of them, or none if one is lost."""
        return self.load_own({SHARED: averages}, {})

    def load_own(self, averages: Mapping[int, Sequence[BlockAverage | Lost]], serves: Mapping[int, int]) -> Lost | None:
        """Each cluster's trunk takes over the cluster's averages: all of them, or none if one is lost.

        Args:
            averages: cluster -> an average of each block of a trunk.
            serves: client -> its cluster from now on, of all clients; empty: as they are.
        """
        for average in chain.from_iterable(averages.values()):
            if isinstance(average, Lost):
                return average
        trunks = {number: self._continued(number, serves) for number in averages}
        for number, average in ((number, one) for number, blocks in averages.items() for one in blocks):
            assert isinstance(average, BlockAverage)
            trunks[number].load(average)
            self._traffic.add("aggregator", "body", "BlockAverage", num_bytes(average))
        self._trunks = trunks
        self._serves |= serves
        return None

    def traffic(self) -> Traffic:
        """What the aggregators and, as sums of theirs, replicas sent since the round began; the other links are counted
        at their other ends."""
        if self._peers is not None:
            self._traffic.add("body", "body", "Sums", self._peers.sent_bytes - self._sent_before)
        return self._traffic.take()

    def save(self, folder: str) -> Written | None:
        """Writes blocks, optimizers and averages."""
        if self._replica:
            return None
        file = Path(folder) / (f"body-{self._section}.safetensors" if self._section else BODY_FILE)
        if self._config.cuts.bodies == "shared":
            return write_arrays(file, self._trunks[SHARED].arrays(""))
        arrays: dict[str, np.ndarray] = {}
        for number, trunk in self._trunks.items():
            arrays |= trunk.arrays(f"{number}.")
        return write_arrays(file, arrays)

    def restore(self, folder: str, serves: Mapping[int, int]) -> None:
        """The inverse of `save`, in however many sections it was.

        Args:
            serves: client -> its trunk, where each cluster has one.
        """
        arrays: dict[str, np.ndarray] = {}
        for file in (Path(folder) / BODY_FILE, *sorted(Path(folder).glob("body-*.safetensors"))):
            arrays |= read_arrays(file)
        any_trunk = next(iter(self._trunks.values()))
        if self._config.cuts.bodies == "shared":
            any_trunk.load_arrays("", arrays)
            return
        self._serves = dict(serves)
        self._trunks = {number: any_trunk.copy() for number in sorted(set(self._serves.values()))}
        for number, trunk in self._trunks.items():
            trunk.load_arrays(f"{number}.", arrays)

    def _trunk_of(self, cluster: int, clients: Collection[int]) -> Trunk:
        """A cluster's own; of one that is new, that of most of its clients (of several, the first)."""
        if cluster in self._trunks:
            return self._trunks[cluster]
        served = Counter(self._serves[client] for client in clients)
        return self._trunks[min(served, key=lambda number: (-served[number], number))]

    def _continued(self, number: int, serves: Mapping[int, int]) -> Trunk:
        trunk = self._trunk_of(number, [client for client, own in serves.items() if own == number])
        return trunk if number in self._trunks else trunk.copy()

    def _dealt(
        self, pass_name: str, arrays: Mapping[int, tuple[WirePart, ...]]
    ) -> list[tuple[int, MergedPass, dict[int, Tensor]]]:
        """Of each merged batch and each trunk: the batch, its pass, and client -> what it sent into it."""
        return [
            (batch, *dealt)
            for batch in range(len(self._passes[pass_name]))
            for dealt in self._dealt_of(pass_name, batch, {client: parts[batch] for client, parts in arrays.items()})
        ]

    def _dealt_of(
        self, pass_name: str, batch: int, parts: Mapping[int, WirePart]
    ) -> list[tuple[MergedPass, dict[int, Tensor]]]:
        """Of one merged batch and each trunk: its pass, and client -> its part, in their order."""
        dealt: dict[int, dict[int, Tensor]] = {}
        for client, part in parts.items():
            dealt.setdefault(self._serves[client], {})[client] = decode(part, self._device)
        return [(one, dealt.get(number, {})) for number, one in self._passes[pass_name][batch].items()]

    def _waited_s(self, before_s: float = 0.0) -> float:
        """Seconds that it has waited for other replicas since then."""
        return 0.0 if self._peers is None else self._peers.waited_s - before_s

    def _empty_batch(self, network: NetworkName, block: int) -> Tensor | None:
        """What a replica without rows runs a stage over, from this block on; None: there are no replicas."""
        if self._peers is None:
            return None
        return torch.empty(0, *self._layout.output_shapes[network][block - 1], device=self._device)

    def _check_replicas(self, peers: Peers) -> None:
        """Notes a fault where the replicas' weights differ, as those of unlike machines may in the last bits."""
        arrays = (array for trunk in self._trunks.values() for array in trunk.arrays("").values())
        found = differing(arrays, peers)
        for other in found if self._replica == 0 else ():
            self._faults.append(f"body-{other} has other weights than body-0: give replicas machines of one kind")

    def _rows(self, pass_name: str) -> list[int]:
        """Of each batch, the rows that are inside."""
        return [sum(one.num_rows for one in merged.values()) for merged in self._passes[pass_name]]

    def _update(self, network: NetworkName) -> None:
        if self._peers is not None:
            sum_gradients([p for trunk in self._trunks.values() for p in trunk.parameters(network)], self._peers)
        norms = [norm for trunk in self._trunks.values() if (norm := trunk.update(network)) is not None]
        if norms:
            self._norms[f"body_{network}_gradient_norm"] = joint_norm(norms)

    def _begin(self, way: Pass) -> tuple[dict[int, MergedPass], ...]:
        assert self._peers is not None or self._layout.replicas == 1, "a replica works with the others"
        anchor = self._layout.anchors["discriminator"]
        observe = [anchor if way.body_trains and batch == "real" else None for batch in way.batches]
        return tuple(
            {number: MergedPass(trunk.blocks[way.network], block) for number, trunk in self._trunks.items()}
            for block in observe
        )

    def _keep_maps(self, pass_name: str) -> None:
        keep = self._config.clusters.feature_batches
        for merged in chain.from_iterable(batch.values() for batch in self._passes[pass_name]):
            for client, feature in merged.observed.items():
                self._maps.setdefault(client, deque(maxlen=keep)).append(feature.cpu().numpy())
            merged.observed = {}

    def _clients_of(self, workers: Sequence[int]) -> tuple[int, ...]:
        return tuple(client for worker in workers for client in self._layout.workers[worker].ids)

    def _pack(
        self, workers: Sequence[int], batches: list[dict[int, Tensor]], crossing: Crossing
    ) -> list[dict[int, tuple[WirePart, ...]]]:
        """Worker by worker, what its clients are sent.

        Args:
            batches: client -> what leaves, of each of the merged batches that travel together.
        """
        clients = [
            [client for client in self._layout.workers[worker].ids if client in batches[0]] for worker in workers
        ]
        tensors = [batch[client] for group in clients for client in group for batch in batches]
        direct = self._config.ray.transport == "direct"
        parts = iter(encode(tensors, self._config.wire.codec_of(crossing.direction, "down"), direct))
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
