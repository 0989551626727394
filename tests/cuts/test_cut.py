"""Valid cuts, and those that a device may use."""

import pytest

from raygan.cuts import Device, NetworkCost, check_cut, valid_cuts
from raygan.cuts.cut import anchor_pair, body_blocks, head_blocks, local_blocks, tail_blocks
from raygan.cuts.problem import allowed_pairs
from raygan.errors import CutError


def test_the_papers_networks_have_four_cuts():
    assert valid_cuts(5, 2) == ((0, 0), (0, 1), (1, 0), (1, 1))


def test_an_off_centre_anchor_stays_in_the_body():
    assert valid_cuts(5, 1) == ((0, 0), (0, 1), (0, 2))


def test_without_an_anchor_one_body_block_is_enough():
    assert valid_cuts(5, None) == ((0, 0), (0, 1), (0, 2), (1, 0), (1, 1), (2, 0))


@pytest.mark.parametrize(("blocks", "anchor", "heads", "tails"), [(7, 2, 2, 4), (7, 3, 3, 3), (9, 7, 7, 1)])
def test_an_anchor_splits_the_network(blocks, anchor, heads, tails):
    assert valid_cuts(blocks, anchor) == tuple((h, t) for h in range(heads) for t in range(tails))


@pytest.mark.parametrize("anchor", [0, 4, -1, 9])
def test_the_anchor_is_a_middle_block(anchor):
    with pytest.raises(CutError, match=r"^anchor: block -?\d of a network of 5 blocks; give a block from 1 to 3, or"):
        valid_cuts(5, anchor)


@pytest.mark.parametrize("anchor", ["2", 1.5, True, (1, 2, 3), (1, "2")])
def test_the_anchor_is_a_number_a_pair_or_none(anchor):
    with pytest.raises(CutError, match=r"^anchor: .*; give a block number, a pair of them, or None$"):
        anchor_pair(anchor)


def test_anchors_of_both_networks():
    assert anchor_pair(2) == (2, 2)
    assert anchor_pair((1, None)) == (1, None)
    assert anchor_pair(None) == (None, None)


def test_local_blocks_are_head_and_tail():
    assert local_blocks((1, 0), 5) == (0, 1, 4)
    assert local_blocks((0, 2), 5) == (0, 2, 3, 4)


def test_head_body_and_tail_are_the_whole_network():
    assert (head_blocks((1, 2)), body_blocks((1, 2), 7), tail_blocks((1, 2), 7)) == (
        range(2),
        range(2, 4),
        range(4, 7),
    )
    for cut in valid_cuts(7, anchor=3):
        assert [*head_blocks(cut), *body_blocks(cut, 7), *tail_blocks(cut, 7)] == list(range(7))
        assert 3 in body_blocks(cut, 7)


@pytest.mark.parametrize(
    ("cut", "message"),
    [
        ((2, 0), r"leaves block 2 \(the anchor\)"),
        ((2, 2), "keeps 4 extra blocks"),
        ((-1, 0), "leaves block 2"),
    ],
)
def test_an_invalid_cut_is_refused(cut, message):
    with pytest.raises(CutError, match=f"cuts.fixed.pi: cut .*{message}.*use one of"):
        check_cut(cut, 5, 2, "cuts.fixed.pi")


def test_a_valid_cut_is_accepted():
    for cut in valid_cuts(5, 2):
        check_cut(cut, 5, 2, "cuts.fixed.pi")


def cost(parameter_bytes=None):
    ones = [1.0] * 5
    return NetworkCost(ones, ones, ones, parameter_bytes, parameter_bytes and [0.0] * 5)


def allowed(device, parameter_bytes=None):
    costs = (cost(parameter_bytes), cost(parameter_bytes))
    return allowed_pairs(device, costs, (valid_cuts(5, 2), valid_cuts(5, 2)))


def test_blocks_that_must_stay_local_or_must_not():
    # Cuts in order: (0,0) (0,1) (1,0) (1,1). G keeps block 1: h = 1. D leaves block 3: t = 0.
    pairs = allowed(Device("pi", 1, 1, local_blocks=((1,), ()), server_blocks=((), (3,))))
    assert pairs.any(axis=1).tolist() == [False, False, True, True]
    assert pairs.any(axis=0).tolist() == [True, False, True, False]


def test_what_no_cut_does_is_refused():
    with pytest.raises(CutError, match=r"device 'pi': no valid cut of the generator keeps \[2\] and leaves \[\]; "):
        allowed(Device("pi", 1, 1, local_blocks=((2,), ())))
    with pytest.raises(CutError, match=r"device 'pi': block 5 of a discriminator of 5 blocks; give blocks from 0 to 4"):
        allowed(Device("pi", 1, 1, server_blocks=((), (5,))))


def test_memory_counts_both_networks():
    # A block takes 4 x 1 bytes, (0,0) keeps two: 8 a network. 20 bytes hold one more block of one of them.
    pairs = allowed(Device("pi", 1, 1, memory_bytes=20), [1.0] * 5)
    assert pairs.tolist() == [
        [True, True, True, False],
        [True, False, False, False],
        [True, False, False, False],
        [False, False, False, False],
    ]


def test_too_little_memory_names_device_need_and_have():
    message = r"^memory_bytes of device 'pi': needs at least 16 bytes, has 15; use a smaller batch"
    with pytest.raises(CutError, match=message):
        allowed(Device("pi", 1, 1, memory_bytes=15), [1.0] * 5)


def test_a_memory_limit_needs_the_networks_memory():
    with pytest.raises(CutError, match=r"^generator.parameter_bytes: missing, but device 'pi' has memory_bytes; "):
        allowed(Device("pi", 1, 1, memory_bytes=15))
