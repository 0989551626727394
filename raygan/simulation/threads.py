"""Torch threads that fit the cores: results depend on their number, so everybody takes theirs from here."""

from __future__ import annotations

import os

from raygan.config.loading import cluster_address
from raygan.config.schema import Config


def worker_threads(num_workers: int, config: Config) -> int:
    """Of a worker's process; `auto`: its share of the machine's cores."""
    asked = config.ray.client_threads
    return max(1, (os.cpu_count() or 1) // num_workers) if asked == "auto" else asked


def server_threads(config: Config) -> int:
    """Of a server's process; `auto`: all cores, since clients mostly wait while it works. Replicas on one machine share
    them."""
    asked, replicas = config.ray.body_threads, 1 if cluster_address(config) else config.ray.body_replicas
    return max(1, (os.cpu_count() or 1) // replicas) if asked == "auto" else asked
