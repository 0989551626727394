"""What the configuration chooses by name, and where the code of each name is: one more is one file and one line here.

Names are checked when the configuration is read, and their code is imported when it is first used: so this module
brings no torch along.
"""

from __future__ import annotations

from collections.abc import Mapping
from importlib import import_module
from typing import Any

from pydantic import AfterValidator

from raygan.errors import instead_of

Choices = Mapping[str, str]
"""Name -> `package.module:attribute`."""

ALGORITHMS: Choices = {
    "huscf": "raygan.algorithms.huscf:HuscfGan",
    "local": "raygan.algorithms.local:Local",
    "central": "raygan.algorithms.central:Central",
    "fed_gan": "raygan.algorithms.fed_gan:FedGan",
    "clustered_fed_gan": "raygan.algorithms.clustered_fed_gan:ClusteredFedGan",
    "md_gan": "raygan.algorithms.md_gan:MdGan",
    "fed_split_gan": "raygan.algorithms.fed_split_gan:FedSplitGan",
    "ua_gan": "raygan.algorithms.ua_gan:UaGan",
    "pfl_gan": "raygan.algorithms.pfl_gan:PflGan",
    "hierarchical": "raygan.algorithms.hierarchical:Hierarchical",
}
"""Each a `raygan.algorithms.base.Algorithm`."""
LOSSES: Choices = {
    "bce": "raygan.nn.losses:BCE",
    "hinge": "raygan.nn.losses:HINGE",
    "relativistic": "raygan.nn.losses:RELATIVISTIC",
}
"""Each a `raygan.nn.losses.GanLoss`."""
SCHEDULES: Choices = {
    "constant": "raygan.nn.schedules:constant",
    "linear": "raygan.nn.schedules:linear",
    "cosine": "raygan.nn.schedules:cosine",
}
"""Each a function from the round, from 0, and the number of rounds to a share of the learning rate."""
AUGMENTATIONS: Choices = {
    "translation": "raygan.nn.augmentation:TRANSLATION",
    "cutout": "raygan.nn.augmentation:CUTOUT",
    "colour": "raygan.nn.augmentation:COLOUR",
}
"""Each a `raygan.nn.augmentation.Augmentation`."""
NETWORKS: Choices = {
    "paper": "raygan.nn.blocks:paper_networks",
    "projection": "raygan.nn.projection:projection_networks",
    "plane_projection": "raygan.nn.projection:plane_projection_networks",
    "residual": "raygan.nn.residual:residual_networks",
}
"""Each a function from `raygan.nn.NetworkSpec` to `raygan.nn.Networks`."""
CLUSTERINGS: Choices = {
    "kmeans": "raygan.federated.clustering:cluster_clients",
}
"""Each a `raygan.federated.Clustering`."""
WEIGHTINGS: Choices = {
    "kld": "raygan.federated.weighting:kld_weighting",
}
"""Each a `raygan.federated.Weighting`."""
AGGREGATIONS: Choices = {
    "holes": "raygan.federated.aggregation:BlockAverager",
}
"""Each a `raygan.federated.Averager`."""


def chosen(choices: Choices, name: str) -> Any:
    """What a name stands for; the caller knows its type."""
    module, _, attribute = choices[name].partition(":")
    return getattr(import_module(module), attribute)


def one_of(choices: Choices, or_path: bool = False) -> AfterValidator:
    """Refuses, for a field of the configuration, every other name.

    Args:
        or_path: whether it may be an import path `package.module:attribute` as well.
    """

    def check(name: str) -> str:
        if name not in choices and not (or_path and ":" in name):
            more = " or give package.module:function" if or_path else ""
            raise ValueError(f"unknown name {name!r}; {instead_of(name, list(choices))}{more}")
        return name

    return AfterValidator(check)
