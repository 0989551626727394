"""The fleet of a configuration, for what an algorithm costs on it."""

from __future__ import annotations

from raygan.config.schema import Config
from raygan.cuts.fleet import Fleet
from raygan.cuts.planner import fleet_of
from raygan.nn.network import build_networks
from raygan.nn.spec import NetworkSpec
from raygan.split.planning import measure


def measured_fleet(config: Config, spec: NetworkSpec) -> Fleet:
    """The configured networks, measured, with each client's device."""
    costs = measure(config, build_networks(spec, config.model.blocks, config.seed), spec)
    return Fleet(costs.generator, costs.discriminator, *fleet_of(config))
