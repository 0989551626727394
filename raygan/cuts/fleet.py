"""What an iteration takes on the fleet under each kind of algorithm, by the numbers of the latency model
(`raygan/cuts/latency.py`), and what a device must hold for it.

One minibatch of one client, client i of K: F_b and W_b FLOPs of block b forward and backward, c and r speed and link of
client i (c_i, r_i) and server (c_s, r_s), p passes of D an iteration (`raygan.step`), G has one.

    step(G, D) = sum_b of G (F_b + W_b) + p sum_b of D (F_b + W_b)

    whole networks on each client      max_i step(G, D) / c_i
    all of it in one place             K step(G, D) / c_s
    G on a server, D on each client    k F_G / c_s + max_i [ X / r_s + p (F_D + W_D) / c_i + Y / r_i ] + k W_G / c_s

with k batches of fakes, X bytes to a client and Y bytes back. Where the server mixes the clients' logits, the bracket is
two, since it waits for all of them before it answers (x bytes of logits each way):

    max_i [ X / r_s + (p (F_D + W_D) - W_D) / c_i + x / r_i ] + max_i [ x / r_s + W_D / c_i + Y / r_i ]

Every bracket is a call of the clients, whose seconds `devices.emulate` makes it take (`Phases`). Networks that are split
have the planner's latency, and phases of their own (`raygan/simulation/emulation.py`).

Memory of a client: weights, gradients, Adam's moments and activations of the blocks that it holds, and the moving average
of those of G, where one is kept.
"""

from __future__ import annotations

import math
from collections.abc import Collection, Mapping, Sequence
from dataclasses import asdict, dataclass, field, replace
from typing import Any

from raygan.cuts.cost import Device, NetworkCost, Server
from raygan.cuts.cut import local_blocks
from raygan.errors import CutError
from raygan.names import Cuts
from raygan.step import num_passes


@dataclass(frozen=True)
class Phases:
    """Seconds of an iteration's calls with full minibatches; each waits for all of the ones before."""

    clients: Mapping[str, Sequence[float]]
    """Method of a worker -> each client's seconds, from when it is sent what it needs until what it sends is there."""
    server: Mapping[str, float] = field(default_factory=dict)
    """Method of the server -> its seconds."""

    @property
    def iteration_s(self) -> float:
        """Of all calls, one after the other."""
        return sum(self.server.values()) + sum(max(seconds) for seconds in self.clients.values())

    def of_worker(self, clients: Sequence[int]) -> dict[str, float]:
        """Method -> seconds of the slowest of these clients (places in `clients`), which are devices of their own."""
        return {method: max(seconds[client] for client in clients) for method, seconds in self.clients.items()}


@dataclass(frozen=True)
class FleetCost:
    """What an algorithm costs on a fleet, as predicted.

    Raises:
        CutError: seconds that overflow.
    """

    iteration_s: float
    """Seconds of an iteration."""
    memory_bytes: Mapping[str, float]
    """Device profile -> the most that a client with it must hold."""
    up_bytes_per_s: float
    """The slowest client's up-link."""
    down_bytes_per_s: float
    """The server's down-link."""
    phases: Phases | None = None
    """What the iteration consists of; None: it has no calls of its own that wait for each other."""
    links: Sequence[float] = ()
    """Each client's up-link, bytes a second."""

    def __post_init__(self) -> None:
        if not math.isfinite(self.iteration_s):
            raise CutError("devices", "the predicted times overflow", "check flops_per_s and bytes_per_s")

    def to_json(self) -> dict[str, Any]:
        """`costs.json`."""
        return {key: value for key, value in asdict(self).items() if key not in ("phases", "links")}

    def without(self, clients: Collection[int]) -> FleetCost:
        """The same where these clients (places in `links`) sit out: nobody waits for them. What their devices would have
        to hold is still there."""
        if self.phases is None or not clients:
            return self
        stay = [place for place in range(len(self.links)) if place not in clients]
        of_clients = {method: [seconds[place] for place in stay] for method, seconds in self.phases.clients.items()}
        phases, links = Phases(of_clients, self.phases.server), [self.links[place] for place in stay]
        return replace(self, iteration_s=phases.iteration_s, up_bytes_per_s=min(links), phases=phases, links=links)


