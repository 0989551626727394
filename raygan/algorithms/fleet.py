"""The fleet of a configuration, for what an algorithm costs on it."""

from __future__ import annotations

from raygan.config.schema import Config
from raygan.cuts.cost import Device, Server
from raygan.cuts.fleet import Fleet
from raygan.nn.network import build_networks
from raygan.nn.spec import NetworkSpec
from raygan.split.planning import measure


def fleet_of(config: Config, spec: NetworkSpec) -> Fleet:
    """The configured networks, measured, with each client's device."""
    costs = measure(config, build_networks(spec, config.model.blocks, config.seed), spec)
    devices = [Device.from_profile(name, config.devices.profile(name)) for name in config.profiles]
    return Fleet(costs.generator, costs.discriminator, devices, server_of(config))


def server_of(config: Config) -> Server:
    """The server's numbers."""
    server = config.devices.server
    return Server(server.flops_per_s, server.bytes_per_s)
