"""A minibatch of a generator's images."""

from __future__ import annotations

from dataclasses import dataclass

from torch import Tensor


@dataclass(frozen=True)
class FakeBatch:
    """B images, C channels, S image side."""

    images: Tensor
    """(B, C, S, S): on the server with the graph behind them, on a client as they came."""
    labels: Tensor
    """(B,) int64."""
