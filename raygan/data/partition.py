"""Who holds which images: iid, the paper's two non-IID rules, Dirichlet, and natural groups.

Every rule deals *every* image of the domain to exactly one of its clients; nobody is empty. The rules of the
paper ("non-IID" and "highly non-IID", its section on experiments) state which classes a client lacks and how
large its share is. Here a *share* is relative: a client that "has 2/3 of an equal share" ends with 2/3 of the
images of a client that has all of one, and the images that it forgoes go to the others, so that none is left
out. Where lacking classes, dealing every image and the sizes cannot all hold (two clients, say, of which one
alone has a class), the sizes give way: a client lacks the classes that it is to lack, and no others.

With the images of an equal share given in number (`data.images_per_client`), it is as in the published code: images are
dealt evenly, then each client puts away the classes that it lacks and all that is beyond its share. Those are nobody's.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass

import numpy as np

from raygan.config.schema import DirichletPartition, NaturalPartition, Partition
from raygan.errors import DataError

MIN_IMAGES = 2  # BatchNorm cannot train on one image
MIN_DIRICHLET_IMAGES = 10  # topped up to this many where the domain has them, as is usual for this partition
LEAST_SHARE = 0.25  # of what a client has of a class by its share alone, where its size has to give way
PARTITION_STREAM = 0x9A27  # keeps these draws apart from those of other purposes
NOBODY = -1


@dataclass(frozen=True)
class SkewRule:
    """Odds of a non-IID rule; they need not sum to 1."""

    lacking_classes: Mapping[int, float]
    """Odds of the number of classes that a client lacks."""
    shares: Mapping[float, float]
    """Odds of a client's share, 1 being an equal one."""


NON_IID = SkewRule({0: 0.25, 2: 0.3, 3: 0.1, 4: 0.1}, {1: 0.7, 2 / 3: 0.3})
HIGHLY_NON_IID = SkewRule({2: 0.4, 3: 0.6}, {1 / 6: 0.2, 1 / 3: 0.3, 1: 0.5})
SKEW_RULES = {"non_iid": NON_IID, "highly_non_iid": HIGHLY_NON_IID}


def deal(
    labels: np.ndarray,
    num_clients: int,
    partition: Partition,
    seed: int,
    domain_index: int,
    groups: Mapping[str, np.ndarray] | None = None,
    where: str = "data.domains",
    images_per_client: int | None = None,
    turn: int = 0,
) -> list[np.ndarray]:
    """The training images of each client of one domain.

    Args:
        labels: (N,) integers, the class of each training image.
        num_clients: clients of this domain.
        partition: `iid` (sizes equal within 1, images at random and not stratified by class), `non_iid`,
            `highly_non_iid`, Dirichlet(alpha) (each class's images split among the clients by a draw of
            Dirichlet(alpha)), or natural (clients are the values of a group, in sorted order; of more values
            than clients, value i goes to client i mod num_clients).
        seed: the run's.
        domain_index: the domain's place in the configuration; the result follows from it and `seed` alone.
        groups: arrays (N,) by name, for the natural partition.
        where: how errors name the domain.
        images_per_client: the most images of a client, of one with an equal share if shares differ; None: all are dealt.
        turn: how often the domain's images were dealt before: each time is another draw.

    Returns:
        A sorted int64 array of indices into `labels` for each client; together a permutation of 0 .. N - 1, or a part of
        one where `images_per_client` is given.

    Raises:
        DataError: a client would have fewer than 2 images, a group is not there, or has fewer values than there
            are clients.
    """
    if len(labels) < MIN_IMAGES * num_clients:
        most = len(labels) // MIN_IMAGES
        remedy = f"give it at most {most} clients or more images" if most else f"give each client at least {MIN_IMAGES}"
        images = f"{len(labels)} training image{'s' * (len(labels) != 1)}"
        raise DataError(where, f"{images} for {num_clients} client{'s' * (num_clients != 1)}", remedy)
    rng = np.random.default_rng([seed, domain_index, PARTITION_STREAM, *([turn] if turn else [])])
    shares = np.ones(num_clients)
    if isinstance(partition, NaturalPartition):
        owners = _natural(groups or {}, partition.natural, num_clients, where)
    elif isinstance(partition, DirichletPartition):
        owners = _dirichlet(labels, num_clients, partition.dirichlet, rng)
    elif partition == "iid":
        owners = rng.permutation(np.arange(len(labels)) % num_clients)
    else:
        owners, shares = _skewed(labels, num_clients, SKEW_RULES[partition], rng, images_per_client is None)
    if images_per_client is not None:
        _put_away(owners, (images_per_client * shares).astype(np.int64), rng)
    dealt = [np.flatnonzero(owners == client) for client in range(num_clients)]
    for client, indices in enumerate(dealt):
        if len(indices) < MIN_IMAGES:
            found = f"client {client} of {num_clients} would hold {len(indices)} images of {MIN_IMAGES} needed"
            raise DataError(where, found, "give it fewer clients, more images or another partition")
    return dealt


