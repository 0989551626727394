"""What both sides of a session make of its roster alone: who holds what together, and where each member's shares lie."""

from __future__ import annotations

from collections.abc import Collection, Mapping

import numpy as np

from raygan.names import BlockKey
from raygan.secure import primitives, threshold
from raygan.wire.secure import Holders, Roster


class Session:
    """A session, once its members are known."""

    def __init__(self, roster: Roster) -> None:
        self.name, self.roster = roster.session, roster
        self.members = tuple(sorted(roster.members))
        self.points = {member: place + 1 for place, member in enumerate(self.members)}
        """Member -> the point of its shares."""
        self.threshold = threshold(len(self.members))
        self.holders: Mapping[BlockKey, Holders] = {
            key: tuple(m for m in self.members if key in roster.members[m].blocks)
            for key in dict.fromkeys(key for m in self.members for key in roster.members[m].blocks)
        }
        """Block -> who holds it."""

    def groups_of(self, member: int) -> list[Holders]:
        """The different groups of holders that a member is in; each has masks of its own."""
        return [group for group in dict.fromkeys(self.holders.values()) if member in group]

    def masking_key(self, member: int) -> bytes:
        """A member's public masking key."""
        return self.roster.members[member].masking.tobytes()

    def sealing_key(self, member: int) -> bytes:
        """The public key by which messages to a member are sealed."""
        return self.roster.members[member].sealing.tobytes()

    def own_mask(self, seed: bytes, key: BlockKey, size: int) -> np.ndarray:
        """(size,) uint64 PRG(b_u) for one block."""
        return primitives.mask(seed, self.name, f"{key[0]}.{key[1]}", size)

    def pair_mask(self, mine: primitives.KeyPair, me: int, other: int, key: BlockKey, size: int) -> np.ndarray:
        """(size,) uint64: what is added for another holder of a block, +PRG(s_uv) or, of a smaller one, -PRG(s_uv)."""
        seed = mine.agreed(self.masking_key(other), self.name, "masks")
        found = primitives.mask(seed, self.name, f"{key[0]}.{key[1]}", size)
        return found if me < other else np.negative(found)


def still(group: Holders, clients: Collection[int]) -> list[int]:
    """Of a group of holders, those that are among these clients."""
    return [member for member in group if member in clients]
