"""Torch threads that fit the cores: results depend on their number, so everybody takes theirs from here."""

from __future__ import annotations

import os

from raygan.config.schema import Config
from raygan.split.layout import Layout


def client_threads(layout: Layout, config: Config) -> int:
    """Of a client's actor; `auto`: its share of the machine's cores."""
    asked = config.ray.client_threads
    return max(1, _cores() // len(layout.workers)) if asked == "auto" else asked


def body_threads(config: Config) -> int:
    """Of the body's actor; `auto`: all cores, since clients mostly wait while it works."""
    asked = config.ray.body_threads
    return _cores() if asked == "auto" else asked


def _cores() -> int:
    return os.cpu_count() or 1
