from collections import Counter

import numpy as np
import pytest

from raygan.config.schema import DirichletPartition, NaturalPartition
from raygan.data.partition import HIGHLY_NON_IID, NON_IID, deal, deal_in_turn, draw_held_classes, fit_counts
from raygan.errors import DataError

LABELS = np.random.default_rng(0).integers(0, 10, 6000)
SPEAKERS = np.array(["ann", "bob", "cy", "dee", "eve"])[np.arange(len(LABELS)) % 5]
RULES = [
    "iid",
    "non_iid",
    "highly_non_iid",
    DirichletPartition(dirichlet=0.3),
    DirichletPartition(dirichlet=1e-4),
    NaturalPartition(natural="speakers"),
]


def counts_of(dealt: list[np.ndarray]) -> np.ndarray:
    """(K, 10) images of each class."""
    return np.array([np.bincount(LABELS[mine], minlength=10) for mine in dealt])


@pytest.mark.parametrize("rule", RULES, ids=str)
@pytest.mark.parametrize("num_clients", [1, 2, 3, 5])
def test_every_image_belongs_to_exactly_one_client_and_nobody_is_empty(rule, num_clients):
    for seed in range(20):
        dealt = deal(LABELS, num_clients, rule, seed, 0, {"speakers": SPEAKERS})
        assert len(dealt) == num_clients
        assert np.array_equal(np.sort(np.concatenate(dealt)), np.arange(len(LABELS)))
        assert all(len(mine) >= 2 and np.all(np.diff(mine) > 0) for mine in dealt)


@pytest.mark.parametrize("rule", RULES[:4], ids=str)
def test_equal_seeds_deal_alike_and_others_do_not(rule):
    first = deal(LABELS, 20, rule, 7, 1)
    again = deal(LABELS, 20, rule, 7, 1)
    other_seed, other_domain = deal(LABELS, 20, rule, 8, 1), deal(LABELS, 20, rule, 7, 2)
    assert all(np.array_equal(a, b) for a, b in zip(first, again, strict=True))
    for other in (other_seed, other_domain):
        assert not all(np.array_equal(a, b) for a, b in zip(first, other, strict=True))


def test_iid_sizes_are_equal_within_one_and_classes_are_spread():
    dealt = deal(LABELS, 7, "iid", 0, 0)
    assert {len(mine) for mine in dealt} == {857, 858}
    assert counts_of(dealt).min() > 50  # 86 expected


@pytest.mark.parametrize(
    ("rule", "lacking"),
    [
        ("non_iid", {0: 0.25 / 0.75, 2: 0.3 / 0.75, 3: 0.1 / 0.75, 4: 0.1 / 0.75}),
        ("highly_non_iid", {2: 0.4, 3: 0.6}),
    ],
)
def test_lacking_classes_follow_the_odds(rule, lacking):
    clients = [row for seed in range(100) for row in counts_of(deal(LABELS, 20, rule, seed, 0))]
    found = Counter(int((row == 0).sum()) for row in clients)
    for number, odds in lacking.items():
        assert found[number] / len(clients) == pytest.approx(odds, abs=0.045)  # 4 standard deviations
    assert sum(found[number] for number in lacking) / len(clients) > 0.995  # the rest: given a class back


@pytest.mark.parametrize(
    ("rule", "odds"),
    [("non_iid", {1: 0.7, 2 / 3: 0.3}), ("highly_non_iid", {1 / 6: 0.2, 1 / 3: 0.3, 1: 0.5})],
)
def test_sizes_follow_the_odds(rule, odds):
    found: Counter[float] = Counter()
    for seed in range(100):
        sizes = np.array([len(mine) for mine in deal(LABELS, 20, rule, seed, 0)])
        relative = sizes / sizes.max()
        nearest = [min(odds, key=lambda share, size=size: abs(share - size)) for size in relative]
        assert np.abs(relative - nearest).max() < 0.02
        found.update(nearest)
    for share, expected in odds.items():
        assert found[share] / 2000 == pytest.approx(expected, abs=0.045)


