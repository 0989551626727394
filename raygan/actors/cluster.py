"""Joining or starting Ray, and what every actor asks it for."""

from __future__ import annotations

import os
import signal
import socket
import threading
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass
from typing import Any

import ray

from raygan.actors.device import gpu_shares
from raygan.actors.layout import Layout
from raygan.config.loading import cluster_address
from raygan.config.schema import Config
from raygan.errors import ConfigError, InputError

BODY_RESOURCE = "body"
"""Custom resource of the node that runs the shared body."""
WORKER_ENVIRONMENT = {"OMP_WAIT_POLICY": "PASSIVE"}
"""Threads that wait must sleep: actors share cores, and spinning made a step up to ten times slower."""

OWN_RAY = {
    "RAY_USAGE_STATS_ENABLED": "0",
    "RAY_task_events_max_num_task_in_gcs": "4000",
}
"""Settings of a Ray of our own: it calls nobody, and its control process remembers a hundred steps' calls, not
thousands of them (each is several kB)."""

REACH_SECONDS = 5.0


@dataclass(frozen=True)
class ActorDemand:
    """What one actor asks Ray for."""

    name: str
    num_cpus: float
    num_gpus: float
    resources: Mapping[str, float]
    labels: Mapping[str, str]

    def options(self) -> dict[str, Any]:
        """As arguments of `ActorClass.options`."""
        options: dict[str, Any] = {"name": self.name, "num_cpus": self.num_cpus, "num_gpus": self.num_gpus}
        if self.resources:
            options["resources"] = dict(self.resources)
        if self.labels:
            options["label_selector"] = dict(self.labels)
        return options


def demands(layout: Layout, config: Config) -> dict[str, list[ActorDemand]]:
    """Every actor of a run by role. Aggregators come with the clusters: one is listed for each that may be."""
    clients = []
    body_gpus, client_gpus = gpu_shares(config, [host.profile for host in layout.hosts])
    for host, num_gpus in zip(layout.hosts, client_gpus, strict=True):
        profile = config.devices.profile(host.profile)
        amount = {name: value * len(host.clients) for name, value in profile.resources.items()}
        clients.append(ActorDemand(host.name, profile.num_cpus, num_gpus, amount, profile.labels))
    count = config.clusters.count
    aggregators = 1 if count == "auto" else count
    return {
        "client": clients,
        "body": [ActorDemand("body", 0, body_gpus, {BODY_RESOURCE: 1}, {})],
        "aggregator": [ActorDemand(f"aggregator-{number}", 0, 0, {}, {}) for number in range(aggregators)],
        "evaluator": [ActorDemand("evaluator", 0, 0, {}, {})],
    }


def required(layout: Layout, config: Config) -> dict[str, float]:
    """The sum of what the actors ask for, by resource."""
    total: dict[str, float] = {}
    for demand in (demand for role in demands(layout, config).values() for demand in role):
        for name, amount in {"CPU": demand.num_cpus, "GPU": demand.num_gpus, **demand.resources}.items():
            total[name] = total.get(name, 0.0) + amount
    return {name: amount for name, amount in total.items() if amount}


@contextmanager
def connection(layout: Layout, config: Config, namespace: str) -> Iterator[str | None]:
    """Ray for the time of a run: the one that is there, or one of our own that ends with it.

    Yields:
        The address of the dashboard, if there is one.

    Raises:
        InputError: a cluster that cannot be reached or that lacks what the actors ask for.
    """
    with ray_with(required(layout, config), config, namespace) as dashboard:
        check_resources(layout, config)
        yield dashboard


@contextmanager
def ray_with(needs: Mapping[str, float], config: Config, namespace: str) -> Iterator[str | None]:
    """Ray for a time: the one that is there, or one of our own that has what is needed.

    Args:
        needs: resources that a Ray of our own declares; one that is there is not checked.

    Yields:
        The address of the dashboard, if there is one.

    Raises:
        InputError: a cluster that cannot be reached.
    """
    ours = not ray.is_initialized()
    if ours:
        with _own_sigterm_handler():
            _start(needs, config, namespace)
    try:
        yield _dashboard()
    finally:
        if ours:
            ray.shutdown()


@contextmanager
def _own_sigterm_handler() -> Iterator[None]:
    """Puts the caller's handler back: `ray.init` replaces it by one that leaves without a word."""
    before = signal.getsignal(signal.SIGTERM)
    yield
    if callable(before) and threading.current_thread() is threading.main_thread():
        signal.signal(signal.SIGTERM, before)


def _start(needs: Mapping[str, float], config: Config, namespace: str) -> None:
    address = cluster_address(config)
    common: dict[str, Any] = {"namespace": namespace, "log_to_driver": False, "logging_level": "error"}
    if address:
        try:
            _reach(address)
            ray.init(address, **common)
        except (ConnectionError, OSError, ValueError, RuntimeError) as error:
            found = f"no Ray cluster at {address!r} ({str(error).splitlines()[0]})"
            raise ConfigError("ray.address", found, "start one, or leave it null for a local Ray") from None
        return
    for name, value in WORKER_ENVIRONMENT.items():
        os.environ.setdefault(name, value)  # workers inherit it
    for name, value in OWN_RAY.items():
        os.environ.setdefault(name, value)
    custom = {name: amount for name, amount in needs.items() if name not in ("CPU", "GPU")}
    cpus = max(os.cpu_count() or 1, int(-(-needs.get("CPU", 0) // 1)))
    ray.init("local", num_cpus=cpus, resources=custom, include_dashboard=True, **common)


def _reach(address: str) -> None:
    """Tries `host:port` itself: Ray would try for minutes before it says that nobody is there."""
    host, colon, port = address.removeprefix("ray://").rpartition(":")
    if colon and port.isdigit():
        socket.create_connection((host, int(port)), timeout=REACH_SECONDS).close()


def check_resources(layout: Layout, config: Config) -> None:
    """Compares what the actors ask for with what the cluster has.

    Raises:
        InputError: naming the resource, what is needed and what is there.
    """
    there = ray.cluster_resources()
    for name, amount in required(layout, config).items():
        if there.get(name, 0.0) < amount:
            found = f"the actors need {amount:g}, the cluster has {there.get(name, 0.0):g}"
            raise InputError(
                f"Ray resource {name!r}", found, "add nodes that declare it, or change devices.fleet"
            )


def _dashboard() -> str | None:
    from ray._private.worker import global_worker

    url = global_worker.node.webui_url if global_worker.node else None
    return f"http://{url}" if url else None
