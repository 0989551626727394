"""Where each client's networks are cut: the planner's choice, or what the configuration fixes.

The costs are measured on the networks at hand and brought into the planner's form.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from functools import partial

from torch import nn
from torch.nn.modules.batchnorm import _BatchNorm

from raygan.config.schema import Config, ProfileCut
from raygan.config.wire import Way, WireConfig
from raygan.cuts import NetworkCost, Plan, Study, check_cut, plan_config, plan_study
from raygan.cuts.leakage import Leakage
from raygan.cuts.replicas import Replicated, plan_replicas
from raygan.data import DomainInfo, common_shape
from raygan.errors import ConfigError, CutError, first_line
from raygan.names import Cuts, Direction, NetworkName, Shape
from raygan.nn.blocks import Networks
from raygan.nn.cost import BlockCosts, network_costs
from raygan.nn.network import build_networks, network_spec
from raygan.nn.spec import NetworkSpec
from raygan.nn.trial import try_in_parts, try_networks
from raygan.own_code import fenced
from raygan.step import live_passes
from raygan.wire.records import wire_bytes


@dataclass(frozen=True)
class Costs:
    """What the planner is told of both networks."""

    generator: NetworkCost
    discriminator: NetworkCost
    anchor: tuple[int, int]
    output_shapes: Mapping[NetworkName, tuple[Shape, ...]]
    """Shape of every block's output, without the batch axis."""


def measure(config: Config, networks: Networks, spec: NetworkSpec) -> Costs:
    """Costs of the configured networks for one minibatch of one client; networks of the user's own are tried first.

    Raises:
        ConfigError: networks that fail, or that cannot be built.
    """
    (key, path), size = config.model.own_networks, config.training.batch_size
    if path is not None:
        try_networks(networks, spec, (key, path), size)
        if config.ray.body_replicas > 1:
            try_in_parts(networks, spec, (key, path))
        with fenced(key, f"{path} cannot be measured on torch's meta device:", remedy="read no values in forward"):
            generator, discriminator = network_costs(networks, spec, size)
    else:
        try:
            generator, discriminator = network_costs(networks, spec, size)
        except RuntimeError as error:
            found = f"networks of this size cannot be built ({first_line(error)})"
            raise ConfigError("model", found, "lower width, image_size or training.batch_size") from None
    anchor = (networks.generator_anchor, networks.discriminator_anchor)
    wire, averaged = config.wire, config.training.average is not None
    shapes: dict[NetworkName, tuple[Shape, ...]] = {
        "generator": generator.output_shapes,
        "discriminator": discriminator.output_shapes,
    }
    of_generator = replace(_cost(generator, "generator", wire, networks.generator), averaged=averaged)
    of_discriminator = _cost(discriminator, "discriminator", wire, networks.discriminator)
    return Costs(of_generator, of_discriminator, anchor, shapes)


def choose_cuts(
    config: Config, costs: Costs, kept: Mapping[int, Cuts] | None = None, least_heads: Sequence[int] = ()
) -> Plan:
    """The cuts of every client and their predicted latency.

    Args:
        kept: client -> its cuts, in a run that goes on: how good a plan is found depends on the machine. Of a client that
            is missing they are chosen, as those of all others would be. None, or empty: choose all.
        least_heads: h of each client's head of D at least, by the policy of its site; empty: any. Where no cuts keep to
            it, those that are chosen without it, which the site refuses.

    Raises:
        CutError: a fixed cut that is not valid, or a device for which none is.
        ConfigError: a fixed cut for a profile that is not in the fleet.
    """
    check_fixed(config, costs)
    plan = partial(
        plan_config,
        config,
        generator=costs.generator,
        discriminator=costs.discriminator,
        anchor=costs.anchor,
    )

    def planned(cuts: Sequence[Cuts] | None = None) -> Plan:
        try:
            return plan(kept=cuts, least_heads=least_heads)
        except CutError:
            if not any(least_heads):
                raise
            return plan(kept=cuts)

    clients, known = [member.client for member in config.data.members], kept or {}
    if known.keys() >= set(clients):
        return planned([known[client] for client in clients])
    chosen = planned()
    if not known.keys() & set(clients):
        return chosen
    return planned([known.get(client, cuts) for client, cuts in zip(clients, chosen.cuts, strict=True)])


