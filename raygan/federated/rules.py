"""Clustering rules by name or, of the user's own, by import path."""

from __future__ import annotations

from typing import Literal

import numpy as np
import numpy.typing as npt

from raygan.config.choices import CLUSTERINGS, chosen
from raygan.config.schema import ClusterConfig
from raygan.errors import ConfigError
from raygan.federated import Clustering, Floats
from raygan.own_code import fenced, imported

KEY = "clusters.clustering"


def clustering(name: str) -> Clustering:
    """The rule of a name, or of an import path, whose clusters are then numbered from 0.

    Raises:
        ConfigError: there is no function at the path; or, when it is called, it fails or gives each client no cluster.
    """
    if name in CLUSTERINGS:
        rule: Clustering = chosen(CLUSTERINGS, name)
        return rule
    own = imported(name, KEY)

    def fenced_rule(features: Floats, count: int | Literal["auto"], seed: int) -> npt.NDArray[np.int64]:
        with fenced(KEY, f"{name} failed with"):
            found = np.asarray(own(features, count, seed))
        if found.shape != (len(features),) or found.dtype.kind not in "iu":
            returned = f"{name} returned {found.dtype} numbers of shape {found.shape} for {len(features)} clients"
            raise ConfigError(KEY, returned, "return the number of each client's cluster")
        return np.unique(found, return_inverse=True)[1].astype(np.int64)

    return fenced_rule


def try_clustering(settings: ClusterConfig, num_clients: int) -> None:
    """Calls a rule of the user's own once, on features that mean nothing; errors as `clustering`."""
    if settings.clustering not in CLUSTERINGS and settings.count != "oracle":
        features = np.random.default_rng(0).normal(size=(num_clients, 8)).astype(np.float32)
        count = settings.count if settings.count == "auto" else min(settings.count, num_clients)
        clustering(settings.clustering)(features, count, 0)
