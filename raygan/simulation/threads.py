"""Torch threads that fit the cores: results depend on their number, so everybody takes theirs from here."""

from __future__ import annotations

import os

from raygan.config.schema import Config


def worker_threads(num_workers: int, config: Config) -> int:
    """Of a worker's process; `auto`: its share of the machine's cores."""
    asked = config.ray.client_threads
    return max(1, (os.cpu_count() or 1) // num_workers) if asked == "auto" else asked


def server_threads(config: Config) -> int:
    """Of a server's process; `auto`: all cores, since clients mostly wait while it works."""
    asked = config.ray.body_threads
    return (os.cpu_count() or 1) if asked == "auto" else asked
