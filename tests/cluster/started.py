"""A Ray cluster of our own from the command line, with its own ports, folder and token, and nothing left of it after."""

from __future__ import annotations

import contextlib
import os
import shutil
import socket
import subprocess
import sys
import tempfile
import time
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import psutil
import ray
import yaml

ROOT = Path(__file__).parents[2]
HEAD_ID = "f" * 51 + "00000"
"""Ray's fake node provider knows its head by it."""


@dataclass
class StartedCluster:
    """A head, and what `raygan` and `ray` need to reach it."""

    address: str
    dashboard: str
    folder: Path
    environment: Mapping[str, str] = field(repr=False)

    def popen(self, *command: str, **options: Any) -> subprocess.Popen[str]:
        """Starts `raygan ...` or `ray ...` as a user of the cluster."""
        name, *arguments = command
        module = {"raygan": "from raygan.cli import main", "ray": "from ray.scripts.scripts import main"}[name]
        return subprocess.Popen(
            [sys.executable, "-c", f"{module}; main()", *arguments],
            env=dict(self.environment),
            text=True,
            stdout=subprocess.PIPE,
            stderr=subprocess.STDOUT,
            **options,
        )

    def call(self, *command: str, timeout_s: float = 300, **options: Any) -> tuple[int, str]:
        """Exit status and output of a command."""
        process = self.popen(*command, **options)
        try:
            output, _ = process.communicate(timeout=timeout_s)
        except subprocess.TimeoutExpired:
            process.kill()
            output, _ = process.communicate()
            raise AssertionError(f"{command} did not end within {timeout_s} s:\n{output}") from None
        return process.returncode, output


@contextmanager
def started_cluster(*options: str, node_types: Mapping[str, Any] | None = None) -> Iterator[StartedCluster]:
    """`ray start --head`; with node types, Ray's own autoscaler adds nodes on this machine as they are asked for."""
    folder = Path(tempfile.mkdtemp(prefix="rg-"))  # short: sockets below it have at most 107 characters
    gcs, dashboard, client = free_ports(3)
    address = f"{ray.util.get_node_ip_address()}:{gcs}"
    environment = {
        **{key: value for key, value in os.environ.items() if not key.startswith("RAY_")},
        "PATH": os.pathsep.join([str(Path(sys.executable).parent), os.environ.get("PATH", "")]),
        "PYTHONPATH": os.pathsep.join([str(ROOT), os.environ.get("PYTHONPATH", "")]),
        "RAY_AUTH_MODE": "token",
        "RAY_AUTH_TOKEN": "0123456789abcdef" * 4,
        "RAY_USAGE_STATS_ENABLED": "0",
        "OMP_WAIT_POLICY": "PASSIVE",
    }
    command = [
        *("--head", "--block", f"--port={gcs}", f"--temp-dir={folder / 'ray'}"),
        *(f"--dashboard-port={dashboard}", f"--ray-client-server-port={client}"),
        *("--dashboard-agent-listen-port=0", "--min-worker-port=0", "--max-worker-port=0"),
        *options,
    ]
    if node_types is not None:
        (folder / "cluster.yaml").write_text(yaml.safe_dump(fake_settings(address, node_types)))
        command.append(f"--autoscaling-config={folder / 'cluster.yaml'}")
        environment |= {
            "RAY_FAKE_CLUSTER": "1",
            "RAY_enable_autoscaler_v2": "1",
            "AUTOSCALER_UPDATE_INTERVAL_S": "1",
            "RAY_CLOUD_INSTANCE_ID": HEAD_ID,
            "RAY_OVERRIDE_NODE_ID_FOR_TESTING": HEAD_ID,
        }
    with (folder / "head.log").open("w") as log:
        head = subprocess.Popen(
            [sys.executable, "-c", "from ray.scripts.scripts import main; main()", "start", *command],
            env=environment,
            stdout=log,
            stderr=subprocess.STDOUT,
        )
    for name in ("RAY_CLOUD_INSTANCE_ID", "RAY_OVERRIDE_NODE_ID_FOR_TESTING"):
        environment.pop(name, None)
    try:
        wait_for(lambda: _listens(dashboard), 120, f"the head: {folder / 'head.log'}")
        yield StartedCluster(address, f"http://127.0.0.1:{dashboard}", folder, environment)
    finally:
        _end(head, folder)
        shutil.rmtree(folder, ignore_errors=True)


def fake_settings(address: str, node_types: Mapping[str, Any]) -> dict[str, Any]:
    """A complete cluster configuration for nodes that are processes of this machine."""
    provider = "ray.autoscaler._private.fake_multi_node.node_provider.FakeMultiNodeProvider"
    types = {name: {"node_config": {}, "min_workers": 0, **kind} for name, kind in node_types.items()}
    return {
        "cluster_name": "raygan-fake",
        "max_workers": 8,
        "idle_timeout_minutes": 0.1,
        "upscaling_speed": 100,
        "provider": {
            "type": "external",
            "module": provider,
            "head_node_id": HEAD_ID,
            "launch_multiple": True,
            "gcs_address": address,
        },
        "head_node_type": "ray.head.default",
        "available_node_types": {
            "ray.head.default": {"node_config": {}, "resources": {"CPU": 1}, "max_workers": 0},
            **types,
        },
        **{name: {} for name in ("auth", "docker", "file_mounts", "head_node", "worker_nodes")},
        **{name: [] for name in ("cluster_synced_files", "rsync_exclude", "rsync_filter")},
        **{name: [] for name in ("initialization_commands", "setup_commands")},
        **{name: [] for name in ("head_setup_commands", "worker_setup_commands")},
        **{name: [] for name in ("head_start_ray_commands", "worker_start_ray_commands")},
        "file_mounts_sync_continuously": False,
    }


def wait_for(condition: Any, seconds: float, what: str) -> None:
    """Returns once the condition holds."""
    ends = time.monotonic() + seconds
    while not condition():
        assert time.monotonic() < ends, f"waited {seconds} s for {what}"
        time.sleep(0.5)


def free_ports(count: int) -> list[int]:
    """Ports that nobody listens on, below those that Ray's workers take."""
    with contextlib.ExitStack() as stack:
        sockets = [stack.enter_context(socket.socket()) for _ in range(count)]
        for one in sockets:
            one.bind(("", 0))
        return [one.getsockname()[1] for one in sockets]


def _listens(port: int) -> bool:
    with socket.socket() as one:
        return one.connect_ex(("127.0.0.1", port)) == 0


def _end(head: subprocess.Popen[bytes], folder: Path) -> None:
    """The head by its own handler, then whatever was started in its folder: fake nodes outlive their head."""
    head.terminate()
    with contextlib.suppress(subprocess.TimeoutExpired):
        head.wait(30)
    for process in psutil.process_iter(["cmdline"]):
        if any(str(folder) in part for part in process.info["cmdline"] or []):
            with contextlib.suppress(psutil.Error):
                process.kill()