def test_which_classes_lack_is_fair():
    clients = [row for seed in range(100) for row in counts_of(deal(LABELS, 20, "highly_non_iid", seed, 0))]
    lacked = (np.array(clients) == 0).mean(axis=0)
    assert lacked == pytest.approx(np.full(10, 0.26), abs=0.045)  # (2 * 0.4 + 3 * 0.6) of 10 classes


def test_a_class_that_all_would_lack_is_given_back():
    for seed in range(50):
        holds = draw_held_classes(10, 1, HIGHLY_NON_IID, np.random.default_rng(seed))
        assert holds.all()
        holds = draw_held_classes(3, 4, NON_IID, np.random.default_rng(seed))
        assert holds.any(axis=0).all()
        assert holds.any(axis=1).all()


def test_a_client_lacks_what_it_is_to_lack_and_nothing_else_however_few_clients_there_are():
    """With five clients, the one that alone has a class would be left with that class, to keep its size."""
    for seed in range(100):
        for labels in (LABELS, LABELS[:300]):
            rows = [np.bincount(labels[mine], minlength=10) for mine in deal(labels, 5, "highly_non_iid", seed, 0)]
            lacking = [int((row == 0).sum()) for row in rows]
            assert max(lacking) <= 3
            assert sum(number < 2 for number in lacking) <= 2, "classes that all would lack are given back"
            assert np.array(rows).sum() == len(labels)


def test_a_sole_holder_of_a_class_keeps_a_quarter_of_its_others():
    holds = np.array([[True, True], [False, True], [False, True]])
    # By the shares alone client 0 has all 100 of class 0 and 20 of class 1; for its size it would have to give those up.
    counts = fit_counts(holds, np.array([100, 60]), np.array([1.0, 1.0, 1.0]))
    assert counts.tolist() == [[100, 5], [0, 28], [0, 27]]


def test_images_that_are_no_share_are_put_away():
    dealt = deal(LABELS, 20, "iid", 0, 0, images_per_client=100)
    assert [len(mine) for mine in dealt] == [100] * 20
    assert len(np.unique(np.concatenate(dealt))) == 2000
    everything = deal(LABELS, 20, "iid", 0, 0)
    assert all(set(few) <= set(all_) for few, all_ in zip(dealt, everything, strict=True))
    assert [len(mine) for mine in deal(LABELS, 20, "iid", 0, 0, images_per_client=999)] == [300] * 20


@pytest.mark.parametrize(
    ("rule", "sizes", "lacking"),
    [("non_iid", {150, 100}, {0, 2, 3, 4}), ("highly_non_iid", {150, 50, 25}, {2, 3})],
)
def test_published_sizes_and_classes(rule, sizes, lacking):
    """A client has as many as its share says, of an equal part (300) less the classes that it lacks."""
    found: Counter[int] = Counter()
    for seed in range(20):
        dealt = deal(LABELS, 20, rule, seed, 0, images_per_client=150)
        assert len(np.unique(np.concatenate(dealt))) == sum(len(mine) for mine in dealt)
        found.update(len(mine) for mine in dealt)
        for row in counts_of(dealt):
            assert int((row == 0).sum()) in lacking or row.sum() == 25, "of 25 images, a class may be missing by chance"
    assert set(found) == sizes


@pytest.mark.parametrize("rule", RULES[3:], ids=str)
def test_other_rules_put_away_what_is_too_much(rule):
    groups = {"speakers": SPEAKERS}
    dealt = deal(LABELS, 5, rule, 0, 0, groups, images_per_client=40)
    everything = deal(LABELS, 5, rule, 0, 0, groups)
    assert [len(mine) for mine in dealt] == [min(40, len(mine)) for mine in everything]


def test_counts_fit_by_hand():
    holds = np.array([[True, True], [True, False]])
    # Client 0 alone holds class 1; client 1 has half of a share: 40 of 120 images, all of class 0.
    counts = fit_counts(holds, np.array([60, 60]), np.array([1.0, 0.5]))
    assert counts.tolist() == [[20, 60], [40, 0]]


def test_sizes_give_way_where_not_everything_can_hold():
    holds = np.array([[True, False], [False, True]])
    counts = fit_counts(holds, np.array([10, 90]), np.array([1.0, 1.0]))
    assert counts.tolist() == [[10, 0], [0, 90]]