def study_cuts(config: Config, costs: Costs, leakage: Leakage | None = None, least_heads: Sequence[int] = ()) -> Study:
    """The cuts with everything that they are compared with; errors as `choose_cuts`.

    Args:
        leakage: how much each cut tells; None: as `cuts.leakage` has it.
        least_heads: h of each client's head of D at least, by the policy of its site; empty: any.

    Raises:
        CutError: also where no cuts keep to the sites' bounds.
    """
    check_fixed(config, costs)
    return plan_study(
        config,
        generator=costs.generator,
        discriminator=costs.discriminator,
        anchor=costs.anchor,
        leakage=leakage,
        least_heads=least_heads,
    )


def study_config(
    config: Config,
    infos: Sequence[DomainInfo],
    leakage: Leakage | None = None,
    least_heads: Sequence[int] = (),
) -> Study:
    """As `study_cuts`, with the costs of the networks that the configuration describes.

    Args:
        infos: of each domain.
        leakage, least_heads: as there.

    Raises:
        InputError: data, networks or cuts that cannot be used.
    """
    shape = common_shape(config.model, infos)
    spec = network_spec(config.model, shape.channels, shape.num_classes)
    costs = measure(config, build_networks(spec, config.model.blocks, config.seed), spec)
    return study_cuts(config, costs, leakage, least_heads)


def replicas_config(
    config: Config, infos: Sequence[DomainInfo], counts: Sequence[int], least_heads: Sequence[int] = ()
) -> list[Replicated]:
    """What these numbers of replicas of the body bring; errors as `study_config` and `plan_replicas`.

    Args:
        infos: of each domain.
        least_heads: as `study_cuts`.
    """
    shape = common_shape(config.model, infos)
    spec = network_spec(config.model, shape.channels, shape.num_classes)
    costs = measure(config, build_networks(spec, config.model.blocks, config.seed), spec)
    check_fixed(config, costs)
    return plan_replicas(
        config,
        counts,
        generator=costs.generator,
        discriminator=costs.discriminator,
        anchor=costs.anchor,
        least_heads=least_heads,
    )


def check_fixed(config: Config, costs: Costs) -> None:
    """Refuses fixed cuts for unknown profiles, and invalid ones, by the key that the user wrote, whether or not the
    solver reads them."""
    fleet: Sequence[str] = config.devices.fleet
    for name in config.cuts.fixed:
        if name not in fleet:
            found = f"profile {name!r} is not in the fleet"
            raise ConfigError(f"cuts.fixed.{name}", found, f"use one of {', '.join(dict.fromkeys(fleet))}")
    for name, cut in {name: config.cuts.fixed.get(name, ProfileCut()) for name in fleet}.items():
        where = f"cuts.fixed.{name}"
        check_cut(cut.generator, costs.generator.num_blocks, costs.anchor[0], f"{where}.generator")
        check_cut(cut.discriminator, costs.discriminator.num_blocks, costs.anchor[1], f"{where}.discriminator")


def _cost(costs: BlockCosts, network: NetworkName, wire: WireConfig, blocks: Sequence[nn.Module]) -> NetworkCost:
    norms = [[layer.num_features for layer in block.modules() if isinstance(layer, _BatchNorm)] for block in blocks]

    def on_the_wire(direction: Direction, way: Way) -> list[float]:
        codec = wire.codec_of(direction, way)
        return [wire_bytes(count, codec) for count in costs.output_elements]

    cost = NetworkCost(
        forward_flops=costs.forward_flops,
        backward_flops=costs.backward_flops,
        output_bytes=on_the_wire("forward", "up"),
        output_bytes_down=on_the_wire("forward", "down"),
        gradient_bytes_up=on_the_wire("backward", "up"),
        gradient_bytes_down=on_the_wire("backward", "down"),
        carried_bytes=[wire_bytes(count, "float32") for count in costs.output_elements],
        parameter_bytes=costs.parameter_bytes,
        norm_layers=[len(channels) for channels in norms],
        norm_channels=[sum(channels) for channels in norms],
    )
    passes = live_passes(network)
    return replace(cost, activation_bytes=tuple(passes * kept for kept in costs.activation_bytes))
