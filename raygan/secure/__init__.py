"""Secure aggregation: a server learns the weighted sum of its members' networks, and no member's own.

The protocol is that of Bonawitz et al. 2017 (doi 10.1145/3133956.3133982) against a server that follows it and is
curious, with up to t - 1 members that tell it all they know. A sum is a session of four turns:

1. Every member u announces two public keys (X25519): one to seal messages to it, one to agree on masks with it.
2. It deals its private masking key and its own masks' seeds b_u to all, t of n (Shamir), each share sealed to its holder.
3. It sends, block by block, y_u = x_u + PRG(b_u) + sum_{v > u} PRG(s_uv) - sum_{v < u} PRG(s_uv) mod 2^64: x_u its weight
   times its parameters in fixed point, s_uv the seed that it shares with v, v over the members that hold the block.
4. Told whose y arrived, members give their shares of b_v for every such v, and of v's masking key for every other.

The server takes the masks off the sum of all y. Never does a member give both shares of one v. All keys are of one
session. A block that fewer than three hold is in no sum: a sum of two is known to each of them.

numpy alone; the extra `privacy` (the package `cryptography`) is imported when a session begins.
"""

from __future__ import annotations

from importlib.util import find_spec

from raygan.config.privacy import PrivacyConfig
from raygan.errors import ConfigError

LEAST_HOLDERS = 3
"""Of a block, in a sum: with two, each knows the other's from the sum."""


def threshold(num_members: int) -> int:
    """t: members whose shares recover a secret. More than half, so that two disjoint halves cannot be told different
    survivors; the others may be lost."""
    return num_members // 2 + 1


def check_installed(settings: PrivacyConfig) -> None:
    """Nothing, where the cryptography that the settings need is there.

    Raises:
        ConfigError: the extra `privacy` is not installed here.
    """
    if settings.secure_aggregation and find_spec("cryptography") is None:
        found = "true, but the package cryptography is not installed here"
        raise ConfigError("privacy.secure_aggregation", found, "pip install 'raygan[privacy]'")


def least_members(settings: PrivacyConfig) -> int:
    """Of a cluster, and of a round."""
    return LEAST_HOLDERS if settings.secure_aggregation else 1
