"""Memory of every process of a run while it trains, on a deliberately small object store.

`python -m tests.run.memory --steps 500` prints the figures.
"""

from __future__ import annotations

import argparse
import os
import statistics
import tempfile
from dataclasses import dataclass
from pathlib import Path

import psutil
import ray
from ray._private.internal_api import get_memory_info_reply, get_state_from_address
from ray._private.state import actors

from raygan.api import train
from raygan.config.loading import make_config
from raygan.run.events import Listener
from raygan.runtime.ray.own import OF_RAY

MIB = 1024**2
STORE_BYTES = 80 * MIB
"""Ray takes no less than 75 MiB."""
EVERY = 10
"""Steps between two looks."""


@dataclass(frozen=True)
class Store:
    """The object store at one moment, bytes."""

    used: int
    spilled: int
    """Written to disk since the start."""


class Watch(Listener):
    """Looks at every process after each tenth step."""

    def __init__(self) -> None:
        self.steps = 0
        self.looks: list[dict[str, tuple[int, int]]] = []
        """Process -> its own memory (USS) and with its part of what it shares (PSS), bytes."""
        self.store: list[Store] = []
        self._state = get_state_from_address(ray.get_runtime_context().gcs_address)

    def on_step(self, *_) -> None:
        self.steps += 1
        if self.steps % EVERY == 0:
            self.looks.append({name: _memory(process) for name, process in processes().items()})
            stats = get_memory_info_reply(self._state).store_stats
            self.store.append(Store(stats.object_store_bytes_used, stats.spilled_bytes_total))


def processes() -> dict[str, psutil.Process]:
    """The driver, Ray's own processes below it, and the actors, by name."""
    found = {"driver": psutil.Process()}
    for process in psutil.Process().children(recursive=True):
        if process.name() in ("raylet", "gcs_server"):
            found[process.name()] = process
    for actor in actors().values():
        if actor["State"] == "ALIVE":
            found[actor["Name"]] = psutil.Process(actor["Pid"])
    return found


def _memory(process: psutil.Process) -> tuple[int, int]:
    try:
        info = process.memory_full_info()
        return info.uss, info.pss
    except psutil.Error:
        return 0, 0


def settings(num_steps: int, **changes: object) -> dict:
    """The demo's networks and six clients in three actors; 52 steps a round, scored every third round."""
    demo = {"training": {"rounds": -(-num_steps // 52)}, "evaluation": {"every": 3, "images": 200}}
    return demo | {"ray": {"clients_per_actor": 2}} | changes


def growth(watch: Watch) -> dict[str, tuple[float, float, float, float]]:
    """Process -> median USS, MiB, of the second quarter and of the last quarter of the run, and both medians of PSS."""
    looks = watch.looks
    quarter = max(1, len(looks) // 4)
    table = {}
    for name in looks[-1]:
        if all(name in look for look in looks[quarter:]):
            parts = looks[quarter : 2 * quarter], looks[-quarter:]
            medians = [
                [statistics.median(look[name][kind] for look in part) / MIB for part in parts] for kind in (0, 1)
            ]
            table[name] = (*medians[0], *medians[1])
    return table


def measure(num_steps: int, folder: Path, **changes: object) -> Watch:
    """Trains at least so many steps on a small store."""
    fleet = {"raspberry_pi_4": 8, "jetson_nano": 8, "workstation": 8, "body": 1}
    for name, value in OF_RAY.items():
        os.environ.setdefault(name, value)
    quiet = {"include_dashboard": False, "log_to_driver": False, "logging_level": "error"}
    ray.init("local", num_cpus=4, resources=fleet, object_store_memory=STORE_BYTES, **quiet)
    try:
        watch = Watch()
        train(make_config(settings(num_steps, **changes)), folder, listener=watch)
    finally:
        ray.shutdown()
    return watch


def show(watch: Watch) -> None:
    """Prints the table."""
    print(f"{watch.steps} steps, object store of {STORE_BYTES / MIB:.0f} MiB; MiB in the second and the last quarter")
    print(f"{'process':44}{'USS':>8}{'USS':>8}{'growth':>8}{'PSS':>8}{'PSS':>8}")
    for name, (first, last, pss_first, pss_last) in growth(watch).items():
        print(f"{name:44}{first:8.1f}{last:8.1f}{last - first:8.1f}{pss_first:8.1f}{pss_last:8.1f}")
    used = [store.used / MIB for store in watch.store]
    print(f"store used: median {statistics.median(used):.1f}, most {max(used):.1f}; ", end="")
    print(f"spilled in all {watch.store[-1].spilled / MIB:.1f}")


if __name__ == "__main__":
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--steps", type=int, default=500)
    arguments = parser.parse_args()
    with tempfile.TemporaryDirectory() as place:
        show(measure(arguments.steps, Path(place) / "run"))
