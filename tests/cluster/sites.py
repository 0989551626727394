"""A domain that is only on its site: `SITE` in the environment of a node's processes stands for the node's disk."""

from __future__ import annotations

import os
from pathlib import Path
from typing import Any

import numpy as np

from raygan.config.schema import DomainConfig

SITE = "RAYGAN_TEST_SITE"
FOLDER = "RAYGAN_TEST_DATA"


def first(domain: DomainConfig) -> dict[str, Any]:
    return _read(domain, "domain0.npz")


def second(domain: DomainConfig) -> dict[str, Any]:
    return _read(domain, "domain1.npz")


def _read(domain: DomainConfig, name: str) -> dict[str, Any]:
    if domain.labels and os.environ.get(SITE) != domain.labels["site"]:
        raise FileNotFoundError(f"{name} is not on this node")
    with np.load(Path(os.environ[FOLDER]) / name) as arrays:
        return dict(arrays)
