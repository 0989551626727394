from __future__ import annotations

from raygan.split.stages import merge_stages


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
