"""Words that every layer shares: the two networks, their blocks, and where they are cut."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Literal

import numpy as np

NetworkName = Literal["generator", "discriminator"]
NETWORKS: tuple[NetworkName, NetworkName] = ("generator", "discriminator")

BlockKey = tuple[NetworkName, int]
"""A block of one of the networks, by its index from 0."""
BlockState = Mapping[str, np.ndarray]
"""Parameters and buffers of one block by their name inside the block."""
Shape = tuple[int, ...]
"""Of a tensor, without the batch axis where it says so."""

Cut = tuple[int, int]
"""(h, t): extra blocks that a client keeps at the front and at the back of one network."""
Cuts = tuple[Cut, Cut]
"""The cuts of one client: (generator's, discriminator's)."""

Direction = Literal["forward", "backward"]
End = Literal["head", "tail"]
Codec = Literal["float32", "bfloat16", "float16", "int8"]
"""Number format of activations and gradients on the wire."""
