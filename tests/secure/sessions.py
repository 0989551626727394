"""A session without a federation: members and server are called turn by turn, and some of them are lost."""

from __future__ import annotations

from collections.abc import Collection, Mapping, Sequence
from dataclasses import dataclass, field

import numpy as np

from raygan.names import BlockKey
from raygan.secure.member import Member
from raygan.secure.server import BlockSum, SecureSum
from raygan.wire.secure import KeyShares, MaskedState, Unmasking

Blocks = Mapping[BlockKey, Mapping[str, np.ndarray]]
KEYS: tuple[BlockKey, ...] = (("generator", 0), ("generator", 1), ("discriminator", 0))


def blocks_of(seed: int, keys: Sequence[BlockKey] = KEYS, size: int = 40) -> dict[BlockKey, dict[str, np.ndarray]]:
    """Blocks of noise, of a weight and a counter each."""
    rng = np.random.default_rng(seed)
    return {
        key: {"weight": rng.normal(size=(size // 4, 4)).astype(np.float32), "seen": np.array(seed, np.int64)}
        for key in keys
    }


@dataclass
class Play:
    """What was said in a session."""

    members: dict[int, Member]
    server: SecureSum
    shares: list[KeyShares] = field(default_factory=list)
    masked: list[MaskedState] = field(default_factory=list)
    told: list[Unmasking] = field(default_factory=list)
    sums: dict[BlockKey, BlockSum] = field(default_factory=dict)


def play(
    blocks: Mapping[int, Blocks],
    weights: Mapping[int, float],
    lost_before_shares: Collection[int] = (),
    lost_before_upload: Collection[int] = (),
    lost_after_upload: Collection[int] = (),
) -> Play:
    """A session to its end.

    Args:
        blocks: member -> what it holds.
    """
    members = {client: Member(client, "a session", own) for client, own in blocks.items()}
    server = SecureSum("a session", [member.announce() for member in members.values()])
    one = Play(members, server)
    gone = set(lost_before_shares)
    one.shares = [member.share(server.roster) for client, member in members.items() if client not in gone]
    dealt = server.deal(one.shares)
    gone |= set(lost_before_upload)
    for client in dealt.keys() - gone:
        one.masked.append(members[client].mask(dealt[client], weights[client]))
    for record in one.masked:
        server.add(record)
    survivors = server.told({})
    one.told = [members[client].unmask(survivors) for client in survivors.clients if client not in lost_after_upload]
    one.sums = server.sums(one.told)
    return one