def test_dirichlet_skews_more_with_a_smaller_alpha():
    def largest_class_share(alpha: float) -> float:
        counts = counts_of(deal(LABELS, 10, DirichletPartition(dirichlet=alpha), 0, 0))
        return float((counts.max(axis=1) / counts.sum(axis=1)).mean())

    assert largest_class_share(100) < 0.15 < largest_class_share(1) < largest_class_share(0.05)
    assert largest_class_share(0.05) > 0.5


def test_dirichlet_tops_up_to_ten_images_or_to_what_there_is():
    sizes = [len(mine) for mine in deal(LABELS, 100, DirichletPartition(dirichlet=1e-3), 0, 0)]
    assert min(sizes) == 10
    sizes = [len(mine) for mine in deal(LABELS[:9], 3, DirichletPartition(dirichlet=1e-3), 0, 0)]
    assert sizes == [3, 3, 3]


def test_natural_groups_are_dealt_in_turn():
    dealt = deal(LABELS, 2, NaturalPartition(natural="speakers"), 0, 0, {"speakers": SPEAKERS})
    assert set(SPEAKERS[dealt[0]]) == {"ann", "cy", "eve"}
    assert set(SPEAKERS[dealt[1]]) == {"bob", "dee"}


@pytest.mark.parametrize(
    ("num_clients", "rule", "labels", "message"),
    [
        (
            6,
            NaturalPartition(natural="speakers"),
            LABELS,
            r"5 values of 'speakers' for 6 clients; .* at most 5",
        ),
        (2, NaturalPartition(natural="hospital"), LABELS, r"no group 'hospital' \(there are few, speakers\)"),
        (4, "iid", LABELS[:7], "7 training images for 4 clients; give it at most 3 clients"),
        (3, "iid", LABELS[:1], "1 training image for 3 clients; give each client at least 2"),
        (5, NaturalPartition(natural="few"), LABELS[:11], "client 4 of 5 would hold 1 images of 2 needed"),
    ],
)
def test_what_cannot_be_dealt_is_one_line(num_clients, rule, labels, message):
    groups = {"speakers": SPEAKERS[: len(labels)], "few": np.array([0, 1, 2, 3, 0, 1, 2, 3, 0, 1, 4])}
    with pytest.raises(DataError, match=message) as caught:
        deal(labels, num_clients, rule, 0, 0, groups, where="data.domains[0] (tiny)")
    assert str(caught.value).startswith("data.domains[0] (tiny): ")


def test_no_groups_at_all_is_said():
    with pytest.raises(DataError, match=r"no group 'speakers' \(there is none\)"):
        deal(LABELS, 2, NaturalPartition(natural="speakers"), 0, 0)


@pytest.mark.parametrize("rule", RULES[:4], ids=str)
def test_who_joins_is_dealt_what_is_left_over(rule):
    """Of 6,000 images two clients have 1,000 each; those who join later have others."""
    first = deal(LABELS, 2, rule, 3, 1, images_per_client=1000)
    found = deal_in_turn(LABELS, [2, 3, 1], rule, 3, 1, images_per_client=1000)
    assert len(found) == 6
    assert all(np.array_equal(one, other) for one, other in zip(first, found[:2], strict=True))
    together = np.concatenate(found)
    assert len(set(together.tolist())) == len(together)
    assert all(2 <= len(mine) <= 1000 and np.all(np.diff(mine) > 0) for mine in found)
    alone = deal_in_turn(LABELS, [2, 3], rule, 3, 1, images_per_client=1000)
    assert all(np.array_equal(one, other) for one, other in zip(alone, found[:5], strict=True))


def test_who_joins_where_nothing_is_left_over_is_refused():
    message = "data.domains: 2 more clients, but 0 of its images are left over: those who stay keep theirs; give them a"
    with pytest.raises(DataError, match=message):
        deal_in_turn(LABELS, [2, 2], "iid", 0, 0)
    with pytest.raises(DataError, match="1 more client, but clients are the groups of speakers: those who stay keep"):
        deal_in_turn(LABELS, [2, 1], RULES[-1], 0, 0, {"speakers": SPEAKERS}, images_per_client=10)
