"""A planning problem as the solvers see it: classes of interchangeable clients, and tables in seconds."""

from __future__ import annotations

import time
from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np

from raygan.cuts.cost import Device, NetworkCost, Server
from raygan.cuts.cut import Allowed, Anchor, allowed_pairs, anchor_pair, valid_cuts
from raygan.cuts.latency import Floats, Ints, PassTimes, pass_times
from raygan.errors import CutError
from raygan.names import NETWORKS, Cut, Cuts


@dataclass(frozen=True)
class Problem:
    """Two networks, C classes of interchangeable clients, K clients. Built by `problem()`.

    An assignment of cuts to clients is `choice` [K, 2]: indices into `cuts` of the generator and the
    discriminator. Counted, it is a pair of arrays [C, n_G] and [C, n_D]. Where all clients of a class have the
    same cuts, it is a plan [C, 2].
    """

    costs: tuple[NetworkCost, NetworkCost]
    cuts: tuple[tuple[Cut, ...], tuple[Cut, ...]]
    """Valid cuts of each network, ascending."""
    clients: tuple[Device, ...]
    """[K]."""
    classes: tuple[Device, ...]
    """[C]: one device of each class."""
    class_of: Ints
    """[K]: class of each client."""
    sizes: Ints
    """[C]: clients of each class."""
    allowed: Allowed
    """[C, n_G, n_D]: pairs of cuts that a class may use."""
    passes: tuple[tuple[PassTimes, PassTimes], tuple[PassTimes, PassTimes]]
    """(forward, backward) of each network."""

    def network_seconds(self, network: int, plans: Ints) -> Floats:
        """[P]: a network's share of an iteration, for plans [P, C] of its cuts."""
        counts = np.eye(len(self.cuts[network]))[plans] * self.sizes[None, :, None]
        forward, backward = self.passes[network]
        return forward.repeats * (forward.seconds(counts) + backward.seconds(counts))

    def uniform_seconds(self) -> Floats:
        """[n_G, n_D]: seconds of an iteration in which everyone has the same cuts, whether allowed or not."""
        shares_s = []
        for network, cuts in enumerate(self.cuts):
            everyone = np.repeat(np.arange(len(cuts))[:, None], len(self.classes), axis=1)
            shares_s.append(self.network_seconds(network, everyone))
        return np.add.outer(shares_s[0], shares_s[1])

    def uniform_plans(self, most: int) -> Ints:
        """[S, C, 2]: at most `most` plans, as uniform as the classes' limits permit, about the best first."""
        order = np.argsort(self.uniform_seconds(), axis=None, kind="stable")
        flat = self.allowed.reshape(len(self.classes), -1)
        first_allowed = flat.argmax(axis=1)
        plans = np.array([np.where(flat[:, pair], pair, first_allowed) for pair in order[:most]])
        width = len(self.cuts[1])
        return np.stack([plans // width, plans % width], axis=2)

    def parts(self, choice: Ints) -> dict[str, float]:
        """Seconds of each phase of an iteration (all its passes), by name, for an assignment [K, 2]."""
        return {
            one.phase: one.repeats * float(one.seconds(counts[None].astype(float))[0])
            for passes, counts in zip(self.passes, self._count(choice), strict=True)
            for one in passes
        }

    def latency(self, choice: Ints) -> float:
        """Seconds of an iteration, for an assignment [K, 2]."""
        return sum(self.parts(choice).values())

    def _count(self, choice: Ints) -> list[Ints]:
        """Counts [C, n_G] and [C, n_D] of an assignment [K, 2]."""
        counted = []
        for network, cuts in enumerate(self.cuts):
            cells = self.class_of * len(cuts) + choice[:, network]
            flat = np.bincount(cells, minlength=len(self.classes) * len(cuts))
            counted.append(flat.reshape(len(self.classes), len(cuts)))
        return counted

    def client_cuts(self, choice: Ints) -> tuple[Cuts, ...]:
        """The cuts of each client, for an assignment [K, 2]."""
        generator, discriminator = self.cuts
        return tuple((generator[g], discriminator[d]) for g, d in choice)

    def choice_of(self, cuts: Sequence[Cuts]) -> Ints:
        """The assignment [K, 2] of given cuts.

        Raises:
            CutError: wrong number of clients, or a cut that is not valid or not allowed for its client.
        """
        if len(cuts) != len(self.clients):
            found = f"{len(cuts)} entries for {len(self.clients)} clients"
            raise CutError("cuts", found, "give one pair a client")
        return np.array([self._index(client, pair) for client, pair in enumerate(cuts)], dtype=np.int64)

    def _index(self, client: int, pair: Cuts) -> list[int]:
        owner = f"device {self.clients[client].name!r}"
        index = []
        for network, known, cut in zip(NETWORKS, self.cuts, pair, strict=True):
            if tuple(cut) not in known:
                remedy = f"give one of {', '.join(map(str, known))}"
                raise CutError(f"{network} cut of {owner}", f"{tuple(cut)} is not valid", remedy)
            index.append(known.index((cut[0], cut[1])))
        if not self.allowed[self.class_of[client], index[0], index[1]]:
            found = f"{pair} breaks its memory limit or its local_blocks or server_blocks"
            raise CutError(f"cuts of {owner}", found, "give a smaller cut, or lift the limit")
        return index


def problem(
    generator: NetworkCost,
    discriminator: NetworkCost,
    devices: Sequence[Device],
    server: Server,
    anchor: Anchor = 2,
) -> Problem:
    """Group the clients into classes of equal devices, and tabulate every time that the model needs.

    Raises:
        CutError: no devices, an anchor that is not a middle block, a device that no valid cut fits, or times
            that overflow.
    """
    if not devices:
        raise CutError("devices", "empty", "give one device a client")
    costs = (generator, discriminator)
    anchors = anchor_pair(anchor)
    cuts = (valid_cuts(generator.num_blocks, anchors[0]), valid_cuts(discriminator.num_blocks, anchors[1]))
    classes, class_of = _group(devices)
    with np.errstate(over="ignore"):  # `_check_finite` says it better
        allowed = np.array([allowed_pairs(device, costs, cuts) for device in classes])
        passes = (
            pass_times("generator", generator, cuts[0], classes, server),
            pass_times("discriminator", discriminator, cuts[1], classes, server),
        )
        _check_finite([*passes[0], *passes[1]], len(devices))
    sizes = np.bincount(class_of).astype(np.int64)
    return Problem(costs, cuts, tuple(devices), classes, class_of, sizes, allowed, passes)


def _group(devices: Sequence[Device]) -> tuple[tuple[Device, ...], Ints]:
    """One device of each class, and the class of each client; names do not matter, numbers and limits do."""
    kinds = [
        (
            device.flops_per_s,
            device.bytes_per_s,
            device.memory_bytes,
            device.local_blocks,
            device.server_blocks,
        )
        for device in devices
    ]
    first: dict[object, Device] = {}
    for kind, device in zip(kinds, devices, strict=True):
        first.setdefault(kind, device)
    number = {kind: place for place, kind in enumerate(first)}
    return tuple(first.values()), np.array([number[kind] for kind in kinds], dtype=np.int64)


def _check_finite(passes: Sequence[PassTimes], num_clients: int) -> None:
    """Refuse numbers that are fine one by one but overflow together."""
    total = sum(
        float(table.sum())
        for one in passes
        for table in (one.ready_s, one.finish_s, one.block_s * num_clients)
    )
    if not np.isfinite(total):
        raise CutError("devices", "the predicted times overflow", "check flops_per_s and bytes_per_s")


class Deadline:
    """A point in time that a solver must not pass."""

    def __init__(self, limit_s: float) -> None:
        self._end_s = time.monotonic() + limit_s

    @property
    def left_s(self) -> float:
        """Seconds until then, at least 0."""
        return max(0.0, self._end_s - time.monotonic())