def deal_in_turn(
    labels: np.ndarray,
    num_clients: Sequence[int],
    partition: Partition,
    seed: int,
    domain_index: int,
    groups: Mapping[str, np.ndarray] | None = None,
    where: str = "data.domains",
    images_per_client: int | None = None,
) -> list[np.ndarray]:
    """As `deal`, where clients joined later: each time the new ones are dealt what those before them left over.

    Args:
        num_clients: clients of each time, the first ones first.

    Raises:
        DataError: as `deal`, and where nothing is left over.
    """
    first, *later = num_clients
    dealt = deal(labels, first, partition, seed, domain_index, groups, where, images_per_client)
    for turn, count in enumerate(later, start=1):
        over = np.setdiff1d(np.arange(len(labels)), np.concatenate(dealt))
        if len(over) < MIN_IMAGES * count or isinstance(partition, NaturalPartition):
            found = f"{count} more client{'s' * (count != 1)}, but {len(over)} of its images are left over"
            if isinstance(partition, NaturalPartition):
                found = f"{count} more client{'s' * (count != 1)}, but clients are the groups of {partition.natural}"
            remedy = "give them a domain of their own at the end of data.domains"
            raise DataError(where, f"{found}: those who stay keep theirs", remedy)
        new = deal(labels[over], count, partition, seed, domain_index, None, where, images_per_client, turn)
        dealt += [over[mine] for mine in new]
    return dealt


def _natural(groups: Mapping[str, np.ndarray], name: str, num_clients: int, where: str) -> np.ndarray:
    if name not in groups:
        found = f"no group {name!r} (there {'are ' + ', '.join(sorted(groups)) if groups else 'is none'})"
        raise DataError(where, found, f"add the array train_{name} or use another data.partition")
    values, place = np.unique(groups[name], return_inverse=True)
    if len(values) < num_clients:
        found = f"{len(values)} values of {name!r} for {num_clients} clients"
        raise DataError(where, found, f"give it at most {len(values)} clients")
    return place % num_clients


