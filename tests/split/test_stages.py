from __future__ import annotations

import pytest

from raygan.errors import CutError
from raygan.split.stages import body_blocks, check_cut, head_blocks, merge_stages, tail_blocks, valid_cuts


def test_valid_cuts_of_the_papers_networks() -> None:
    assert valid_cuts(5, anchor=2) == [(0, 0), (0, 1), (1, 0), (1, 1)]


def test_valid_cuts_keep_an_off_centre_anchor_in_the_body() -> None:
    assert valid_cuts(5, anchor=1) == [(0, 0), (0, 1), (0, 2)]


def test_head_body_and_tail_are_the_whole_network() -> None:
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
def test_an_invalid_cut_is_refused(cut: tuple[int, int], message: str) -> None:
    with pytest.raises(CutError, match=f"cuts.fixed.pi: cut .*{message}.*use one of"):
        check_cut(cut, 5, 2, "cuts.fixed.pi")


def test_stages_of_equal_cuts_are_one() -> None:
    (stage,) = merge_stages({0: (0, 0), 1: (0, 0)}, 5)
    assert (stage.blocks, stage.entering, stage.leaving) == (range(1, 4), (0, 1), (0, 1))


def test_stages_begin_and_end_where_somebody_enters_or_leaves() -> None:
    stages = merge_stages({0: (0, 0), 1: (1, 0), 2: (0, 1)}, 5)
    assert [(s.blocks, s.entering, s.leaving) for s in stages] == [
        (range(1, 2), (0, 2), ()),
        (range(2, 3), (1,), (2,)),
        (range(3, 4), (), (0, 1)),
    ]
