"""Every random number is a function of (seed, round, client, purpose).

The same run twice is therefore the same run, and a resumed run is the run that was not interrupted.
"""

from __future__ import annotations

import zlib

import numpy as np


def stream(seed: int, purpose: str, *numbers: int) -> np.random.Generator:
    """An independent generator for a purpose and numbers such as round and client."""
    return np.random.default_rng([seed, zlib.crc32(purpose.encode()), *numbers])


def torch_seed(seed: int, purpose: str, *numbers: int) -> int:
    """A seed for a `torch.Generator`, from the same stream."""
    return int(stream(seed, purpose, *numbers).integers(2**63))