@dataclass(frozen=True)
class Fleet:
    """Networks, the device of each client, and the server."""

    generator: NetworkCost
    discriminator: NetworkCost
    devices: Sequence[Device]
    server: Server

    def whole(self) -> FleetCost:
        """Both networks whole on each client."""
        needs = _memory(self.generator) + _memory(self.discriminator)
        phases = Phases({"train": [self._step_flops / device.flops_per_s for device in self.devices]})
        return self._cost(phases.iteration_s, [needs] * len(self.devices), phases)

    def central(self) -> FleetCost:
        """All of it where the server is."""
        return self._cost(len(self.devices) * self._step_flops / self.server.flops_per_s, [0.0] * len(self.devices))

    def served(self, num_batches: int, down_bytes: float, up_bytes: float, logit_bytes: float = 0.0) -> FleetCost:
        """G on the server, a D on each client.

        Args:
            num_batches: k, of fakes.
            down_bytes: X.
            up_bytes: Y.
            logit_bytes: x, where the server mixes them; 0: it does not.
        """
        flops = num_passes("discriminator") * _both(self.discriminator)
        waiting = sum(self.discriminator.backward_flops)
        legs = {"judge": (down_bytes, flops, up_bytes)}
        if logit_bytes:
            legs = {"logits": (down_bytes, flops - waiting, logit_bytes), "answer": (logit_bytes, waiting, up_bytes)}
        generator, speed = self.generator, self.server.flops_per_s
        phases = Phases(
            {
                method: [
                    down / self.server.bytes_per_s + work / d.flops_per_s + up / d.bytes_per_s for d in self.devices
                ]
                for method, (down, work, up) in legs.items()
            },
            {
                "fakes": num_batches * sum(generator.forward_flops) / speed,
                "learn": num_batches * sum(generator.backward_flops) / speed,
            },
        )
        return self._cost(phases.iteration_s, [_memory(self.discriminator)] * len(self.devices), phases)

    def split(self, latency_s: float, cuts: Sequence[Cuts]) -> FleetCost:
        """Heads and tails on the clients.

        Args:
            latency_s: of an iteration, as planned.
            cuts: of each client.
        """
        networks = (self.generator, self.discriminator)
        needs = [
            sum(
                sum(_memory_of(network, block) for block in local_blocks(cut, network.num_blocks))
                for network, cut in zip(networks, pair, strict=True)
            )
            for pair in cuts
        ]
        return self._cost(latency_s, needs)

    @property
    def _step_flops(self) -> float:
        """Of a client's iteration of both networks."""
        generator = num_passes("generator") * _both(self.generator)
        return generator + num_passes("discriminator") * _both(self.discriminator)

    def _cost(self, iteration_s: float, needs: Sequence[float], phases: Phases | None = None) -> FleetCost:
        memory: dict[str, float] = {}
        for device, needed in zip(self.devices, needs, strict=True):
            memory[device.name] = max(needed, memory.get(device.name, 0.0))
        links = [device.bytes_per_s for device in self.devices]
        return FleetCost(iteration_s, memory, min(links), self.server.bytes_per_s, phases, links)


def too_small(cost: FleetCost, limits: Mapping[str, float | None]) -> dict[str, str]:
    """The device profiles that cannot hold what an algorithm leaves on them, each with what it needs and has.

    Args:
        limits: device profile -> bytes; None: no limit.
    """
    return {
        name: f"{needed:,.0f} bytes on it, it has {limit:,.0f}"
        for name, needed in cost.memory_bytes.items()
        if (limit := limits[name]) is not None and needed > limit
    }


def _both(network: NetworkCost) -> float:
    """FLOPs of one pass, forward and back."""
    return sum(network.forward_flops) + sum(network.backward_flops)


def _memory(network: NetworkCost) -> float:
    return sum(_memory_of(network, block) for block in range(network.num_blocks))


def _memory_of(network: NetworkCost, block: int) -> float:
    return network.memory_bytes[block] if network.memory_bytes is not None else 0.0
