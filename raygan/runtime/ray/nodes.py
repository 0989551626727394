"""The cluster's nodes: those that are there, those that its autoscaler may start, and waiting for them.

Waiting is done with a placement group of what the actors ask for: the autoscaler starts nodes for it, and it goes when
the driver goes, unlike `request_resources`, which would keep the nodes for ever.
"""

from __future__ import annotations

import time
from collections import Counter
from collections.abc import Callable, Mapping, Sequence
from pathlib import Path
from typing import Any

import ray
import yaml
from ray.exceptions import GetTimeoutError, RayError
from ray.util.placement_group import get_current_placement_group, placement_group, remove_placement_group

from raygan.runtime.limits import LIMITS
from raygan.runtime.ray.capacity import Autoscaler, Node, NodeType, place, shortage
from raygan.runtime.ray.demand import ActorDemand

HEAD_RESOURCE = "node:__internal_head__"
"""Ray gives it to the head node."""
LINE_SECONDS = 5.0
"""Between two lines of progress."""


def check_nodes(demands: Sequence[ActorDemand], wait_s: float | None) -> None:
    """As the beginning of `await_nodes`, without waiting and without having nodes started.

    Raises:
        InputError: what is missing, if nobody could bring it.
    """
    nodes = live_nodes()
    autoscaler = find_autoscaler()
    if not wait_s and (lacking := place(demands, nodes, autoscaler).unplaced):
        raise shortage(lacking[0], demands, nodes, autoscaler)


def await_nodes(
    demands: Sequence[ActorDemand], wait_s: float | None, tell: Callable[[str], None] = lambda _: None
) -> None:
    """Returns when there is a node for every actor; at once where there is one now, or in a Tune trial, which has
    its own.

    Args:
        wait_s: as `ray.wait_for_nodes_s`.
        tell: is given a line of progress now and then.

    Raises:
        InputError: what is missing, at once if nobody could bring it, else after the wait.
    """
    if get_current_placement_group() is not None:
        return
    nodes = live_nodes()
    if not place(demands, nodes, only_free=True).unplaced:
        return
    autoscaler = find_autoscaler()
    possible = place(demands, nodes, autoscaler)
    if possible.unplaced and (autoscaler or not wait_s):
        raise shortage(possible.unplaced[0], demands, nodes, autoscaler)
    if wait_s is None:
        wait_s = LIMITS.nodes_start_s if possible.started else LIMITS.nodes_free_s
    _await_group(demands, wait_s, autoscaler, tell)


def _await_group(
    demands: Sequence[ActorDemand],
    wait_s: float,
    autoscaler: Autoscaler | None,
    tell: Callable[[str], None],
) -> None:
    placed = [demand for demand in demands if demand.bundle or demand.labels]
    group = placement_group(
        [demand.bundle or {"CPU": 0.001} for demand in placed],
        bundle_label_selector=[dict(demand.labels) for demand in placed],
        name="raygan waits for nodes",
    )
    try:
        started = told = time.monotonic()
        while not group.wait(min(1.0, wait_s)):
            now = time.monotonic()
            nodes = live_nodes()
            missing = place(demands, nodes).unplaced
            if now - started >= wait_s:
                left = missing or place(demands, nodes, only_free=True).unplaced or placed
                raise shortage(left[0], demands, nodes, autoscaler)
            if now - told >= LINE_SECONDS or told == started:
                tell(_progress(missing, len(placed), now - started, wait_s))
                told = now
    finally:
        remove_placement_group(group)


def _progress(missing: Sequence[ActorDemand], num_actors: int, waited_s: float, wait_s: float) -> str:
    kinds = Counter(demand.profile or demand.name for demand in missing)
    lacking = ", ".join(f"{number} {kind}" for kind, number in sorted(kinds.items())) or "none, but in use"
    there = f"{num_actors - len(missing)} of {num_actors} actors have one"
    return f"waiting for nodes: {there}, missing: {lacking} ({waited_s:.0f} of {wait_s:g} s)"


def live_nodes() -> list[Node]:
    """The nodes that are there, as Ray's autoscaler sees them."""
    from ray._raylet import GcsClient  # type: ignore[attr-defined]
    from ray.autoscaler.v2.sdk import get_cluster_resource_state
    from ray.core.generated.autoscaler_pb2 import NodeStatus  # type: ignore[attr-defined]

    state = get_cluster_resource_state(GcsClient(_gcs_address()))
    return [
        Node(
            dict(node.total_resources),
            dict(node.available_resources),
            dict(node.labels),
            node.ray_node_type_name,
        )
        for node in state.node_states
        if NodeStatus.Name(node.status) in ("RUNNING", "IDLE")
    ]


def find_autoscaler() -> Autoscaler | None:
    """What the cluster's autoscaler may start, by the file that it was given; None: there is none, or it runs where
    this file cannot be read (Kubernetes)."""
    address = _gcs_address()
    settings = autoscaler_settings(address)
    if settings is None and _is_elsewhere():
        read = ray.remote(autoscaler_settings).options(
            num_cpus=0, resources={HEAD_RESOURCE: 0.001}, name="read the autoscaler's node types"
        )
        try:
            settings = ray.get(read.remote(address), timeout=LIMITS.settings_s)
        except (GetTimeoutError, RayError):
            return None
    if settings is None or settings["provider"].get("type") == "local":
        return None  # its nodes are machines that are there: what they have is known once they join
    return autoscaler_of(settings)


def autoscaler_settings(gcs_address: str) -> dict[str, Any] | None:
    """The cluster's configuration, by the command line of Ray's monitor; None: no such process on this machine."""
    import psutil  # Ray ships it

    for process in psutil.process_iter(["cmdline"]):
        options = dict(part.partition("=")[::2] for part in process.info["cmdline"] or [] if "=" in part)
        if options.get("--gcs-address") == gcs_address and "--autoscaling-config" in options:
            text = Path(options["--autoscaling-config"]).expanduser().read_text()
            settings: dict[str, Any] = yaml.safe_load(text)
            return settings
    return None


def autoscaler_of(settings: Mapping[str, Any]) -> Autoscaler:
    """The limits in a cluster's configuration."""
    most = settings.get("max_workers", 0)
    types = [
        NodeType(name, entry.get("resources", {}), entry.get("labels", {}), entry.get("max_workers", most))
        for name, entry in settings.get("available_node_types", {}).items()
        if name != settings.get("head_node_type")
    ]
    return Autoscaler(tuple(types), most)


def _gcs_address() -> str:
    return str(ray.get_runtime_context().gcs_address)


def _is_elsewhere() -> bool:
    """Whether the head is another machine than this."""
    here = ray.get_runtime_context().get_node_id()
    return any(node["NodeID"] == here and HEAD_RESOURCE not in node["Resources"] for node in ray.nodes())