def _dirichlet(labels: np.ndarray, num_clients: int, alpha: float, rng: np.random.Generator) -> np.ndarray:
    owners = np.empty(len(labels), dtype=np.int64)
    for members in _members_by_class(labels):
        shares = _dirichlet_draw(num_clients, alpha, rng)
        ends = np.rint(np.cumsum(shares) * len(members)).astype(np.int64)
        ends[-1] = len(members)
        owners[rng.permutation(members)] = np.repeat(np.arange(num_clients), np.diff(ends, prepend=0))
    _top_up(owners, num_clients, min(MIN_DIRICHLET_IMAGES, len(labels) // num_clients), rng)
    return owners


def _dirichlet_draw(size: int, alpha: float, rng: np.random.Generator) -> np.ndarray:
    """Dirichlet(alpha) of any alpha: where the draw underflows, its limit: one client gets all."""
    shares = rng.dirichlet(np.full(size, alpha))
    return shares if np.isfinite(shares).all() and shares.sum() > 0 else np.eye(size)[rng.integers(size)]


def _top_up(owners: np.ndarray, num_clients: int, minimum: int, rng: np.random.Generator) -> None:
    """Give every client `minimum` images, one by one from whoever has most."""
    sizes = np.bincount(owners, minlength=num_clients)
    for client in np.flatnonzero(sizes < minimum):
        while sizes[client] < minimum:
            donor = int(sizes.argmax())
            owners[rng.choice(np.flatnonzero(owners == donor))] = client
            sizes[donor] -= 1
            sizes[client] += 1


def _skewed(
    labels: np.ndarray, num_clients: int, rule: SkewRule, rng: np.random.Generator, deal_all: bool
) -> tuple[np.ndarray, np.ndarray]:
    """Draw who lacks what and who has how much, then deal every class to those who have it; without `deal_all`, deal all
    images evenly, and leave those of a class that their client lacks to nobody.

    Returns:
        The owner of each image (N,), and each client's share (K,).
    """
    members = _members_by_class(labels)
    holds = draw_held_classes(len(members), num_clients, rule, rng)
    shares = rng.choice(list(rule.shares), size=num_clients, p=_odds(rule.shares))
    if not deal_all:
        owners = rng.permutation(np.arange(len(labels)) % num_clients)
        classes = np.unique(labels, return_inverse=True)[1]
        return np.where(holds[owners, classes], owners, NOBODY), shares
    counts = fit_counts(holds, np.array([len(m) for m in members]), shares)
    owners = np.empty(len(labels), dtype=np.int64)
    for label, images in enumerate(members):
        owners[rng.permutation(images)] = np.repeat(np.arange(num_clients), counts[:, label])
    return owners, shares


def _put_away(owners: np.ndarray, most: np.ndarray, rng: np.random.Generator) -> None:
    """Leaves each client at most so many images, drawn at random."""
    for client, images in enumerate(most):
        mine = rng.permutation(np.flatnonzero(owners == client))
        owners[mine[images:]] = NOBODY


def draw_held_classes(num_classes: int, num_clients: int, rule: SkewRule, rng: np.random.Generator) -> np.ndarray:
    """Who holds which class: bool (num_clients, num_classes).

    A client keeps at least one class, and a class that all clients would lack is given back to one client
    drawn from those that lack most (with few clients or classes this bends the odds, otherwise it is rare).
    """
    holds = np.ones((num_clients, num_classes), dtype=bool)
    for client in range(num_clients):
        lacking = rng.choice(list(rule.lacking_classes), p=_odds(rule.lacking_classes))
        holds[client, rng.choice(num_classes, size=min(lacking, num_classes - 1), replace=False)] = False
    for label in np.flatnonzero(~holds.any(axis=0)):
        fewest = np.flatnonzero(holds.sum(axis=1) == holds.sum(axis=1).min())
        holds[rng.choice(fewest), label] = True
    return holds


def fit_counts(holds: np.ndarray, class_sizes: np.ndarray, shares: np.ndarray) -> np.ndarray:
    """Images of each class for each client: every image is dealt, to clients that hold its class, each has some of every
    class that it holds, and the clients' sizes are in the ratio of `shares` (within rounding) where that is possible.

    Iterative proportional fitting: rows are scaled to the clients' sizes, columns to the classes' in turn,
    columns last. Where the sizes are out of reach (a client that alone has a class has too many images already), that
    would take its other classes away: the table gives way towards the one where each class is dealt by the shares alone.

    Args:
        holds: bool (K, L), at least one True in each row and column.
        class_sizes: (L,) images of each class.
        shares: (K,) relative sizes.

    Returns:
        int64 (K, L), whose columns sum to `class_sizes`.
    """
    sizes = class_sizes.sum() * shares / shares.sum()
    table = holds * sizes[:, None]
    by_share = class_sizes * table / table.sum(axis=0)
    for _ in range(1000):
        table *= (sizes / np.maximum(table.sum(axis=1), 1e-300))[:, None]
        columns = class_sizes / np.maximum(table.sum(axis=0), 1e-300)
        table *= columns
        if np.abs(columns - 1).max() < 1e-6:
            break
    missing = np.maximum(LEAST_SHARE * by_share - table, 0) / np.maximum(by_share - table, 1e-300)
    table += missing.max() * (by_share - table)
    return _with_every_class(_rounded(table, class_sizes, holds), holds)


def _rounded(table: np.ndarray, class_sizes: np.ndarray, holds: np.ndarray) -> np.ndarray:
    """Whole numbers near `table` with its column sums; what a row loses in one column it is owed later."""
    counts = np.floor(table + 1e-9).astype(np.int64)
    owed = np.zeros(len(table))
    for label, size in enumerate(class_sizes):
        owed += table[:, label] - counts[:, label]
        first = np.lexsort((-owed, ~holds[:, label]))  # holders of the class before others, most owed first
        missing = size - counts[:, label].sum()
        counts[first[:missing], label] += 1
        owed[first[:missing]] -= 1
    return counts


def _with_every_class(counts: np.ndarray, holds: np.ndarray) -> np.ndarray:
    """One image from whoever has most of a class for those who hold it and have none, as far as there are any."""
    for client, label in np.argwhere(holds & (counts == 0)):
        donor = counts[:, label].argmax()
        if counts[donor, label] > 1:
            counts[[donor, client], label] += [-1, 1]
    return counts


def _members_by_class(labels: np.ndarray) -> list[np.ndarray]:
    """Indices of the images of each class that occurs."""
    return [np.flatnonzero(labels == label) for label in np.unique(labels)]


def _odds(weights: Mapping[float, float] | Mapping[int, float]) -> np.ndarray:
    values = np.array(list(weights.values()))
    return np.asarray(values / values.sum())
