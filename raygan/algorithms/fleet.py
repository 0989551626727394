"""The fleet of a configuration: what an algorithm costs on it, and a worker for each of its devices."""

from __future__ import annotations

from collections.abc import Callable
from functools import partial

from raygan.config.devices import SERVER_RESOURCE
from raygan.config.schema import Config
from raygan.cuts.fleet import Fleet, FleetCost
from raygan.cuts.planner import fleet_of
from raygan.nn.network import build_networks
from raygan.nn.spec import NetworkSpec
from raygan.parties.base import Server, Worker
from raygan.parties.layout import ClientPlan, Layout
from raygan.parties.spec import Parties, PartySpec
from raygan.runtime.limits import LIMITS
from raygan.simulation.threads import server_threads, worker_threads
from raygan.split.planning import measure


def measured_fleet(config: Config, spec: NetworkSpec) -> Fleet:
    """The configured networks, measured, with each client's device."""
    costs = measure(config, build_networks(spec, config.model.blocks, config.seed), spec)
    return Fleet(costs.generator, costs.discriminator, *fleet_of(config))


def parties_of(
    layout: Layout[ClientPlan],
    config: Config,
    worker_type: Callable[..., Worker],
    cost: FleetCost,
    make_server: Callable[..., Server] | None = None,
) -> Parties:
    """A worker for each device, and perhaps a server; where devices are emulated, they take their time.

    Args:
        worker_type: made of a worker's plan, the networks' spec and the configuration.
        make_server: given its device.
    """
    phases = cost.phases if config.devices.emulate else None
    place = {client: number for number, client in enumerate(layout.ids)}
    threads = worker_threads(len(layout.workers), config)
    workers = tuple(
        PartySpec(
            plan.name,
            partial(worker_type, plan, layout.spec, config),
            threads,
            pace={} if phases is None else phases.of_worker([place[client] for client in plan.ids]),
        )
        for plan in layout.workers
    )
    servers: tuple[PartySpec[Server], ...] = ()
    if make_server is not None:
        pace = {} if phases is None else phases.server
        servers = (PartySpec("server", make_server, server_threads(config), {SERVER_RESOURCE: 1}, pace),)
    longest_s = 0.0 if phases is None else LIMITS.slack * phases.iteration_s
    return Parties(layout, workers, servers, 1, longest_s)
