"""What crosses where networks are summed securely (`raygan/secure`): all of it through the aggregator, in this order.

| record | from -> to | holds |
|---|---|---|
| `PublicKeys` | client -> aggregator | its public keys of the session, and which blocks it holds |
| `Roster` | aggregator -> client | those of all members |
| `KeyShares` | client -> aggregator | shares of its secrets, each sealed to another member |
| `Dealt` | aggregator -> client | the shares that are sealed to it |
| `MaskedState` | client -> aggregator | its weighted blocks as whole numbers under masks |
| `Survivors` | aggregator -> client | whose masked blocks arrived |
| `Unmasking` | client -> aggregator | shares that take the masks off the sum |
| `Greeting`, `HandedOver` | client -> client | a public key; the clients' secret, sealed |

Keys, shares and what is sealed are uint8 arrays, so that they travel and are counted as arrays are.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field

import numpy as np

from raygan.names import BlockForm, BlockKey

Bytes = np.ndarray
"""(N,) uint8."""
Holders = tuple[int, ...]
"""The members that hold the same blocks: they have masks of their own."""


@dataclass(frozen=True)
class PublicKeys:
    """What a member announces."""

    client: int
    sealing: Bytes
    """(32,) X25519: messages to it are sealed with it."""
    masking: Bytes
    """(32,) X25519: it agrees on masks with others by it."""
    blocks: tuple[BlockKey, ...]
    """What it holds; public, since the cuts are."""


@dataclass(frozen=True)
class Roster:
    """Who is in the session."""

    session: str
    members: Mapping[int, PublicKeys]


@dataclass(frozen=True)
class KeyShares:
    """Shares of one member's secrets."""

    client: int
    sealed: Mapping[int, Bytes]
    """The member that can open it -> the shares that are for it."""


@dataclass(frozen=True)
class Dealt:
    """The shares that one member is to keep."""

    client: int
    sealed: Mapping[int, Bytes]
    """Whose secrets -> the sealed shares; who is not in it was lost, and is in no mask."""


@dataclass(frozen=True)
class MaskedState:
    """One member's blocks, as the server sees them."""

    client: int
    sums: Mapping[BlockKey, np.ndarray]
    """Block -> (N,) uint64: its weighted entries in fixed point, plus masks, modulo 2^64."""
    forms: Mapping[BlockKey, BlockForm]


@dataclass(frozen=True)
class Survivors:
    """Whose masked blocks arrived."""

    clients: tuple[int, ...]
    lost: Mapping[int, str] = field(default_factory=dict)
    """Member whose blocks did not arrive -> why."""
    unsummed: tuple[BlockKey, ...] = ()
    """Blocks that too few of them hold for a sum."""


@dataclass(frozen=True)
class Unmasking:
    """What one member tells of the others' secrets: of each only one kind."""

    client: int
    seeds: Mapping[tuple[Holders, int], Bytes]
    """(Holders, member among them whose blocks arrived) -> (33,) share of its own mask's seed for their blocks."""
    keys: Mapping[int, Bytes]
    """Member whose blocks did not arrive -> (33,) share of its private masking key."""


@dataclass(frozen=True)
class Greeting:
    """A worker's begin of an agreement on the clients' secret."""

    worker: int
    key: Bytes
    """(32,) X25519."""
    has_secret: bool


@dataclass(frozen=True)
class HandedOver:
    """The secret, from the worker that hands it over."""

    worker: int
    sealed: Mapping[int, Bytes]
    """Worker -> sealed to it; empty: another one hands it over."""
