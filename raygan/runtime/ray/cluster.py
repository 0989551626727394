"""Joining or starting Ray."""

from __future__ import annotations

import os
import signal
import socket
import threading
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager, nullcontext

import ray
from ray._private.worker import global_worker

from raygan.config.loading import cluster_address
from raygan.config.schema import Config
from raygan.errors import ConfigError, first_line
from raygan.parties.spec import Parties
from raygan.runtime.limits import LIMITS
from raygan.runtime.ray import ahead, own
from raygan.runtime.ray.demand import all_demands, required
from raygan.runtime.ray.nodes import await_nodes, check_nodes
from raygan.runtime.ray.placing import chosen, shared


@contextmanager
def connection(
    parties: Parties, config: Config, namespace: str, tell: Callable[[str], None] = lambda _: None
) -> Iterator[tuple[Config, str | None]]:
    """As `ray_with` what the actors of a run ask for, once there is a node for each.

    Yields:
        The configuration with its placement decided, and the address of the dashboard, if there is one.

    Raises:
        InputError: a cluster that cannot be reached or that lacks what the actors ask for.
    """
    ours = is_ours(config)
    with ray_with(required(parties, config), config, namespace) as dashboard:
        placed = config if ours else shared(parties, chosen(config, tell))
        await_nodes(all_demands(parties, placed), config.ray.wait_for_nodes_s, tell)
        yield placed, dashboard


def check_cluster(parties: Parties, config: Config) -> None:
    """Nothing, if Ray would be our own, or the cluster at the address has what the actors ask for; errors as
    `connection`."""
    if not is_ours(config):
        with ray_with({}, config, namespace="raygan"):
            check_nodes(
                all_demands(parties, shared(parties, chosen(config, lambda _: None))), config.ray.wait_for_nodes_s
            )


def is_ours(config: Config) -> bool:
    """Whether Ray will be a local one of our own, which declares whatever is asked for."""
    return not has_ray() and cluster_address(config) is None


def has_ray() -> bool:
    """Whether this process has joined or started Ray already; one that is started ahead is not there yet."""
    return ray.is_initialized() and not ahead.is_pending()


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
    ours, here = not has_ray(), cluster_address(config) is None
    if ours:
        handler = signal.getsignal(signal.SIGTERM)
        _start(needs, config, namespace)
        if callable(handler) and threading.current_thread() is threading.main_thread():
            signal.signal(signal.SIGTERM, handler)  # `ray.init` put one there that leaves without a word
    with own.reaped() if ours and here else nullcontext():
        try:
            node = global_worker.node
            yield f"http://{node.webui_url}" if node and node.webui_url else None
        finally:
            if ours:
                ray.shutdown()


def _start(needs: Mapping[str, float], config: Config, namespace: str) -> None:
    address = cluster_address(config)
    if address:
        _join(address, namespace)
    elif not ahead.taken(needs):
        own.start(needs, namespace)


def _join(address: str, namespace: str) -> None:
    if address.startswith("ray://"):
        found = f"{address!r} is a Ray client's address: the driver would be no part of the cluster"
        remedy = "run raygan on a node (`ray job submit ... -- raygan train`), with --address auto"
        raise ConfigError("ray.address", found, remedy)
    for name, value in own.OF_DRIVER.items():
        os.environ.setdefault(name, value)
    try:
        _reach(address)
        ray.init(address, namespace=namespace, **own.QUIET)
    except (ConnectionError, OSError, ValueError, RuntimeError) as error:
        if _is_refused(error):
            found = f"the cluster at {address!r} asks for its token"
            remedy = "set RAY_AUTH_MODE=token, with what `ray get-auth-token` prints on its head in ~/.ray/auth_token"
            raise ConfigError("ray.address", found, remedy) from None
        found = f"no Ray cluster at {address!r} ({first_line(error)})"
        raise ConfigError("ray.address", found, "start one, or leave it null for a local Ray") from None


def _is_refused(error: BaseException | None) -> bool:
    """Whether the cluster answered, but wants a token."""
    while error is not None:
        if "AuthToken" in str(error) or type(error).__name__ == "AuthenticationError":
            return True
        error = error.__cause__ or error.__context__
    return False


def _reach(address: str) -> None:
    """Tries `host:port` itself: Ray would try for minutes before it says that nobody is there."""
    host, colon, port = address.rpartition(":")
    if colon and port.isdecimal():
        socket.create_connection((host, int(port)), timeout=LIMITS.reach_s).close()
