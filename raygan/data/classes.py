"""Classes by name: what label a class has where several domains, or a list of the user's, know it.

Domains that have a class name in common number their classes alike, so that one label means one class at all of them. A
domain that lacks some of them has these classes too, without images. Domains with no name in common share labels by
number, as digits and clothes do.
"""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np

from raygan.errors import DataError

Names = tuple[str, ...]
BETWEEN = " / "


def common_names(domains: Sequence[Names]) -> list[Names]:
    """For each domain the names of its labels in the run, in order: those of all domains that it has names in common
    with, directly or through others. Where nothing differs, a domain's own.

    The order is that of the domain with most of the names, the others' following; sorted where every one is.
    """
    result = list(domains)
    for group in _groups(domains):
        own = [domains[index] for index in group]
        first = max(own, key=len)  # of several the first
        together = tuple(dict.fromkeys(name for names in (first, *own) for name in names))
        if all(list(names) == sorted(names) for names in own):
            together = tuple(sorted(together))
        if any(set(names) != set(together) or names != own[0] for names in own):
            for index in group:
                result[index] = together
    return result


def _groups(domains: Sequence[Names]) -> list[list[int]]:
    """Indices of the domains that are connected by common names."""
    groups: list[list[int]] = []
    for index, names in enumerate(domains):
        joined = [group for group in groups if any(set(names) & set(domains[other]) for other in group)]
        groups = [group for group in groups if group not in joined]
        groups.append(sorted([index, *(other for group in joined for other in group)]))
    return groups


def label_names(domains: Sequence[Names]) -> list[str]:
    """A name for each label of several domains: theirs, with a stroke between where they differ (`3 / Dress`)."""
    most = max(map(len, domains), default=0)
    shared = [dict.fromkeys(names[label] for names in domains if label < len(names)) for label in range(most)]
    return [BETWEEN.join(names) for names in shared]


def numbers_of(own: Names, wanted: Names, where: str) -> np.ndarray:
    """For each label of a domain the number that it has in `wanted`: int64 (len(own),).

    Names are looked up; where a source knows its labels by number only, `wanted` names them in order.

    Raises:
        DataError: `wanted` lacks a class, or names one twice.
    """
    place = {name: number for number, name in enumerate(wanted)}
    if len(place) < len(wanted):
        twice = next(name for name in wanted if wanted.count(name) > 1)
        raise DataError(where, f"classes has {twice!r} twice", "give each name once")
    missing = [name for name in own if name not in place]
    if not missing:
        return np.array([place[name] for name in own], dtype=np.int64)
    first = 1 if "1" in own and "0" not in own else 0
    labels = [int(name) - first for name in own] if all(name.isdecimal() for name in own) else [len(wanted)]
    if max(labels) < len(wanted):
        return np.array(labels, dtype=np.int64)
    found = f"it has the class {missing[0]!r}, and classes does not ({len(wanted)} names)"
    raise DataError(where, found, "add it to classes, or take it out of the data")
