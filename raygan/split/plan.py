"""From clients to a split federation: where each is cut, which worker holds it, and the parties that follow."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, replace
from functools import partial
from typing import Any

from torch import nn

from raygan import cuts
from raygan.config.devices import SERVER_RESOURCE
from raygan.config.schema import Config
from raygan.errors import ConfigError
from raygan.names import BlockKey, Cuts, NetworkName, Shape
from raygan.nn.average import AveragedBlock
from raygan.nn.blocks import Networks
from raygan.nn.network import build_networks
from raygan.nn.spec import NetworkSpec
from raygan.parties import layout as parties
from raygan.parties.spec import Parties, PartySpec
from raygan.runtime.limits import LIMITS
from raygan.simulation.emulation import plan_pace
from raygan.simulation.threads import server_threads, worker_threads
from raygan.split.body import SharedBody
from raygan.split.layout import ClientPlan, Layout, deal_to_workers
from raygan.split.pipeline import BodySection, choose_borders
from raygan.split.planning import Costs, choose_cuts, measure
from raygan.split.worker import SplitClients


@dataclass(frozen=True)
class SplitPlan:
    """A split federation before it is started."""

    config: Config
    layout: Layout
    cuts: cuts.Plan
    """Cuts and predicted latency."""

    def parties(self) -> Parties:
        """A worker for each device, and the shared body."""
        config, layout = self.config, self.layout
        threads = worker_threads(len(layout.workers), config)
        workers = tuple(
            PartySpec(plan.name, partial(SplitClients, plan, layout, config), threads) for plan in layout.workers
        )
        makes: list[Callable[..., SharedBody]]
        if layout.sections > 1:
            makes = [partial(BodySection, layout, config, section=number) for number in range(layout.sections)]
        else:
            makes = [partial(SharedBody, layout, config, replica=number) for number in range(layout.replicas)]
        names = [f"body-{number}" for number in range(len(makes))] if len(makes) > 1 else ["body"]
        bodies = tuple(
            PartySpec(name, make, server_threads(config), {SERVER_RESOURCE: 1})
            for name, make in zip(names, makes, strict=True)
        )
        longest_s = LIMITS.slack * layout.pace.step_s if layout.pace is not None else 0.0
        return Parties(layout, workers, bodies, config.known_clusters, longest_s, layout.replicas > 1)


def plan_split(
    config: Config,
    clients: Sequence[parties.ClientPlan],
    spec: NetworkSpec,
    clients_per_actor: int,
    documents: Mapping[str, Mapping[str, Any]],
    least_heads: Sequence[int] = (),
) -> SplitPlan:
    """Builds the networks once to know their blocks, cuts them and deals the clients to workers.

    Args:
        documents: of a run that goes on: `cuts`, as `cuts.json` has them; how good a plan is found depends on the
            machine, so they are kept.
        least_heads: h of each client's head of D at least; empty: any.

    Raises:
        InputError: networks or cuts that cannot be used.
    """
    networks = build_networks(spec, config.model.blocks, config.seed)
    costs = measure(config, networks, spec)
    chosen = choose_cuts(config, costs, kept_cuts(documents), least_heads)
    plans = [
        ClientPlan(plan.client, plan.domain, plan.profile, plan.data, *cut)
        for plan, cut in zip(clients, chosen.cuts, strict=True)
    ]
    workers = deal_to_workers(plans, clients_per_actor)
    num_blocks: dict[NetworkName, int] = {
        "generator": len(networks.generator),
        "discriminator": len(networks.discriminator),
    }
    anchors: dict[NetworkName, int] = {
        "generator": networks.generator_anchor,
        "discriminator": networks.discriminator_anchor,
    }
    averaged, hidden = config.training.average is not None, config.privacy.hide_discriminator
    shapes = state_shapes(networks, averaged)
    replicas = config.ray.body_replicas
    if replicas > len(workers):
        found = f"{replicas}, but there are {len(workers)} client actors to serve"
        raise ConfigError("ray.body_replicas", found, f"give at most {len(workers)}, or lower ray.clients_per_actor")
    layout = Layout(workers, spec, num_blocks, anchors, costs.output_shapes, shapes, None, averaged, hidden, replicas)
    borders = choose_borders(body_flops(layout, costs), pipeline_of(config))
    pace = None
    if config.devices.emulate:
        numbers = [client.client for client in clients]
        pace = plan_pace(chosen, config.training.batch_size, replicas, borders).of_clients(numbers)
    return SplitPlan(config, replace(layout, borders=borders, pace=pace), chosen)


def pipeline_of(config: Config) -> int:
    """Sections that the body is to have.

    Raises:
        ConfigError: it is to have replicas as well.
    """
    sections = config.ray.body_pipeline
    if sections > 1 and config.ray.body_replicas > 1:
        found = f"{sections}, beside ray.body_replicas: {config.ray.body_replicas}"
        raise ConfigError("ray.body_pipeline", found, "set one of them to 1")
    return sections


def body_flops(layout: Layout, costs: Costs) -> dict[NetworkName, dict[int, float]]:
    """Network -> block that some client leaves to the body -> floating-point operations of a minibatch, forward and
    back."""
    found: dict[NetworkName, dict[int, float]] = {"generator": {}, "discriminator": {}}
    for network, blocks in found.items():
        cost = costs.generator if network == "generator" else costs.discriminator
        mine = sorted(index for name, index in layout.body_held if name == network)
        blocks.update({index: cost.forward_flops[index] + cost.backward_flops[index] for index in mine})
    return found


def state_shapes(networks: Networks, averaged: bool = False) -> dict[BlockKey, dict[str, Shape]]:
    """Block -> the shape of each of its parameters and buffers.

    Args:
        averaged: whether there are averages of G's blocks.
    """
    blocks: dict[BlockKey, nn.Module] = dict(networks.blocks)
    if averaged:
        blocks |= {("average", index): AveragedBlock(block) for index, block in enumerate(networks.generator)}
    return {key: {name: tuple(x.shape) for name, x in block.state_dict().items()} for key, block in blocks.items()}


def kept_cuts(documents: Mapping[str, Mapping[str, Any]]) -> dict[int, Cuts]:
    """Client -> its cuts in a run's `cuts.json`; empty: there is none."""
    clients = documents["cuts"]["clients"] if "cuts" in documents else []
    return {
        entry.get("client", place): (tuple(entry["generator"]), tuple(entry["discriminator"]))
        for place, entry in enumerate(clients)
    }
