"""Masks cancel, whoever is lost; the server sees sums alone; a member refuses what would show more."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest

from raygan.federated.aggregation import BlockAverager
from raygan.names import BlockKey
from raygan.secure import threshold
from raygan.secure.fixed_point import STEP, decode, encode
from raygan.secure.member import Member, RefusedError
from raygan.secure.primitives import KeyPair, SealError
from raygan.secure.server import SecureSum, TooFewError, averaged
from raygan.secure.session import Session
from raygan.secure.shamir import Recovery
from raygan.wire.records import State
from raygan.wire.secure import Survivors
from tests.secure.sessions import KEYS, blocks_of, play

FIVE = {client: blocks_of(client) for client in range(5)}
WEIGHTS = {0: 0.4, 1: 0.3, 2: 0.15, 3: 0.1, 4: 0.05}
HELD: dict[int, tuple[BlockKey, ...]] = {
    0: KEYS, 1: KEYS, 2: KEYS[::2], 3: (*KEYS, ("discriminator", 1)), 4: (KEYS[2], ("discriminator", 1)),
}  # fmt: skip
HOLES = {client: blocks_of(client, keys) for client, keys in HELD.items()}
LOSSES: dict[str, dict[str, tuple[int, ...]]] = {
    "nobody": {},
    "one before its shares": {"lost_before_shares": (1,)},
    "one before its blocks": {"lost_before_upload": (0,)},
    "one after its blocks": {"lost_after_upload": (4,)},
    "one at each turn": {"lost_before_shares": (4,), "lost_before_upload": (0,)},
    "two after their blocks": {"lost_after_upload": (1, 2)},
    "before and after": {"lost_before_upload": (3,), "lost_after_upload": (0,)},
}
BOUND = 5 * STEP / 2
"""Half a step a member."""


def weighted_sum(holders: tuple[int, ...], key: BlockKey, name: str) -> np.ndarray:
    return np.asarray(sum(WEIGHTS[client] * HOLES[client][key][name].astype(np.float64) for client in holders))


@pytest.mark.parametrize("losses", LOSSES.values(), ids=LOSSES.keys())
def test_the_sum_is_that_of_whose_blocks_arrived(losses: dict[str, tuple[int, ...]]) -> None:
    one = play(HOLES, WEIGHTS, **losses)
    gone = {*losses.get("lost_before_shares", ()), *losses.get("lost_before_upload", ())}
    for key in {key for keys in HELD.values() for key in keys}:
        holders = tuple(client for client in range(5) if key in HELD[client] and client not in gone)
        assert (key in one.sums) == (len(holders) >= 3)
        if key in one.sums:
            assert one.sums[key].holders == holders
            for name, array in decode(one.sums[key].total, one.sums[key].form).items():
                assert np.abs(array - weighted_sum(holders, key, name)).max() <= BOUND


def test_the_average_is_the_plain_one_within_the_step() -> None:
    """Holes count as the body's; a block that is in no sum is the body's."""
    body = State(0, blocks_of(9, [*KEYS, ("discriminator", 1)]))
    one = play(HOLES, WEIGHTS, lost_after_upload=(2,))
    found = averaged(one.sums, WEIGHTS, one.server.survivors, body)
    plain = BlockAverager(body)
    for client, weight in WEIGHTS.items():
        summed = {key: state for key, state in HOLES[client].items() if key != ("discriminator", 1)}
        plain.add(State(1, summed), weight)
    for key, state in plain.average().items():
        for name, array in state.items():
            assert found[key][name].dtype == array.dtype
            np.testing.assert_allclose(found[key][name], array, rtol=2.0**-23, atol=BOUND)


def test_the_weight_of_who_is_lost_goes_to_the_others() -> None:
    key = KEYS[0]
    blocks = {client: {key: {"a": np.array([float(client)])}} for client in range(5)}
    one = play(blocks, WEIGHTS, lost_before_upload=(0,))
    found = averaged(one.sums, WEIGHTS, one.server.survivors, State(0, {}))
    # (0.3 * 1 + 0.15 * 2 + 0.1 * 3 + 0.05 * 4) / 0.6 = 1.1 / 0.6
    assert found[key]["a"].tolist() == pytest.approx([1.1 / 0.6], abs=1e-10)


def test_too_many_losses_leave_no_sum() -> None:
    assert [threshold(n) for n in (3, 4, 5, 6)] == [2, 3, 3, 4]
    with pytest.raises(TooFewError, match=r"2 of 5 members are left, and 3 are needed"):
        play(FIVE, WEIGHTS, lost_after_upload=(0, 1, 2))


def test_a_masked_block_is_uniform_and_tells_nothing_of_it() -> None:
    """Zeros and a canary give entries that no test tells from noise: their bits, their bytes, their mean."""
    size, key = 40_000, KEYS[0]
    canary = np.full(size, 1.2345, np.float32)
    blocks = {client: {key: {"a": canary if client else np.zeros(size, np.float32)}} for client in range(3)}
    one = play(blocks, dict.fromkeys(range(3), 1 / 3))
    for record in one.masked:
        entries = record.sums[key]
        assert len(np.unique(entries)) == size, "of 2^64 values"
        bits = np.unpackbits(entries.view(np.uint8).reshape(size, 8), axis=1).mean(axis=0)
        assert np.abs(bits - 0.5).max() < 6 * 0.5 / np.sqrt(size), "each of the 64 bits is 1 half of the time"
        counts = np.bincount(entries.view(np.uint8), minlength=256)
        expected = 8 * size / 256
        assert ((counts - expected) ** 2 / expected).sum() < 255 + 6 * np.sqrt(2 * 255), "chi squared of its bytes"
    pairs = [one.masked[0].sums[key], one.masked[1].sums[key]]
    floats = [(entries / 2.0**64) for entries in pairs]
    assert abs(np.corrcoef(*floats)[0, 1]) < 6 / np.sqrt(size)
    partial = pairs[0] + pairs[1]
    assert abs((partial / 2.0**64).mean() - 0.5) < 6 * np.sqrt(1 / 12 / size), "two of three are no sum yet"


def test_the_same_blocks_are_masked_otherwise_in_the_next_session() -> None:
    first, second = (play(FIVE, WEIGHTS).masked[0].sums[KEYS[0]] for _ in range(2))
    assert not (first == second).any()


def test_never_both_shares_of_one_member() -> None:
    one = play(FIVE, WEIGHTS, lost_before_upload=(0,), lost_after_upload=(3,))
    for told in one.told:
        assert {member for _, member in told.seeds} == {1, 2, 3, 4}
        assert set(told.keys) == {0}
    with pytest.raises(RefusedError, match="told its shares already"):
        one.members[1].unmask(Survivors((1, 2, 3)))


def test_a_late_upload_stays_under_its_own_mask() -> None:
    """Who was taken for lost had its masking key told: its blocks are hidden all the same."""
    key = KEYS[0]
    members = {client: Member(client, "s", FIVE[client]) for client in range(5)}
    server = SecureSum("s", [member.announce() for member in members.values()])
    dealt = server.deal([member.share(server.roster) for member in members.values()])
    uploads = {client: members[client].mask(dealt[client], 1.0).sums[key] for client in members}
    told = [members[client].unmask(Survivors((1, 2, 3, 4))) for client in (1, 2, 3, 4)]
    assert all(member != 0 for one in told for _, member in one.seeds)
    shares = {place + 2: one.keys[0].tobytes() for place, one in enumerate(told[:3])}
    private, session, rest = KeyPair(Recovery(shares).secret(shares)), Session(server.roster), uploads[0].copy()
    for other in (1, 2, 3, 4):
        rest -= session.pair_mask(private, 0, other, key, len(rest))
    assert not (rest == encode(FIVE[0][key], 1.0)).any(), "what the server makes of it is not the block"
    seed = members[0]._seeds[session.holders[key]]
    np.testing.assert_array_equal(rest - session.own_mask(seed, key, len(rest)), encode(FIVE[0][key], 1.0))


def test_a_member_refuses_what_shows_more_than_a_sum() -> None:
    two = {client: Member(client, "s", FIVE[client]) for client in range(2)}
    roster = SecureSum("s", [member.announce() for member in two.values()]).roster
    with pytest.raises(RefusedError, match="2 members are fewer than 3"):
        two[0].share(roster)

    members = {client: Member(client, "s", FIVE[client]) for client in range(4)}
    server = SecureSum("s", [member.announce() for member in members.values()])
    forged = replace(server.roster, members={**server.roster.members, 0: server.roster.members[1]})
    with pytest.raises(RefusedError, match="not in the roster with the keys that it announced"):
        members[0].share(forged)
    dealt = server.deal([member.share(server.roster) for member in members.values()])
    with pytest.raises(RefusedError, match="dealt already"):
        members[0].share(server.roster)
    with pytest.raises(RefusedError, match="2 members are fewer than 3"):
        members[1].mask(replace(dealt[1], sealed={0: dealt[1].sealed[0]}), 1.0)
    with pytest.raises(SealError):
        members[2].mask(replace(dealt[2], sealed={**dealt[2].sealed, 1: dealt[3].sealed[1]}), 1.0)
    members[0].mask(dealt[0], 1.0)
    with pytest.raises(RefusedError, match="sent its blocks already"):
        members[0].mask(dealt[0], 1.0)
    with pytest.raises(RefusedError, match="2 members' blocks are no sum"):
        members[0].unmask(Survivors((0, 1)))
    with pytest.raises(RefusedError, match="no sum that it may tell"):
        members[0].unmask(Survivors((0, 1, 9)))


def test_a_block_of_two_survivors_is_not_told() -> None:
    """Three held it, one of them was lost: no share of its masks leaves anybody."""
    one = play(HOLES, WEIGHTS, lost_before_upload=(1,))
    assert ("generator", 1) not in one.sums
    assert all((0, 1, 3) not in {group for group, _ in told.seeds} for told in one.told)
    assert set(one.server.told({}).unsummed) == {("generator", 1), ("discriminator", 1)}
