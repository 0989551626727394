"""From a configuration to the federation's layout: what every client holds, its device, its cuts, its actor.

Everything that a user can get wrong is found here, before any actor starts.
"""

from __future__ import annotations

import os
from collections.abc import Callable, Sequence
from dataclasses import dataclass

from raygan import cuts
from raygan.config.loading import cluster_address
from raygan.config.schema import Config
from raygan.data import CommonShape, DomainInfo, DomainSurvey, client_slices, common_shape, survey_domains
from raygan.data.holdings import Holding
from raygan.nn.blocks import Networks
from raygan.nn.network import build_networks, network_spec
from raygan.simulation.device import check_device
from raygan.simulation.emulation import plan_pace
from raygan.split.layout import ClientPlan, Layout, deal_to_workers
from raygan.split.planning import choose_cuts, measure
from raygan.wire.records import NETWORKS, BlockKey, NetworkName, Shape

Survey = Callable[[Config], list[DomainSurvey]]


@dataclass(frozen=True)
class Plan:
    """All that is known before training."""

    config: Config
    layout: Layout
    shape: CommonShape
    infos: tuple[DomainInfo, ...]
    """Of each domain."""
    holdings: tuple[Holding, ...]
    cuts: cuts.Plan
    """Cuts and predicted latency."""

    @property
    def domains(self) -> dict[int, int]:
        """Client -> index of its domain. Known to the measurement only: no algorithm reads it."""
        return {client: held.domain_index for client, held in enumerate(self.holdings)}


def make_plan(
    config: Config, survey: Survey = survey_domains, kept: Sequence[cuts.Cuts] | None = None
) -> Plan:
    """Checks the data, builds the networks once to know their blocks, cuts them and places the clients.

    Args:
        survey: describes the domains; by default it reads them here.
        kept: the cuts of a run that goes on; None: they are chosen.

    Raises:
        InputError: data, networks or cuts that cannot be used.
    """
    check_device(config)
    surveys = survey(config)
    infos = tuple(domain.info for domain in surveys)
    held = tuple(holding for domain in surveys for holding in domain.holdings)
    shape = common_shape(config.model, infos)
    spec = network_spec(config.model, shape.channels, shape.num_classes)
    networks = build_networks(spec, config.model.blocks, config.seed)
    num_blocks: dict[NetworkName, int] = {
        "generator": len(networks.generator),
        "discriminator": len(networks.discriminator),
    }
    anchors: dict[NetworkName, int] = {
        "generator": networks.generator_anchor,
        "discriminator": networks.discriminator_anchor,
    }
    profiles = deal_profiles(config)
    costs = measure(config, networks, spec)
    chosen = choose_cuts(config, costs, kept)
    clients = [
        ClientPlan(number, held[number].domain, profile, part, generator_cut, discriminator_cut)
        for number, (profile, part, (generator_cut, discriminator_cut)) in enumerate(
            zip(profiles, client_slices(config, infos), chosen.cuts, strict=True)
        )
    ]
    workers = deal_to_workers(clients, clients_per_actor(config))
    pace = plan_pace(chosen, config.training.batch_size) if config.devices.emulate else None
    layout = Layout(workers, spec, num_blocks, anchors, pace, costs.output_shapes, state_shapes(networks))
    return Plan(config, layout, shape, infos, held, chosen)


def state_shapes(networks: Networks) -> dict[BlockKey, dict[str, Shape]]:
    """Block -> the shape of each of its parameters and buffers."""
    shapes: dict[BlockKey, dict[str, Shape]] = {}
    for network, blocks in zip(NETWORKS, (networks.generator, networks.discriminator), strict=True):
        for index, block in enumerate(blocks):
            shapes[network, index] = {name: tuple(x.shape) for name, x in block.state_dict().items()}
    return shapes


def deal_profiles(config: Config) -> list[str]:
    """The fleet's profiles dealt to the clients in turn."""
    fleet = config.devices.fleet
    return [fleet[client % len(fleet)] for client in range(config.num_clients)]


def clients_per_actor(config: Config) -> int:
    """Clients in one actor at most. `auto`: on a cluster one, since a site has its own machine; on this machine
    so many that there are no more actors than cores, because more of them only cost memory and messages."""
    asked = config.ray.clients_per_actor
    if asked != "auto":
        return asked
    return 1 if cluster_address(config) else -(-config.num_clients // (os.cpu_count() or 1))
